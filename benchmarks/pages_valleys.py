"""Write docs/valleys.md from results/valleys.csv.

python benchmarks/pages_valleys.py
"""

from collections import defaultdict

import numpy as np
from pages import rows, table, write
from pages_selection import NOT_RUN, cell
from valleys import CHOSEN, CONSTANTS, FEWER, MANY, PARTS, SCALES_SEEN, TUNED

from gemclust.selection import POINTS_PER_UNIT
from gemclust.units import LANDMARKS, SAMPLES_PER_UNIT, UNIT_ITERATIONS, WIDTH
from gemclust.valleys import DEEPEST, GAP_POWER, PART
from gemclust.views import SCALES

SCORES = ("exact", "within_one", "ari")

PAGE = """\
# The constants of finding the number of clusters

Written by `benchmarks/pages_valleys.py` from `benchmarks/results/valleys.csv`; how each number is
measured stands in `benchmarks/README.md`. "{not_run}" says that a row or more is missing.

## The level

A valley is real if it is deeper than `level`, which stands for what is found in samples with one
mode. In {n_unimodal} such samples (Gaussian, uniform, Student-t, exponential; d = 1, 2, 3, 8, 30),
the deepest valley of the tree at each scale k, relative to the level: median, and the highest of
the samples. If the level has the right form, the numbers are much the same everywhere. One that is
above 1 splits no cluster by itself: the rule takes the mean of two.

{by_size}
{by_dimension}
## Other values

The {n_tuned} sets of the tuned half of the suite at most 2,000 points each, and {n_fewer} unimodal
samples (500 points, d = 2 and 8). Each line is the library with one constant changed, seed 0: share
of exact / share within one / mean ARI; on how many sets the number becomes right and on how many
wrong, and how many of the unimodal samples are split. With other seeds the library's own values
get {seeds}: smaller differences say nothing.

{values}
- width ({width:g}): of the kernel, in median distances between units. Narrow units straddle gaps.
- iterations ({iterations}), samples ({samples} a unit), landmarks ({landmarks}): of training.
- points ({points} for each unit): between which valleys are looked for.
- gap power ({power:g}) of the rank of the nearest neighbour across.
- deepest ({deepest}): scales and views over which a valley is averaged.
- part ({part}): a part of the data is judged like a sample of so many times its points; 1,000,000
  stands for "by all points, whatever its size".
- level straight in 1 / dimension from 2 to 5, without its fall from 2 to 2.5.
- level of n_points, scale or dimension fixed: the level without this dependence.

Parts are for many clusters of few points each. {n_many} sets of 30 and 50 blobs, of which 2,000
points are drawn, 67 and 40 for each blob:

{many}"""


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


def values(results):
    chosen, body = scores(results, CHOSEN, TUNED), []
    for method in CONSTANTS:
        tuned, split = (scores(results, method, names) for names in (TUNED, FEWER))
        line = [method, NOT_RUN, NOT_RUN, NOT_RUN]
        if tuned is not None and chosen is not None:
            gained, lost = (tuned > chosen)[:, 0].sum(), (tuned < chosen)[:, 0].sum()
            line[1:3] = [cell(tuned.mean(axis=0).tolist()), f"+{gained}, -{lost}"]
        if split is not None:
            line[3] = f"{int((split[:, 0] == 0).sum())} of {len(FEWER)}"
        body.append(line)
    return table(["", "tuned half", "sets", "unimodal samples split"], body)


def of_parts(results):
    body = []
    for method in (CHOSEN, *PARTS):
        found = scores(results, method, MANY)
        body.append([method, NOT_RUN if found is None else cell(found.mean(axis=0).tolist())])
    return table(["", "exact / within one / ARI"], body)


def main():
    results = found()
    seeds = {seed for method, _, seed in results if method == CHOSEN} - {"0"}
    others = [scores(results, CHOSEN, TUNED, seed) for seed in sorted(seeds)]
    text = PAGE.format(
        not_run=NOT_RUN,
        n_unimodal=len(SCALES_SEEN),
        by_size=levels(results, "N", {str(n): f"_n{n}_" for n in (50, 150, 500, 1500, 5000)}),
        by_dimension=levels(results, "d", {str(d): f"_d{d}_" for d in (1, 2, 3, 8, 30)}),
        n_tuned=len(TUNED),
        n_fewer=len(FEWER),
        seeds="; ".join(cell(s.mean(axis=0).tolist()) for s in others if s is not None) or NOT_RUN,
        values=values(results),
        width=WIDTH,
        iterations=UNIT_ITERATIONS,
        samples=SAMPLES_PER_UNIT,
        landmarks=LANDMARKS,
        points=POINTS_PER_UNIT,
        power=GAP_POWER,
        deepest=DEEPEST,
        part=PART,
        n_many=len(MANY),
        many=of_parts(results),
    )
    write("valleys.md", [text])


if __name__ == "__main__":
    main()
