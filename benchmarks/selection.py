"""The number of clusters that each method finds: ours, its peers, and an oracle that is told.

    python benchmarks/selection.py [--only PATTERN ...] [--seeds 5] [--redo]
    python benchmarks/selection.py --summary

Rows go to results/selection.csv as they are done; running again continues. A PATTERN is matched
with SET/METHOD/MAX_SAMPLES, for example 'fcps/*' or '*/hdbscan_15/2000'.
"""

import harness  # isort: skip  (limits the threads before numpy is imported)

import argparse
import math
import signal
import sys
from contextlib import contextmanager
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import suite
from datasets import Unavailable
from sklearn.cluster import HDBSCAN, KMeans, MeanShift
from sklearn.metrics import silhouette_score
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.neighbors import NearestNeighbors

RESULTS = Path(__file__).parent / "results"
COLUMNS = [*harness.Cell._fields, "n_samples", "true", "found", "exact", "within_one", "ari"]
COLUMNS += ["seconds", "note"]
FEW, ALL = "2000", "10000"  # at most that many samples of a set; no set has more than ALL
REAL = ("fcps", "wut", "uci", "sklearn")
TIME_LIMIT = 120  # seconds for each fit
REFERENCES = 10  # uniform samples of the gap statistic
PATIENCE = 10  # numbers of components without a better BIC after which the search ends
# Samples above which gemclus is run with one seed; and above which its defaults, 1,000 epochs on
# the full batch, take minutes: there it takes twice as many steps, on mini-batches.
SINGLE_SEED, FULL_BATCH = 500, 1000


class Problem(NamedTuple):
    """What a method is given; only an oracle looks at the labelings."""

    X: np.ndarray
    max_clusters: int
    seed: int
    labelings: list


# Each method: Problem -> labels; negative ones are noise.


def gemclust(problem):
    from gemclust import GeminiClustering

    model = GeminiClustering(max_clusters=problem.max_clusters, random_state=problem.seed)
    return model.fit_predict(problem.X)


def kmeans(problem, n_clusters, X=None):
    X = problem.X if X is None else X
    return KMeans(n_clusters, n_init=3, random_state=problem.seed).fit(X)


def hdbscan(problem, min_cluster_size, reassign=False):
    labels = HDBSCAN(min_cluster_size=min_cluster_size, copy=True).fit_predict(problem.X)
    clustered = labels >= 0
    if not reassign or clustered.all():
        return labels
    if not clustered.any():
        return np.zeros_like(labels)
    index = NearestNeighbors(n_neighbors=1).fit(problem.X[clustered])
    nearest = index.kneighbors(problem.X[~clustered], return_distance=False)[:, 0]
    labels[~clustered] = labels[clustered][nearest]
    return labels


def clustpy(problem, name, surplus=0):
    import clustpy.centroid

    method = getattr(clustpy.centroid, name)
    # From one cluster: X-means's own default of two could not find a single one.
    model = method(
        n_clusters_init=1,
        max_n_clusters=problem.max_clusters - surplus,
        random_state=problem.seed,
    )
    return model.fit(problem.X).labels_


def mixture_bic(problem):
    best, best_bic, waited = None, np.inf, 0
    for n_components in range(1, problem.max_clusters + 1):
        model = GaussianMixture(n_components, random_state=problem.seed).fit(problem.X)
        bic = model.bic(problem.X)
        waited += 1
        if bic < best_bic:
            best, best_bic, waited = model, bic, 0
        if waited == PATIENCE:
            break
    return best.predict(problem.X)


def bayesian_mixture(problem):
    model = BayesianGaussianMixture(
        n_components=problem.max_clusters, max_iter=500, random_state=problem.seed
    )
    return model.fit_predict(problem.X)


def kmeans_silhouette(problem):
    fits = [kmeans(problem, k).labels_ for k in range(2, problem.max_clusters + 1)]
    size = min(2000, len(problem.X))
    scores = [silhouette_score(problem.X, y, sample_size=size, random_state=0) for y in fits]
    return fits[int(np.argmax(scores))]


