"""Write docs/searches.md from results/search.csv.

python benchmarks/pages_search.py
"""

import numpy as np
import suite
from pages import rows, table, write
from search import FIXED, FOLDS, HELDOUT, NUMBERS, SAMPLES, SETS, WIDTHS

from gemclust.metrics.scorers import DISAGREEMENT

RECOMMENDED = HELDOUT[DISAGREEMENT]
NAMES = {
    RECOMMENDED: "`heldout_scorer`",
    "stability": "`stability_scorer`",
    "own": "the candidate's own `score`",
    "gemini_mmd": '`GeminiScorer("mmd_ovo")`',
    "gemini_rbf": '`GeminiScorer(MMD("ovo", "rbf"))`',
    "silhouette": "`silhouette_scorer`",
    "calinski_harabasz": "`calinski_harabasz_scorer`",
    "davies_bouldin": "`davies_bouldin_scorer`",
    "classes": "told the classes",
    "auto": '`n_clusters="auto"`',
}
FAMILIES = {"mmd_ovo": "MMD, linear kernel"}
FAMILIES |= {f"rbf {w}": f"MMD, Gaussian kernel, gamma {w} x that of the median" for w in WIDTHS}
FAMILIES |= {"tv_ova": "total variation", "units": "40 units, merged"}
TITLES = {"number": "The number of clusters alone", "all": "Number, kernel width and objective"}
HALVES = {
    "tuned": [name for name in SETS if suite.tuned(name)],
    "held out": [name for name in SETS if not suite.tuned(name)],
}

PAGE = """\
# Searching without classes

Written by `benchmarks/pages_search.py` from `benchmarks/results/search.csv`.

`GridSearchCV` on {n_sets} development sets of at most {samples} samples, generated and real,
without classes, {n_seeds}. Half of the samples are held out, {folds} times:
`cv=ShuffleSplit({folds}, test_size=0.5)`. There are two searches:

- over the number of clusters alone, {numbers}, with the default objective `"mmd_ovo"` and the
  default model;
- over the number and over five kinds of clustering, which makes {n_all} candidates: that one, MMD
  with a Gaussian kernel of two widths, total variation (which does not see where points lie), and
  40 units that are merged to the number.

A scorer chooses the candidate with the best mean score. "told the classes" is no scorer: it chooses
by the agreement with the true classes, and shows what the best choice would have been.

## Too few, too many

In how many of the {n_rows} searches the number that a scorer chose is a true one ("exact"), within
one of it, smaller than all true ones ("too few"), larger ("too many"), 1 where there are several
("1 wrongly"), or the largest that was offered ("largest"). ARI, the adjusted Rand index, is the
mean agreement of the held-out samples with the true classes. The row of `n_clusters="auto"` is no
search, but one fit of all samples.

{summaries}
{verdict}
{sets}
## The objective and kernel that each scorer chooses

In how many of the {n_rows} searches over number, kernel width and objective. A gamma of 1 is that
of the median distance between samples.

{chosen}
## How the recommended scorer works

A second model with the same parameters is fitted to the held-out samples. The score is what the
adjusted Rand index of the two labelings exceeds 1 - {rate} / sqrt(n) by, with n held-out samples,
times the probability that two samples lie in different clusters: finer clusterings score more, as
long as both models find them. The bound is what two models of a single cluster, cut somewhere,
agree by: the place of such a cut varies from sample to sample by about 1 / sqrt(n), so that of more
samples more agreement can be asked.

The factor {rate} was chosen on the half of the sets that is "tuned" ({n_tuned} sets); those of the
other half, "held out" ({n_held} sets), judge it. Which half a set is in is decided by a hash of its
name. The largest factor with which no search on a tuned set finds too many clusters is {largest}.
In each cell: exact / too few / too many / 1 wrongly, of {each_half} searches. Next to it
stand constant bounds, as the 0.8 to 0.9 that Tibshirani and Walther ask of prediction strength.

{bounds}"""


def results():
    """(scorer, grid, set) -> the rows of all seeds."""
    found = {}
    for row in rows("search.csv"):
        found.setdefault((row["method"], row["objective"], row["dataset"]), []).append(row)
    return found


def of(found, method, grid, names=SETS):
    """The rows of a scorer in one of the searches."""
    return [row for name in names for row in found.get((method, grid, name), [])]


def true(row):
    return set(map(int, row["true"].split("|")))


COUNTS = {
    "exact": lambda row: row["exact"] == "1",
    "within one": lambda row: row["within_one"] == "1",
    "too few": lambda row: int(row["found"]) < min(true(row)),
    "too many": lambda row: int(row["found"]) > max(true(row)),
    "1 wrongly": lambda row: row["found"] == "1" and 1 not in true(row),
    "largest": lambda row: row["most"] == "1",
}


def count(lines, title):
    return sum(map(COUNTS[title], lines))


