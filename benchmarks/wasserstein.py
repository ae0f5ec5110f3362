"""Exact and sliced transport: bias of the estimates, and the time of one evaluation.

    python benchmarks/wasserstein.py [--only PATTERN ...] [--redo]

Rows go to results/wasserstein.csv as they are done; running again continues. A PATTERN is matched
with DATASET/METHOD/OBJECTIVE: 'iris/*', 'blobs_2000/*', '*/sliced of *'.

"ESTIMATE of PARTITION" has the value of one partition of a data set by an estimate: sliced, or the
mean over mini-batches of so many samples; `exact` is Wasserstein on all of them. The other methods
are timed, the fastest of several evaluations with their gradient, K = 3 (the peer: one epoch on
the full batch): cold (all mass, from nothing), warm (from the last solution), cancelled (only what
two distributions do not share), both, on two threads, and sliced with and without its sort. Between
evaluations every parameter of the linear model moves by 1e-3, like in a step of Adam.
"""

import harness  # isort: skip  (limits the threads before numpy is imported)

import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
from datasets import DATASETS, Unavailable, blobs, load
from scipy.spatial.distance import cdist
from scipy.special import softmax
from sklearn.cluster import KMeans

RESULTS = Path(__file__).parent / "results" / "wasserstein.csv"
COLUMNS = [*harness.Cell._fields, "n_samples", "value", "exact", "ratio", "seconds", "note"]

SETS = ("iris", "wine", "breast_cancer", "digits")
PARTITIONS = ("truth", "kmeans", "soft")
ESTIMATES = ("sliced", "batches 50", "batches 100", "batches 200", "batches 500", "sliced 100")
SIZES = (500, 1000, 2000)
TIMED = {
    "cold": {},
    "warm": {"memory": True},
    "cancelled": {"triangle": True},
    "cancelled, warm": {"triangle": True, "memory": True},
    "cancelled, warm, 2 threads": {"triangle": True, "memory": True, "threads": 2},
    "sliced": {},
    "sliced, sorted": {"memory": True},
    "gemclus": {},
}
N_STEPS = 7


def cells():
    for dataset in SETS:
        for partition in PARTITIONS:
            for mode in ("ova", "ovo"):
                for estimate in ESTIMATES:
                    if 1.5 * _batch_size(estimate) < DATASETS[dataset].shape[0]:
                        method = f"{estimate} of {partition}"
                        yield harness.Cell(dataset, method, f"wasserstein_{mode}", 0)
    for n_samples in SIZES:
        for method in TIMED:
            yield harness.Cell(f"blobs_{n_samples}", method, "wasserstein_ova", 0)


def _batch_size(estimate):
    return int(estimate.partition(" ")[2] or 0)


@cache
def partition_of(dataset, partition):
    """Return X and p(y|x); the soft one falls with the squared distance to the K-means centres."""
    X, y, _ = load(dataset)
    n_clusters = y.max() + 1
    if partition == "truth":
        return X, np.eye(n_clusters)[y]
    kmeans = KMeans(n_clusters, n_init=10, random_state=0).fit(X)
    if partition == "kmeans":
        return X, np.eye(n_clusters)[kmeans.labels_]
    squared = kmeans.transform(X) ** 2
    return X, softmax(-squared / squared.min(axis=1).mean(), axis=1)


def evaluate(X, proba, mode, sliced=False, batch_size=0):
    """Return the mean over random batches, weighted by their sizes."""
    import torch

    from gemclust.objectives import Batch, SlicedWasserstein, Wasserstein

    order = np.random.RandomState(0).permutation(len(X))
    total = 0.0
    for rows in np.array_split(order, max(1, round(len(X) / (batch_size or len(X))))):
        log_proba = torch.tensor(proba[rows])[None].log()
        weight = torch.full((len(rows),), 1 / len(rows), dtype=torch.float64)
        if sliced:
            objective, sight = SlicedWasserstein(mode), {"features": torch.tensor(X[rows])}
        else:
            objective = Wasserstein(mode)
            sight = {"matrix": torch.tensor(cdist(X[rows], X[rows])), "triangle": True}
        value = objective.evaluate(Batch(log_proba, weight, **sight))
        total += len(rows) / len(X) * float(value[0])
    return total


@cache
def exact(dataset, partition, mode):
    return evaluate(*partition_of(dataset, partition), mode)


def measure_bias(cell):
    estimate, partition = cell.method.split(" of ")
    mode = cell.objective[-3:]
    X, proba = partition_of(cell.dataset, partition)
    options = {"sliced": "sliced" in estimate, "batch_size": _batch_size(estimate)}
    start = time.perf_counter()
    value = evaluate(X, proba, mode, **options)
    seconds = time.perf_counter() - start
    reference = exact(cell.dataset, partition, mode)
    return row(X, value=value, exact=reference, ratio=value / reference, seconds=seconds)


def measure_time(cell):
    n_samples = int(cell.dataset.split("_")[1])
    centers = 5 * np.random.RandomState(0).randn(3, 10)
    sizes = np.full(3, n_samples // 3) + (np.arange(3) < n_samples % 3)
    X = np.concatenate([blobs([c], n, std=3.0)()[0] for c, n in zip(centers, sizes, strict=True)])
    if cell.method == "gemclus":
        return row(X, seconds=epoch_of_gemclus(X), note="one epoch of MLPWasserstein, full batch")
    value, seconds = steps(X, cell.method.startswith("sliced"), **TIMED[cell.method])
    return row(X, value=value, seconds=min(seconds[1:]))


def steps(X, sliced, memory=False, triangle=False, threads=1):
    """Return the last value and the seconds of each evaluation, the first one of which is cold."""
    import torch

    from gemclust.objectives import Batch, SlicedWasserstein, Wasserstein

    torch.set_num_threads(threads)
    rng = np.random.RandomState(0)
    parameters = rng.randn(X.shape[1], 3) / np.sqrt(X.shape[1])
    weight = torch.full((len(X),), 1 / len(X), dtype=torch.float64)
    sight = {"features": torch.tensor(X)} if sliced else {"matrix": torch.tensor(cdist(X, X))}
    kept = {} if memory else None
    objective, seconds = SlicedWasserstein() if sliced else Wasserstein(), []
    for _ in range(N_STEPS):
        logits = torch.tensor((X / X.std() @ parameters)[None], requires_grad=True)
        start = time.perf_counter()
        log_proba = logits.log_softmax(-1)
        batch = Batch(log_proba, weight, **sight, triangle=triangle, memory=kept)
        value = objective.evaluate(batch)
        value.sum().backward()
        seconds.append(time.perf_counter() - start)
        parameters += 1e-3 * rng.choice([-1, 1], parameters.shape)
    torch.set_num_threads(1)
    return float(value.detach()[0]), seconds


def epoch_of_gemclus(X):
    try:
        from gemclus.mlp import MLPWasserstein
    except ImportError as error:
        raise Unavailable("gemclus is missing: pip install 'gemclust[bench]'") from error

    def seconds(max_iter):
        model = MLPWasserstein(3, max_iter=max_iter, random_state=0)
        return min(harness.timed(lambda: model.fit(X))[0] for _ in range(3))

    return (seconds(5) - seconds(1)) / 4


def row(X, **columns):
    return dict.fromkeys(COLUMNS[4:], "") | {"n_samples": len(X)} | columns


def measure(cell):
    return measure_bias(cell) if " of " in cell.method else measure_time(cell)


if __name__ == "__main__":
    sys.exit(harness.main(__doc__, cells, measure, RESULTS, COLUMNS))
