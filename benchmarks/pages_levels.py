"""Write docs/levels.md from results/levels.csv.

python benchmarks/pages_levels.py
"""

from collections import defaultdict

import numpy as np
from levels import CHUNKS, GRADIENT, LEVELS, ONE_START, RESTARTS, SEEDS, SMALL, STARTS
from pages import rows, table, write

from gemclust.automatic import FIRST_SAMPLES, GROWTH
from gemclust.chunks import CHUNK
from gemclust.levels import PATIENCE
from gemclust.seeding import IMITATION_ITERATIONS, IMITATION_SAMPLES, TRIES
from gemclust.training import KEPT_AFTER

LARGE = [name for name in SEEDS if name not in SMALL]
NUMBERS = ("value", "ari", "passes")

PAGE = """\
# The constants of training

Written by `benchmarks/pages_levels.py` from `benchmarks/results/levels.csv`; how each number is
measured stands in `benchmarks/README.md`.

Each line is the estimator with one constant of the library changed. A cell is the change of the
objective that is reached, and the passes over the samples that it takes, both relative to the
constant that was chosen and the same seed, in the mean over the seeds. A pass is an evaluation of
the loss and its gradient on all samples in one restart, so that it does not depend on the machine.
Then follow the lowest and the highest change of the objective in any one fit, and the mean ARI over
the data sets.

## Restarts that fall behind

Of the restarts, trained side by side, those with the best objective go on:
{kept} iterations. Otherwise:

{restarts}
To let all run to the end takes {end_passes:.1f} times the passes and changes the objective by
{end_value:+.3%} in the mean over the sets, by {end_most:+.2%} at most. To drop them at half the
iterations lowers it by up to {soon_worst:.1%}.

## Seeds and their imitation

A restart takes the best of {tries} draws of k-means++ seeds. A multilayer perceptron begins by
imitating a softmax around them, for {imitation} iterations of L-BFGS on at most {imitated} samples
(their evaluations count as passes). With the default number of restarts:

{starts}
With one start:

{one_start}
## More than 10,000 samples

Training begins on {first:,} samples, goes on to at most {growth} times as many, and so on (the
"first" and the "growth"); it ends after {patience_first} iterations without improvement on the
first samples, after {patience_later} on all others (the "patience"). The linear model on MNIST, the
default model on the others, one-vs-one MMD:

{levels}
A patience of 10 everywhere, which is the default up to 10,000 samples, takes {long_passes:.2f}
times the passes and changes the objective by {long_value:+.3%} in the mean over the sets. A
patience of 3, 2 takes {brief_passes:.2f} times the passes, for {brief_value:+.3%}; 1,000 samples to
begin with take {few_passes:.2f} times, for {few_value:+.3%}. Where single fits differ by percents,
in either direction, they end in another optimum, as they do by another seed.

## Chunks

CPU seconds of one gradient of one-vs-one MMD with the default model, {shape} (samples,
features, clusters), one thread, by the numbers that the model holds for a chunk; the library takes
{chunk}.
Other work ran on the machine: differences of some percent say nothing.

{chunks}"""


def fits():
    """(method, data set) -> dicts of numbers, one for each objective and seed."""
    found = defaultdict(dict)
    for row in rows("levels.csv"):
        if row["passes"]:
            numbers = {name: float(row[name]) for name in NUMBERS}
            found[row["method"], row["dataset"]][row["objective"], row["seed"]] = numbers
    return found


def against(found, method, dataset, base):
    """Changes of the objective, and ratios of passes, in each fit."""
    pairs = [(fit, found[base, dataset][key]) for key, fit in found[method, dataset].items()]
    values = [fit["value"] / other["value"] - 1 for fit, other in pairs]
    return np.array(values), np.array([fit["passes"] / other["passes"] for fit, other in pairs])


def changes(found, methods, datasets, base="chosen"):
    body = []
    for method in (base, *methods):
        compared = [against(found, method, dataset, base) for dataset in datasets]
        cells = [f"{values.mean():+.3%}, {passes.mean():.2f}" for values, passes in compared]
        fitted = [found[method, dataset].values() for dataset in datasets]
        ari = np.mean([np.mean([fit["ari"] for fit in each]) for each in fitted])
        every = np.concatenate([values for values, _ in compared])
        body.append([method, *cells, f"{every.min():+.2%} to {every.max():+.2%}", f"{ari:.3f}"])
    return table(["", *datasets, "lowest, highest", "ARI"], body)


def over_sets(found, method, datasets):
    """Mean, lowest and highest change of the objective, and mean ratio of passes."""
    compared = [against(found, method, dataset, "chosen") for dataset in datasets]
    values = [values for values, _ in compared]
    passes = np.mean([passes.mean() for _, passes in compared])
    mean = np.mean([each.mean() for each in values])
    return mean, min(map(np.min, values)), max(map(np.max, values)), passes


def chunks():
    seconds = {row["method"]: float(row["seconds"]) for row in rows("levels.csv")}
    sizes = [name.removeprefix("chunk ") for name in CHUNKS]
    return table(["", *sizes], [["seconds", *(f"{seconds[name]:.3f}" for name in CHUNKS)]])


def main():
    found = fits()
    end_value, _, end_most, end_passes = over_sets(found, "all to the end", SMALL)
    _, soon_worst, *_ = over_sets(found, "dropped after 2 to 8", SMALL)
    long_value, *_, long_passes = over_sets(found, "patience 10, 10", LARGE)
    brief_value, *_, brief_passes = over_sets(found, "patience 3, 2", LARGE)
    few_value, *_, few_passes = over_sets(found, "first 1000", LARGE)
    base, *one_start = ONE_START
    text = PAGE.format(
        kept=", ".join(f"{share:.0%} after {n}" for n, share in KEPT_AFTER.items()),
        restarts=changes(found, RESTARTS, SMALL),
        end_value=end_value,
        end_most=end_most,
        end_passes=end_passes,
        soon_worst=-soon_worst,
        tries=TRIES["lbfgs"],
        imitation=IMITATION_ITERATIONS["lbfgs"],
        imitated=IMITATION_SAMPLES,
        starts=changes(found, STARTS, SMALL),
        one_start=changes(found, one_start, SMALL, base),
        first=FIRST_SAMPLES,
        growth=GROWTH,
        patience_first=PATIENCE[0],
        patience_later=PATIENCE[1],
        levels=changes(found, LEVELS, LARGE),
        long_passes=long_passes,
        long_value=long_value,
        brief_passes=brief_passes,
        brief_value=brief_value,
        few_passes=few_passes,
        few_value=few_value,
        shape=" x ".join(f"{size:,}" for size in GRADIENT),
        chunk=f"2^{CHUNK.bit_length() - 1}",
        chunks=chunks(),
    )
    write("levels.md", [text])


if __name__ == "__main__":
    main()