def kmeans_gap(problem):
    """Tibshirani, Walther and Hastie (2001), references uniform over the principal axes' box."""
    rng = np.random.RandomState(problem.seed)
    mean = problem.X.mean(axis=0)
    _, _, axes = np.linalg.svd(problem.X - mean, full_matrices=False)
    scores = (problem.X - mean) @ axes.T
    low, high = scores.min(axis=0), scores.max(axis=0)
    references = [rng.uniform(low, high, scores.shape) for _ in range(REFERENCES)]
    before = before_gap = None
    for n_clusters in range(1, problem.max_clusters + 1):
        found = kmeans(problem, n_clusters)
        logs = [np.log(kmeans(problem, n_clusters, X).inertia_) for X in references]
        gap = np.mean(logs) - np.log(found.inertia_)
        error = np.std(logs) * np.sqrt(1 + 1 / REFERENCES)
        if before is not None and before_gap >= gap - error:
            return before.labels_
        before, before_gap = found, gap
    return before.labels_


def mean_shift(problem):
    # Bins of the bandwidth's width as seeds: it is one point each where dimensions are many.
    return MeanShift(bin_seeding=True).fit_predict(problem.X)


def kmeans_oracle(problem):
    fits = [kmeans(problem, k).labels_ for k in suite.true_numbers(problem.labelings)]
    return max(fits, key=lambda labels: suite.ari(labels, problem.labelings))


def gemclus(problem, ovo):
    try:
        from gemclus.mlp import MLPMMD
    except ImportError as error:
        raise Unavailable("gemclus is missing: pip install 'gemclust[bench]'") from error

    options = {}
    if len(problem.X) > FULL_BATCH:
        options = {"batch_size": 200, "max_iter": math.ceil(2000 * 200 / len(problem.X))}
    model = MLPMMD(problem.max_clusters, ovo=ovo, random_state=problem.seed, **options)
    return model.fit_predict(problem.X)


METHODS = {
    "gemclust": gemclust,
    "hdbscan_5": partial(hdbscan, min_cluster_size=5),
    "hdbscan_15": partial(hdbscan, min_cluster_size=15),
    "hdbscan_5_reassigned": partial(hdbscan, min_cluster_size=5, reassign=True),
    "hdbscan_15_reassigned": partial(hdbscan, min_cluster_size=15, reassign=True),
    "g_means": partial(clustpy, name="GMeans"),
    "x_means": partial(clustpy, name="XMeans"),
    # Its last split comes after it has compared with the bound.
    "dip_means": partial(clustpy, name="DipMeans", surplus=1),
    "mixture_bic": mixture_bic,
    "kmeans_silhouette": kmeans_silhouette,
    "kmeans_gap": kmeans_gap,
    "bayesian_mixture": bayesian_mixture,
    "mean_shift": mean_shift,
    "kmeans_oracle": kmeans_oracle,
    "gemclus_ova": partial(gemclus, ovo=False),
    "gemclus_ovo": partial(gemclus, ovo=True),
}
UNSEEDED = [name for name in METHODS if name.startswith("hdbscan")] + ["mean_shift"]
# Peers that run on the sets of many clusters and of one mode as well.
FURTHER = ["gemclust", *UNSEEDED[:4], "g_means", "dip_means", "mixture_bic", "kmeans_oracle"]


@cache
def n_samples(name):
    try:
        return len(suite.fetch(name)[0])
    except Unavailable:
        return 0  # one cell of it is left, which will say why


def cells(n_seeds):
    """Seed 0 of all methods first; further seeds only where the data or the method differ."""
    wanted = [(name, FEW) for name in suite.NAMES]
    wanted += [
        (name, ALL)
        for name in suite.NAMES
        if suite.kind(name) in REAL and n_samples(name) > int(FEW)
    ]
    further = [(name, ALL) for name in (*suite.BLOBS_MANY, *suite.UNIMODAL)]
    for seed in range(n_seeds):
        for method, (name, most) in product(METHODS, wanted):
            size = n_samples(name)
            seeded = method not in UNSEEDED or size > int(most)
            if method.startswith("gemclus_") and size > SINGLE_SEED:
                seeded = False
            if seeded or seed == 0:
                yield harness.Cell(name, method, most, seed)
        if seed == 0:
            for method, (name, most) in product(FURTHER, further):
                yield harness.Cell(name, method, most, seed)


class TimeLimit(Exception):
    """A fit took longer than ``TIME_LIMIT``."""


