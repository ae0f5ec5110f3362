"""Write docs/choosing.md: decisions, and the measurements in results/*.csv that carry them.

python benchmarks/pages_choosing.py
"""

import numpy as np
import suite
from pages import REAL, label, rows, table, variant_lines, write
from pages_kernels import medians
from pages_selection import HALVES, NAMES, NOT_RUN, cell
from pages_wasserstein import measured as transports
from selection import FEW, Results
from wasserstein import SIZES

COMPARED = ["gemclust", "hdbscan_15_reassigned", "dip_means", "kmeans_gap", "g_means"]
COMPARED += ["kmeans_silhouette", "mixture_bic"]
VARIANTS = ("linear", "hidden 16", "hidden 32", "hidden 64", "hidden 128", "alpha 0.001")

PAGE = """\
# Choosing

Written by `benchmarks/pages_choosing.py` from the files in `benchmarks/results`: the numbers are
those of the [measurements](benchmarks.md), where they stand next to all others. The
[adjusted Rand index](quality.md) (ARI) compares with known classes; 1 is agreement, 0 is chance.

## In one table

| you have | choose | because |
| --- | --- | --- |
| no idea of the number of clusters | `GeminiClustering()` | exact on {ours:.0%} of {n_sets} \
sets; the best of the others, {peer}: {share:.0%} |
| a known number, compact clusters | `GeminiClustering(k)`, or K-means | ARI {mmd_ovo} against \
{kmeans} on real sets |
| ellipses that overlap, few features | a Gaussian mixture | ARI {mixture} on real sets |
| a cluster in the middle of others | `objective="mmd_ovo"`, not "mmd_ova" | least ARI {held} \
against {lost} |
| far outliers | any GEMINI but `chi2_ovo` of those measured | ARI {heavy_mmd} (MMD), \
{heavy_kl} (KL); K-means {heavy_kmeans} |
| standardised features, classes that a plane divides | \
`objective="mi", model="linear", alpha=0.01` | ARI {rim} on real sets |
| curved clusters, known number | `GeminiClustering(k, n_units=50)` | \
[pictures](auto_examples/plot_moons_and_circles.rst) |
| noise to be told from clusters | HDBSCAN | [coming from HDBSCAN](coming_from.md#hdbscan) |
| images, sequences | `model=` your torch module | [example](auto_examples/plot_images.rst) |
| text | `model="linear"`, sparse TF-IDF | [example](auto_examples/plot_text.rst) |
| a graph | `model="categorical"` | [example](auto_examples/plot_graph.rst) |

## The number of clusters

Leave it at "auto", unless you know it. Share of sets on which the true number is found / the share
within one of it / mean ARI, at most {points:,} points of each set; [all of it](selection.md). Our
constants were chosen on the sets of the half "tuned"; those of the half "held out" judge them.

{selection}
- `max_clusters` bounds the number, `sensitivity` moves the level, `cut` gives any other number of
  the same fit.
- You know the number, and clusters are compact: `GeminiClustering(3)`.
- You know the number, and clusters may have any shape: `GeminiClustering(3, n_units=50)`.

## The objective

Mean ARI over {n_real} real sets at their true number of clusters; the least over two generated sets
with a cluster in the middle of others; on a set with far outliers; and seconds of a fit of digits,
on a machine that did other work besides. [All of it](quality.md).

{objectives}
- **MMD one-vs-one**, the default, sees geometry and holds a cluster in the middle. A kernel
  makes it see curves.
- **Wasserstein** is for metrics; it pays with time. `SlicedWasserstein` takes
  {sliced:.3f} seconds where the exact one takes {exact:.2f} ({size:,} samples, from nothing), and
  is another objective: [at most the exact one](wasserstein.md).
- **f-divergences** leave all geometry to the model. Take a linear one with a penalty.
- One-vs-one chi-squared and KL are unbounded at certain assignments; chi-squared is the least
  reliable in the table.

## The kernel or metric

| your data | choose |
| --- | --- |
| features of one unit, or standardised | the linear kernel, the default |
| text, counts as TF-IDF; directions | `MMD("ovo", kernel="cosine")`, or rows of length 1 |
| curved clusters at a known number | `MMD("ovo", kernel="rbf", gamma=...)`, `Wasserstein("ovo", \
metric="geodesic")` |
| graphs, strings, anything with a similarity of its own | `fit(X, affinity=...)` or a function |
| more than 5,000 samples and a curved kernel | the same: Nystroem features step in, with an \
error of at most {kernel:.2%} for rbf at `gamma="median"` ([measured](kernels.md)) |

## The model

Mean ARI over the real sets and seconds on digits, with the linear kernel, one-vs-one:

{models}
- **"linear"** where clusters lie apart, features are many, or samples are millions: it is as good
  with the linear kernel, and the fastest.
- **"mlp"**, the default at a known number, for kernels and metrics that curve. Its size hardly
  matters.
- **"local"**, the default where the number is found: units that are small.
- **Your own module** for images and sequences; **"categorical"** for graphs.

## The size of the data

| samples | what changes |
| --- | --- |
| up to 10,000 | all samples at once, exactly |
| more | all restarts on few of them, the best on [ever more](user_guide/scale.md). 1,000,000 x \
32 took the linear model {seconds_linear:.1f} seconds, K-means \
{seconds_kmeans:.1f} |
| more than memory | a memmap: {mapped:.0f} MB above the data for 8,000,000 x 32 |
| exact transport, more than 500 | mini-batches by Adam; above a few thousand take sliced \
transport |
"""


