"""Find the clusters of three data sets of scikit-learn; print a table, draw one picture."""

from pathlib import Path
from time import perf_counter

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from gemclust import GeminiClustering
from gemclust.displays import SelectionDisplay

PICTURE = Path("demo.png")
DATA = {"wine": load_wine, "digits": load_digits, "breast cancer": load_breast_cancer}


def load(name):
    """Features and classes; pixels have one unit already."""
    X, y = DATA[name](return_X_y=True)
    return (X if name == "digits" else StandardScaler().fit_transform(X)), y


def cluster(X, y):
    """Fit our model, and K-means at the true number of classes; return ours and the table's row."""
    n_classes = len(np.unique(y))
    start = perf_counter()
    ours = GeminiClustering(random_state=0).fit(X)
    seconds = perf_counter() - start
    start = perf_counter()
    kmeans = KMeans(n_classes, n_init=10, random_state=0).fit(X)
    kmeans_seconds = perf_counter() - start
    row = [f"{X.shape[0]} x {X.shape[1]}", n_classes, ours.n_clusters_]
    row += [f"{adjusted_rand_score(y, ours.labels_):.3f}", f"{seconds:.2f}"]
    row += [f"{adjusted_rand_score(y, kmeans.labels_):.3f}", f"{kmeans_seconds:.2f}"]
    return ours, row


def draw(axis, name, X, model):
    """The first two principal components, coloured by cluster, faint where p(y|x) is uncertain."""
    plane = PCA(2).fit_transform(X)
    confidence = model.predict_proba(X).max(1)
    chance = 1 / model.n_clusters_
    colours = plt.get_cmap("tab10" if model.n_clusters_ <= 10 else "tab20")(model.labels_)
    colours[:, 3] = 0.08 + 0.92 * np.clip((confidence - chance) / (1 - chance), 0, 1) ** 2
    axis.scatter(*plane.T, c=colours, s=12, linewidths=0)
    unsure = confidence < 0.95
    axis.scatter(*plane[unsure].T, s=22, facecolors="none", edgecolors="0.25", linewidths=0.7)
    axis.set(title=f"{name}: {model.n_clusters_} clusters", xticks=[], yticks=[])
    axis.set_xlabel(f"ringed: {unsure.sum()} of {len(X)} whose best p(y|x) is below 0.95")


def main():
    header = ["data", "points", "classes", "clusters", "ARI", "seconds", "K-means ARI", "seconds"]
    widths = [13, 9, 7, 8, 5, 7, 11, 7]
    print("  ".join(f"{h:>{w}}" for h, w in zip(header, widths, strict=True)))
    figure, axes = plt.subplots(2, len(DATA), figsize=(13, 8), layout="constrained")
    for (above, below), name in zip(axes.T, DATA, strict=True):
        X, y = load(name)
        model, row = cluster(X, y)
        print("  ".join(f"{c:>{w}}" for c, w in zip([name, *row], widths, strict=True)), flush=True)
        draw(above, name, X, model)
        SelectionDisplay.from_estimator(model, ax=below)
        below.set_title("why: valleys above the dashed line are real")
    figure.savefig(PICTURE, dpi=130)
    print("K-means is told the number of classes; ours finds the number of clusters.")
    print(f"\nClusters, their probabilities, and why so many: {PICTURE.resolve()}")


if __name__ == "__main__":
    main()
