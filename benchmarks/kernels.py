"""How well features stand for a kernel: ways to choose landmarks, and random Fourier features.

    python benchmarks/kernels.py [--only PATTERN ...] [--seeds 5] [--redo]

Rows go to results/kernels.csv as they are done; running again continues. A PATTERN is matched
with DATASET/METHOD/KERNEL, for example 'digits/uniform/*' or '*/*/rbf 10x 500'; KERNEL names the
kernel, how many times gamma="median" its gamma is, and the number of components.
"""

import harness  # isort: skip  (limits the threads before numpy is imported)

import sys
from functools import cache
from itertools import product
from pathlib import Path
from time import perf_counter

import numpy as np
from datasets import DATASETS as COMMON
from datasets import Dataset, from_file_or_openml, grey_values, load, openml, subsample
from sklearn.cluster import KMeans
from sklearn.kernel_approximation import RBFSampler

RESULTS = Path(__file__).parent / "results" / "kernels.csv"
ERRORS = [f"{mode}_{labels}" for labels in ("truth", "kmeans") for mode in ("ova", "ovo")]
COLUMNS = [*harness.Cell._fields, "rank", "frobenius", *ERRORS, "seconds_landmarks", "seconds"]
COLUMNS += ["note"]

COMPONENTS = (25, 50, 100, 200, 500, 1000)
MOST_SLOW = 200  # of methods that take one landmark after the other
ENTRIES = 1_000  # the matrix is compared between so many rows,
SAMPLES = 5_000  # and partitions are of so many, because the exact value needs their matrix


DATASETS = {
    "digits": COMMON["digits"],
    "optdigits": COMMON["optdigits"],
    "penbased": Dataset(from_file_or_openml("penbased", openml("pendigits")), (10992, 16)),
    "shuttle": Dataset(
        subsample(from_file_or_openml("shuttle", openml("shuttle")), 5000), (5000, 9)
    ),
    "mnist": Dataset(
        grey_values(subsample(from_file_or_openml("mnist", openml("mnist_784")), 5000)),
        (5000, 784),
        standardise=False,
    ),
}
WIDTHS = ("rbf 1x", "rbf 10x", "laplacian 1x", "laplacian 10x")
KERNELS = {
    "digits": (*WIDTHS, "polynomial 1x"),
    "optdigits": ("rbf 1x", "rbf 10x", "laplacian 1x"),
    "penbased": ("rbf 1x", "rbf 10x", "laplacian 1x"),
    "shuttle": ("rbf 1x", "rbf 10x", "laplacian 1x"),
    "mnist": ("rbf 1x", "rbf 10x"),
}


@cache
def data(name):
    """X; the true partition and that of K-means."""
    X, y, source = load(name, DATASETS)
    order = np.random.default_rng(1).permutation(len(X))
    X, y = X[order], y[order]
    print(f"{name}: {X.shape[0]} x {X.shape[1]}, {source}", flush=True)
    return X, y, KMeans(y.max() + 1, n_init=1, random_state=0).fit_predict(X)


@cache
def kernel_of(dataset, name):
    """The kernel, with gamma so many times the median's; scikit-learn's own for polynomial."""
    from gemclust.kernels import Kernel
    from gemclust.objectives import MMD

    X = data(dataset)[0]
    family, factor = name.split()
    gamma = "median" if family in ("rbf", "laplacian") else 1 / X.shape[1]
    kernel = Kernel(MMD(kernel=family, gamma=gamma), X, np.ones(len(X)))
    kernel.parameters["gamma"] *= int(factor[:-1])
    return kernel


@cache
def exact(dataset, name):
    """The matrix between some rows, and the values of the partitions."""
    from gemclust.metrics import gemini_score
    from gemclust.objectives import MMD

    X, *partitions = data(dataset)
    kernel = kernel_of(dataset, name)
    gamma = kernel.parameters["gamma"]
    values = [
        gemini_score(X[:SAMPLES], y[:SAMPLES], MMD(mode, kernel.kernel, gamma, n_components=None))
        for y, mode in product(partitions, ("ova", "ovo"))
    ]
    return kernel(X[:ENTRIES], X[:ENTRIES]), np.array(values)


# Ways to choose landmarks: (kernel, X, number, seed) -> landmarks.


def gemclust(kernel, X, size, seed):
    from gemclust.features import choose_landmarks

    return choose_landmarks(kernel, X, size, seed)


def random_pivots(kernel, X, size, seed):
    from gemclust.features import random_pivots

    return X[random_pivots(kernel, X, size, np.ones(len(X)), np.random.RandomState(seed))]


def greedy_pivots(kernel, X, size, seed):
    """Pivoted Cholesky: the row of which most is left comes next."""
    residual, factor, pivots = diagonal(kernel, X), np.zeros((len(X), size)), []
    for step in range(size):
        pivot = residual.argmax() if pivots else seed % len(X)
        if residual[pivot] <= 1e-12:
            break
        column = kernel(X, X[[pivot]])[:, 0] - factor[:, :step] @ factor[pivot, :step]
        factor[:, step] = column / np.sqrt(column[pivot])
        residual = np.maximum(residual - factor[:, step] ** 2, 0)
        pivots.append(pivot)
    return X[pivots]


