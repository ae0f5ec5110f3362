"""
A stream whose clusters drift
=============================

``partial_fit`` updates the model by one pass over each new batch. Clusters keep their numbers, so
that one can follow them; a model that was fitted once falls behind.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import adjusted_rand_score

from gemclust import GeminiClustering

rng = np.random.default_rng(0)
STEPS, SIZE = 40, 300


def batch(step):
    """Three clusters that go round a circle."""
    y = rng.integers(3, size=SIZE)
    angle = 2 * np.pi * (y / 3 + 0.3 * step / STEPS)
    return 4 * np.column_stack([np.cos(angle), np.sin(angle)]) + rng.normal(size=(SIZE, 2)), y


# %%
# The first call fits the model; each later one takes a few small steps of Adam. The penalty keeps
# the borders soft, so that they can move.

X, _ = batch(0)
once = GeminiClustering(3, model="linear", random_state=0).fit(X)
follows = GeminiClustering(
    3, model="linear", alpha=0.01, batch_size=30, learning_rate=0.05, random_state=0
).partial_fit(X)

scores, shown = [], {}
for step in range(STEPS):
    X, y = batch(step)
    scores.append([adjusted_rand_score(y, model.predict(X)) for model in (once, follows)])
    if step in (0, 13, 26, 39):
        shown[step] = X, follows.predict(X)
    follows.partial_fit(X)

# %%

figure = plt.figure(figsize=(13, 5.6), layout="constrained")
axes = figure.subplot_mosaic([list("abcd"), list("eeee")], height_ratios=(1.3, 1))
for name, (step, (X, labels)) in zip("abcd", shown.items(), strict=True):
    axes[name].scatter(*X.T, c=labels, cmap="tab10", vmin=0, vmax=9, s=8, linewidths=0)
    axes[name].set(xlim=(-8, 8), ylim=(-8, 8), xticks=[], yticks=[], title=f"batch {step}")
for curve, name in zip(np.transpose(scores), ("fitted once", "partial_fit"), strict=True):
    axes["e"].plot(curve, "o-", markersize=3, label=name)
axes["e"].set(xlabel="batch", ylabel="ARI on the next batch")
axes["e"].legend()
plt.show()
