"""Write docs/quality.md and docs/speed.md from the results files.

python benchmarks/pages.py
"""

import csv
from pathlib import Path

import numpy as np
from datasets import DATASETS
from figures import draw_speed

from gemclust.automatic import VAT_RADIUS

RESULTS = Path(__file__).parent / "results"
DOCS = Path(__file__).parent.parent / "docs"
REAL = [name for name, dataset in DATASETS.items() if not dataset.generated]
GENERATED = [name for name, dataset in DATASETS.items() if dataset.generated]
NAMES = {
    "gemclust": "gemclust (ours)",
    "kmeans": "K-means",
    "gaussian_mixture": "Gaussian mixture",
    "truth": "the true partition",
    "from_truth": "free logits started near the truth",
}

INTRODUCTION = """\
# Measured quality

Written by `benchmarks/pages.py` from `benchmarks/results/quality*.csv` and `defaults.csv`; how each
number is measured stands in `benchmarks/README.md`. Data sets are standardised (the generated ones
are not), every method is told the true number of clusters, and each cell is a mean over the seeds
with its standard deviation. The adjusted Rand index (ARI) compares with class labels, which need
not be what a geometric objective separates best: where a higher objective comes with a lower ARI,
that is what is seen.
"""

SECTORS = """\
`blobs_1d` and `cross` have a true cluster at the mean of the data, which one-vs-all with the linear
kernel cannot hold: started near the truth it leaves it for a higher value, while one-vs-one stays.
`gstm_df1` is three Gaussians and a Student-t with one degree of freedom, whose far points ruin
K-means and Gaussian mixtures.
"""

DEFAULTS = """\
The defaults are 32 hidden units, 10 restarts and no penalty, because:

- With 10 restarts every seed reaches nearly the same objective, with one it does not; 20 cost
  twice as much for little.
- The number of hidden units hardly matters here; larger layers take longer. With the linear kernel
  the linear model is as good, and the fastest: choose it there. The hidden layer is for kernels and
  metrics that curve.
- A penalty lowers the objective by little and the agreement with the classes not at all; it is 0 by
  default because that is the model of the papers.

The two rows of `mi` with the linear model are regularised information maximisation with and without
its penalty, without which it does not work. "vat" is the default model trained by Adam with virtual
adversarial training, whose radius is in median distances of the samples from their centre:
`vat_radius="auto"` is {radius:g} of these. Its objective counts without what is added to it, so
that it may be lower. Seconds are from a busy machine.
"""


def rows(name):
    """The rows of one results file; none if it has not been measured yet."""
    path = RESULTS / name
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def table(header, body):
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def label(row):
    name = NAMES.get(row["method"], row["method"])
    return f"{name} `{row['objective']}`" if row["objective"] else name


def cell(row, column, digits=3):
    if row is None or row[column] in ("", "nan"):
        return ""
    return f"{float(row[column]):.{digits}f} ({float(row[column + '_std']):.{digits}f})"


def by_dataset(summary, column, datasets, keep, average=False):
    """One line for each method, one column for each data set."""
    found = {(row["dataset"], row["method"], row["objective"]): row for row in summary}
    methods = dict.fromkeys((row["method"], row["objective"]) for row in summary if keep(row))
    body = []
    for method, objective in methods:
        mine = [found.get((name, method, objective)) for name in datasets]
        line = [label({"method": method, "objective": objective})]
        line += [cell(row, column) for row in mine]
        if average:
            values = [float(row[column]) for row in mine if row]
            line.append(f"{np.mean(values):.3f}" if len(values) == len(datasets) else "")
        if any(mine):
            body.append(line)
    return table(["", *datasets, *(["mean"] if average else [])], body)


def is_mmd(row):
    return row["objective"].startswith("mmd") or row["method"] in ("kmeans", "truth")


def variant_lines():
    """Objective, variant and means over data sets and seeds, for each variant of the defaults."""
    measured = rows("defaults.csv") + [
        row | {"method": "defaults"}
        for row in rows("quality.csv")
        if row["method"] == "gemclust" and row["objective"].startswith("mmd")
    ]
    seeds = {row["seed"] for row in rows("defaults.csv")}
    measured = [row for row in measured if row["dataset"] in REAL and row["seed"] in seeds]
    best = {}
    for row in measured:
        key = row["dataset"], row["objective"]
        best[key] = max(best.get(key, 0.0), float(row["objective_value"]))
    body = []
    for method, objective in dict.fromkeys((r["method"], r["objective"]) for r in measured):
        mine = [r for r in measured if (r["method"], r["objective"]) == (method, objective)]
        if len({row["dataset"] for row in mine}) < len(REAL):
            continue
        mine = sorted(mine, key=lambda row: int(row["seed"]))
        ari = [np.mean([float(r["ari"]) for r in mine if r["dataset"] == d]) for d in REAL]
        spread = [np.std([float(r["ari"]) for r in mine if r["dataset"] == d]) for d in REAL]
        share = [float(r["objective_value"]) / best[r["dataset"], objective] for r in mine]
        seconds = [float(r["seconds"]) for r in mine if r["dataset"] == "digits"]
        line = [f"`{objective}`", method, f"{np.mean(ari):.3f}", f"{np.mean(spread):.3f}"]
        body.append([*line, f"{100 * np.mean(share):.2f} %", f"{np.median(seconds):.2f}"])
    return sorted(body, key=lambda line: line[0])


