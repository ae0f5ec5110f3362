"""Write docs/wasserstein.md and its picture from results/wasserstein.csv.

python benchmarks/pages_wasserstein.py
"""

from collections import defaultdict

import numpy as np
from datasets import DATASETS
from figures import OKABE_ITO, svg
from pages import rows, table, write
from wasserstein import SETS, SIZES

from gemclust.automatic import TRANSPORT_BATCH, TRANSPORT_SAMPLES
from gemclust.evaluation import TRANSPORT_PART
from gemclust.geometry import EXACT_TRANSPORT_SAMPLES
from gemclust.objectives import SlicedWasserstein
from gemclust.objectives.wasserstein import SMALL_TRANSPORT

BATCHES = (50, 100, 200, 500)
MARKERS = "osD^vPX"
EXPLAINED = {
    "cold": "all mass, from nothing",
    "warm": "all mass, from the last solution",
    "cancelled": "only what is not shared, from nothing",
    "cancelled, warm": "both: what `fit` does",
    "cancelled, warm, 2 threads": "both, two threads",
    "sliced": "sliced, the first time",
    "sliced, sorted": "sliced, samples seen before",
    "gemclus": "gemclus, an epoch on the full batch",
}

PAGE = """\
# Wasserstein at scale

Written by `benchmarks/pages_wasserstein.py` from `benchmarks/results/wasserstein.csv`; how each
number is measured stands in `benchmarks/README.md`.

![Time of an evaluation, bias of batches, bias of slices](images/wasserstein.svg)

## What exact transport costs

`Wasserstein` solves a linear program for each cluster (one-vs-all) or each pair of clusters
(one-vs-one), and that for each restart and each evaluation of the gradient. Seconds of one
evaluation with its gradient, one-vs-all, K = 3, 10 features, one thread where it does not say two;
the last line is for scale:

{times}
The time of a cold evaluation grows with the power {exponent:.1f} of the number of samples. Hence:

- **Only the difference is moved.** Where the metric obeys the triangle inequality, mass that two
  distributions share stays where it is. At {most:,} samples that is {cancelled:.1f} times as fast
  as moving all.
- **Warm starts.** Where the same samples come again, each program starts at the potentials of its
  last solution (2 N numbers for each cluster or pair): another {warm:.1f} times, and
  {both:.0f} times with both. Potentials belong to one matrix of distances, so that mini-batches are
  a fixed partition of the samples, visited in random order.
- **Threads.** From {threads_from} samples on, the programs of one evaluation share torch's threads.
  Two threads took {threads:.2f} times the time of one at {most:,} samples.
- **Pairs.** One-vs-one has K (K - 1) / 2 programs, 45 for ten clusters. With
  `Wasserstein("ovo", n_pairs=10)` each step of "adam" or "sgd" looks at ten, drawn at random; the
  sum over them is scaled up, so that its expectation is that over all.
- **Batches.** Up to {full} samples training takes all of them at once by L-BFGS, above that
  batches of {batch} by Adam. Up to {exact:,} samples all distances are computed once; above that,
  those of one batch at a time, and the value that is reported is the mean over random parts of
  {part:,}.

## The bias of batches

Samples of a distribution are farther apart than the distributions are: the value of batches is
mostly too high, the more so the more features and the smaller the batch. The mean over random
batches relative to the exact value, least to most over three partitions (the true one, that of
K-means, and a soft one) and both modes:

{batches}
Of the {n_orders} cases of data set, mode and batch size, {kept_orders} keep the order in which the
exact value puts the three partitions. Values of batches of different sizes are not comparable.

## Sliced transport

`"sliced_wasserstein_ova"` and `"sliced_wasserstein_ovo"` are the mean of the transports along
{n_projections} random lines. On a line, transport takes a sort and a sum; there is no program and
no matrix, and time grows with N log N. At {most:,} samples a first evaluation is {speed:.0f} times
as fast as that of exact transport, a later one, for which the order along the lines is kept,
{speed_sorted:.0f} times.

It is another objective, not an estimate of the exact one: no projection makes a distance longer, so
that it is never larger, and of a shift in d dimensions the mean over all directions keeps about
sqrt(2 / (pi d)). Relative to the exact value, on all samples and in batches of 100 (least to most
over the same partitions and modes):

{slices}
Within a data set the ratio differs by a factor of up to {spread:.2f} between partitions: what the
one prefers the other need not. On all samples it keeps the exact order of the three partitions in
{kept_sliced} of {n_sliced} cases. Batches of 100 raise it by up to {raised:.0%}. Compare its scores
with one another only, and on as many samples.

## Which one

- A few hundred samples, or a metric of your own: `Wasserstein`, as it comes.
- Up to a few thousand: the same in batches; mind the bias when scores are compared, and give
  `n_pairs` where there are many clusters.
- More, and the Euclidean distance: `SlicedWasserstein`. Or an [MMD](kernels.md), which is a
  function of means and needs no sort.
"""


