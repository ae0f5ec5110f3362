"""Write docs/kernels.md and its picture from results/kernels.csv.

python benchmarks/pages_kernels.py
"""

from collections import defaultdict

import numpy as np
from figures import OKABE_ITO, panels
from pages import rows, table, write

from gemclust.geometry import AUTO_COMPONENTS, EXACT_KERNEL_SAMPLES, MAX_MATRIX_BYTES

VALUES = ("ova_truth", "ovo_truth", "ova_kmeans", "ovo_kmeans")
NAMES = {
    "gemclust": "gemclust (ours)",
    "random_pivots": "random pivots",
    "kmeans": "K-means centres",
    "uniform": "uniform",
    "kernel_kmeanspp": "kernel k-means++",
    "leverage_scores": "leverage scores",
    "greedy_pivots": "greedy pivots",
    "fourier": "random Fourier",
}
STYLES = dict(zip(NAMES, [*OKABE_ITO, "#999999"], strict=True))
MARKERS = dict(zip(NAMES, "osD^vPX*", strict=True))
DATASETS = ("digits", "optdigits", "penbased", "shuttle", "mnist")
DRAWN = ("rbf 1x", "rbf 10x", "laplacian 1x")

PAGE = """\
# Kernels at scale

Written by `benchmarks/pages_kernels.py` from `benchmarks/results/kernels.csv`; how each number is
measured stands in `benchmarks/README.md`.

## When the kernel is exact

- The linear and the cosine kernel have features of the data's size. They are exact for any number
  of samples, and nothing grows with its square.
- Every other kernel is exact up to {exact:,} samples, from the N x N matrix, and for any
  number with `MMD(kernel=..., n_components=None)`, up to a matrix of {gib:.0f} GiB.
- Above {exact:,} samples, or with `n_components=m`, it is replaced by Nystroem features of m
  components, {auto} by default: exact between m landmarks, a projection elsewhere. The MMD of
  a projection is never larger than the exact one, so what is lost shows as a lower value.

## How landmarks are chosen

One after the other, each with probability proportional to its weight times what the features of
those before leave of k(x, x) (randomly pivoted Cholesky): dense regions do not take all landmarks,
small clusters and outliers get theirs. This asks the kernel for m columns and works for functions,
sparse X and sample weights. For the kernels that are smooth in X (rbf, polynomial, sigmoid), two
steps of Lloyd's algorithm then move each landmark to the mean of the rows nearest to it. A kernel
that is not positive, such as sigmoid may be, has its landmarks drawn by weight alone.

## Error against the number of components

![Error of the MMD against the number of components](images/kernels.png)

Error of MMD values, relative to the exact ones: the largest of four, one-vs-all and one-vs-one, of
the true partition and of that of K-means; the median of {seeds} seeds. "rbf 10x" has ten times the
gamma of `gamma="median"`: the narrower a kernel, the more components it needs. Errors below 1e-6
are drawn there.
Greedy pivots, kernel k-means++ and leverage scores are measured up to 200 components.

{values}
Error of the kernel's matrix, in the Frobenius norm relative to that of the matrix:

{matrices}
Seconds to choose the landmarks, one thread, `rbf 1x` (other work ran on the machine):

{seconds}
## Random Fourier features

They are not offered. Over {n_fourier} combinations of data set, gamma and number of components, the
error of their matrix is {least:.1f} times that of ours or more, {typical:.0f} times in the median.
Their MMD values are nearer to the exact ones in {nearer} of them, {nearer_wide} of these with ten
times the gamma of the median: there their error is noise of either sign instead of a loss. But
noise is what a clustering that maximises the value could exploit, and they exist for few kernels.

## Advice

- With `gamma="median"` and rbf, {auto} components leave an error of at most {rbf:.2%} on
  these sets, and 100 at most {rbf_100:.1%}. Choosing more is seldom worth its time.
- With a gamma ten times larger, {auto} leave up to {rbf_wide:.1%}; raise `n_components`, or
  take a wider kernel.
- The laplacian kernel has a long tail of small eigenvalues: at `gamma="median"` {auto}
  components leave up to {laplacian:.1%}, at ten times that gamma {laplacian_wide:.0%}. There use
  `n_components=None` on a subsample.
- Values with different `n_components` are values of different kernels: compare models with the
  same. `n_components=None` says what the approximation cost.
"""


