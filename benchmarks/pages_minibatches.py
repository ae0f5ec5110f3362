"""Write docs/minibatches.md and its picture from results/minibatches.csv and batch_size.csv.

python benchmarks/pages_minibatches.py
"""

import math
from collections import defaultdict
from itertools import product

import numpy as np
from figures import OKABE_ITO, panels
from pages import rows, table, write

from gemclust.automatic import BATCH, CLUSTER_BATCH, RUNNING_BATCH, RUNNING_SHARE

SETS = ("optdigits", "blobs_40", "penbased", "mnist")
FORTY = ("blobs_40",)
DRAWN = ("mmd_ovo", "mi")
SHARES = {"none": "batch means", "0.5": "running means, 0.5", "0.2": "running means, 0.2"}
STYLES = dict(zip(SHARES, zip(OKABE_ITO, "osD", strict=False), strict=True))
LINES = {"linear": "--", "mlp": "-"}
SHAPE = ("n_samples", "n_features", "n_clusters")
MEASURED = ("seconds_epoch", "seconds_cross_entropy", "steps", "seconds")
NUMBERS = (20_000, 100_000, 300_000)
SHOWN = (5, 10, 20)
MULTIPLES = (3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 25, 30)
PATIENCE = 10  # epochs without improvement after which the estimator's training ends

PAGE = """\
# Mini-batches

Written by `benchmarks/pages_minibatches.py` from `benchmarks/results/minibatches.csv` and
`batch_size.csv`; how each number is measured stands in `benchmarks/README.md`.

The built-in models are trained by L-BFGS on all samples, however many, unless the objective
compares samples in pairs. Mini-batches are for modules of your own, for `solver="adam"` or "sgd",
and whenever `batch_size` is given.

## Running means

A GEMINI is a function of means over the samples. Those of a small batch are noisy, and the
objective of noisy means is not the mean objective. Means that run over the batches are less noisy,
but they belong in part to parameters that are gone.

![Objective reached against the batch size](images/minibatches.png)

The objective on all samples after ten epochs of Adam, relative to what L-BFGS reaches from the same
start. Larger batches are lower because they take fewer steps in as many epochs. What running means
add to it, in the mean over data sets, models and objectives (and the least and the most):

{gains}
Hence the rule: an MMD objective in batches of up to {limit} samples takes running means, of which
the newest batch is {share:.0%}. There they add {gain_50:+.2%} at 50, {gain_100:+.2%} at 100 and
{gain_200:+.2%} at 200 samples, and cost {least:.2%} at most; at 1,000 it is {gain_1000:+.2%}. The
other objectives gain nothing in the mean ({others:+.2%} at 100). The number of clusters is not in
the rule: `blobs_40` with its 40 clusters, which lie apart, gains less than the sets with 10
({forty:+.2%} at 100).

## The batch size

`batch_size="auto"` is {batch} times the square root of the number of samples, at least
{per_cluster} for each cluster.

- Steps until the objective on unseen samples is within 0.5 % of L-BFGS's: {least_steps:.0f} to
  {most_steps:.0f} for batches of 1,000 and of 4,000, whatever N. One of 4,000 takes
  {fewest:.0%} to {most:.0%} as many as one of 1,000, at four times the work.
- Batches too small for the clusters do: with 40 clusters in 64 dimensions it takes {steps_250:.0f}
  steps of 250 samples, but {steps_1000:.0f} of 1,000.
- Training ends after {patience} epochs without improvement. An epoch of few large steps takes less
  time than one of many small ones, the more so the more samples there are.

The time of a fit, until near the optimum and for {patience} more epochs, relative to that of the
best batch size of those measured, over all shapes below:

{rules}
On these shapes 2,000 for all is about as good, but it falls behind as N grows; the root does not.

The size was measured against N, K and d, on one kind of data. This multiple of the root is the best
in the mean over the shapes with that N, d or K ("mlp" only, of which every shape was measured):

{multiples}
- The number of features is not in the rule: a multiple of its own for each d would save
  {saved_d:.1%} of the time at most. It does change the number of steps, of batches of 1,000 from
  {steps_few_d} with {least_d} features to {steps_many_d} with {most_d}.
- The number of clusters would save {saved_k:.1%}. The least of {per_cluster} for each is below the
  root in all these shapes; it rests on the 40 clusters and batches of 250 above.
- The best multiple falls from {few_n} at N = {least_n:,} to {many_n} at {most_n:,}: the root is
  rather too steep, which costs {saved_n:.1%} at most.

CPU seconds of that fit, one thread. Where it was not near the optimum within 60 epochs or three
seconds, it is a lower bound:

{fits}
## Next to supervised training

Time of an epoch relative to the same model and batches in plain torch, trained by cross-entropy to
the true clusters. With 100,000 samples, 64 features and 10 clusters it is {to_peer:.2f} at the
batch size of 3,000 that "auto" comes next to, {to_peer_1000:.2f} at 1,000.

{peers}"""