def measured():
    """Ratios to the exact value by (data set, estimate), and seconds by (method, samples)."""
    ratios, seconds = defaultdict(dict), {}
    for row in rows("wasserstein.csv"):
        if " of " in row["method"]:
            estimate, partition = row["method"].split(" of ")
            values = float(row["value"]), float(row["exact"])
            ratios[row["dataset"], estimate][row["objective"], partition] = values
        else:
            seconds[row["method"], int(row["n_samples"])] = float(row["seconds"])
    return ratios, seconds


def relative(group):
    return [value / exact for value, exact in group.values()]


def span(ratios, key):
    found = relative(ratios.get(key, {}))
    return f"{min(found):.3f} to {max(found):.3f}" if found else ""


def orders(ratios, kept):
    """In how many cases an estimate puts the partitions in their exact order, and of how many."""
    same = []
    for (_, estimate), group in ratios.items():
        if not kept(estimate):
            continue
        for mode in dict.fromkeys(mode for mode, _ in group):
            pairs = np.array([pair for key, pair in group.items() if key[0] == mode])
            same.append(bool((pairs[:, 0].argsort() == pairs[:, 1].argsort()).all()))
    return sum(same), len(same)


def times_table(seconds):
    body = [
        [text, *(f"{seconds[method, size]:.4f}" for size in SIZES)]
        for method, text in EXPLAINED.items()
    ]
    return table(["", *(f"N = {size:,}" for size in SIZES)], body)


def batches_table(ratios):
    body = [
        [name, *DATASETS[name].shape, *(span(ratios, (name, f"batches {n}")) for n in BATCHES)]
        for name in SETS
    ]
    return table(["", "N", "d", *(f"batches of {size}" for size in BATCHES)], body)


def shift_kept(n_features):
    return np.sqrt(2 / (np.pi * n_features))


def slices_table(ratios):
    body = []
    for name in SETS:
        n_features = DATASETS[name].shape[1]
        spans = [span(ratios, (name, estimate)) for estimate in ("sliced", "sliced 100")]
        body.append([name, n_features, f"{shift_kept(n_features):.3f}", *spans])
    return table(["", "d", "sqrt(2 / (pi d))", "all samples", "batches of 100"], body)


