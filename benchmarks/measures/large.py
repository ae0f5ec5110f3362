"""Many samples: against K-means, and how time grows."""

import numpy as np
from datasets import load_mnist
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from gemclust import GeminiClustering
from gemclust.distributed import ALONE
from gemclust.fitting import Fit
from gemclust.metrics import gemini_score
from gemclust.models import most_probable
from gemclust.objectives import get_objective
from gemclust.progress import Progress
from gemclust.shards import Shard
from measures.timing import Outcome, alternate, endless, seconds

WARM_UP = 12_000  # rows: enough for both to go the way they go on all
# Samples, features and clusters.
SELECTED = (
    (100, 8, 12),
    (1_000, 8, 12),
    (10_000, 2, 12),
    (10_000, 8, 12),
    (10_000, 30, 12),
    (20_000, 8, 12),
    (100_000, 8, 12),
    (1_000_000, 8, 12),
    (10_000, 1_000, 12),
    (1_000, 8, 1),
    (10_000, 2, 1),
    (10_000, 8, 1),
    (10_000, 30, 1),
    (100_000, 8, 1),
    (50_000, 8, 100),
    (50_000, 30, 100),
)
SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)


def mnist():
    """The 60,000 images of the training set, grey values in [0, 1]."""
    X, y = load_mnist()
    return (X[:60_000] / 255).astype(np.float32), y[:60_000]


def blobs():
    """A million samples of ten spherical clusters that overlap, in 32 dimensions."""
    X, y = make_blobs(1_000_000, 32, centers=10, cluster_std=7, random_state=0)
    return X.astype(np.float32), y


def kmeans(repeat, data, model="auto"):
    """A whole fit of ours and one of K-means, both with one seed and all cores."""
    X, y = data()
    ours = GeminiClustering(10, model=model, random_state=repeat)
    other = KMeans(10, n_init=1, random_state=repeat)
    for estimator in (ours, other):
        estimator.fit(X[:WARM_UP])
    times = alternate([lambda: ours.fit(X), lambda: other.fit(X)], 1, repeat)
    agreement = [adjusted_rand_score(y, estimator.labels_) for estimator in (ours, other)]
    values = [gemini_score(X, proba, "mmd_ovo") for proba in (ours.predict_proba(X), other.labels_)]
    return {
        "time": Outcome(*times, f"{ours.n_iter_} and {other.n_iter_} iterations"),
        "ari": Outcome(*agreement),
        "gemini": Outcome(*values, "ours: of its probabilities"),
    }


def growth(repeat, solver, iterations=None, batch_size=None):
    """Exponent of the time of a fit, of fixed length or to its end, in the number of samples."""
    X, _ = blobs()
    model = GeminiClustering(
        10, solver=solver, n_init=1, batch_size=batch_size, random_state=repeat
    ).set_params(**endless(iterations) if iterations else {})
    model.fit(X[:WARM_UP])
    order = SIZES[:: -1 if repeat % 2 else 1]
    times = {size: seconds(lambda size=size: model.fit(X[:size])) for size in order}
    exponent = np.polyfit(np.log(SIZES), np.log([times[size] for size in SIZES]), 1)[0]
    note = ", ".join(f"{size}: {times[size]:.3f} s" for size in SIZES)
    return {
        "": Outcome(
            float(exponent), note=f"{iterations or model.max_iter} iterations at most; {note}"
        )
    }


def selection(repeat, n_samples, n_features, n_clusters):
    """A fit that finds the number of clusters, and one of its units alone."""
    box = (-20, 20)
    X, y = make_blobs(n_samples, n_features, centers=n_clusters, center_box=box, random_state=0)
    X = X.astype(np.float32)
    ours = GeminiClustering("auto", random_state=repeat)
    ours.fit(X[:1_000])
    n_units = n_units_of(clone(ours).fit(X))
    units_alone(ours, X[:1_000], n_units)
    times = alternate([lambda: ours.fit(X), lambda: units_alone(ours, X, n_units)], 1, repeat)
    found = f"{ours.n_clusters_} of {n_clusters} clusters of {n_units} units"
    return {"": Outcome(*times, f"{found}, ARI {adjusted_rand_score(y, ours.labels_):.3f}")}


def n_units_of(model):
    """With how many units it ended."""
    return sum(len(units) for units in model.selection_.leaves)


def units_alone(model, X, n_units):
    """A fit of the estimator with that many units, each of which is a cluster: without valleys."""
    shard = Shard(X, np.broadcast_to(np.float32(1), len(X)), None, ALONE)
    fit = Fit(model, shard, get_objective("mmd_ovo"), Progress(model, 0))
    fit.train(n_units, merging=True)
    units = [[unit] for unit in range(n_units)]
    kept = fit.winners(0, units)
    parameters = fit.run.parameters[0].numpy()
    fit.frame.log_probabilities(X, parameters, kept.clusters, fit.device, most_probable)
