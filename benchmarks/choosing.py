"""Situations of the page on choosing that no other benchmark covers: curves, text, graphs, noise.

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
from papers.affinity import load_bbc
from scipy.linalg import expm
from scipy.sparse.csgraph import laplacian
from sklearn.cluster import HDBSCAN, KMeans, SpectralClustering
from sklearn.metrics import adjusted_rand_score

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


def gemini(k, seed, **parameters):
    return GeminiClustering(k, random_state=seed, **parameters)


def kmeans(k, seed):
    return KMeans(k, n_init=10, random_state=seed)


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
    "noise": {
        "hdbscan": lambda k, seed: HDBSCAN(min_cluster_size=NEAREST, copy=True),
        "auto": lambda k, seed: gemini("auto", seed),
    },
}
SETS = {"curved": CURVED, "text": ("bbc",), "graph": ("blocks",), "noise": ("noisy",)}


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


def load(cell):
    """Samples (or the matrix between them) and their classes."""
    if cell.objective == "curved":
        X, labelings = suite.load(cell.dataset, SAMPLES, cell.seed)
        return X, labelings[0]
    if cell.objective == "text":
        return load_bbc()
    return blocks(cell.seed) if cell.objective == "graph" else noisy(cell.seed)


def fit(cell, X, k):
    model = METHODS[cell.objective][cell.method](k, cell.seed)
    if cell.method == "categorical":
        heat = expm(-3.0 * laplacian(X, normed=True))
        return model.fit(np.arange(len(X))[:, None], affinity=heat)
    return model.fit(X)


def measure(cell):
    """One row: agreement with the classes, of which noise is one, and without noise."""
    X, y = load(cell)
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
