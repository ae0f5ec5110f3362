"""
What a GEMINI measures
======================

A clustering reweights the data: by Bayes' rule the distribution of cluster k is p(x) times
p(y=k|x) / p(y=k). A GEMINI is the expected distance between these distributions. Here are two
groups of points on a line, under four models p(y|x), and what three GEMINIs make of each.
"""

import matplotlib.pyplot as plt
import numpy as np

from gemclust.metrics import gemini_score

rng = np.random.default_rng(0)
x = np.sort(np.concatenate([rng.normal(-2, 0.7, 300), rng.normal(2, 0.7, 300)]))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


stripes = (np.argsort(np.argsort(x)) // 30) % 2
models = {
    "in the gap": sigmoid(8 * x),
    "in the gap, unsure": sigmoid(0.7 * x),
    "through a group": sigmoid(8 * (x - 2)),
    "stripes": np.where(stripes, 0.999, 0.001),
}

# %%
# The mutual information sees how certain and how balanced the probabilities are, and nothing else:
# stripes are as good as a cut in the gap. MMD and Wasserstein see where the points lie.

OBJECTIVES = {"mi": "mutual information", "mmd_ova": "MMD", "wasserstein_ova": "Wasserstein"}
colors = plt.get_cmap("tab10")([0, 1])

figure, axes = plt.subplots(
    2, 4, figsize=(13, 5.2), sharex=True, sharey="row", layout="constrained"
)
for (above, below), (name, second) in zip(axes.T, models.items(), strict=True):
    proba = np.column_stack([1 - second, second])
    for k in range(2):
        above.plot(x, proba[:, k], color=colors[k], label=f"p(y={k}|x)")
        weight = proba[:, k] / proba[:, k].sum()
        below.hist(x, bins=40, range=(-4.5, 4.5), weights=weight, color=colors[k], alpha=0.6)
    above.set_title(name)
    scores = [
        f"{title} {gemini_score(x[:, None], proba, objective=objective):.2f}"
        for objective, title in OBJECTIVES.items()
    ]
    below.set_xlabel("\n".join(["x", "", *scores]))
axes[0, 0].set_ylabel("p(y|x)")
axes[1, 0].set_ylabel("p(x|y): the data, reweighted")
axes[0, 0].legend(loc="center left")
plt.show()
