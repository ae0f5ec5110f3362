"""Write docs/choosing.md: decisions, and the measurements in results/*.csv that carry them or not.

python benchmarks/pages_choosing.py
"""

import numpy as np
import suite
from choosing import BLOCKS, CURVED, DIRECTIONS, METHODS, UNITS, WORDS
from pages import REAL, label, rows, table, variant_lines, write
from pages_kernels import medians
from pages_selection import HALVES, NAMES, NOT_RUN, cell
from pages_wasserstein import measured as transports
from selection import FEW, Results
from wasserstein import SIZES

from gemclust import automatic, geometry

COMPARED = ["gemclust", "hdbscan_15_reassigned", "dip_means", "kmeans_gap", "g_means"]
COMPARED += ["kmeans_silhouette", "mixture_bic"]
STANDS = 0.9  # the ARI from which an objective stands outliers
VARIANTS = ("linear", "hidden 16", "hidden 32", "hidden 64", "hidden 128", "alpha 0.001")

PAGE = """\
# Choosing

Written by `benchmarks/pages_choosing.py` from the files in `benchmarks/results`: the numbers are
those of the [measurements](benchmarks.md), where they stand next to all others, and where a choice
rests on none, its row says so. The [adjusted Rand index](quality.md) (ARI) compares with known
classes; 1 is agreement, 0 is chance.

## In one table

| you have | choose | measured |
| --- | --- | --- |
| no idea of the number of clusters | `GeminiClustering()` | exact on {ours:.0%} of {n_sets} \
sets; the best of the others, {peer}: {share:.0%} |
| a known number, compact clusters | `GeminiClustering(k)`, or K-means | ARI {mmd_ovo} against \
{kmeans} on {n_real} real sets |
| ellipses that overlap, few features | a Gaussian mixture | ARI {mixture} on real sets, \
against {mmd_ovo} |
| a cluster in the middle of others | `objective="mmd_ovo"`, not "mmd_ova" | least ARI {held} \
against {lost} |
| far outliers | {robust} | least ARI {heavy_least} on a set with a Student-t component; \
{heavy_lost}, K-means {heavy_kmeans}, Gaussian mixture {heavy_mixture} |
| standardised features, classes that a plane divides | \
`objective="mi", model="linear", alpha=0.01` | ARI {rim} on real sets |
| curved clusters, known number | `GeminiClustering(k, n_units={units})` | ARI {curved_units} on \
{n_curved} sets; geodesic Wasserstein {curved_geodesic}, K-means {curved_kmeans} \
([pictures](auto_examples/plot_moons_and_circles.rst)) |
| noise to be told from clusters | [HDBSCAN](coming_from.md#hdbscan) | ARI {noise_hdbscan}, the \
noise being a class; ours gives it to clusters: {noise_ours} (without the noise: \
{inside_hdbscan} and {inside_ours}) |
| images | `model=` your torch module | ARI on new digits of [MNIST](papers.md#mnist), with VAT: \
LeNet-5 {lenet}, perceptron {perceptron} ([example](auto_examples/plot_images.rst)) |
| sequences of equal length | `GeminiClustering(k, n_units={units})` on their rows | ARI \
{sequences_units} on strokes of a pen; "mi" with `vat=1` {sequences_vat}, the default perceptron \
{sequences_mlp}, a convolution through `model=` {sequences_convolution}, K-means \
{sequences_kmeans} |
| text | `model="linear"`, sparse TF-IDF | ARI {text_linear} on news of five topics; the default \
model {text_mlp}, K-means {text_kmeans} ([example](auto_examples/plot_text.rst)) |
| a graph | `model="categorical"` with a heat kernel, or spectral clustering | ARI \
{graph_ours} and {graph_spectral} on graphs of {n_blocks} blocks \
([example](auto_examples/plot_graph.rst)) |

## The number of clusters

Leave it at "auto", unless you know it. Share of sets on which the true number is found / the share
within one of it / mean ARI, at most {points:,} points of each set; [all of it](selection.md). Our
constants were chosen on the sets of the half "tuned"; those of the half "held out" judge them.

{selection}
- `max_clusters` bounds the number, `sensitivity` moves the level, `cut` gives any other number of
  the same fit.
- You know the number, and clusters are compact: `GeminiClustering(3)`.
- You know the number, and clusters may have any shape: `GeminiClustering(3, n_units={units})`.

## The objective

Mean ARI over {n_real} real sets at their true number of clusters; the least over two generated sets
with a cluster in the middle of others; on a set with far outliers; and seconds of a fit of digits,
on a machine that did other work besides. [All of it](quality.md).

{objectives}
- **MMD one-vs-one**, the default, sees geometry and holds a cluster in the middle.
- **Wasserstein** is for metrics; it pays with time. `SlicedWasserstein` takes
  {sliced:.3f} seconds where the exact one takes {exact:.2f} ({size:,} samples, from nothing), and
  is another objective: [at most the exact one](wasserstein.md).
- **f-divergences** leave all geometry to the model. Take a linear one with a penalty: "mi" with
  it has an ARI of {rim} instead of {mi_free} without.
- One-vs-one chi-squared and KL are unbounded at certain assignments; the least ARI on real sets in
  the table is that of {least_reliable}.

## The kernel or metric

| your data | choose | measured |
| --- | --- | --- |
| features of one unit, or standardised | the linear kernel, the default | the table above |
| text, counts as TF-IDF: rows of length 1 | the linear kernel, which is the cosine then | ARI \
{text_linear} on news of five topics |
| other directions | `MMD("ovo", kernel="cosine")` | ARI {directions_cosine} on \
{n_directions} directions with lengths that say nothing; the linear kernel {directions_linear}, \
K-means {directions_kmeans} |
| curved clusters at a known number | `n_units={units}` rather than a kernel or metric | ARI \
{curved_units}; `Wasserstein("ovo", metric="geodesic")` {curved_geodesic}, `MMD("ovo", \
kernel="rbf", gamma="median")` {curved_rbf} on {n_curved} sets. Other widths, and MMD with a \
kernel of a distance along the data: [two moons](papers.md#two-moons) |
| a graph | `fit(X, affinity=...)` with a heat kernel | ARI {graph_ours} |
| strings, anything with a distance of its own | `model="categorical"` and \
`fit(X, affinity=...)`, or a function | ARI {strings_categorical} on copies of {n_words} words \
with letters changed, by edit distance and Wasserstein; spectral clustering {strings_spectral}. \
Better affinities give [better clusters](papers.md#affinity-from-other-features) |
| more than {exact_kernel:,} samples and a curved kernel | the same: Nystroem features step in | \
an error of at most {kernel:.2%} for rbf at `gamma="median"` ([all of it](kernels.md)) |

## The model

Mean ARI over the real sets and seconds on digits, with the linear kernel, one-vs-one:

{models}
- **"linear"** where features are many or samples are millions: it is as good with the linear
  kernel, and the fastest.
- **"mlp"**, the default at a known number, for kernels and metrics that curve. Its size hardly
  matters.
- **"local"**, the default where the number is found: units that are small
  ([measured](selection.md#units-of-each-objective-and-model)).
- **Your own module** for images and sequences; **"categorical"** for graphs, and where samples have
  [no model](papers.md#free-logits). See the first table.

## The size of the data

| samples | what changes |
| --- | --- |
| up to {full:,} | all samples at once, exactly |
| more | all restarts on few of them, the best on [ever more](user_guide/scale.md). 1,000,000 x \
32 took the linear model {seconds_linear:.1f} seconds, K-means \
{seconds_kmeans:.1f} |
| more than memory | a memmap: {mapped:.0f} MB above the data for 8,000,000 x 32 |
| exact transport, more than {transport:,} | mini-batches by Adam; `SlicedWasserstein` needs none \
and is that much faster |
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


def outliers(found):
    """What the first table says of far outliers, and which objectives stand them."""
    objectives = {key[2] for key in found if key[:2] == ("gstm_df1", "gemclust")}
    reached = {name: ari(found, "gemclust", name, ("gstm_df1",))[0] for name in objectives}
    lost = sorted(name for name, value in reached.items() if value < STANDS)
    kept = [value for name, value in reached.items() if name not in lost]
    return {
        "robust": f"any GEMINI but {' and '.join(f'`{name}`' for name in lost)}",
        "heavy_least": of(kept, min),
        "heavy_lost": ", ".join(f"`{name}` {of([reached[name]], min)}" for name in lost),
        "heavy_kmeans": of(ari(found, "kmeans", "", ("gstm_df1",)), min),
        "heavy_mixture": of(ari(found, "gaussian_mixture", "", ("gstm_df1",)), min),
    }


def situations():
    """Means of results/choosing.csv, which measures what no other benchmark does."""
    measured = {}
    for row in rows("choosing.csv"):
        measured.setdefault((row["objective"], row["method"]), []).append(row)

    def mean(situation, method, column="ari"):
        values = [float(row[column]) for row in measured.get((situation, method), [])]
        return of(values or None, np.mean)

    plain = ("curved", "text", "sequences", "directions", "strings")
    noise = {"hdbscan": "hdbscan", "ours": "auto"}
    return {
        **{f"{kind}_{method}": mean(kind, method) for kind in plain for method in METHODS[kind]},
        **{f"noise_{name}": mean("noise", method) for name, method in noise.items()},
        **{
            f"inside_{name}": mean("noise", method, "ari_without_noise")
            for name, method in noise.items()
        },
        "graph_ours": mean("graph", "categorical"),
        "graph_spectral": mean("graph", "spectral"),
        "n_curved": len(CURVED),
        "n_blocks": BLOCKS,
        "n_directions": DIRECTIONS,
        "n_words": WORDS,
        "units": UNITS,
    }


def images():
    """From the least to the greatest ARI on new images of MNIST, over objectives and seeds."""
    ranges = {}
    for name, method in {"lenet": "LeNet-5 + VAT K=10", "perceptron": "MLP + VAT K=10"}.items():
        values = [
            float(row["ari_new"]) for row in rows("papers_mnist.csv") if row["method"] == method
        ]
        ranges[name] = f"{of(values, min)} to {of(values, max)}" if values else NOT_RUN
    return ranges


def least_reliable(found):
    """The objective of the least mean ARI on real sets."""
    names = {key[2] for key in found if key[1] == "gemclust"}
    means = {name: np.mean(ari(found, "gemclust", name)) for name in sorted(names)}
    return f"`{min(means, key=means.get)}`"


def decisions(found, results):
    """The numbers in the first table."""
    peer, share = best_peer(results)
    middle = ("blobs_1d", "cross")
    mi = {line[1]: float(line[2]) for line in variant_lines() if line[0] == "`mi`"}
    return {
        "ours": results.mean("gemclust", suite.NAMES)[0],
        "peer": peer,
        "share": share,
        "mmd_ovo": of(ari(found, "gemclust", "mmd_ovo"), np.mean),
        "kmeans": of(ari(found, "kmeans", ""), np.mean),
        "mixture": of(ari(found, "gaussian_mixture", ""), np.mean),
        "held": of(ari(found, "gemclust", "mmd_ovo", middle), min),
        "lost": of(ari(found, "gemclust", "mmd_ova", middle), min),
        "rim": f"{mi['linear, alpha 0.01']:.2f}",
        "mi_free": f"{mi['linear']:.2f}",
        "least_reliable": least_reliable(found),
        **outliers(found),
        **situations(),
        **images(),
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
        exact_kernel=geometry.EXACT_KERNEL_SAMPLES,
        full=automatic.FULL_BATCH_SAMPLES,
        transport=automatic.TRANSPORT_SAMPLES,
        seconds_linear=float(blobs["ours"]),
        seconds_kmeans=float(blobs["other"]),
        mapped=float(speed["memory/mapped"]["ours"]),
    )
    write("choosing.md", [text])


if __name__ == "__main__":
    main()
