"""
Images, with a convolutional network
====================================

A model is any torch module. Here it is a small LeNet for 8 x 8 pictures of digits; the objective,
one-vs-one MMD, compares the pixels.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score
from torch import nn

from gemclust import GeminiClustering

X, y = load_digits(return_X_y=True)
X = X.astype(np.float32)


def lenet(n_features, n_clusters):
    """Rows of 64 pixels -> logits."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 32),
        nn.ReLU(),
        nn.Linear(32, n_clusters),
    )


# %%
# A network of one's own is trained by Adam on mini-batches. The torch module of the clusters is
# ``module_``.

model = GeminiClustering(
    10, model=lenet, batch_size=100, learning_rate=3e-3, max_iter=20, tol=1e-3, random_state=0
)
model.fit(X)
print(f"{model.n_clusters_} clusters after {model.n_iter_} epochs")
print(f"ARI with the digits: {adjusted_rand_score(y, model.labels_):.2f}")

# %%
# Left, the pictures of which the model is surest, a row for each cluster; right, those between two
# clusters.

proba = model.predict_proba(X)
best = proba.max(1)


def tiles(rows):
    """Pictures in a grid, by their numbers."""
    return np.block([[np.pad(X[i].reshape(8, 8), 1) for i in row] for row in rows])


surest = []
for k in range(model.n_clusters_):
    members = np.flatnonzero(model.labels_ == k)
    surest.append(members[np.argsort(-best[members], kind="stable")[:14]])
least_sure = np.argsort(best, kind="stable")[: 14 * model.n_clusters_].reshape(-1, 14)

figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
left.imshow(tiles(surest), cmap="gray_r")
left.set_title("surest")
left.set_yticks(4.5 + 10 * np.arange(model.n_clusters_), range(model.n_clusters_))
left.set_ylabel("cluster")
left.set_xticks([])
right.imshow(tiles(least_sure), cmap="gray_r")
right.set(xticks=[], yticks=[], title=f"least sure: best p(y|x) up to {best[least_sure].max():.2f}")
plt.show()