def medians():
    """(data set, kernel, components, method) -> median over the seeds of each column."""
    groups = defaultdict(list)
    for row in rows("kernels.csv"):
        kernel, size = row["objective"].rsplit(" ", 1)
        numbers = {name: float(row[name]) for name in ("frobenius", "seconds_landmarks")}
        numbers["value"] = max(float(row[name]) for name in VALUES)
        groups[row["dataset"], kernel, int(size), row["method"]].append(numbers)
    return {
        key: {name: float(np.median([entry[name] for entry in group])) for name in group[0]}
        for key, group in sorted(groups.items(), key=lambda item: DATASETS.index(item[0][0]))
    }


def errors(measured, column, sizes, kernels=None, form="{:.2%}"):
    """One line for each data set, kernel and number of components; one column for each method."""
    body = []
    for dataset, kernel, size in dict.fromkeys(key[:3] for key in measured):
        if size not in sizes or (kernels and kernel not in kernels):
            continue
        found = [measured.get((dataset, kernel, size, method)) for method in NAMES]
        cells = [form.format(entry[column]) if entry else "" for entry in found]
        body.append([dataset, f"`{kernel}`", size, *cells])
    body.sort(key=lambda line: (DATASETS.index(line[0]), line[2]))
    return table(["", "kernel", "components", *NAMES.values()], body)


def fourier_against_ours(measured):
    """Ratios of the errors of the matrices, and where the Fourier features' values are nearer."""
    keys = [key[:3] for key in measured if key[3] == "fourier"]
    pairs = [(key, measured[*key, "fourier"], measured.get((*key, "gemclust"))) for key in keys]
    pairs = [(key, theirs, ours) for key, theirs, ours in pairs if ours]
    ratios = [theirs["frobenius"] / ours["frobenius"] for _, theirs, ours in pairs]
    return ratios, [key for key, theirs, ours in pairs if theirs["value"] < ours["value"]]


def draw(measured):
    """A panel for each data set and kernel, a line for each method."""

    def panel(axis, kernel, dataset):
        for layer, method in enumerate(NAMES):
            line = sorted(
                (key[2], max(entry["value"], 1e-6))
                for key, entry in measured.items()
                if (key[0], key[1], key[3]) == (dataset, kernel, method)
            )
            if line:
                axis.plot(
                    *zip(*line, strict=True),
                    color=STYLES[method],
                    marker=MARKERS[method],
                    markersize=3.5,
                    linewidth=2.2 if method == "gemclust" else 1,
                    label=NAMES[method],
                    zorder=3 - layer / len(NAMES),
                )
        axis.set_yscale("log")

    panels(
        "kernels.png",
        DRAWN,
        DATASETS,
        panel,
        ticks=(25, 100, 500),
        labels=("components", "relative error of the MMD"),
        size=(2.6 * len(DATASETS), 7.2),
        n_colors=128,
        n_legend=8,
        sharey="row",
    )


def main():
    measured = medians()
    seeds = len({row["seed"] for row in rows("kernels.csv")})
    draw(measured)
    ratios, nearer = fourier_against_ours(measured)

    def worst(kernel, size):
        ours = (entry for key, entry in measured.items() if key[1:] == (kernel, size, "gemclust"))
        return max(entry["value"] for entry in ours)

    text = PAGE.format(
        exact=EXACT_KERNEL_SAMPLES,
        gib=MAX_MATRIX_BYTES / 2**30,
        auto=AUTO_COMPONENTS,
        seeds=seeds,
        values=errors(measured, "value", (100, 500)),
        matrices=errors(measured, "frobenius", (100, 500)),
        seconds=errors(measured, "seconds_landmarks", (200,), ("rbf 1x",), "{:.2f}"),
        n_fourier=len(ratios),
        least=min(ratios),
        typical=np.median(ratios),
        nearer=len(nearer),
        nearer_wide=sum(key[1] == "rbf 10x" for key in nearer),
        rbf=worst("rbf 1x", 500),
        rbf_100=worst("rbf 1x", 100),
        rbf_wide=worst("rbf 10x", 500),
        laplacian=worst("laplacian 1x", 500),
        laplacian_wide=worst("laplacian 10x", 500),
    )
    write("kernels.md", [text])


if __name__ == "__main__":
    main()