def scores():
    """(dataset, method, objective) -> the row of its means."""
    return {
        (row["dataset"], row["method"], row["objective"]): row
        for row in rows("quality_summary.csv")
    }


def ari(found, method, objective, datasets=REAL):
    """ARI on each data set; None unless all have a row."""
    values = [found.get((name, method, objective)) for name in datasets]
    return [float(row["ari"]) for row in values] if all(values) else None


def of(values, statistic):
    # Adding 0 makes 0 of -0.
    return NOT_RUN if values is None else f"{round(statistic(values), 2) + 0.0:.2f}"


def objectives_table(found):
    pairs = dict.fromkeys(key[1:] for key in found if key[1] in ("gemclust", "kmeans"))
    pairs["gaussian_mixture", ""] = None
    body = []
    for method, objective in pairs:
        middle = ari(found, method, objective, ("blobs_1d", "cross"))
        heavy = ari(found, method, objective, ("gstm_df1",))
        digits = found.get(("digits", method, objective))
        line = [label({"method": method, "objective": objective})]
        line += [of(ari(found, method, objective), np.mean), of(middle, min), of(heavy, min)]
        body.append([*line, f"{float(digits['seconds']):.2f}" if digits else NOT_RUN])
    return table(["", "real sets", "cluster in the middle", "outliers", "seconds"], body)


def selection_table(results):
    body = [
        [NAMES[method], *(cell(results.mean(method, names)) for names in HALVES.values())]
        for method in COMPARED
    ]
    return table(["", *(f"{half} ({len(names)} sets)" for half, names in HALVES.items())], body)


def best_peer(results):
    """The peer with the largest share of exact numbers, and that share."""
    shares = {
        method: mean[0]
        for method in COMPARED[1:]
        if (mean := results.mean(method, suite.NAMES)) is not None
    }
    name = max(shares, key=shares.get)
    return NAMES[name], shares[name]


def models_table():
    lines = {(line[0].strip("`"), line[1]): line for line in variant_lines()}
    body = [
        [variant, lines["mmd_ovo", variant][2], lines["mmd_ovo", variant][5]]
        for variant in VARIANTS
        if ("mmd_ovo", variant) in lines
    ]
    return table(["", "mean ARI", "seconds"], body)


def decisions(found, results):
    """The numbers in the first table."""
    peer, share = best_peer(results)
    middle, heavy = ("blobs_1d", "cross"), ("gstm_df1",)
    rim = next(line for line in variant_lines() if line[:2] == ["`mi`", "linear, alpha 0.01"])
    return {
        "ours": results.mean("gemclust", suite.NAMES)[0],
        "peer": peer,
        "share": share,
        "mmd_ovo": of(ari(found, "gemclust", "mmd_ovo"), np.mean),
        "kmeans": of(ari(found, "kmeans", ""), np.mean),
        "mixture": of(ari(found, "gaussian_mixture", ""), np.mean),
        "held": of(ari(found, "gemclust", "mmd_ovo", middle), min),
        "lost": of(ari(found, "gemclust", "mmd_ova", middle), min),
        "heavy_mmd": of(ari(found, "gemclust", "mmd_ovo", heavy), min),
        "heavy_kl": of(ari(found, "gemclust", "kl_ova", heavy), min),
        "heavy_kmeans": of(ari(found, "kmeans", "", heavy), min),
        "rim": f"{float(rim[2]):.2f}",
    }


def main():
    found, results = scores(), Results()
    _, seconds = transports()
    speed = {row["measure"]: row for row in rows("speed_summary.csv")}
    blobs = speed["kmeans/blobs_linear/time"]
    kernels = [
        entry["value"] for key, entry in medians().items() if key[1:] == ("rbf 1x", 500, "gemclust")
    ]
    text = PAGE.format(
        **decisions(found, results),
        n_sets=len(suite.NAMES),
        points=int(FEW),
        selection=selection_table(results),
        n_real=len(REAL),
        objectives=objectives_table(found),
        sliced=seconds["sliced", SIZES[-1]],
        exact=seconds["cancelled", SIZES[-1]],
        size=SIZES[-1],
        kernel=max(kernels),
        models=models_table(),
        seconds_linear=float(blobs["ours"]),
        seconds_kmeans=float(blobs["other"]),
        mapped=float(speed["memory/mapped"]["ours"]),
    )
    write("choosing.md", [text])


if __name__ == "__main__":
    main()
