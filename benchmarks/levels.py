"""The numbers that steer training: restarts dropped, patience, first samples, chunks, starts.

    python benchmarks/levels.py [--only PATTERN ...] [--redo]

Rows go to results/levels.csv as they are done; running again continues. A PATTERN is matched with
DATASET/METHOD/OBJECTIVE, for example 'mnist/patience */*'; METHOD names the constant of the
library that has another value.

Each row is a fit of the estimator, but for those that time one gradient by the size of its chunks.
`passes` counts evaluations of the loss and its gradient, restarts times samples, relative to the
number of samples; unlike `seconds`, it does not depend on the machine.
"""

import harness  # isort: skip  (limits the threads before numpy is imported)

import sys
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from time import process_time
from unittest.mock import patch

import numpy as np
from batch_size import data as gaussians
from datasets import DATASETS as COMMON
from datasets import Dataset, from_file_or_openml, grey_values, load, openml
from minibatches import problem_of, starts
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

RESULTS = Path(__file__).parent / "results" / "levels.csv"
COLUMNS = [*harness.Cell._fields, "n_samples", "value", "ari", "passes", "seconds", "note"]

SMALL = ("iris", "wine", "penguins", "breast_cancer", "digits", "optdigits")
SEEDS = dict.fromkeys(SMALL, 10) | {"penbased": 10, "shuttle": 10, "mnist": 5, "blobs": 5}


def overlapping_blobs():
    X, y = make_blobs(1_000_000, 32, centers=10, cluster_std=7, random_state=0)
    return X, y, "generated"


def mnist():
    X, y, source = grey_values(from_file_or_openml("mnist", openml("mnist_784")))()
    return X[:60_000], y[:60_000], source


DATASETS = {name: COMMON[name] for name in SMALL} | {
    "penbased": Dataset(from_file_or_openml("penbased", openml("pendigits")), (10_992, 16)),
    "shuttle": Dataset(from_file_or_openml("shuttle", openml("shuttle")), (58_000, 9)),
    "mnist": Dataset(mnist, (60_000, 784), standardise=False),
    "blobs": Dataset(overlapping_blobs, (1_000_000, 32), standardise=False, generated=True),
}

# Method -> names of constants in the library and their values.
CHOSEN = {"chosen": {}}
RESTARTS = {
    "dropped after 2 to 8": {"training.KEPT_AFTER": {2: 0.5, 4: 0.3, 6: 0.2, 8: 0.1}},
    "dropped after 8 to 24": {"training.KEPT_AFTER": {8: 0.5, 12: 0.3, 16: 0.2, 24: 0.1}},
    "all to the end": {"training.KEPT_AFTER": {}},
}
STARTS = {
    f"imitation {iterations}": {"seeding.IMITATION_ITERATIONS": {"lbfgs": iterations}}
    for iterations in (0, 1, 20)
}
STARTS["imitation on all"] = {"seeding.IMITATION_SAMPLES": sys.maxsize}
STARTS |= {f"tries {tries}": {"seeding.TRIES": {"lbfgs": tries}} for tries in (1, 10)}
ONE_START = {f"one start, {name}": values for name, values in (CHOSEN | STARTS).items()}
LEVELS = {
    f"patience {first}, {later}": {"training.PATIENCE": (first, later)}
    for first, later in ((2, 1), (3, 2), (5, 3), (10, 10))
}
LEVELS |= {f"first {size}": {"parameters.FIRST_SAMPLES": size} for size in (1000, 5000)}
LEVELS |= {f"growth {factor}": {"parameters.GROWTH": factor} for factor in (4, 32)}
CHUNKS = {f"chunk 2^{power}": {"chunks.CHUNK": 2**power} for power in range(18, 23)}
CONSTANTS = CHOSEN | RESTARTS | STARTS | ONE_START | LEVELS | CHUNKS

GRADIENT = (100_000, 64, 10)  # samples, features and clusters of the gradient that is timed,
EVALUATIONS = 15  # so many times


def cells():
    yield from (harness.Cell("x".join(map(str, GRADIENT)), name, "mmd_ovo", 0) for name in CHUNKS)
    for dataset, seeds in SEEDS.items():
        few = dataset in SMALL
        for method in CHOSEN | (RESTARTS | STARTS | ONE_START if few else LEVELS):
            for objective in ("mmd_ovo", "mmd_ova") if few else ("mmd_ovo",):
                for seed in range(seeds):
                    yield harness.Cell(dataset, method, objective, seed)


@cache
def data(name):
    X, y, source = load(name, DATASETS)
    print(f"{name}: {X.shape[0]} x {X.shape[1]}, {source}", flush=True)
    return X if name in SMALL else X.astype(np.float32), y


@contextmanager
def constants(method):
    """The library with other numbers in it."""
    with ExitStack() as stack:
        for name, value in CONSTANTS[method].items():
            stack.enter_context(patch(f"gemclust.{name}", value))
        yield


@contextmanager
def counted():
    """A list that takes in, at each evaluation, its number of restarts times samples."""
    from gemclust.imitation import Imitation
    from gemclust.problem import Problem

    taken = []

    def counting(evaluate):
        def loss_and_gradient(problem, parameters, which):
            taken.append(len(which) * len(problem))
            return evaluate(problem, parameters, which)

        return loss_and_gradient

    with ExitStack() as stack:
        for kind in (Imitation, Problem):
            replaced = counting(kind.loss_and_gradient)
            stack.enter_context(patch.object(kind, "loss_and_gradient", replaced))
        yield taken


def measure_fit(cell):
    from gemclust import GeminiClustering

    X, y = data(cell.dataset)
    model = GeminiClustering(
        y.max() + 1,
        objective=cell.objective,
        model="linear" if cell.dataset == "mnist" else "auto",
        n_init=1 if cell.method in ONE_START else "auto",
        random_state=cell.seed,
    )
    start = process_time()
    with constants(cell.method), counted() as taken:
        _, warned = harness.timed(lambda: model.fit(X))
    return {
        "n_samples": len(X),
        "value": model.objective_value_,
        "ari": float(adjusted_rand_score(y, model.labels_)),
        "passes": sum(taken) / len(X),
        "seconds": process_time() - start,
        "note": "; ".join(warned),
    }


@cache
def gradient_problem():
    X, _ = gaussians(*GRADIENT)
    problem = problem_of(X, GRADIENT[-1], (32,), "mmd_ovo")
    return problem, starts(problem.subset(np.arange(2_500)), [0]).parameters


def measure_chunk(cell):
    import torch

    problem, parameters = gradient_problem()
    seconds = []
    with constants(cell.method):
        for _ in range(1 + EVALUATIONS):
            start = process_time()
            loss, _ = problem.loss_and_gradient(parameters, torch.arange(1))
            seconds.append(process_time() - start)
    return {
        "n_samples": len(problem),
        "value": -float(loss[0]) * problem.unit,
        "ari": "",
        "passes": "",
        "seconds": float(np.median(seconds[1:])),
        "note": f"one gradient, median of {EVALUATIONS}",
    }


def measure(cell):
    return measure_chunk(cell) if cell.method in CHUNKS else measure_fit(cell)


if __name__ == "__main__":
    sys.exit(harness.main(__doc__, cells, measure, RESULTS, COLUMNS))
