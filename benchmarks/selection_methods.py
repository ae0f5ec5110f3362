"""How each method finds the number of clusters, up to the same bound for all of them."""

import math
from functools import partial
from typing import NamedTuple

import numpy as np
import suite
from datasets import Unavailable
from sklearn.cluster import HDBSCAN, KMeans, MeanShift
from sklearn.metrics import silhouette_score
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.neighbors import NearestNeighbors

REFERENCES = 10  # uniform samples of the gap statistic
PATIENCE = 10  # numbers of components without a better BIC after which the search ends
SILHOUETTE_SAMPLES = 2000
FULL_BATCH = 1000  # samples above which gemclus's defaults would take minutes


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


def gemclust_tree_oracle(problem):
    """The tree of units, cut where it is told to."""
    from gemclust import GeminiClustering

    model = GeminiClustering(max_clusters=problem.max_clusters, random_state=problem.seed)
    most = len(model.fit(problem.X).selection_.leaves)
    numbers = {min(number, most) for number in suite.true_numbers(problem.labelings)}
    cuts = [model.cut(problem.X, n_clusters=number)[0] for number in numbers]
    return max(cuts, key=lambda labels: suite.ari(labels, problem.labelings))


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
    size = min(SILHOUETTE_SAMPLES, len(problem.X))
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

    options = {}  # 1,000 epochs on the full batch; on mini-batches, twice as many steps
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
    "gemclust_tree_oracle": gemclust_tree_oracle,
    "gemclus_ova": partial(gemclus, ovo=False),
    "gemclus_ovo": partial(gemclus, ovo=True),
}
UNSEEDED = [name for name in METHODS if name.startswith("hdbscan")] + ["mean_shift"]
