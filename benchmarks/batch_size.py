"""The batch size: time of an epoch and time until training is near what L-BFGS reaches.

    python benchmarks/batch_size.py [--only PATTERN ...] [--redo]

Rows go to results/batch_size.csv as they are done; running again continues. A PATTERN is matched
with DATASET/METHOD/OBJECTIVE, for example '100000x64x10/mlp *'; DATASET names the numbers of
samples, of features and of clusters, METHOD the model and the batch size.

The data are Gaussians whose centres lie four standard deviations apart. All times are CPU seconds
of one thread; the evaluations in between are not counted.
"""

import harness  # isort: skip  (limits the threads before numpy is imported)

import sys
from functools import cache
from itertools import product
from pathlib import Path
from time import process_time

import numpy as np
from minibatches import MODELS, lbfgs_run, problem_of, starts

RESULTS = Path(__file__).parent / "results" / "batch_size.csv"
COLUMNS = [*harness.Cell._fields, "n_samples", "n_features", "n_clusters", "batch_size"]
COLUMNS += ["seconds_epoch", "seconds_cross_entropy", "steps", "epochs", "ratio", "seconds"]
COLUMNS += ["note"]

SIZES = (250, 1000, 2000, 3000, 4000, 16_000)
SHAPES = [*product((20_000, 100_000, 300_000), (16, 64)), (20_000, 784), (100_000, 784)]
CLUSTERS = (10, 40, 5)
LINEAR_SAMPLES = 100_000
NEAR = 0.995
REFERENCE = 10_000  # L-BFGS sees so many samples,
BEGIN = 2_500  # training starts from so many, as in the estimator,
JUDGED = 10_000  # and values are those of the next so many, which it has not seen
MOST_SECONDS = 3.0
MOST_EPOCHS = 60
TIMED_SECONDS = 0.2


def cells():
    for n_clusters, (n_samples, n_features) in product(CLUSTERS, SHAPES):
        models = MODELS if (n_samples, n_features) == (LINEAR_SAMPLES, 64) else ("mlp",)
        for model, size in product(models, SIZES):
            dataset = f"{n_samples}x{n_features}x{n_clusters}"
            yield harness.Cell(dataset, f"{model} {size}", "mmd_ovo", 0)


@cache
def noise(n_features):
    """Rows that are the same for every number of samples."""
    most = max(n for n, d in SHAPES if d == n_features)
    return np.random.default_rng(1).standard_normal((most, n_features), dtype=np.float32)


def data(n_samples, n_features, n_clusters):
    centres = np.random.default_rng(0).normal(size=(n_clusters, n_features))
    centres *= 4 / np.sqrt(2 * n_features)
    y = np.random.default_rng(2).integers(n_clusters, size=n_samples)
    return noise(n_features)[:n_samples] + centres.astype(np.float32)[y], y


@cache
def reference(n_features, n_clusters, model):
    """Where training starts, and the parameters that L-BFGS reaches from there."""
    X, _ = data(REFERENCE, n_features, n_clusters)
    problem = problem_of(X, n_clusters, MODELS[model], "mmd_ovo")
    begin = starts(problem.subset(np.arange(BEGIN)), [0])
    return begin, lbfgs_run(begin, problem).parameters


class Last:
    """The last of something expensive: a cache of one."""

    key = value = None

    @classmethod
    def of(cls, *key):
        if cls.key != key:
            cls.value = None
            X, y = data(*key[:3])
            cls.key, cls.value = key, (problem_of(X, key[2], MODELS[key[3]], "mmd_ovo"), y)
        return cls.value


def training(problem, begin, batch_size):
    """One step of Adam after another, for ever."""
    import torch

    from gemclust.batches import minibatches
    from gemclust.training import descend, make_optimiser

    parameters = begin.parameters.clone()
    optimiser = make_optimiser("adam", parameters, 1e-2)
    rng, which = np.random.RandomState(0), torch.arange(1)
    while True:
        for rows, _ in minibatches(len(problem), batch_size, rng):
            descend(problem, parameters, which, optimiser, rows, {})
            yield parameters


def cross_entropy(problem, y, batch_size):
    """The same model in plain torch, trained to tell the true clusters."""
    import torch
    from torch import nn

    from gemclust.batches import minibatches

    n_features, *hidden, n_units = problem.model.sizes
    layers = [nn.Linear(n_features, (*hidden, n_units)[0])]
    if hidden:
        layers += [nn.ReLU(), nn.Linear(hidden[0], n_units)]
    module, target = nn.Sequential(*layers), torch.as_tensor(y)
    optimiser, rng = torch.optim.Adam(module.parameters(), 1e-2), np.random.RandomState(0)
    X = torch.as_tensor(problem.inputs.source)
    while True:
        for rows, _ in minibatches(len(problem), batch_size, rng):
            chosen = torch.as_tensor(rows)
            optimiser.zero_grad()
            nn.functional.cross_entropy(module(X[chosen]), target[chosen]).backward()
            optimiser.step()
            yield


def seconds_a_step(steps):
    """The median over several, at least five and at least for some time."""
    next(steps)
    taken = []
    while len(taken) < 5 or sum(taken) < TIMED_SECONDS:
        start = process_time()
        next(steps)
        taken.append(process_time() - start)
    return float(np.median(taken))


def measure(cell):
    n_samples, n_features, n_clusters = map(int, cell.dataset.split("x"))
    model, size = cell.method.split()
    size = int(size)
    problem, y = Last.of(n_samples, n_features, n_clusters, model)
    begin, best = reference(n_features, n_clusters, model)
    judged = problem.subset(np.arange(REFERENCE, REFERENCE + JUDGED))
    goal = float(judged.value(best)[0])
    steps_an_epoch = round(n_samples / size)
    alone = seconds_a_step(training(problem, begin, size))
    peer = seconds_a_step(cross_entropy(problem, y, size))
    step, look, ratio = 0, 5, 0.0
    for step, parameters in enumerate(training(problem, begin, size), 1):
        if step < look:
            continue
        look = int(np.ceil(1.1 * step))
        ratio = float(judged.value(parameters)[0]) / goal
        given_up = step * alone > MOST_SECONDS or step > MOST_EPOCHS * steps_an_epoch
        if ratio >= NEAR or given_up:
            break
    return {
        "n_samples": n_samples,
        "n_features": n_features,
        "n_clusters": n_clusters,
        "batch_size": size,
        "seconds_epoch": alone * steps_an_epoch,
        "seconds_cross_entropy": peer * steps_an_epoch,
        "steps": step,
        "epochs": step / steps_an_epoch,
        "ratio": ratio,
        "seconds": step * alone,
        "note": "" if ratio >= NEAR else "not reached",
    }


if __name__ == "__main__":
    sys.exit(harness.main(__doc__, cells, measure, RESULTS, COLUMNS))
