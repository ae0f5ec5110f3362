"""
How training went: restarts and solvers
=======================================

A GEMINI has many local maxima, so that training starts several times and keeps the best. Did the
restarts agree? Was it long enough? The curves of the objective tell.
"""

import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from gemclust import GeminiClustering
from gemclust.displays import ObjectiveCurvesDisplay

X, y = load_digits(return_X_y=True)

# %%
# Four ways to maximise MMD one-vs-one with ten clusters. L-BFGS, the default of so few
# samples, runs all restarts side by side, and those that fall behind end early. Adam takes many
# short steps on batches. Random starts, without seeds from k-means++, begin lower. The last is cut
# short by ``max_iter``, of which a warning tells: its curves still rise where they end.

ways = {
    "L-BFGS, ten restarts": {"n_init": 10},
    "Adam, three restarts": {"n_init": 3, "solver": "adam", "batch_size": 300, "max_iter": 100},
    "L-BFGS, random starts": {"n_init": 10, "init": "random"},
    "L-BFGS, random, max_iter=8": {"n_init": 10, "init": "random", "max_iter": 8},
}
models = {}
for name, parameters in ways.items():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        models[name] = GeminiClustering(10, random_state=0, **parameters).fit(X)
    short = any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    print(f"{name}: {models[name].n_iter_} iterations{', not converged' if short else ''}")

# %%
# The objective after each iteration, of each restart; a dot where it ends. The blue one was kept.
# Adam's is that of its batches, in which clusters lie a little further apart than in all samples;
# the titles say the objective of all samples.

figure, axes = plt.subplots(1, 4, figsize=(16, 4.2), sharey=True, layout="constrained")
for axis, (name, model) in zip(axes, models.items(), strict=True):
    ObjectiveCurvesDisplay.from_estimator(model, ax=axis)
    ari = adjusted_rand_score(y, model.labels_)
    axis.set_title(f"{name}\n{model.objective_value_:.2f}, ARI {ari:.2f}", fontsize="medium")
    axis.label_outer()
plt.show()
