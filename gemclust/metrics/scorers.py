"""Scorers for searches that have no classes to compare with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.metrics import (
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    silhouette_score,
)

from gemclust.metrics.gemini import gemini_score
from gemclust.objectives import Objective, get_objective
from gemclust.pipelines import seen_by_clusterer

DISAGREEMENT = 1.8
"""Two models that cut a single cluster somewhere disagree by about so much over the root of the
number of samples: by how far the place of a cut varies from sample to sample."""


def heldout_scorer(estimator: Any, X: Any, y: Any = None) -> float:
    r"""How much of a clustering is found again in samples that it was not fitted to.

    A second model, with the same parameters, is fitted to the held-out samples. With a and b the
    labels of these samples by the two models, and :math:`\pi` the proportions of a,

    .. math:: \left(ARI(a, b) - 1 + \frac{1.8}{\sqrt n}\right) \left(1 - \sum_k \pi_k^2\right)

    for n held-out samples. The second factor, the probability that two samples lie in different
    clusters, rewards a finer clustering; the first, the adjusted Rand index above what two models
    agree by that cut a single cluster somewhere, takes the reward back as soon as the finer
    clusters are not the same in both models. One cluster scores 0, so that it wins where nothing is
    found again. Neither an objective nor distances enter, so that candidates may differ in all:
    number of clusters, objective, kernel, model, and steps of a pipeline.

    It rather says too few clusters than too many. For the number of clusters and nothing else, use
    ``n_clusters="auto"``. What is found again need not be a gap: data that vary along one line more
    than along all others are cut across that line, every time at about the same place.

    Parameters
    ----------
    estimator : clusterer or Pipeline
        Fitted to other samples. Any that has `predict`.
    X : array-like of shape (n_samples, n_features)
        The held-out samples: best half of all, several times. A search makes them so by
        ``cv=ShuffleSplit(5, test_size=0.5, random_state=0)``; of many samples, some hundred for
        each model are enough: ``train_size=1000, test_size=1000``. The folds of an integer `cv` are
        not shuffled: never use them on sorted samples. A halving search needs ``min_resources`` of
        some hundred: half of them are held out.
    y : None
        Ignored.

    Returns
    -------
    score : float
        Greater is better. Above 0: clusters that are found again. 0: one cluster. Below 0, down to
        about -1: clusters that are not found again. The largest value, of many clusters of equal
        size on which both models agree, is 1.8 over the root of n, so that scores are compared only
        between candidates on the same samples.

    References
    ----------
    Tibshirani and Walther, Cluster Validation by Prediction Strength, 2005.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.model_selection import GridSearchCV, ShuffleSplit
    >>> from gemclust import GeminiClustering
    >>> from gemclust.metrics import heldout_scorer
    >>> X, _ = make_blobs(200, centers=[[0, 0], [8, 0], [0, 8]], random_state=0)
    >>> search = GridSearchCV(
    ...     GeminiClustering(model="linear", n_init=2, random_state=0),
    ...     {"n_clusters": [1, 2, 3, 4, 5]},
    ...     scoring=heldout_scorer,
    ...     cv=ShuffleSplit(2, test_size=0.5, random_state=0),
    ... )
    >>> search.fit(X).best_params_
    {'n_clusters': 3}
    """
    return found_again(*two_labelings(estimator, X))


def found_again(
    ours: NDArray[Any],
    theirs: NDArray[Any],
    rate: float = DISAGREEMENT,
    least: float | None = None,
) -> float:
    """What `heldout_scorer` makes of the labels by the two models."""
    least = 1 - rate / np.sqrt(len(ours)) if least is None else least
    shares = np.unique(ours, return_counts=True)[1] / len(ours)
    apart = 1 - np.square(shares).sum()
    return float((adjusted_rand_score(ours, theirs) - least) * apart)


def stability_scorer(estimator: Any, X: Any, y: Any = None) -> float:
    """Agreement of the clustering with one fitted to the held-out samples: an adjusted Rand index.

    It compares candidates of one number of clusters. Over several it prefers few, large clusters;
    `heldout_scorer` does not.

    Parameters
    ----------
    estimator : clusterer or Pipeline
        Fitted to other samples. Any that has `predict`.
    X : array-like of shape (n_samples, n_features)
        The held-out samples: best half of all.
    y : None
        Ignored.

    Returns
    -------
    score : float
        At most 1, which is best. One cluster in both scores 0: there is nothing to agree on.
    """
    return agreement(*two_labelings(estimator, X))


def agreement(ours: NDArray[Any], theirs: NDArray[Any]) -> float:
    """The adjusted Rand index of two labelings, 0 if both have one cluster."""
    trivial = len(np.unique(ours)) == 1 and len(np.unique(theirs)) == 1
    return 0.0 if trivial else float(adjusted_rand_score(ours, theirs))


def two_labelings(estimator: Any, X: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Labels of held-out samples by the model and by one that is fitted to them."""
    return estimator.predict(X), clone(estimator).fit(X).predict(X)


