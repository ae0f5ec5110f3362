"""Situations of the page on choosing that no other benchmark covers, as curves, text and graphs.

    python benchmarks/choosing.py [--only PATTERN ...] [--seeds 5] [--redo]

Every method is told the true number of clusters, except where noise is to be told from clusters.
Rows go to results/choosing.csv as they are done; running again continues. A PATTERN is matched with
SET/METHOD/SITUATION, for example '*/*/curved'.
"""

import harness  # isort: skip  (limits the threads before numpy is imported)

import sys
from pathlib import Path

import numpy as np
import suite
from datasets import from_file_or_openml, openml
from papers.affinity import load_bbc
from scipy.linalg import expm
from scipy.sparse.csgraph import laplacian
from sklearn.cluster import HDBSCAN, KMeans, SpectralClustering
from sklearn.metrics import adjusted_rand_score
from torch import nn

from gemclust import GeminiClustering
from gemclust.objectives import MMD, Wasserstein

RESULTS = Path(__file__).parent / "results" / "choosing.csv"
COLUMNS = [*harness.Cell._fields, "n_samples", "n_found", "ari", "ari_without_noise"]
COLUMNS += ["seconds", "note"]
SAMPLES = 500  # at most so many of a curved set
CURVED = (
    *("moons/noise_05", "moons/noise_10", "circles/two", "circles/three"),
    *("fcps/chainlink", "fcps/atom"),
)
UNITS = 50
BLOCKS, NODES, WITHIN, BETWEEN = 4, 40, 0.25, 0.05  # edges of a graph, with these probabilities
NOISE = 0.3  # share of the samples
NEAREST = 15  # HDBSCAN's smallest cluster
STROKES, STROKE_POINTS = 2000, 8  # so many digits written by a pen, of so many points each
DIRECTIONS, SPREAD = 4, 0.4  # in ten dimensions; how far samples are turned away from them
WORDS, LENGTH, EDITS = 4, 12, 4  # words of random letters, and the changes of letters in each copy


def gemini(k, seed, **parameters):
    return GeminiClustering(k, random_state=seed, **parameters)


def kmeans(k, seed):
    return KMeans(k, n_init=10, random_state=seed)


class Points(nn.Module):
    """Rows as sequences of points in the plane, coordinates first."""

    def forward(self, rows):
        return rows.unflatten(1, (STROKE_POINTS, 2)).transpose(1, 2)


