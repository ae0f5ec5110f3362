"""
Moons and circles
=================

Curved clusters, in three ways: found from the density; with many units that are joined to a number
that is known; and with a metric that follows the curve. All of them predict new points, which the
background shows.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_circles, make_moons

from gemclust import GeminiClustering
from gemclust.objectives import MMD, Wasserstein

data = {
    "moons": make_moons(400, noise=0.05, random_state=0)[0],
    "circles": make_circles(400, noise=0.05, factor=0.3, random_state=0)[0],
}
models = {
    "linear kernel": GeminiClustering(2, random_state=0),
    "rbf kernel": GeminiClustering(2, objective=MMD("ovo", kernel="rbf", gamma=3), random_state=0),
    "geodesic metric": GeminiClustering(
        2, objective=Wasserstein("ovo", metric="geodesic"), random_state=0
    ),
    "50 units, two clusters": GeminiClustering(2, n_units=50, random_state=0),
    "number found": GeminiClustering(random_state=0),
}

# %%
# The linear kernel sees the means of clusters, and cuts across. An rbf kernel of the right width
# tells the circles. The geodesic distance runs along the graph of neighbours; where that graph
# falls into parts, a warning says so. Joining units needs no kernel and no metric: a cluster is a
# union of units between which the data are dense.

figure, axes = plt.subplots(2, 5, figsize=(14, 5.8), layout="constrained")
for row, (name, X) in zip(axes, data.items(), strict=True):
    (left, low), (right, high) = X.min(0) - 0.3, X.max(0) + 0.3
    grid = np.stack(
        np.meshgrid(np.linspace(left, right, 120), np.linspace(low, high, 120)), axis=-1
    )
    for axis, (title, model) in zip(row, models.items(), strict=True):
        with warnings.catch_warnings(action="ignore"):
            model.fit(X)
        regions = model.predict(grid.reshape(-1, 2)).reshape(grid.shape[:2])
        looks = {"cmap": "tab10", "vmin": 0, "vmax": 9}
        extent = (left, right, low, high)
        axis.imshow(regions, extent=extent, origin="lower", aspect="auto", alpha=0.2, **looks)
        axis.scatter(*X.T, c=model.labels_, s=8, linewidths=0, **looks)
        axis.set(xticks=[], yticks=[], xlabel=f"{model.n_clusters_} clusters")
        if name == "moons":
            axis.set_title(title)
    row[0].set_ylabel(name)
plt.show()
