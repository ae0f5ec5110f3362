"""
Sample weights: the colours of a picture
========================================

A picture of a quarter of a million pixels has far fewer distinct colours, if each channel is
rounded to 16 levels. A sample that counts w times is exactly w samples, so that the distinct
colours, weighted by their number of pixels, give the clusters of all pixels.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from gemclust import GeminiClustering

picture = load_sample_image("china.jpg")
rounded = (picture // 16).reshape(-1, 3)
colors, index, counts = np.unique(rounded, axis=0, return_inverse=True, return_counts=True)
X = (colors + 0.5) / 16
print(f"{len(rounded):,} pixels, {len(X):,} colours; the commonest has {counts.max():,} pixels")

# %%
# Without weights, a rare colour counts as much as the sky.

N_CLUSTERS = 6
models = {
    "each colour counts once": GeminiClustering(N_CLUSTERS, random_state=0).fit(X),
    "each pixel counts": GeminiClustering(N_CLUSTERS, random_state=0).fit(X, sample_weight=counts),
}

# %%
# The objective is that of all pixels, and so are the proportions that the model reports. Below each
# picture, the colours of its clusters and their shares.

print("p(y):", models["each pixel counts"].cluster_proportions_.round(2))

figure, axes = plt.subplots(
    2, 3, figsize=(13, 5.4), height_ratios=(6, 1), layout="constrained", squeeze=False
)
axes[0, 0].imshow(picture)
axes[0, 0].set_title("the picture")
axes[1, 0].axis("off")
for (above, below), (title, model) in zip(axes.T[1:], models.items(), strict=True):
    labels = model.labels_
    share = np.bincount(labels, weights=counts, minlength=model.n_clusters_) / counts.sum()
    palette = (
        np.stack([np.bincount(labels, weights=counts * channel) for channel in X.T], axis=1)
        / np.bincount(labels, weights=counts)[:, None]
    )
    above.imshow(palette[labels[index.ravel()]].reshape(picture.shape))
    above.set_title(title)
    left = 0.0
    for k in np.argsort(-share):
        below.barh(0, share[k], left=left, color=palette[k])
        left += share[k]
    below.set(xlim=(0, 1), yticks=[], xlabel="share of the pixels")
for axis in axes[0]:
    axis.axis("off")
plt.show()