def reached():
    """(data set, model, objective, batch size, share) -> mean over the seeds, to L-BFGS."""
    groups = defaultdict(list)
    for row in rows("minibatches.csv"):
        model, size, share = row["method"].split()
        key = (row["dataset"], model, row["objective"], int(size), share)
        groups[key].append(float(row["ratio"]))
    return {key: float(np.mean(group)) for key, group in groups.items()}


def gains(ratios):
    """By batch size, of the objectives with a kernel and of the others: what running means add."""
    body = []
    for kernel, size in ((a, b) for a in (True, False) for b in sorted({key[3] for key in ratios})):
        line = ["MMD" if kernel else "others", size]
        for share in ("0.5", "0.2"):
            found = differences(ratios, size, share, kernel)
            cells = [np.mean(found), min(found), max(found)]
            line.append("{:+.2%} ({:+.2%} to {:+.2%})".format(*cells))
        body.append(line)
    return table(["objectives", "batch size", "share 0.5", "share 0.2"], body)


def differences(ratios, size, share, kernel, datasets=SETS):
    """What running means add in every data set, model and objective."""
    return [
        value - ratios[*key[:4], "none"]
        for key, value in ratios.items()
        if key[3:] == (size, share) and key[2].startswith("mmd") == kernel and key[0] in datasets
    ]


def draw(ratios):
    """A panel for each data set and objective; the curves are the shares."""

    def panel(axis, objective, dataset):
        for model, (share, (color, marker)) in product(LINES, STYLES.items()):
            line = sorted(
                (key[3], value)
                for key, value in ratios.items()
                if (key[0], key[1], key[2], key[4]) == (dataset, model, objective, share)
                and key[3] <= 1000
            )
            if line:
                axis.plot(
                    *zip(*line, strict=True),
                    color=color,
                    marker=marker,
                    markersize=3.5,
                    linestyle=LINES[model],
                    linewidth=1.2,
                    label=f"{SHARES[share]} ({model})",
                )

    panels(
        "minibatches.png",
        DRAWN,
        SETS,
        panel,
        ticks=(50, 100, 200, 500, 1000),
        labels=("batch size", "objective, relative to L-BFGS"),
        size=(11, 5),
        n_colors=64,
        n_legend=3,
    )


def fits():
    """(shape, model) -> batch size -> row, with the time of a whole fit in `fit`."""
    found = defaultdict(dict)
    for row in rows("batch_size.csv"):
        numbers = {key: float(row[key]) for key in (*SHAPE, *MEASURED)}
        numbers["fit"] = numbers["seconds"] + PATIENCE * numbers["seconds_epoch"]
        numbers["to_peer"] = numbers["seconds_epoch"] / numbers["seconds_cross_entropy"]
        shape = tuple(int(numbers[key]) for key in SHAPE)
        found[shape, row["method"].split()[0]][int(row["batch_size"])] = numbers
    return dict(sorted(found.items()))


def loss_of(sizes, rule):
    """The time of a fit with the rule's batch, between those measured, to that of the best."""
    (chosen, *_) = sizes.values()
    wanted = rule(int(chosen["n_samples"]), int(chosen["n_clusters"]))
    measured = sorted(sizes)
    times = np.log([sizes[size]["fit"] for size in measured])
    return float(np.exp(np.interp(np.log(wanted), np.log(measured), times) - times.min()))


def automatic(n_samples, n_clusters):
    return max(BATCH * math.isqrt(n_samples), CLUSTER_BATCH * n_clusters)


def rules_table(found):
    rules = {
        f"{BATCH} sqrt(N), at least {CLUSTER_BATCH} K (ours)": automatic,
        "5 sqrt(N)": lambda n, k: 5 * n**0.5,
        "20 sqrt(N)": lambda n, k: 20 * n**0.5,
        **{f"{size:,}": lambda n, k, size=size: size for size in (1000, 2000, 4000)},
        "100 K, at least 1,000": lambda n, k: max(1000, 100 * k),
        "N / 50": lambda n, k: n / 50,
    }
    body = []
    for name, rule in rules.items():
        lost = [(shape[0], loss_of(sizes, rule)) for (shape, _), sizes in found.items()]
        cells = [np.mean([loss for n, loss in lost if n == number]) for number in NUMBERS]
        cells += [np.mean([loss for _, loss in lost]), max(loss for _, loss in lost)]
        body.append([name, *(f"{value:.2f}" for value in cells)])
    return table(["batch size", *(f"N = {n:,}" for n in NUMBERS), "mean", "worst"], body)


