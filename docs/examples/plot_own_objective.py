r"""
An objective of your own
========================

An objective is a function of weighted means over samples. Here it is Tsallis' mutual information of
order q, which is the mutual information at q = 1 and the gain in Gini impurity at q = 2:

.. math:: I_q = H_q(\pi) - \langle H_q(p_i) \rangle, \qquad
          H_q(p) = \frac{1 - \sum_k p_k^q}{q - 1}, \qquad \pi_k = \langle p_{ik} \rangle
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_blobs

from gemclust import GeminiClustering
from gemclust.metrics import gemini_score
from gemclust.objectives import Objective


class Tsallis(Objective):
    """Tsallis' mutual information of order q > 1."""

    def __init__(self, q=2.0):
        self.q = q

    def check(self):
        if not self.q > 1:
            raise ValueError(f"q={self.q} must be greater than 1.")

    def means(self, batch, *earlier):
        return batch.proportions, batch.mean(batch.proba.pow(self.q).sum(-1))

    def value(self, proportions, powers):
        return (powers - proportions.pow(self.q).sum(-1)) / (self.q - 1)


# %%
# Nothing else is needed: weights, gradients, restarts, searches and scores follow from this form.

labels = np.repeat([0, 1], [30, 70])
print(f"{gemini_score(labels[:, None], labels, objective=Tsallis(2.0)):.3f} is 2 * 0.3 * 0.7")

# %%
# What is the order good for? Like all f-divergences this one sees no geometry, so that a linear
# model with a penalty has to supply it. Of hard assignments the value is that of their
# proportions, and the higher the order, the less a small cluster is worth.

X, y = make_blobs(
    [500, 150, 50], centers=[[0, 0], [4.5, 0], [2.2, 4]], cluster_std=0.8, random_state=0
)
orders = (1.01, 2.0, 4.0)
figure, axes = plt.subplots(1, 4, figsize=(13, 3.6), layout="constrained")
share = np.linspace(0.001, 0.999, 200)
for q in orders:
    axes[0].plot(share, (1 - share**q - (1 - share) ** q) / (q - 1), label=f"q = {q:g}")
axes[0].set(xlabel="share of one of two clusters", title="value of hard assignments")
axes[0].legend()
for axis, q in zip(axes[1:], orders, strict=True):
    model = GeminiClustering(
        3, objective=Tsallis(q), model="linear", alpha=0.003, random_state=0
    ).fit(X)
    axis.scatter(*X.T, c=model.labels_, cmap="tab10", vmin=0, vmax=9, s=8, linewidths=0)
    sizes = np.sort(np.bincount(model.labels_))[::-1]
    axis.set(xticks=[], yticks=[], title=f"q = {q:g}", xlabel=f"sizes {', '.join(map(str, sizes))}")
plt.show()
