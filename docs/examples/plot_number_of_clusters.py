"""
Finding the number of clusters, and doubting it
===============================================

How many clusters are there in 1,797 pictures of written digits? Ten is the number of *classes*;
whether each of them is one cluster is for the data to say.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score

from gemclust import GeminiClustering
from gemclust.displays import SelectionDisplay

X, y = load_digits(return_X_y=True)
model = GeminiClustering(n_init=5, random_state=0).fit(X)
print(f"{model.n_clusters_} clusters, ARI {adjusted_rand_score(y, model.labels_):.2f}")

# %%
# The mean picture of each cluster, and the digit that is commonest in it, tell why there are not
# ten: some digits are written in more than one way.

figure, axes = plt.subplots(1, model.n_clusters_, figsize=(13, 1.7), layout="constrained")
for k, axis in enumerate(axes):
    digits = np.bincount(y[model.labels_ == k], minlength=10)
    axis.imshow(X[model.labels_ == k].mean(0).reshape(8, 8), cmap="gray_r")
    axis.set(xticks=[], yticks=[], xlabel=f"{digits.argmax()}: {digits.max() / digits.sum():.0%}")
    axis.set_title(f"cluster {k}", fontsize="small")
plt.show()

# %%
# **Why so many.** The data are cut into many units; two groups of units are joined unless a
# valley of density between them is real. Left, the last of these merges: those above the dashed
# line were not made. In the middle, the number that each level leaves. Right, how real the valley
# between each two clusters is.

# sphinx_gallery_thumbnail_number = 2
SelectionDisplay.from_estimator(model)
plt.show()

# %%
# **Doubts.** Which number did each restart find, and which would another sensitivity find? Nothing
# is fitted anew to know. ``cut`` gives the clusters at any number, for new points, too: cut into
# ten, as many as there are digits, some clusters hold several of them.

evidence = model.selection_
labels, proba = model.cut(X, n_clusters=10)
print(f"cut into ten: ARI {adjusted_rand_score(y, labels):.2f}")

figure = plt.figure(figsize=(14, 4.6), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=(1, 1.5))
doubts, restarts = left.subplots(2, 1, sharex=True, height_ratios=(2, 1))
sensitivities = np.geomspace(0.4, 2.5, 200)
doubts.step([evidence.n_clusters(s) for s in sensitivities], sensitivities, where="mid")
doubts.axhline(1, color="gray", linestyle="--", linewidth=1)
doubts.set(ylabel="sensitivity", yscale="log", yticks=(0.5, 1, 2), yticklabels=("0.5", "1", "2"))
doubts.minorticks_off()
restarts.bar(list(evidence.counts), list(evidence.counts.values()), width=0.6)
restarts.set(xlabel="number of clusters", ylabel="restarts")
right.suptitle("cut into ten clusters")
for k, axis in enumerate(right.subplots(2, 5).flat):
    digits = np.bincount(y[labels == k], minlength=10)
    share = digits / digits.sum()
    shown = [f"{digit}: {share[digit]:.0%}" for digit in np.argsort(-digits) if share[digit] > 0.05]
    axis.imshow(X[labels == k].mean(0).reshape(8, 8), cmap="gray_r")
    axis.set(xticks=[], yticks=[], xlabel=", ".join(shown))
plt.show()
