"""How many clusters are there in pictures of digits, and why? Prints the answer and draws it.

    python examples/number_of_clusters.py [PICTURE]

The picture is number_of_clusters.svg in the current folder, if no other name is given. That of the
documentation is drawn by `python examples/number_of_clusters.py docs/images/selection_example.svg`.
"""

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score

from gemclust import GeminiClustering
from gemclust.displays import SelectionDisplay


def main(picture="number_of_clusters.svg"):
    X, y = load_digits(return_X_y=True)
    model = GeminiClustering(n_init=5, random_state=0).fit(X)
    evidence = model.selection_
    print(f"{model.n_clusters_} clusters; ARI with the ten classes:", end=" ")
    print(f"{adjusted_rand_score(y, model.labels_):.2f}")
    print("restarts that found each number:", evidence.counts)
    print("significance of the last valleys:", *evidence.heights[:16].round(1))
    for sensitivity in (0.5, 1.0, 2.0):
        print(f"sensitivity {sensitivity}: {evidence.n_clusters(sensitivity)} clusters")
    labels, _ = model.cut(X, n_clusters=10)
    print(f"ARI where the tree is cut into ten: {adjusted_rand_score(y, labels):.2f}")

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "gemclust", "font.size": 8}):
        display = SelectionDisplay.from_estimator(model)
        display.figure_.savefig(picture, metadata={"Date": None})
    print(f"written: {Path(picture).resolve()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
