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
# is fitted anew to know.

evidence = model.selection_
print("restarts that found each number:", evidence.counts)
for sensitivity in (0.5, 0.7, 1.0, 1.4, 2.0):
    print(f"sensitivity {sensitivity}: {evidence.n_clusters(sensitivity)} clusters")

# %%
# **Another number.** ``cut`` gives the clusters at any number, for new points, too.

labels, proba = model.cut(X, n_clusters=10)
print(f"cut into ten: ARI {adjusted_rand_score(y, labels):.2f}")
