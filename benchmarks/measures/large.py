"""Many samples: against K-means, and how time grows."""

import numpy as np
from datasets import load_mnist
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from gemclust import GeminiClustering
from gemclust.metrics import gemini_score
from measures.timing import Outcome, alternate, endless, seconds

WARM_UP = 12_000  # rows: enough for both to go the way they go on all
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