def convolution(n_features, n_clusters):
    return nn.Sequential(
        Points(),
        *(nn.Conv1d(2, 32, 3, padding=1), nn.ReLU()),
        *(nn.Conv1d(32, 32, 3, padding=1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(32 * STROKE_POINTS, n_clusters)),
    )


METHODS = {
    "curved": {
        "kmeans": kmeans,
        "units": lambda k, seed: gemini(k, seed, n_units=UNITS),
        "rbf": lambda k, seed: gemini(k, seed, objective=MMD("ovo", "rbf", gamma="median")),
        "geodesic": lambda k, seed: gemini(
            k, seed, objective=Wasserstein("ovo", metric="geodesic"), n_init=3
        ),
    },
    "text": {
        "kmeans": kmeans,
        "linear": lambda k, seed: gemini(k, seed, model="linear"),
        "mlp": gemini,
    },
    "graph": {
        "spectral": lambda k, seed: SpectralClustering(
            k, affinity="precomputed", assign_labels="cluster_qr", random_state=seed
        ),
        "categorical": lambda k, seed: gemini(
            k, seed, model="categorical", objective=MMD("ovo", kernel="precomputed"), n_init=20
        ),
    },
    "sequences": {
        "kmeans": kmeans,
        "mlp": gemini,
        "units": lambda k, seed: gemini(k, seed, n_units=UNITS),
        "vat": lambda k, seed: gemini(k, seed, model="mlp", objective="mi", vat=1.0),
        "convolution": lambda k, seed: gemini(k, seed, model=convolution, max_iter=100),
    },
    "directions": {
        "kmeans": kmeans,
        "linear": gemini,
        "cosine": lambda k, seed: gemini(k, seed, objective=MMD("ovo", kernel="cosine")),
    },
    "strings": {
        "spectral": lambda k, seed: SpectralClustering(
            k, affinity="precomputed", assign_labels="cluster_qr", random_state=seed
        ),
        "categorical": lambda k, seed: gemini(
            k, seed, model="categorical", objective=Wasserstein("ovo", metric="precomputed")
        ),
    },
    "noise": {
        "hdbscan": lambda k, seed: HDBSCAN(min_cluster_size=NEAREST, copy=True),
        "auto": lambda k, seed: gemini("auto", seed),
    },
}
SETS = {
    "curved": CURVED,
    "text": ("bbc",),
    "graph": ("blocks",),
    "noise": ("noisy",),
    "sequences": ("penbased",),
    "directions": ("directions",),
    "strings": ("words",),
}


def cells(n_seeds):
    for situation, sets in SETS.items():
        for name in sets:
            for method in METHODS[situation]:
                for seed in range(n_seeds):
                    yield harness.Cell(name, method, situation, seed)


def blocks(seed):
    """Adjacency and groups of a graph whose nodes are more often joined within their group."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(BLOCKS), NODES)
    chance = np.where(y[:, None] == y, WITHIN, BETWEEN)
    upper = np.triu(rng.uniform(size=chance.shape) < chance, 1)
    return (upper | upper.T).astype(float), y


def noisy(seed):
    """Four groups in a square of even noise, whose class is -1."""
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1, 2, 3, -1], [175, 175, 175, 175, int(700 * NOISE / (1 - NOISE))])
    X = rng.uniform(-12, 12, (len(y), 2))
    centres = np.array([[-6, -6], [6, -6], [-6, 6], [6, 6]])
    X[y >= 0] = centres[y[y >= 0]] + rng.normal(size=((y >= 0).sum(), 2))
    return X, y


def curved(cell):
    X, labelings = suite.load(cell.dataset, SAMPLES, cell.seed)
    return X, labelings[0]


def strokes(seed):
    """Some of the digits of `penbased`, each the points of a pen at equal distances."""
    X, y, _ = from_file_or_openml("penbased", openml("pendigits"))()
    chosen = np.random.default_rng(seed).permutation(len(X))[:STROKES]
    return np.asarray(X[chosen], dtype=float), y[chosen]


def directions(seed):
    """Samples along a few directions, of lengths that say nothing."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(DIRECTIONS), 200)
    X = np.eye(10)[y] + SPREAD / np.sqrt(10) * rng.normal(size=(len(y), 10))
    return X * rng.lognormal(sigma=1.0, size=(len(y), 1)), y


def strings(seed):
    """Edit distances between copies of a few words, each with some letters changed."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(WORDS), 50)
    copies = rng.integers(26, size=(WORDS, LENGTH))[y]
    for copy in copies:
        copy[rng.permutation(LENGTH)[:EDITS]] = rng.integers(26, size=EDITS)
    return np.array([[edit_distance(a, b) for b in copies] for a in copies], dtype=float), y


def edit_distance(first, second):
    """Least number of letters to change, insert or leave out."""
    row = np.arange(len(second) + 1)
    for i, letter in enumerate(first, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(second, 1):
            step = min(row[j] + 1, row[j - 1] + 1, diagonal + (letter != other))
            diagonal, row[j] = row[j], step
    return row[-1]


LOADERS = {
    "curved": curved,
    "text": lambda cell: load_bbc(),
    "graph": lambda cell: blocks(cell.seed),
    "noise": lambda cell: noisy(cell.seed),
    "sequences": lambda cell: strokes(cell.seed),
    "directions": lambda cell: directions(cell.seed),
    "strings": lambda cell: strings(cell.seed),
}


def fit(cell, X, k):
    model = METHODS[cell.objective][cell.method](k, cell.seed)
    if cell.objective == "strings":
        own = cell.method == "categorical"
        numbers = np.arange(len(X))[:, None]
        return model.fit(numbers, affinity=X) if own else model.fit(np.exp(-X / X.mean()))
    if cell.method == "categorical":
        heat = expm(-3.0 * laplacian(X, normed=True))
        return model.fit(np.arange(len(X))[:, None], affinity=heat)
    return model.fit(X)


def measure(cell):
    """One row: agreement with the classes, of which noise is one, and without noise."""
    X, y = LOADERS[cell.objective](cell)
    classes, y = np.unique(y, return_inverse=True)
    fitted = []
    seconds, notes = harness.timed(lambda: fitted.append(fit(cell, X, len(classes))))
    labels = fitted[0].labels_
    inside = classes[y] >= 0 if cell.objective == "noise" else np.ones(len(y), dtype=bool)
    return {
        "n_samples": len(y),
        "n_found": len(set(labels) - {-1}),
        "ari": adjusted_rand_score(y, labels),
        "ari_without_noise": adjusted_rand_score(y[inside], labels[inside]),
        "seconds": seconds,
        "note": " ".join(notes),
    }


if __name__ == "__main__":
    sys.exit(harness.main(__doc__, cells, measure, RESULTS, COLUMNS, seeds=5))
