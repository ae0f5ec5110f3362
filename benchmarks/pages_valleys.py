"""Write docs/valleys.md from results/valleys.csv and results/unimodal.csv.

python benchmarks/pages_valleys.py
"""

from collections import defaultdict
from itertools import pairwise

import numpy as np
import suite
import unimodal
from pages import rows, table, write
from pages_selection import NOT_RUN, cell, per_seed
from selection import Results
from valleys import (
    CHOSEN,
    CLEAR,
    CONSTANTS,
    CROWDED,
    CURVES,
    DRAWS,
    EVENLY,
    EXTENT,
    FAR,
    FEWER,
    MANY,
    PARTS,
    SCALES_SEEN,
    SEVERAL,
    SPACE,
    STRAYS,
    TUNED,
)

from gemclust.selection import POINTS_PER_UNIT, STRAY_NEIGHBOURS
from gemclust.thresholds import MANY as ALONG_CURVES
from gemclust.thresholds import MANY_SURROUNDED, SURROUNDED
from gemclust.thresholds import PARTS as CLEAR_PARTS
from gemclust.units import LANDMARKS, SAMPLES_PER_UNIT, UNIT_ITERATIONS, WIDTH
from gemclust.valleys import DEEPEST, EACH_DIRECTION, GAP_POWER, NO_WAY_ROUND, PART, factor
from gemclust.views import DOUBT, LARGEST_OF_VIEWS, SCALES

SCORES = ("exact", "within_one", "ari")
QUANTILES = (0.5, 0.9, 0.95, 0.99)

SIMULATION = """\
In the level c(d) (ln(n / k) + 0.5), with c(d) = {line:g} / d + {each:g} sqrt(d), d is the dimension
of the data around a valley as distances to neighbours show it: about 1.7 in a plane, about 4 in the
five principal components in which data of more features is seen, too. Other samples with one mode
say how large c(d) has to be for no valley of theirs to count as real: {n_samples} of them
(Gaussian, uniform, Student-t, exponential; {dimensions} features; N = {sizes};
{draws} draws of each). Of each sample, the deepest valley in data of about this
dimension counts; the last column is the share of samples in which one is judged real.

{quantiles}
The level was not read off this table: it was chosen on the tuned half of the suite and on
`UNIMODAL_TUNED`. What the table says about it:

- At d = 1 it is below the 99 % quantile, and there most false splits are. A higher level would
  close true valleys between clusters along curves ("level 1.1 at 1" below).
- Between 1.2 and 2 it is above what is found here. Samples like these would seldom pass 0.5 there,
  but clusters in a plane are less regular: with 0.5, more true clusters of the tuned sets fall
  apart than are found ("level as simulated" below).
- From 2 on it is above the 99 % quantile, mostly by a fifth or more. That is for samples that are
  wide in few directions, of which a lower level splits more ([below](#{link})).

Whether the level has the right form in N: the 95 % quantile, over the samples, of the deepest
valley relative to the level. Within a column, numbers should be much the same.

{form}
{split} of the {n_samples} samples are split ({share:.1%}), by number of features:

{by_features}
Split of the {n_even} uniform ones in one feature, which have no peak: {even}.
"""