def variants():
    header = ["objective", "variant", "mean ARI", "spread of ARI over seeds"]
    header += ["objective, of the best seen", "seconds on digits"]
    return table(header, variant_lines())


def claims():
    body = [
        [
            row["claim"],
            f"`{row['objective']}`",
            row["dataset"],
            f"{float(row['ours']):.4f}",
            f"{float(row['other']):.4f}",
            "yes" if row["passed"] == "True" else "**no**",
        ]
        for row in rows("quality_claims.csv")
    ]
    return table(["claim", "objective", "data", "ours", "other", "holds"], body)


SPEED = """\
# Measured speed

Written by `benchmarks/pages.py` from `benchmarks/results/speed_summary.csv`; how each line is
measured stands in `benchmarks/README.md`. Each value is the median over the repeats (where it says
so, the mean or the least) of a ratio or difference of two numbers that were taken in the same run,
by turns; the range is that of the repeats. The last two columns are the medians of the raw numbers.

![Each ratio next to its target](images/speed.svg)
"""


def short(number):
    number = float(number)
    return "" if np.isnan(number) else f"{number:.3g}" if abs(number) < 1000 else f"{number:.0f}"


def speed_table(summary):
    body = [
        [
            row["what"],
            row["formula"] + ("" if row["statistic"] == "median" else f", {row['statistic']}"),
            short(row["value"]),
            f"{short(row['min'])} to {short(row['max'])}",
            f"{row['sense']} {row['target']}".strip(),
            "**no**" if row["holds"] == "no" else row["holds"],
            row["threads"],
            *(f"{short(row[side])} {row['unit']}" if short(row[side]) else "" for side in SIDES),
        ]
        for row in summary
    ]
    header = ["", "value", "", "range", "target", "holds", "threads", "ours", "other"]
    return table(header, body)


SIDES = ("ours", "other")
BEHIND = {"gemclus / ours": -1, "ours / K-means": 1, "ours / floor": 1, "ours - K-means": -1}


def losses(summary):
    """What misses its target, and what is behind the peer though it may hold."""
    missed = [row for row in summary if row["holds"] == "no"]
    behind = [
        row
        for row in summary
        if (sign := BEHIND.get(row["formula"])) and row["holds"] != "no"
        if sign * (float(row["value"]) - ("/" in row["formula"])) > 0
    ]
    parts = []
    for title, found in (("Missed targets:", missed), ("Behind the peer:", behind)):
        lines = [
            f"- {row['what']}: {row['formula']} = {short(row['value'])}"
            + (f", target {row['sense']} {row['target']}" if row["sense"] else "")
            for row in found
        ]
        parts.append("\n".join([title, "", *(lines or ["- nothing"])]) + "\n")
    return "\n".join(parts)


def write_speed():
    summary = rows("speed_summary.csv")
    if not summary:
        return
    draw_speed(summary)
    write(
        "speed.md",
        [SPEED, "## Results\n", speed_table(summary), "## Where we lose\n", losses(summary)],
    )


def write(name, sections):
    (DOCS / name).write_text("\n".join(sections))
    print(f"written: {DOCS / name}")


def write_quality():
    summary = rows("quality_summary.csv")

    def soft(row):
        return row["method"] not in ("truth", "from_truth")

    sections = [
        INTRODUCTION,
        "## ARI on real data\n",
        by_dataset(summary, "ari", REAL, soft, average=True),
        "## Values of MMD one-vs-one, linear kernel\n",
        by_dataset(summary, "mmd_ovo", REAL, is_mmd),
        "## Values of MMD one-vs-all, linear kernel\n",
        by_dataset(summary, "mmd_ova", REAL, is_mmd),
        "## ARI on generated data\n",
        SECTORS,
        by_dataset(summary, "ari", GENERATED, lambda row: row["method"] != "truth"),
        "## Variants of the defaults\n",
        DEFAULTS.format(radius=VAT_RADIUS),
        variants(),
        "## What was to be shown\n",
        claims(),
    ]
    write("quality.md", sections)


def main():
    write_quality()
    write_speed()


if __name__ == "__main__":
    main()