def kernel_kmeanspp(kernel, X, size, seed):
    """K-means++ between the features: with probability proportional to the squared distance."""
    norms, chosen, rng = diagonal(kernel, X), [], np.random.RandomState(seed)
    distances = np.full(len(X), np.inf)
    for _ in range(size):
        share = distances / distances.sum() if chosen else None
        chosen.append(rng.choice(len(X), p=share))
        to_it = norms + norms[chosen[-1]] - 2 * kernel(X, X[chosen[-1:]])[:, 0]
        distances = np.minimum(distances, np.maximum(to_it, 0))
        if not distances.any():
            break
    return X[chosen]


def leverage_scores(kernel, X, size, seed):
    """With probability proportional to ridge leverage scores from as many uniform landmarks."""
    from gemclust.features import Nystroem

    sketch, rng = uniform(kernel, X, size, seed), np.random.RandomState(seed + 1_000)
    features = Nystroem(kernel, sketch, size, 0)(X)
    left = np.maximum(diagonal(kernel, X) - np.square(features).sum(1), 0)
    ridge = max(left.sum() / size, 1e-9 * np.square(features).sum())
    inverse = np.linalg.inv(features.T @ features + ridge * np.eye(features.shape[1]))
    scores = (features @ inverse * features).sum(1) + left / ridge
    return X[rng.choice(len(X), size, replace=False, p=scores / scores.sum())]


def kmeans(kernel, X, size, seed):
    """Centres after five steps of K-means from random rows."""
    model = KMeans(size, init="random", n_init=1, max_iter=5, random_state=seed)
    return model.fit(X).cluster_centers_


def uniform(kernel, X, size, seed):
    return X[np.random.RandomState(seed).permutation(len(X))[:size]]


def diagonal(kernel, X):
    blocks = (X[start : start + 50] for start in range(0, len(X), 50))
    return np.concatenate([kernel(block, block).diagonal() for block in blocks])


SLOW = (greedy_pivots, kernel_kmeanspp, leverage_scores)
METHODS = {method.__name__: method for method in (uniform, kmeans, *SLOW, random_pivots, gemclust)}


def cells(n_seeds):
    """The cross product."""
    slow = [method.__name__ for method in SLOW]
    for seed, dataset in product(range(n_seeds), DATASETS):
        for kernel, size in product(KERNELS[dataset], COMPONENTS):
            for method in (*METHODS, "fourier"):
                if method == "fourier" and not kernel.startswith("rbf"):
                    continue
                if method in slow and size > MOST_SLOW:
                    continue
                yield harness.Cell(dataset, method, f"{kernel} {size}", seed)


def features_of(cell):
    """Features of all rows; the seconds until the landmarks stood and all in all."""
    from gemclust.features import Nystroem

    X, *_ = data(cell.dataset)
    name, size = cell.objective.rsplit(" ", 1)
    kernel = kernel_of(cell.dataset, name)
    size = min(int(size), len(X))
    start = perf_counter()
    if cell.method == "fourier":
        fourier = RBFSampler(
            gamma=kernel.parameters["gamma"], n_components=size, random_state=cell.seed
        )
        return fourier.fit_transform(X), 0.0, perf_counter() - start
    landmarks = METHODS[cell.method](kernel, X, size, cell.seed)
    chosen = perf_counter()
    # As many components as rows: all of them are landmarks.
    features = Nystroem(kernel, landmarks, len(landmarks), 0)(X)
    return features, chosen - start, perf_counter() - start


def values_of(features, y):
    """One-vs-all and one-vs-one MMD of a partition."""
    share = np.eye(y.max() + 1)[y] / len(y)
    size, embeddings = share.sum(0), share.T @ features
    to_all = embeddings - size[:, None] * embeddings.sum(0)
    to_one = size[:, None] * embeddings[:, None] - size[:, None, None] * embeddings
    return [np.linalg.norm(to_all, axis=-1).sum(), np.linalg.norm(to_one, axis=-1).sum()]


def measure(cell):
    _, *partitions = data(cell.dataset)
    matrix, values = exact(cell.dataset, cell.objective.rsplit(" ", 1)[0])
    features, seconds_landmarks, seconds = features_of(cell)
    some = features[:ENTRIES]
    approximate = np.ravel([values_of(features[:SAMPLES], y[:SAMPLES]) for y in partitions])
    errors = map(float, np.abs(approximate / values - 1))
    return dict(zip(ERRORS, errors, strict=True)) | {
        "rank": features.shape[1],
        "frobenius": float(np.linalg.norm(matrix - some @ some.T) / np.linalg.norm(matrix)),
        "seconds_landmarks": seconds_landmarks,
        "seconds": seconds,
        "note": "",
    }


if __name__ == "__main__":
    sys.exit(harness.main(__doc__, cells, measure, RESULTS, COLUMNS, seeds=5))