PAGE = """\
# The constants of finding the number of clusters

Written by `benchmarks/pages_valleys.py` from `valleys.csv` and `unimodal.csv` in
`benchmarks/results`; how each number is measured stands in `benchmarks/README.md`. "{not_run}" says
that a row or more is missing.

## The level

A valley is real if it is deeper than `level`, which stands for what is found in samples with one
mode. In {n_unimodal} such samples (Gaussian, uniform, Student-t, exponential; d = 1, 2, 3, 8, 30),
the deepest valley of the tree at each scale k, relative to the level: median, and the highest of
the samples. If the level has the right form, the numbers are much the same everywhere. One that is
above 1 splits no cluster by itself: the rule takes the mean of two.

{by_size}
{by_dimension}
## The simulation

{simulation}
## Other values

The {n_tuned} sets of the tuned half of the suite at most 2,000 points each, and {n_fewer} unimodal
samples (500 points, d = 2 and 8). Each line is the library with one constant changed, seed 0: share
of exact / share within one / mean ARI; on how many sets the number becomes right and on how many
wrong, and how many of the unimodal samples are split. With five
seeds the library's own values find the exact number in {least:.2f} to {most_found:.2f} of the sets:
smaller differences say nothing.

{values}
- width ({width:g}): of the kernel, in median distances between units. Narrow units straddle gaps.
- iterations ({iterations}), samples ({samples} a unit), landmarks ({landmarks}): of training.
- points ({points} for each unit): between which valleys are looked for.
- strays stay in their units instead of going with their neighbours: all parts of a unit but the
  largest that the {strays} nearest neighbours join.
- principal components only: none of the directions in which neighbours are near.
- scales to 86 in all views: not to {largest} at most where there are several.
- small groups in turn: they are joined by the valleys around them like all others, not first.
- no clear gap: none raises what is above it, or the level below.
- one level: the same for one valley and for many; several ({several:g}): how much it falls with
  the logarithm of their number where, in up to three features, each unit touches {surrounded:g}
  others in the mean; along curves: the same everywhere.
- clear parts ({clear_parts:g}): how much the level rises with the logarithm of the number of clear
  valleys for each valley that is to be real.
- extent ignored: groups that are wide in few directions only are judged by the local dimension.
- gap power ({power:g}) of the rank of the nearest neighbour across.
- deepest ({deepest}): scales and views over which a valley is averaged.
- part ({part}): a part of the data is judged like a sample of so many times its points; 1,000,000
  stands for "by all points, whatever its size".
- level 1.1 at 1: 0.99 / d in c(d) instead of {line:g} / d; level lower or higher in space: 0.09 or
  0.13 sqrt(d) instead of {each:g} sqrt(d).
- level of a table: five numbers instead of two, linear in 1 / d between d = 1 (0.98), 2 (0.60), 2.5
  (0.42), 5 (0.38) and infinity (0.23, there times sqrt(d / 5)).
- level as simulated: c(d) = 0.5 between 1.2 and 2 dimensions, near the 99 % quantile there,
  else as in the table.
- level of n_points, scale or dimension fixed: the level without this dependence.

Parts are for many clusters of few points each. {n_many} sets of 30 and 50 blobs, of which 2,000
points are drawn, 67 and 40 for each blob:

{many}
## Few points in each cluster

With 20 or 30 points in a cluster no valley can be deep; but those inside clusters are far lower
still. {n_few} sets of 15 and 30 blobs of so many points each, no two nearer than 6 standard
deviations; d = 2, 5 and 10. The library, and without a look at the gap in the tree:

{few}
## Many valleys, and many clusters far apart

Inside one cluster one valley may be near 1, but seldom ten. The library, where the level falls by
{several:g} ln(j / 3) for j valleys, and by {along_curves:g} ln(j / 3) where units touch fewer than
{surrounded:g} others in the mean or there are more than three features; with the same level for any
number; with other falls of the first kind; and with the first fall everywhere. {n_close} sets of 15
to 40 Gaussians that touch, 3.75 to 4.5 standard deviations apart, d = 2, 3, 4. The first number was
chosen by other draws of these, and by curves as those below:

{close}
{n_crowded} more, by which nothing was: 20 and 50 Gaussians of 100 points each, d = 2 and 3.

{crowded}
What a larger fall costs: {n_dense} thick curves of 3,000 and 10,000 points, each one cluster.

{dense}
Below a gap under many clear valleys, few valleys must be more significant, as each cluster may have
one by chance. {n_far} sets of 3, 12 and 30 Gaussians, or of 12 and 30 thick curves, all far apart.
The library, without that, and with more of it; and with the larger fall everywhere:

{far}
## Data that is wide in few directions

In ten features of which all are one common factor and a little of their own, neighbours show ten
dimensions or three; but a valley across the factor has no way round it, as on a line. So beyond the
plane the dimension is at most (tr C)^2 / tr C^2, with the covariance C of the groups between which
the valley lies. {n_wider} samples with one mode (Gaussian, uniform, Student-t, exponential;
N = 100, 300, 1,000), each standardised: one factor and 0.3 of its own in each feature; correlations
of 0.9 between each and the next; directions of which each has half the spread of the one before, or
1, 1/2, 1/3, ... of the first. Share that is split:

{wider}
## Small groups

A unit of a large group that wins a few points of a small one bridges the gap between them; and of
many samples, an even draw has too few of a small group. {n_small} sets of three Gaussians with
6,600 points each, and a fourth with 40 or 100, no two nearer than 6 standard deviations; d = 2, 5,
10 and 30. Valleys are looked for between about half of the points. The library; with strays that
stay in their units; with test points that are drawn evenly, not as many of each unit, or halfway
between the two; and with another doubt of densities where points stand for unequal numbers
({doubt} standard deviations):

{small}
{n_rare} such sets of 66,500 points in the three and 200 or 400 in the fourth:

{rare}"""