def multiples(found):
    """(column, value) -> number of shapes, best multiple of the root, and losses by multiple."""
    shapes = {shape: sizes for (shape, model), sizes in found.items() if model == "mlp"}
    groups = defaultdict(list)
    for shape, sizes in shapes.items():
        losses = [loss_of(sizes, lambda n, k, c=c: c * n**0.5) for c in MULTIPLES]
        for key in [("all", ""), *zip("NdK", shape, strict=True)]:
            groups[key].append(losses)
    order = sorted(groups, key=lambda key: ("NdKa".index(key[0][0]), key[1]))
    means = {key: np.mean(groups[key], axis=0) for key in order}
    return {
        key: (len(groups[key]), MULTIPLES[mean.argmin()], dict(zip(MULTIPLES, mean, strict=True)))
        for key, mean in means.items()
    }


def steps_with(found, n_features):
    """The fewest and the most steps of batches of 1,000 with so many features."""
    steps = [
        sizes[1000]["steps"]
        for (shape, model), sizes in found.items()
        if (shape[1], model) == (n_features, "mlp")
    ]
    return f"{min(steps):.0f} to {max(steps):.0f}"


def saved(best, column):
    """The most that multiples of its own for each value of N, d or K would save."""
    common = best["all", ""][1]
    groups = (group for key, group in best.items() if key[0] == column)
    return max(1 - losses[own] / losses[common] for _, own, losses in groups)


def multiples_table(best):
    body = [
        [name, f"{value:,}" if value else "", size, own, *(f"{losses[c]:.2f}" for c in SHOWN)]
        for (name, value), (size, own, losses) in best.items()
    ]
    header = ["", "", "shapes", "best multiple", *(f"{c} sqrt(N)" for c in SHOWN)]
    return table(header, body)


def shapes_table(found, column, form):
    sizes = sorted({size for group in found.values() for size in group})
    body = []
    for (shape, model), group in found.items():
        cells = [form.format(group[size][column]) if size in group else "" for size in sizes]
        n_samples, n_features, n_clusters = shape
        chosen = f"{automatic(n_samples, n_clusters):,}"
        body.append([f"{n_samples:,}", n_features, n_clusters, model, *cells, chosen])
    return table(["N", "d", "K", "model", *(f"{size:,}" for size in sizes), '"auto"'], body)


def main():
    ratios = reached()
    draw(ratios)
    found = fits()
    best = multiples(found)
    least_d, *_, most_d = sorted({shape[1] for shape, _ in found})

    def typical(size, kernel):
        return float(np.mean(differences(ratios, size, str(RUNNING_SHARE), kernel)))

    few = found[(100_000, 64, 40), "mlp"]
    target = found[(100_000, 64, 10), "mlp"]
    some = {key: group for key, group in found.items() if key[0][0] == 100_000}
    steps = [
        group[size]["steps"]
        for (_, model), group in found.items()
        for size in (1000, 4000)
        if model == "mlp"
    ]
    fewer = [
        group[4000]["steps"] / group[1000]["steps"]
        for (_, model), group in found.items()
        if model == "mlp"
    ]
    text = PAGE.format(
        limit=RUNNING_BATCH,
        share=RUNNING_SHARE,
        gain_50=typical(50, True),
        gain_100=typical(100, True),
        gain_200=typical(200, True),
        gain_1000=typical(1000, True),
        others=typical(100, False),
        forty=float(np.mean(differences(ratios, 100, str(RUNNING_SHARE), True, FORTY))),
        least=-min(
            min(differences(ratios, size, str(RUNNING_SHARE), True))
            for size in (50, 100, 200)
            if size <= RUNNING_BATCH
        ),
        gains=gains(ratios),
        batch=BATCH,
        per_cluster=CLUSTER_BATCH,
        patience=PATIENCE,
        least_steps=min(steps),
        most_steps=max(steps),
        fewest=min(fewer),
        most=max(fewer),
        steps_250=few[250]["steps"],
        steps_1000=few[1000]["steps"],
        rules=rules_table(found),
        multiples=multiples_table(best),
        least_d=least_d,
        most_d=most_d,
        steps_few_d=steps_with(found, least_d),
        steps_many_d=steps_with(found, most_d),
        least_n=min(NUMBERS),
        most_n=max(NUMBERS),
        few_n=best["N", min(NUMBERS)][1],
        many_n=best["N", max(NUMBERS)][1],
        **{f"saved_{column.lower()}": saved(best, column) for column in "NdK"},
        fits=shapes_table(found, "fit", "{:.2f}"),
        peers=shapes_table(some, "to_peer", "{:.2f}"),
        to_peer=target[3000]["to_peer"],
        to_peer_1000=target[1000]["to_peer"],
    )
    write("minibatches.md", [text])


if __name__ == "__main__":
    main()