class LabelScorer:
    """A measure of labels and distances as a scorer that knows what one cluster is worth.

    Distances are those between samples as the last step of a pipeline sees them, so that
    candidates that differ in the steps before it are not comparable.

    Parameters
    ----------
    measure : callable
        From X and labels to a number, greater for better ones.
    one_cluster : float, default=0.0
        The score where all samples are in one cluster, or each in one of its own.
    dense : bool, default=False
        Whether the measure takes no sparse samples: they are copied to a dense array.
    """

    def __init__(
        self, measure: Callable[[Any, Any], float], one_cluster: float = 0.0, dense: bool = False
    ) -> None:
        self.measure = measure
        self.one_cluster = one_cluster
        self.dense = dense

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        """The score of a fitted clusterer, or of a pipeline that ends in one, on X."""
        labels = estimator.predict(X)
        if not 2 <= len(np.unique(labels)) < len(labels):
            return self.one_cluster
        seen = seen_by_clusterer(estimator, X).X
        return float(
            self.measure(seen.toarray() if self.dense and issparse(seen) else seen, labels)
        )

    def __repr__(self) -> str:
        return f"LabelScorer({self.measure.__name__})"


def _davies_bouldin(X: Any, labels: Any) -> float:
    return 1 / (1 + davies_bouldin_score(X, labels))


silhouette_scorer = LabelScorer(silhouette_score)
calinski_harabasz_scorer = LabelScorer(calinski_harabasz_score, dense=True)
davies_bouldin_scorer = LabelScorer(_davies_bouldin, dense=True)


class GeminiScorer:
    """The GEMINI of one and the same objective, whatever the candidates are trained by.

    It grows with the number of clusters: use it to compare candidates that have the same number.

    Parameters
    ----------
    objective : str or Objective, default="auto"
        As in `GeminiClustering`. A bandwidth such as "median" is that of the held-out samples, so
        that it is the same for all candidates.

    Examples
    --------
    >>> from gemclust import GeminiClustering
    >>> from gemclust.metrics import GeminiScorer
    >>> X = [[0.0], [1.0], [10.0], [11.0]]
    >>> model = GeminiClustering(2, objective="mi", model="linear", random_state=0).fit(X)
    >>> print(round(GeminiScorer("mmd_ova")(model, X), 2))
    5.00
    """

    def __init__(self, objective: str | Objective = "auto") -> None:
        self.objective = objective
        get_objective(objective)

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        """The score of a fitted clusterer, or of a pipeline that ends in one, on X."""
        soft = hasattr(estimator, "predict_proba")
        found = estimator.predict_proba(X) if soft else estimator.predict(X)
        return gemini_score(seen_by_clusterer(estimator, X).X, found, self.objective)

    def __repr__(self) -> str:
        return f"GeminiScorer({self.objective!r})"
