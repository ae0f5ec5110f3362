"""Mini-batches with and without running means: the objective on all data that training reaches.

    python benchmarks/minibatches.py [--only PATTERN ...] [--redo]

Rows go to results/minibatches.csv as they are done; running again continues. A PATTERN is matched
with DATASET/METHOD/OBJECTIVE, for example 'penbased/mlp 50 */mmd_ovo'; METHOD names the model, the
batch size, and the share of the newest batch in the running means, or "none".

Each row begins where L-BFGS on all samples began; `ratio` is the objective reached to that of
L-BFGS. The starts of a cell are trained side by side on the same mini-batches.
"""

import harness  # isort: skip  (limits the threads before numpy is imported)

import sys
from functools import cache
from itertools import product
from pathlib import Path
from time import process_time

import numpy as np
from datasets import DATASETS as COMMON
from datasets import Dataset, from_file_or_openml, grey_values, load, openml, subsample
from sklearn.datasets import make_blobs

RESULTS = Path(__file__).parent / "results" / "minibatches.csv"
COLUMNS = [*harness.Cell._fields, "n_samples", "n_clusters", "value", "lbfgs", "ratio", "seconds"]
COLUMNS += ["note"]

EPOCHS = 10
SEEDS = 3
MODELS = {"linear": (), "mlp": (32,)}
SIZES = (50, 100, 200, 500, 1000, 4000)
SHARES = {"none": None, "0.5": 0.5, "0.2": 0.2}
OBJECTIVES = ("mmd_ovo", "mmd_ova", "mi", "tv_ovo", "hellinger_ova")


def many_blobs():
    """40 Gaussians in 16 dimensions, some of which overlap."""
    centers = 2.0 * np.random.default_rng(0).normal(size=(40, 16))
    X, y = make_blobs(8000, centers=centers, random_state=0)
    return X, y, "generated"


DATASETS = {
    "optdigits": COMMON["optdigits"],
    "blobs_40": Dataset(many_blobs, (8000, 16), generated=True),
    "penbased": Dataset(from_file_or_openml("penbased", openml("pendigits")), (10992, 16)),
    "mnist": Dataset(
        grey_values(subsample(from_file_or_openml("mnist", openml("mnist_784")), 10_000)),
        (10_000, 784),
        standardise=False,
    ),
}
# The larger sets take the longest: fewer of their cells.
CHOSEN = {
    "penbased": (MODELS, SIZES, OBJECTIVES[:3]),
    "mnist": (("mlp",), SIZES[1:-1], ("mmd_ovo", "mi")),
}


def cells():
    for dataset in DATASETS:
        models, sizes, objectives = CHOSEN.get(dataset, (MODELS, SIZES, OBJECTIVES))
        for cell in product(models, objectives, sizes, SHARES, range(SEEDS)):
            model, objective, size, share, seed = cell
            yield harness.Cell(dataset, f"{model} {size} {share}", objective, seed)


@cache
def data(name):
    """X in single precision, and its number of classes."""
    X, y, source = load(name, DATASETS)
    print(f"{name}: {X.shape[0]} x {X.shape[1]}, {source}", flush=True)
    return X.astype(np.float32), int(y.max()) + 1


def problem_of(X, n_clusters, hidden, objective):
    """What the estimator trains on these samples; the first of them set the scale."""
    import torch

    from gemclust.canonical import MERGE_SAMPLES
    from gemclust.geometry import Affinity
    from gemclust.models import Perceptron
    from gemclust.objectives import get_objective
    from gemclust.problem import Problem
    from gemclust.samples import Samples, Scaling

    objective, weight = get_objective(objective), np.ones(len(X), dtype=X.dtype)
    pilot, pilot_weight = X[:MERGE_SAMPLES], weight[:MERGE_SAMPLES]
    scaling = Scaling(pilot, pilot_weight)
    inputs = Samples(X, transform=scaling)
    affinity = Affinity(objective, pilot, pilot_weight, scaling=scaling, n_total=len(X))
    geometry = affinity.geometry(X, weight, None, inputs)
    model = Perceptron((X.shape[1], *hidden, n_clusters))
    return Problem(model, inputs, torch.as_tensor(weight / len(X)), geometry, objective)


def adam(batch_size, epochs, running_means=None):
    """So many epochs, without stopping early."""
    from gemclust.training import Settings

    return Settings("adam", batch_size, 1e-2, epochs, 0.0, epochs + 1, running_means=running_means)


def lbfgs_run(begin, problem):
    """Train on all samples until the estimator's defaults stop."""
    from gemclust.training import Settings, train

    settings = Settings("lbfgs", None, 1e-2, 500, tol=1e-4, n_iter_no_change=10, drop=False)
    return train(problem, begin, settings, seed=0)


def starts(problem, seeds):
    """The start that the estimator with the solver Adam makes of each seed."""
    import torch

    from gemclust.seeding import start
    from gemclust.training import Run

    settings = adam(1000, 20)
    each = [start(problem, np.array([seed]), settings).parameters for seed in seeds]
    return Run(torch.cat(each))


@cache
def begun(dataset, model, objective):
    """The problem, where training starts, and the values that L-BFGS reaches from there."""
    X, n_clusters = data(dataset)
    problem = problem_of(X, n_clusters, MODELS[model], objective)
    begin = starts(problem, range(SEEDS))
    return problem, begin, problem.value(lbfgs_run(begin, problem).parameters)


@cache
def trained(dataset, method, objective):
    """Values after the epochs of each seed, those of L-BFGS, and the seconds of each."""
    from gemclust.training import train

    model, size, share = method.split()
    problem, begin, reference = begun(dataset, model, objective)
    start = process_time()
    run = train(problem, begin, adam(int(size), EPOCHS, SHARES[share]), seed=0)
    seconds = (process_time() - start) / SEEDS
    return problem.value(run.parameters), reference, seconds


def measure(cell):
    values, references, seconds = trained(cell.dataset, cell.method, cell.objective)
    X, n_clusters = data(cell.dataset)
    value, reference = float(values[cell.seed]), float(references[cell.seed])
    return {
        "n_samples": len(X),
        "n_clusters": n_clusters,
        "value": value,
        "lbfgs": reference,
        "ratio": value / reference,
        "seconds": seconds,
        "note": "",
    }


if __name__ == "__main__":
    sys.exit(harness.main(__doc__, cells, measure, RESULTS, COLUMNS))