def summary(found, grid):
    body = []
    for method, name in NAMES.items():
        lines = of(found, method, grid)
        if not lines:
            continue
        ari = np.mean([float(row["ari"]) for row in lines])
        body.append([name, *(str(count(lines, title)) for title in COUNTS), f"{ari:.2f}"])
    return table(["scorer", *COUNTS, "ARI"], body)


def numbers(found, grid):
    body = []
    shown = [method for method in NAMES if of(found, method, grid)]
    for name in SETS:
        rows_of = [found.get((method, grid, name), []) for method in shown]
        if all(rows_of):
            body.append([name, rows_of[0][0]["true"].replace("|", " or "), *map(each, rows_of)])
    return table(["set", "true", *(NAMES[method] for method in shown)], body)


def each(seeds):
    """The number of each seed, or of all if it is the same."""
    found = [row["found"] for row in seeds]
    return found[0] if len(set(found)) == 1 else " / ".join(found)


def chosen(found):
    body = []
    for method, name in NAMES.items():
        if kinds := [row["chosen"] for row in of(found, method, "all")]:
            body.append([name, *(str(kinds.count(family)) for family in FAMILIES)])
    return table(["scorer", *FAMILIES.values()], body)


def bounds(found):
    """What each bound finds in each half of the sets."""
    shown = ("exact", "too few", "too many", "1 wrongly")
    names = {method: f"{least}" for least, method in FIXED.items()}
    names |= {method: f"1 - {rate} / sqrt(n)" for rate, method in HELDOUT.items()}
    names[RECOMMENDED] = f"**{names[RECOMMENDED]}**"
    body = []
    for method, name in names.items():
        parts = [of(found, method, grid, sets) for grid in TITLES for sets in HALVES.values()]
        cells = (" / ".join(str(count(lines, title)) for title in shown) for lines in parts)
        body.append([name, *cells])
    header = [f"{title.lower()}, {half}" for title in TITLES.values() for half in HALVES]
    return table(["bound", *header], body)


def largest_rate(found):
    """The factor that asks least, of those that never find too many clusters on tuned sets."""
    tuned = HALVES["tuned"]
    return max(
        rate
        for rate, method in HELDOUT.items()
        if not any(count(of(found, method, grid, tuned), "too many") for grid in TITLES)
    )


def verdict(found):
    """What the numbers say, as far as they do."""
    others = [method for method in NAMES if method not in ("classes", "auto")]
    text = ""
    for grid, title in TITLES.items():
        lines = of(found, RECOMMENDED, grid)
        ari = {m: np.mean([float(row["ari"]) for row in of(found, m, grid)]) for m in others}
        best = NAMES[max(ari, key=ari.get)]
        few, many = count(lines, "too few"), count(lines, "too many")
        text += f"- {title}: {best} agrees best with the classes, of all scorers. "
        text += "`heldout_scorer` chooses "
        text += (
            f"the largest number in {count(lines, 'largest')} of {len(lines)} searches, too few "
        )
        text += f"clusters in {few}, too many in {many}, and 1 wrongly in "
        text += f"{count(lines, '1 wrongly')}.\n"
    grown = {m: of(found, m, "all") for m in others}
    drifting = [NAMES[m] for m, lines in grown.items() if count(lines, "largest") >= len(lines) / 2]
    if drifting:
        text += "- Drawn to the largest number in half of the searches or more: "
        text += f"{', '.join(drifting)}. Use these only to compare candidates that have the same "
        text += "number of clusters.\n"
    return text + (
        '- For the number of clusters and nothing else, use `n_clusters="auto"`: see\n'
        "  [how often it is right](selection.md). It needs no search, and sees all samples.\n"
    )


def main():
    found = results()
    seeds = {row["seed"] for row in rows("search.csv")}
    shown = [f"### {title}\n\n{summary(found, grid)}" for grid, title in TITLES.items()]
    sets = [
        f"## Set by set: {title[0].lower()}{title[1:]}\n\n"
        f"The number that each scorer chooses{between(seeds)}.\n\n{numbers(found, grid)}"
        for grid, title in TITLES.items()
    ]
    halves = [len(of(found, RECOMMENDED, "all", names)) for names in HALVES.values()]
    text = PAGE.format(
        n_sets=len(SETS),
        n_seeds=f"{len(seeds)} seeds" if len(seeds) > 1 else "one seed",
        n_rows=len(of(found, RECOMMENDED, "all")),
        folds=FOLDS,
        samples=SAMPLES,
        numbers=", ".join(map(str, NUMBERS)),
        n_all=len(NUMBERS) * len(FAMILIES),
        rate=DISAGREEMENT,
        summaries="\n".join(shown),
        verdict=verdict(found),
        sets="\n".join(sets),
        chosen=chosen(found),
        n_tuned=len(HALVES["tuned"]),
        n_held=len(HALVES["held out"]),
        each_half=" and ".join(map(str, halves)),
        largest=largest_rate(found),
        bounds=bounds(found),
    )
    write("searches.md", [text])


def between(seeds):
    return "; two numbers where the seeds differ" if len(seeds) > 1 else ""


if __name__ == "__main__":
    main()
