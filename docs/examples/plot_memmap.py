"""
A million points from a file
============================

X may be a ``numpy.memmap``: no second copy of it is made, and rows are read a chunk at a time. All
restarts are trained on few samples, and the best on ever more of them, last on all.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import adjusted_rand_score

from gemclust import GeminiClustering, select_n_clusters

N, D, K, CHUNK = 1_000_000, 8, 7, 100_000
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "points.f32"
rng = np.random.default_rng(0)
angles = np.linspace(0, 2 * np.pi, K, endpoint=False)
centres = np.zeros((K, D))
centres[:, :2] = 6 * np.column_stack([np.cos(angles), np.sin(angles)])

points = np.memmap(path, dtype=np.float32, mode="w+", shape=(N, D))
truth = rng.integers(K, size=N)
for begin in range(0, N, CHUNK):
    rows = slice(begin, begin + CHUNK)
    spread = 0.6 + 0.1 * truth[rows, None]
    points[rows] = centres[truth[rows]] + spread * rng.normal(size=(CHUNK, D))
points.flush()
print(f"{path.stat().st_size / 2**20:.0f} MiB on disk")

# %%
# The file is opened to be read. A part of the rows is enough for the number of clusters, and with
# the linear kernel a linear model is as good as any, and the fastest.

X = np.memmap(path, dtype=np.float32, mode="r", shape=(N, D))
n_clusters = select_n_clusters(X[::100], random_state=0)
model = GeminiClustering(n_clusters, model="linear", random_state=0).fit(X)
print(f"{model.n_clusters_} clusters, ARI {adjusted_rand_score(truth, model.labels_):.3f}")

# %%
# The rest of the way is the same: predictions are made a chunk at a time, too.

print(model.predict_proba(X[:3]).round(3))

# %%
# Left, how many points each cell of the plane holds; right, its clusters, faint where it holds
# several.

edges = [np.linspace(-9, 9, 181)] * 2


def counts(points):
    """How many points lie in each cell of the first two features."""
    return np.histogram2d(points[:, 1], points[:, 0], bins=edges)[0]


by_cluster = np.stack([counts(X[model.labels_ == k]) for k in range(model.n_clusters_)])
total = by_cluster.sum(0)
share = by_cluster.max(0) / np.maximum(total, 1)
colors = plt.get_cmap("tab10")(by_cluster.argmax(0))
colors[..., 3] = np.clip(np.log1p(total) / 4, 0, 1) * share**2
del X, points
folder.cleanup()

figure, (left, right) = plt.subplots(1, 2, figsize=(13, 6.4), layout="constrained")
left.imshow(np.log1p(total), origin="lower", cmap="magma")
left.set_title(f"{N:,} points")
right.imshow(colors, origin="lower")
right.set_title(f"{model.n_clusters_} clusters")
for axis in (left, right):
    axis.set(xticks=[], yticks=[])
plt.show()
