"""Write docs/searches.md from results/search.csv.

python benchmarks/pages_search.py
"""

import numpy as np
from pages import rows, table, write
from search import GRIDS, METHODS, NUMBERS, SAMPLES, SETS, WIDTHS

from gemclust.metrics.scorers import LEAST_AGREEMENT

NAMES = {
    "heldout": "`heldout_scorer`",
    "stability": "`stability_scorer`",
    "own": "the candidate's own `score`",
    "gemini_mmd": '`GeminiScorer("mmd_ovo")`',
    "gemini_rbf": '`GeminiScorer(MMD("ovo", "rbf"))`',
    "silhouette": "`silhouette_scorer`",
    "calinski_harabasz": "`calinski_harabasz_scorer`",
    "davies_bouldin": "`davies_bouldin_scorer`",
    "classes": "told the classes",
}
FAMILIES = ["mmd_ovo", *(f"rbf {width}" for width in WIDTHS), "tv_ova", "units"]

PAGE = """\
# Searching without classes

Written by `benchmarks/pages_search.py` from `benchmarks/results/search.csv`.

`GridSearchCV` on {n_sets} development sets of at most {samples} samples, generated and real, with
`cv=ShuffleSplit(2, test_size=0.5)`, without classes, {n_seeds} seeds. Candidates are {numbers}
clusters with

- "number": the default objective, `"mmd_ovo"`, and the default model;
- "all": that one, MMD with a Gaussian kernel of two widths, total variation (which does not see
  where points lie), and 40 units that are merged: {n_all} candidates.

A scorer's choice is the candidate with the best mean score. "exact" is the share of sets in which
its number of clusters is a true one, "within one" that in which it differs by at most 1, "largest"
that in which the largest number was chosen. ARI is the agreement of the held-out samples with the
true classes. The last row chooses by that.

{summary}
{verdict}
## The number that each scorer chooses

In the search over all; two numbers where the seeds differ.

{found}
## The objective and kernel that each scorer chooses

How often, in the search over all. Numbers at the kernel: its gamma in that of the median distance.

{chosen}
## How the recommended scorer works

A second model with the same parameters is fitted to the held-out samples. The score is what the
adjusted Rand index of the two labelings exceeds {least} by, times the probability that two samples
lie in different clusters: finer clusterings score more, as long as both models find them. The
constant is that of Tibshirani and Walther's prediction strength.
"""


def results():
    """(scorer, grid, set) -> the row, from numbers to means over the seeds."""
    found = {}
    for row in rows("search.csv"):
        found.setdefault((row["method"], row["objective"], row["dataset"]), []).append(row)
    return found


def mean(found, method, grid, column):
    """The mean over sets of one column; NaN where no row is."""
    values = [float(row[column]) for name in SETS for row in found.get((method, grid, name), [])]
    return np.mean(values) if values else np.nan


COLUMNS = {"exact": "exact", "within one": "within_one", "largest": "most", "ARI": "ari"}


def summary(found):
    header = ["scorer", *(f"{title}, {grid}" for grid in GRIDS for title in COLUMNS)]
    lines = []
    for method in METHODS:
        cells = [mean(found, method, grid, c) for grid in GRIDS for c in COLUMNS.values()]
        lines.append([NAMES[method], *(f"{cell:.2f}" for cell in cells)])
    return table(header, lines)


def numbers(found):
    header = ["set", "true", *(NAMES[method] for method in METHODS)]
    lines = []
    for name in SETS:
        rows_of = {m: found.get((m, "all", name)) for m in METHODS}
        if all(rows_of.values()):
            true = rows_of["heldout"][0]["true"].replace("|", ", ")
            lines.append([name, true, *map(each, rows_of.values())])
    return table(header, lines)


def each(seeds):
    """The number of each seed, or of all if it is the same."""
    found = [row["found"] for row in seeds]
    return found[0] if len(set(found)) == 1 else " / ".join(found)


def chosen(found):
    lines = []
    for method in METHODS:
        kinds = [row["chosen"] for name in SETS for row in found.get((method, "all", name), [])]
        lines.append([NAMES[method], *(str(kinds.count(family)) for family in FAMILIES)])
    return table(["scorer", *FAMILIES], lines)


def verdict(found):
    """What the numbers say, as far as they do."""
    without = [method for method in METHODS if method != "classes"]
    ari = {method: mean(found, method, "all", "ari") for method in without}
    most = {method: mean(found, method, "all", "most") for method in without}
    best = max(ari, key=ari.get)
    drifting = [NAMES[method] for method in without if most[method] >= 0.5]
    text = f"In the search over all, {NAMES[best]} agrees best with the classes. "
    text += f"`heldout_scorer` chooses the largest number in {most['heldout']:.0%} of the sets. "
    if drifting:
        text += f"In half of the sets or more it is chosen by {', '.join(drifting)}: use these "
        text += "only to compare candidates that have the same number of clusters.\n"
    return text


def main():
    found = results()
    text = PAGE.format(
        n_sets=len(SETS),
        n_seeds=len({row["seed"] for row in rows("search.csv")}),
        samples=SAMPLES,
        numbers=", ".join(map(str, NUMBERS)),
        n_all=len(NUMBERS) * len(FAMILIES),
        least=LEAST_AGREEMENT,
        summary=summary(found),
        verdict=verdict(found),
        found=numbers(found),
        chosen=chosen(found),
    )
    write("searches.md", [text])


if __name__ == "__main__":
    main()