def draw(ratios, seconds):
    """Time against the number of samples; ratios against the batch size and the features."""
    with svg("wasserstein.svg", (9, 3.6), layout="constrained") as figure:
        time, batches, slices = figure.subplots(1, 3)
        colors = [*OKABE_ITO, "#999999"]
        for (method, text), color, marker in zip(
            EXPLAINED.items(), colors, MARKERS + "*", strict=True
        ):
            line = [seconds[method, size] for size in SIZES]
            looks = {"color": color, "marker": marker, "label": text.replace("`", "")}
            time.plot(SIZES, line, markersize=3.5, linewidth=1, **looks)
        time.set(xscale="log", yscale="log", xlabel="samples", ylabel="seconds")
        time.set_title("One evaluation", loc="left", fontsize=9)
        time.set_xticks(SIZES, map(str, SIZES))
        for name, color, marker in zip(SETS, OKABE_ITO, MARKERS, strict=False):
            points = [
                (size, relative(ratios[name, f"batches {size}"]))
                for size in BATCHES
                if (name, f"batches {size}") in ratios
            ]
            sizes, found = zip(*points, strict=True)
            means = [np.mean(group) for group in found]
            reach = [[m - min(g) for m, g in zip(means, found, strict=True)]]
            reach.append([max(g) - m for m, g in zip(means, found, strict=True)])
            looks = {"color": color, "marker": marker, "markersize": 3.5, "linewidth": 1}
            batches.errorbar(sizes, means, reach, capsize=2, label=name, **looks)
            n_features, found = DATASETS[name].shape[1], relative(ratios[name, "sliced"])
            slices.plot([n_features] * len(found), found, linestyle="", **looks)
        batches.axhline(1, color="#BBBBBB", linewidth=0.8, zorder=0)
        batches.set(xscale="log", xlabel="batch size", ylabel="value, relative to the exact one")
        batches.set_title("Batches", loc="left", fontsize=9)
        batches.set_xticks(BATCHES, map(str, BATCHES))
        features = np.geomspace(3, 100)
        slices.plot(features, shift_kept(features), "--", color="#777777", label="√(2 / (π d))")
        slices.set(xscale="log", yscale="log", xlabel="features")
        slices.set_title("Slices", loc="left", fontsize=9)
        slices.set_xticks([4, 13, 30, 64], ["4", "13", "30", "64"])
        slices.set_yticks([0.05, 0.1, 0.2, 0.5], ["0.05", "0.1", "0.2", "0.5"])
        for axis in (time, batches, slices):
            axis.minorticks_off()
            axis.grid(color="#EEEEEE")
            axis.set_axisbelow(True)
            axis.legend(loc="upper left", bbox_to_anchor=(-0.1, -0.2), frameon=False, fontsize=7)


def main():
    ratios, seconds = measured()
    draw(ratios, seconds)
    least, *_, most = SIZES

    def times(slow, fast):
        return seconds[slow, most] / seconds[fast, most]

    growth = np.log(seconds["cold", most] / seconds["cold", least]) / np.log(most / least)
    kept_orders, n_orders = orders(ratios, lambda estimate: estimate.startswith("batches"))
    kept_sliced, n_sliced = orders(ratios, lambda estimate: estimate == "sliced")
    sliced = [relative(group) for key, group in ratios.items() if key[1] == "sliced"]
    raised = [
        value / group[key][0] - 1
        for (name, estimate), few in ratios.items()
        if estimate == "sliced 100"
        for group in [ratios[name, "sliced"]]
        for key, (value, _) in few.items()
    ]
    text = PAGE.format(
        times=times_table(seconds),
        exponent=growth,
        most=most,
        cancelled=times("cold", "cancelled"),
        warm=times("cancelled", "cancelled, warm"),
        both=times("cold", "cancelled, warm"),
        threads=times("cancelled, warm, 2 threads", "cancelled, warm"),
        threads_from=SMALL_TRANSPORT,
        full=TRANSPORT_SAMPLES,
        batch=TRANSPORT_BATCH,
        exact=EXACT_TRANSPORT_SAMPLES,
        part=TRANSPORT_PART,
        batches=batches_table(ratios),
        n_orders=n_orders,
        kept_orders=kept_orders,
        n_projections=SlicedWasserstein().n_projections,
        speed=times("cancelled", "sliced"),
        speed_sorted=times("cancelled, warm", "sliced, sorted"),
        slices=slices_table(ratios),
        spread=max(max(group) / min(group) for group in sliced),
        raised=max(raised),
        kept_sliced=kept_sliced,
        n_sliced=n_sliced,
    )
    write("wasserstein.md", [text])


if __name__ == "__main__":
    main()
