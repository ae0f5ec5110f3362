"""
A search over everything, without classes
=========================================

Penguins on three islands were weighed and measured. How many kinds of them are there, and does each
need one unit of the model or many? The GEMINI of a model does not compare such candidates.
``heldout_scorer`` does: it fits a second model to the held-out samples and asks how much of the
clustering is found again.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from palmerpenguins import load_penguins
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gemclust import GeminiClustering, select_n_clusters
from gemclust.displays import ClustersDisplay
from gemclust.metrics import heldout_scorer, silhouette_scorer

measures = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
penguins = load_penguins().dropna(subset=measures)
X = penguins[measures]
model = make_pipeline(StandardScaler(), GeminiClustering(n_init=1, random_state=0))
grid = {
    "geminiclustering__n_clusters": [1, 2, 3, 4, 5, 6],
    "geminiclustering__n_units": ["auto", 30],
}

# %%
# Half of the samples are held out, five times: both models need enough of them. The species are not
# used, only looked at afterwards.

halves = ShuffleSplit(5, test_size=0.5, random_state=0)
searches = {
    scorer: GridSearchCV(model, grid, scoring=scoring, cv=halves).fit(X)
    for scorer, scoring in (
        ("its own score", None),
        ("silhouette_scorer", silhouette_scorer),
        ("heldout_scorer", heldout_scorer),
    )
}
for scorer, search in searches.items():
    chosen = {name.split("__")[1]: value for name, value in search.best_params_.items()}
    print(f"{scorer:17} -> {chosen}")

labels = pd.Series(searches["heldout_scorer"].predict(X), index=X.index, name="cluster")
pd.crosstab(penguins["species"], labels)

# %%
# Of ``heldout_scorer``, a score above 0 says that a clustering is found again. These are, and the
# others are not: look at the candidates next to the best, too.

results = pd.DataFrame(searches["heldout_scorer"].cv_results_)
again = results[results["mean_test_score"] > 0].sort_values("mean_test_score", ascending=False)
columns = {name: name.split("__")[-1] for name in again if name.startswith("param_")}
again[[*columns, "mean_test_score"]].rename(columns=columns).round(3)

# %%
# Where the number is all that is asked for, no search is needed.

found = select_n_clusters(StandardScaler().fit_transform(X), random_state=0)
print(f'n_clusters="auto" finds {found}')

# %%
# Above, the mean score of each candidate; below, the clusters of the best, in principal components.
# Its own score grows with the number of clusters. The silhouette wants clusters that lie far apart,
# as the large Gentoo penguins do from the rest.

figure, axes = plt.subplots(2, 3, figsize=(13, 7.4), layout="constrained")
for (above, below), (scorer, search) in zip(axes.T, searches.items(), strict=True):
    candidates = pd.DataFrame(search.cv_results_["params"]).to_numpy()
    for units, name in (("auto", "a unit for each cluster"), (30, "30 units, merged")):
        mine = np.array([candidate == units for candidate in candidates[:, 1]])
        above.plot(
            candidates[mine, 0], search.cv_results_["mean_test_score"][mine], "o-", label=name
        )
    above.set(xlabel="number of clusters", ylabel="mean score", title=scorer)
    ClustersDisplay.from_estimator(search.best_estimator_, X, ax=below)
    below.set_title(f"{search.best_estimator_[-1].n_clusters_} clusters")
axes[0, 0].legend()
axes[0, 2].axhline(0, color="gray", linewidth=1)
plt.show()
