"""
A search over everything, without classes
=========================================

Which number of clusters, and one unit for each or many? The GEMINI of a model does not compare such
candidates. ``heldout_scorer`` does: it fits a second model to the held-out samples and asks how
much of the clustering is found again.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons
from sklearn.model_selection import GridSearchCV, ShuffleSplit

from gemclust import GeminiClustering
from gemclust.displays import DecisionMapDisplay
from gemclust.metrics import heldout_scorer, silhouette_scorer

X, _ = make_moons(300, noise=0.06, random_state=0)
grid = {"n_clusters": [1, 2, 3, 4, 5, 6], "n_units": ["auto", 30]}

# %%
# Half of the samples are held out: both models need enough of them.

settings = {"cv": ShuffleSplit(3, test_size=0.5, random_state=0), "refit": True}
estimator = GeminiClustering(n_init=1, random_state=0)
searches = {
    scorer: GridSearchCV(estimator, grid, scoring=scoring, **settings).fit(X)
    for scorer, scoring in (
        ("its own score", None),
        ("silhouette_scorer", silhouette_scorer),
        ("heldout_scorer", heldout_scorer),
    )
}
for scorer, search in searches.items():
    print(f"{scorer:17} -> {search.best_params_}")

# %%
# Above, the mean score of each candidate; below, the clusters of the best. Its own score grows with
# the number of clusters, and the silhouette wants them convex.

figure, axes = plt.subplots(2, 3, figsize=(13, 7.4), layout="constrained")
for (above, below), (scorer, search) in zip(axes.T, searches.items(), strict=True):
    results = search.cv_results_
    for units, name in (("auto", "a unit for each cluster"), (30, "30 units, merged")):
        mine = np.array([p["n_units"] == units for p in results["params"]])
        numbers = [p["n_clusters"] for p in results["params"] if p["n_units"] == units]
        above.plot(numbers, results["mean_test_score"][mine], "o-", label=name)
    above.set(xlabel="number of clusters", ylabel="mean score", title=scorer)
    DecisionMapDisplay.from_estimator(search.best_estimator_, X, ax=below)
    below.set_title(f"{search.best_estimator_.n_clusters_} clusters")
axes[0, 0].legend()
plt.show()
