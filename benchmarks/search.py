"""Searches without classes: the number of clusters, kernel and objective that each scorer finds.

    python benchmarks/search.py [--only PATTERN ...] [--seeds 2] [--redo]

Rows go to results/search.csv as they are done; running again continues. A PATTERN is matched with
SET/SCORER/GRID, for example 'uci/*' or '*/heldout/*'.
"""

import harness  # isort: skip  (limits the threads before numpy is imported)

import sys
import time
import warnings
from functools import cache, partial
from pathlib import Path

import numpy as np
import suite
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.model_selection import GridSearchCV, ShuffleSplit

from gemclust import GeminiClustering
from gemclust.metrics import (
    GeminiScorer,
    calinski_harabasz_scorer,
    davies_bouldin_scorer,
    silhouette_scorer,
)
from gemclust.metrics.scorers import agreement, found_again, two_labelings
from gemclust.objectives import MMD

RESULTS = Path(__file__).parent / "results" / "search.csv"
COLUMNS = [*harness.Cell._fields, "n_samples", "true", "found", "exact", "within_one", "most"]
COLUMNS += ["chosen", "ari", "seconds", "note"]
SAMPLES = 500  # at most so many of a set
FOLDS = 5
NUMBERS = (1, 2, 3, 4, 5, 6, 8, 10)
WIDTHS = (1, 8)  # gamma of the kernel, in that of the median distance
GRIDS = ("number", "all")
SETS = (
    *("blobs/k2_d10", "blobs/k3_d2", "blobs/k5_d2", "blobs/k5_d10", "moons/noise_05"),
    *("circles/two", "anisotropic/k3_d2", "imbalanced/k3_d2", "imbalanced/k4_d10"),
    *("varied/k3_d2", "noise_features/k3_d2", "outliers/k4_d2", "student/df10"),
    *("one/gaussian_2", "one/uniform_2", "one/gaussian_10", "one/uniform_3", "one/exponential_2"),
    *("one/correlated_10", "fcps/chainlink", "fcps/lsun", "fcps/tetra", "fcps/twodiamonds"),
    *("wut/x2", "uci/wine", "uci/ecoli", "sklearn/iris"),
)
SCORERS = {
    "own": lambda model, X: model.score(X),
    "gemini_mmd": GeminiScorer("mmd_ovo"),
    "gemini_rbf": GeminiScorer(MMD("ovo", kernel="rbf")),
    "silhouette": silhouette_scorer,
    "calinski_harabasz": calinski_harabasz_scorer,
    "davies_bouldin": davies_bouldin_scorer,
}
# What two models must agree by to have found something: a constant, or 1 less so much over the
# root of the number of held-out samples, of which `heldout_scorer` has one.
CONSTANTS = (0.8, 0.85, 0.9, 0.95)
RATES = (1.2, 1.4, 1.6, 1.8, 2.0, 2.4, 3.0)
FIXED = {least: f"constant_{least}" for least in CONSTANTS}
HELDOUT = {rate: f"heldout_{rate}" for rate in RATES}
AGREEMENTS = {name: partial(found_again, least=least) for least, name in FIXED.items()}
AGREEMENTS |= {name: partial(found_again, rate=rate) for rate, name in HELDOUT.items()}
AGREEMENTS |= {"stability": agreement}
METHODS = (*AGREEMENTS, *SCORERS, "classes")  # the last is told them


def cells(n_seeds):
    for seed in range(n_seeds):
        for name in SETS:
            for method in METHODS:
                for grid in GRIDS:
                    yield harness.Cell(name, method, grid, seed)
            yield harness.Cell(name, "auto", "number", seed)


def families(X):
    """Name -> parameters; the number of clusters is searched in each of them."""
    gamma = 0.5 / np.median(euclidean_distances(X, squared=True))
    kernels = {f"rbf {w}": {"objective": [MMD("ovo", "rbf", gamma=w * gamma)]} for w in WIDTHS}
    named = {name: {"objective": [name]} for name in ("mmd_ovo", "tv_ova")}
    return named | kernels | {"units": {"n_units": [40]}}


def score(model, X, y):
    """All scorers at once; the second model is fitted once for all that need it."""
    labels = two_labelings(model, X)
    found = {name: measure(*labels) for name, measure in AGREEMENTS.items()}
    found |= {name: scorer(model, X) for name, scorer in SCORERS.items()}
    return found | {"classes": suite.ari(labels[0], y.T), "clusters": len(np.unique(labels[0]))}


class Search:
    """The scores of all candidates on one set; `classes` is the ARI with the true labels."""

    def __init__(self, name, seed):
        X, labelings = suite.load(name, SAMPLES, seed)
        self.n_samples, self.true = len(X), suite.true_numbers(labelings)
        grids = families(X)
        model = GeminiClustering(n_init=3, random_state=seed)
        start = time.perf_counter()
        search = GridSearchCV(
            model,
            [grid | {"n_clusters": list(NUMBERS)} for grid in grids.values()],
            scoring=score,
            refit=False,
            cv=ShuffleSplit(FOLDS, test_size=0.5, random_state=seed),
            error_score="raise",
        )
        with warnings.catch_warnings(action="ignore"):
            search.fit(X, np.column_stack(labelings))
        self.seconds = time.perf_counter() - start
        self.results = search.cv_results_
        self.families = np.repeat(list(grids), len(NUMBERS))

    def of(self, method):
        """The mean score of each candidate."""
        return self.results[f"mean_test_{method}"]

    def best(self, method, grid):
        """The candidate of a grid, all or only those of the default objective, that scores most."""
        among = np.flatnonzero((self.families == "mmd_ovo") | (grid == "all"))
        return int(among[np.argmax(self.of(method)[among])])


@cache
def search(name, seed):
    return Search(name, seed)


def automatic(cell):
    """One row: what a single fit of all samples finds, and its ARI with the classes."""
    X, labelings = suite.load(cell.dataset, SAMPLES, cell.seed)
    model = GeminiClustering(random_state=cell.seed)
    seconds, _ = harness.timed(lambda: model.fit(X))
    ari = suite.ari(model.labels_, labelings)
    return row(len(X), suite.true_numbers(labelings), model.n_clusters_, ari, seconds)


def row(n_samples, true, number, ari, seconds, most=False, chosen=""):
    distance = min(abs(number - k) for k in true)
    return {
        "n_samples": n_samples,
        "true": "|".join(map(str, sorted(true))),
        "found": number,
        "exact": int(distance == 0),
        "within_one": int(distance <= 1),
        "most": int(most),
        "chosen": chosen,
        "ari": ari,
        "seconds": seconds,
        "note": "",
    }


def measure(cell):
    """One row: what a scorer chooses, and the ARI of the held-out samples with the classes."""
    if cell.method == "auto":
        return automatic(cell)
    found = search(cell.dataset, cell.seed)
    best = found.best(cell.method, cell.objective)
    number = round(found.of("clusters")[best])
    most = found.results["params"][best]["n_clusters"] == max(NUMBERS)
    ari, family = found.of("classes")[best], found.families[best]
    return row(found.n_samples, found.true, number, ari, found.seconds, most, family)


if __name__ == "__main__":
    sys.exit(harness.main(__doc__, cells, measure, RESULTS, COLUMNS, seeds=2))
