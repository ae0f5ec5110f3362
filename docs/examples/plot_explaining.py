"""
What makes the clusters
=======================

Thirty measurements of the nuclei of breast tissue cells. Which of them differ between the clusters,
which decide, and how sure is the model?
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gemclust import GeminiClustering
from gemclust.displays import ClustersDisplay, ConfidenceDisplay, ProfileDisplay
from gemclust.explain import cluster_profiles, feature_importances

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
model = make_pipeline(
    StandardScaler(), GeminiClustering(2, model="linear", alpha=0.003, random_state=0)
)
model.set_output(transform="pandas").fit(X)
print(f"ARI with the diagnosis: {adjusted_rand_score(y, model.predict(X)):.2f}")

# %%
# A row for each cluster: its size, how sure the model is of its samples, and how far each feature's
# mean lies from that of all samples, in standard deviations.

cluster_profiles(model, X).T.round(2).head(12)

# %%
# How much of the clustering changes if a feature is permuted. Features that say the same share
# their importance.

importances = feature_importances(model, X, random_state=0)
importances.head(8).round(3)

# %%
# The samples in their first two principal components, paler where the model is not sure; p(y|x) of
# each sample's own cluster, sorted; and the profile of the clusters.

figure, axes = plt.subplots(1, 3, figsize=(15, 5.6), width_ratios=(1, 1, 1.7), layout="constrained")
ClustersDisplay.from_estimator(model, X, ax=axes[0])
ConfidenceDisplay.from_estimator(model, X, ax=axes[1])
ProfileDisplay.from_estimator(model, X, ax=axes[2])
plt.show()