@contextmanager
def time_limit(seconds):
    def stop(*_):
        raise TimeLimit

    signal.signal(signal.SIGALRM, stop)
    # Again each second: code that swallows the first one must not go on for ever.
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def measure(cell):
    """One row; a fit that is stopped is a miss with ARI 0."""
    X, labelings = suite.load(cell.dataset, int(cell.objective), cell.seed)
    true = suite.true_numbers(labelings)
    problem = Problem(X, suite.upper_bound(cell.dataset), cell.seed, labelings)
    labels = []

    def fit():
        with time_limit(TIME_LIMIT):
            labels.append(METHODS[cell.method](problem))

    row = {"n_samples": len(X), "true": "|".join(map(str, sorted(true)))}
    try:
        seconds, warned = harness.timed(fit)
    except TimeLimit:
        missed = {"found": "", "exact": 0, "within_one": 0, "ari": 0.0}
        return row | missed | {"seconds": float(TIME_LIMIT), "note": "stopped"}
    found = len(np.unique(labels[0][labels[0] >= 0]))
    distance = min(abs(found - number) for number in true)
    return row | {
        "found": found,
        "exact": int(distance == 0),
        "within_one": int(distance <= 1),
        "ari": suite.ari(labels[0], labelings),
        "seconds": seconds,
        "note": "; ".join(warned),
    }


SCORES = ("exact", "within_one", "ari")


class Results:
    """The rows of results/selection.csv, averaged over the seeds of each set."""

    def __init__(self, path=RESULTS / "selection.csv"):
        self.rows = {}
        for row in harness.read(path):
            key = row["method"], row["dataset"], row["objective"]
            self.rows.setdefault(key, []).append(row)

    def of(self, method, name, most):
        """The rows of one set; what has no more than FEW samples is not run twice."""
        rows = self.rows.get((method, name, most), [])
        return rows or (self.rows.get((method, name, FEW), []) if n_samples(name) <= 2000 else [])

    def mean(self, method, names, most=FEW):
        """Shares of exact and within one, and mean ARI; None unless every set has a row."""
        groups = [self.of(method, name, most) for name in names]
        if not groups or not all(groups):
            return None
        return [
            float(np.mean([np.mean([float(row[score]) for row in rows]) for rows in groups]))
            for score in SCORES
        ]


def groups():
    """Name -> sets of the suite, as the columns of the study's table."""
    kinds = {name: suite.kind(name) for name in suite.NAMES}
    titles = {"fcps": ["fcps"], "wut": ["wut"], "uci, iris, digits": ["uci", "sklearn"]}
    titles |= {"one cluster": ["one"], "generated, K > 1": ["generated"]}
    return {f"all {len(kinds)}": list(kinds)} | {
        title: [name for name in kinds if kinds[name] in wanted] for title, wanted in titles.items()
    }


def summarise():
    """Print the table of the study: share exact / share within one / mean ARI."""
    results = Results()
    columns = groups()
    print(f"{'at most 2,000 samples':24}", *(f"{name:>17}" for name in columns))
    for method in METHODS:
        means = [results.mean(method, names) for names in columns.values()]
        if any(means):
            print(f"{method:24}", *(f"{text(mean):>17}" for mean in means))
    real = [name for name in suite.NAMES if suite.kind(name) in REAL]
    print(f"\n{'all points':24} {f'{len(real)} real':>17}")
    for method in METHODS:
        if mean := results.mean(method, real, ALL):
            print(f"{method:24} {text(mean):>17}")


def text(mean):
    return "/".join(f"{value:.2f}" for value in mean) if mean else "not run"


def main():
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--only", nargs="+", metavar="PATTERN", help="choose cells by name")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--redo", action="store_true", help="measure the chosen cells again")
    parser.add_argument("--summary", action="store_true", help="summarise the rows, run nothing")
    options = parser.parse_args()
    if options.summary:
        return summarise()
    harness.limit_torch()
    print(harness.environment())
    chosen = [cell for cell in cells(options.seeds) if cell.matches(options.only)]
    path = RESULTS / "selection.csv"
    return harness.run(chosen, measure, path, COLUMNS, options.redo) > 0


if __name__ == "__main__":
    sys.exit(main())