def found():
    """(method, set, seed) -> row."""
    return {(row["method"], row["dataset"], row["seed"]): row for row in rows("valleys.csv")}


def scores(results, method, names, seed="0"):
    """(n_sets, 3) scores; None unless every set has a row."""
    if any((method, name, seed) not in results for name in names):
        return None
    return np.array(
        [[float(results[method, name, seed][score]) for score in SCORES] for name in names]
    )


def depths(results, holding):
    """Scale -> deepest valleys in the unimodal samples that have this in their names."""
    by_scale = defaultdict(list)
    for name in SCALES_SEEN:
        row = results.get((CHOSEN, name, "0"))
        if row and row["depths"] and holding in name:
            for pair in row["depths"].split("|"):
                scale, depth = pair.split(":")
                by_scale[int(scale)].append(float(depth))
    return by_scale


def levels(results, title, parts):
    """One line for each part of the unimodal samples, one column for each scale."""
    body = []
    for label, holding in parts.items():
        by_scale = depths(results, holding)
        cells = [
            f"{np.median(by_scale[k]):.2f}, {max(by_scale[k]):.2f}" if by_scale[k] else ""
            for k in SCALES
        ]
        body.append([label, *cells])
    return table([title, *(f"k = {k}" for k in SCALES)], body)


def simulated():
    """The samples of one mode: their name, whether they are split, and (dimension, depth) pairs."""
    found = []
    for row in rows(unimodal.RESULTS.name):
        pairs = [tuple(map(float, pair.split(":"))) for pair in row["depths"].split("|") if pair]
        found.append((f"{row['dataset']}_", int(row["found"]) > 1, np.array(pairs).reshape(-1, 2)))
    return found


def quantiles(samples):
    """One line for each range of dimensions: c(d) there, and what it would have to be."""
    pairs = np.concatenate([pairs for *_, pairs in samples])
    body = []
    for low, high in pairwise(unimodal.EDGES):
        dimension, depth = pairs[(low <= pairs[:, 0]) & (pairs[:, 0] < high)].T
        if len(depth):
            middle = np.median(dimension)
            line = [f"{low:g} to {high:g}" if high < np.inf else f"{low:g} and more"]
            line += [len(depth), f"{middle:.2f}", f"{factor(middle):.2f}"]
            line += [f"{q:.2f}" for q in (*np.quantile(depth, QUANTILES), depth.max())]
            passed = f"{np.mean(depth >= factor(dimension)):.1%}"
            body.append([*line, passed])
    header = ["dimension", "samples", "median", "c(d) there", *(f"{q:.0%}" for q in QUANTILES)]
    return table([*header, "highest", "above c(d)"], body)


def form(samples):
    """The 95 % quantile of the deepest valley relative to the level."""
    body = []
    for part in (*(f"_n{n}_" for n in unimodal.DRAWS), *unimodal.SHAPES):
        line = [part.strip("_").replace("n", "N = ", 1) if part.startswith("_n") else part]
        for d in unimodal.DIMENSIONS:
            deepest = [
                (pairs[:, 1] / factor(pairs[:, 0])).max(initial=0)
                for name, _, pairs in samples
                if part in name and f"_d{d}_" in name
            ]
            line.append(f"{np.quantile(deepest, 0.95):.2f}" if deepest else NOT_RUN)
        body.append(line)
    return table(["", *(f"{d} feature{'s' * (d > 1)}" for d in unimodal.DIMENSIONS)], body)


def simulation():
    samples = simulated()
    if not samples:
        return NOT_RUN
    split = {d: [yes for name, yes, _ in samples if f"_d{d}_" in name] for d in unimodal.DIMENSIONS}
    even = [yes for name, yes, _ in samples if name.startswith("uniform_d1_")]
    return SIMULATION.format(
        link="data-that-is-wide-in-few-directions",
        line=NO_WAY_ROUND,
        each=EACH_DIRECTION,
        n_samples=f"{len(samples):,}",
        dimensions=", ".join(map(str, unimodal.DIMENSIONS)),
        sizes=", ".join(map(str, unimodal.DRAWS)),
        draws=", ".join(map(str, unimodal.DRAWS.values())),
        quantiles=quantiles(samples),
        form=form(samples),
        split=sum(yes for _, yes, _ in samples),
        share=np.mean([yes for _, yes, _ in samples]),
        even=sum(even),
        n_even=len(even),
        by_features=table(
            list(map(str, split)), [[f"{sum(found)} of {len(found)}" for found in split.values()]]
        ),
    )


