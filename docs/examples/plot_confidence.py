"""
New points, and how sure the model is
=====================================

Penguins by the length and depth of their bills. The model is a function p(y|x) of the whole plane:
it answers for birds that it has never seen, and says how sure it is.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from palmerpenguins import load_penguins
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gemclust import GeminiClustering
from gemclust.displays import ConfidenceDisplay, DecisionMapDisplay

penguins = load_penguins().dropna()
X = penguins[["bill_length_mm", "bill_depth_mm"]]
model = make_pipeline(
    StandardScaler(), GeminiClustering(3, objective="mmd_ovo", alpha=0.003, random_state=0)
)
labels = model.fit_predict(X)
print(f"ARI with the three species: {adjusted_rand_score(penguins['species'], labels):.2f}")

# %%
# Assignments of a GEMINI tend to be certain. The penalty ``alpha`` keeps the probabilities graded
# near the borders. White is where two clusters are equally probable.

# sphinx_gallery_thumbnail_number = 1
new = pd.DataFrame({"bill_length_mm": [37, 44.5, 53.5], "bill_depth_mm": [17.0, 17.8, 15.5]})
low, high = X.min() - 1.5, X.max() + 1.5
grid = np.stack(np.meshgrid(*np.linspace(low, high, 250).T), axis=-1)
proba = model.predict_proba(pd.DataFrame(grid.reshape(-1, 2), columns=X.columns))
colors = plt.get_cmap("Dark2")(range(3))[:, :3]
sure = ((proba.max(1) - 1 / 3) / (2 / 3))[:, None] * 0.55
image = (1 - sure) + sure * colors[proba.argmax(1)]

figure, axis = plt.subplots(figsize=(7.5, 5.6), layout="constrained")
axis.imshow(
    image.reshape(*grid.shape[:2], 3),
    extent=(low.iloc[0], high.iloc[0], low.iloc[1], high.iloc[1]),
    origin="lower",
    aspect="auto",
)
axis.scatter(*X.to_numpy().T, color=colors[labels], s=18, edgecolors="white", linewidths=0.5)
axis.scatter(*new.to_numpy().T, marker="*", s=330, color="black", edgecolors="white")
for place, row in zip(new.to_numpy(), model.predict_proba(new), strict=True):
    text = " / ".join(f"{value:.2f}" for value in row)
    box = {"boxstyle": "round", "facecolor": "white", "alpha": 0.85, "linewidth": 0}
    axis.annotate(text, place, (0, 15), textcoords="offset points", ha="center", bbox=box)
axis.set(xlabel="bill length (mm)", ylabel="bill depth (mm)")
axis.set_title("p(y|x) over the plane; stars are new birds")
plt.show()

# %%
# How sure depends on ``alpha``, which is a choice, and has its price in the objective. Above, the
# map of each; below, p(y|x) of each bird's own cluster, sorted: the more of a cluster is filled,
# the surer is the model of it.

figure, axes = plt.subplots(2, 4, figsize=(15, 7.4), layout="constrained")
for (above, below), alpha in zip(axes.T, (0.0, 0.0003, 0.003, 0.03), strict=True):
    model.set_params(geminiclustering__alpha=alpha).fit(X)
    DecisionMapDisplay.from_estimator(model, X, ax=above)
    above.set_title(f"alpha = {alpha}: GEMINI {model.score(X):.3f}")
    ConfidenceDisplay.from_estimator(model, X, ax=below)
plt.show()
