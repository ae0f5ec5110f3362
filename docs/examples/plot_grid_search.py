"""
Grid search, and what not to search
===================================

``score`` is the GEMINI on any samples, so that scikit-learn's searches work without labels: each
candidate is judged on the fold that it has not seen. Candidates must share the objective and the
number of clusters; what happens otherwise is shown, too.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from gemclust import GeminiClustering

X = load_digits().data

# %%
# How large a hidden layer, and how strong a penalty? Both leave the objective as it is, and
# held-out values tell.

grid = {"alpha": [0.0, 1e-3, 1e-2, 1e-1], "hidden_layer_sizes": [(2,), (8,), (32,)]}
search = GridSearchCV(GeminiClustering(10, n_init=2, random_state=0), grid, cv=3).fit(X)
print(search.best_params_)
values = search.cv_results_["mean_test_score"].reshape(len(grid["alpha"]), -1)

# %%
# How many clusters? A GEMINI grows with their number, on held-out data as well: a search by it ends
# at the largest number that it is offered. The default, ``n_clusters="auto"``, looks for valleys of
# density instead.

numbers = {"n_clusters": [2, 5, 8, 12, 18, 25]}
by_number = GridSearchCV(GeminiClustering(n_init=2, random_state=0), numbers, cv=3).fit(X)
found = GeminiClustering(random_state=0).fit(X).n_clusters_
print(f"the search picks {by_number.best_params_['n_clusters']}, the valleys say {found}")

# %%

figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6), layout="constrained")
image = left.imshow(values, cmap="viridis", aspect="auto", origin="lower")
left.set_xticks(range(3), [size for (size,) in grid["hidden_layer_sizes"]])
left.set_yticks(range(4), [f"{alpha:g}" for alpha in grid["alpha"]])
left.set(xlabel="hidden units", ylabel="alpha", title="a question for a search")
for (row, column), value in np.ndenumerate(values):
    left.text(column, row, f"{value:.2f}", ha="center", va="center", color="white")
figure.colorbar(image, label="GEMINI on held-out folds")
right.plot(numbers["n_clusters"], by_number.cv_results_["mean_test_score"], "o-")
right.axvline(found, color="#D55E00", linestyle="--", label='found by "auto"')
right.set(
    xlabel="number of clusters", ylabel="GEMINI on held-out folds", title="no question for it"
)
right.legend()
plt.show()