def values(results):
    chosen, body = scores(results, CHOSEN, TUNED), []
    for method in (name for name in CONSTANTS if name not in EVENLY | DRAWS):
        tuned, split = (scores(results, method, names) for names in (TUNED, FEWER))
        line = [method, NOT_RUN, NOT_RUN, NOT_RUN]
        if tuned is not None and chosen is not None:
            gained, lost = (tuned > chosen)[:, 0].sum(), (tuned < chosen)[:, 0].sum()
            line[1:3] = [cell(tuned.mean(axis=0).tolist()), f"+{gained}, -{lost}"]
        if split is not None:
            line[3] = f"{int((split[:, 0] == 0).sum())} of {len(FEWER)}"
        body.append(line)
    return table(["", "tuned half", "sets", "unimodal samples split"], body)


def of_each(results, methods, names):
    body = []
    for method in (CHOSEN, *methods):
        found = scores(results, method, names)
        body.append([method, NOT_RUN if found is None else cell(found.mean(axis=0).tolist())])
    return table(["", "exact / within one / ARI"], body)


def splits_of_wider(results):
    columns = {"all": suite.WIDER}
    for part in ("_d2_", "_d3_", "_d10_", "_d30_"):
        columns[part.strip("_").replace("d", "d = ")] = [n for n in suite.WIDER if part in n]
    for kind in ("factor", "neighbours", "halved", "inverse"):
        columns[kind] = [n for n in suite.WIDER if f"/{kind}_" in n]
    body = []
    for method in (CHOSEN, *EXTENT, *SPACE):
        all_of = [scores(results, method, names) for names in columns.values()]
        body.append(
            [method, *(NOT_RUN if s is None else f"{1 - s[:, 0].mean():.2f}" for s in all_of)]
        )
    return table(["", *columns], body)


def main():
    results = found()
    exact = per_seed(Results(), "gemclust", TUNED)
    text = PAGE.format(
        not_run=NOT_RUN,
        n_unimodal=len(SCALES_SEEN),
        by_size=levels(results, "N", {str(n): f"_n{n}_" for n in (50, 150, 500, 1500, 5000)}),
        by_dimension=levels(results, "d", {str(d): f"_d{d}_" for d in (1, 2, 3, 8, 30)}),
        simulation=simulation(),
        n_tuned=len(TUNED),
        n_fewer=len(FEWER),
        least=min(exact),
        most_found=max(exact),
        values=values(results),
        line=NO_WAY_ROUND,
        each=EACH_DIRECTION,
        width=WIDTH,
        iterations=UNIT_ITERATIONS,
        samples=SAMPLES_PER_UNIT,
        landmarks=LANDMARKS,
        points=POINTS_PER_UNIT,
        power=GAP_POWER,
        several=MANY_SURROUNDED,
        surrounded=SURROUNDED,
        along_curves=ALONG_CURVES,
        clear_parts=CLEAR_PARTS,
        largest=LARGEST_OF_VIEWS,
        deepest=DEEPEST,
        part=PART,
        n_many=len(MANY),
        many=of_each(results, PARTS, MANY),
        strays=STRAY_NEIGHBOURS,
        n_few=len(suite.FEW_EACH),
        few=of_each(results, CLEAR, suite.FEW_EACH),
        n_close=len(suite.CLOSE),
        close=of_each(results, SEVERAL | CURVES, suite.CLOSE),
        n_crowded=len(CROWDED),
        crowded=of_each(results, SEVERAL | CURVES, CROWDED),
        n_dense=len(suite.DENSE_CURVES),
        dense=of_each(results, SEVERAL | CURVES, suite.DENSE_CURVES),
        n_far=len(suite.FAR),
        far=of_each(results, FAR | CURVES, suite.FAR),
        n_wider=len(suite.WIDER),
        wider=splits_of_wider(results),
        n_small=len(suite.SMALL_GROUPS),
        doubt=DOUBT,
        small=of_each(results, STRAYS | EVENLY | DRAWS, suite.SMALL_GROUPS),
        n_rare=len(suite.RARE_GROUPS),
        rare=of_each(results, STRAYS | EVENLY, suite.RARE_GROUPS),
    )
    write("valleys.md", [text])


if __name__ == "__main__":
    main()
