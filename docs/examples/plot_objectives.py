"""
The objectives compared
=======================

Four data sets, and what six objectives make of them when they are told the number of clusters;
last, the default, which is not told. Each row has a trap: a cluster in the middle of others, far
outliers, curved clusters, and clusters of unequal size.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs, make_moons
from sklearn.metrics import adjusted_rand_score

from gemclust import GeminiClustering
from gemclust.datasets import make_gaussian_student
from gemclust.objectives import MMD, Wasserstein

N = 240
cross = [[0, 0], [5, 0], [-5, 0], [0, 5], [0, -5]]
data = {
    "a cluster in the middle": make_blobs(N, centers=cross, cluster_std=0.8, random_state=0),
    "far outliers": make_gaussian_student(N, df=1.0, random_state=3),
    "curved": make_moons(N, noise=0.05, random_state=0),
    "unequal": make_blobs(
        [200, 25, 25],
        centers=[[0, 0], [5, 2], [5, -2]],
        cluster_std=[1.2, 0.4, 0.4],
        random_state=0,
    ),
}

# %%
# RIM is the mutual information of a linear model with a penalty on its weights. The geodesic metric
# is the length of the shortest path in the graph of nearest neighbours. K-means stands beside for
# comparison.
#
# No objective is best everywhere. One-vs-all with the linear kernel cannot hold a cluster that lies
# at the mean of the data; K-means follows the outliers; and curved clusters need a metric that
# knows the curve, or the number of clusters found from the density:
# see :doc:`plot_moons_and_circles`.

variants = {
    "RIM (linear)": {"objective": "mi", "model": "linear", "alpha": 0.01},
    "MMD one-vs-all": {"objective": "mmd_ova"},
    "MMD one-vs-one": {"objective": "mmd_ovo"},
    "MMD, rbf kernel": {"objective": MMD("ovo", kernel="rbf", gamma="median")},
    "Wasserstein": {"objective": "wasserstein_ovo"},
    "Wasserstein, geodesic": {"objective": Wasserstein("ovo", metric="geodesic")},
}


def clusterings(X, k):
    yield "K-means", KMeans(k, n_init=10, random_state=0).fit_predict(X)
    for name, parameters in variants.items():
        yield name, GeminiClustering(k, random_state=0, **parameters).fit_predict(X)
    yield "number found", GeminiClustering(random_state=0).fit_predict(X)


figure, axes = plt.subplots(4, 8, figsize=(15, 8.2), layout="constrained")
for row, (title, (X, y)) in zip(axes, data.items(), strict=True):
    low, high = np.percentile(X, [3, 97], axis=0)
    limits = np.array([1.3 * low - 0.3 * high, 1.3 * high - 0.3 * low])
    with warnings.catch_warnings(action="ignore"):  # the graph of some sets has several parts
        results = list(clusterings(X, len(np.unique(y))))
    for axis, (_, labels) in zip(row, results, strict=True):
        axis.scatter(*X.T, c=labels, cmap="tab10", vmin=0, vmax=9, s=7, linewidths=0)
        axis.set(xlim=limits[:, 0], ylim=limits[:, 1], xticks=[], yticks=[])
        axis.set_xlabel(f"ARI {adjusted_rand_score(y, labels):.2f}", fontsize="small")
    row[0].set_ylabel(title)
for axis, (name, _) in zip(axes[0], results, strict=True):
    axis.set_title(name, fontsize="medium")
plt.show()
