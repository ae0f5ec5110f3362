"""What makes the clusters: how features differ in them, and which of them decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from gemclust.parameters import check_sample_weight
from gemclust.pipelines import seen_by_clusterer
from gemclust.samples import as_array

__all__ = ["cluster_profiles", "feature_importances", "standardised_differences"]

SPARSE_FEATURES = 100
"""Of sparse X, only so many features are looked at unless others are asked for."""


def cluster_profiles(
    estimator: Any,
    X: ArrayLike,
    *,
    soft: bool = True,
    sample_weight: ArrayLike | None = None,
    features: Sequence[Any] | None = None,
) -> Any:
    r"""Table of the clusters: size, confidence, and how each feature differs in each.

    The difference of feature j in cluster k is :math:`(m_{kj} - m_j) / s_j`, with m the means in
    the cluster and of all samples, and s the standard deviation of all.

    Parameters
    ----------
    estimator : clusterer, or a Pipeline or search that ends in one
        Fitted, with `predict_proba`. Of a pipeline, features are those that its last step sees.
    X : {array-like, CSR matrix} of shape (n_samples, n_features)
        New or old samples.
    soft : bool, default=True
        Whether samples count in each cluster by their p(y|x), or in their most probable one only.
    sample_weight : array-like of shape (n_samples,), default=None
        A sample of weight 2 counts as two.
    features : sequence of str or int, default=None
        Names or numbers of the features to look at. None: all; of sparse X, the 100 that differ
        most.

    Returns
    -------
    table : DataFrame, or dict of ndarray where pandas is not installed
        A row for each cluster. "size" is the number of samples (sum of weights) for which the
        cluster is the most probable, "share" the mean of p(y|x), "confidence" the mean of p(y|x)
        over the samples counted in "size"; the other columns are the differences. A feature of one
        of these names is called "size (feature)".

    See Also
    --------
    feature_importances : Which features decide.
    gemclust.displays.ProfileDisplay : A picture of the differences.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from gemclust import GeminiClustering
    >>> from gemclust.explain import cluster_profiles
    >>> X = load_iris(as_frame=True).data
    >>> model = GeminiClustering(3, random_state=0).fit(X)
    >>> table = cluster_profiles(model, X)
    >>> print(table["size"].sum(), list(table)[:4])
    150.0 ['size', 'share', 'confidence', 'sepal length (cm)']
    """
    _, samples, names = seen_by_clusterer(estimator, X)
    weight = check_sample_weight(sample_weight, samples).astype(np.float64)
    proba = _memberships(estimator, X, soft=True)
    hard = np.eye(proba.shape[1])[proba.argmax(1)]
    differences = standardised_differences(samples, proba if soft else hard, weight)
    size = weight @ hard
    with np.errstate(invalid="ignore"):
        confidence = weight @ (hard * proba) / size
    columns = {"size": size, "share": weight @ proba / weight.sum(), "confidence": confidence}
    chosen = _chosen(features, names, differences, sp.issparse(samples))
    taken = set(columns)
    for j in chosen:
        name = str(names[j])
        columns[f"{name} (feature)" if name in taken else name] = differences[:, j]
    return _table(columns, "cluster")


def feature_importances(
    estimator: Any,
    X: ArrayLike,
    *,
    soft: bool = True,
    features: Sequence[Any] | None = None,
    n_repeats: int = 5,
    random_state: Any = None,
) -> Any:
    r"""Table of the features: how much of the clustering changes if a feature is permuted.

    A feature's values are exchanged between samples at random. With p and p' the probabilities
    before and after, its importance is the mean over samples of
    :math:`\sum_k |p'_k - p_k| / 2`: the share of the samples that change their cluster, in parts
    if `soft`.

    Parameters
    ----------
    estimator : clusterer, or a Pipeline or search that ends in one
        Fitted, with `predict_proba`. Of a pipeline, features are those that go into its first step.
    X : {array-like, CSR matrix} of shape (n_samples, n_features)
        New or old samples.
    soft : bool, default=True
        Whether probabilities are compared, or labels.
    features : sequence of str or int, default=None
        Names or numbers of the features to look at. None: all; of sparse X, the 100 that differ
        most between clusters.
    n_repeats : int, default=5
        How often each feature is permuted.
    random_state : int, RandomState or None, default=None
        Draws the permutations.

    Returns
    -------
    table : DataFrame, or dict of ndarray where pandas is not installed
        "feature", "importance" and its standard deviation over the repeats, "deviation", the most
        important feature first.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from gemclust import GeminiClustering
    >>> from gemclust.explain import feature_importances
    >>> X = load_iris(as_frame=True).data
    >>> model = GeminiClustering(3, random_state=0).fit(X)
    >>> feature_importances(model, X, random_state=0)["feature"][0]
    'petal length (cm)'
    """
    # Imported when used, as it takes long to load.
    from sklearn.inspection import permutation_importance

    X = as_array(X)
    sparse = sp.issparse(X)
    n_features = np.shape(X)[1]
    names = _input_names(estimator, X, n_features)
    before = _memberships(estimator, X, soft)

    def change(model: Any, permuted: Any, y: Any = None) -> float:
        return -0.5 * float(np.abs(_memberships(model, permuted, soft) - before).sum(1).mean())

    if sparse or features is not None:
        differences = np.zeros((1, n_features))
        if features is None:
            differences = standardised_differences(sp.csr_array(X), before)
        chosen = _chosen(features, names, differences, sparse)
        estimator = _SomeFeatures(estimator, X, chosen)
        X, names = estimator.block, names[chosen]
    found = permutation_importance(
        estimator, X, None, scoring=change, n_repeats=n_repeats, random_state=random_state
    )
    order = np.argsort(-found.importances_mean, kind="stable")
    columns = {
        "feature": names[order],
        "importance": found.importances_mean[order],
        "deviation": found.importances_std[order],
    }
    return _table(columns)


def standardised_differences(
    X: Any, memberships: NDArray[Any], sample_weight: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Means of the features in each cluster less those of all, in standard deviations of all.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        The samples.
    memberships : ndarray of shape (n_samples, n_clusters)
        How far each sample counts in each cluster.
    sample_weight : ndarray of shape (n_samples,), default=None
        A sample of weight 2 counts as two.

    Returns
    -------
    differences : ndarray of shape (n_clusters, n_features)
        0 for a constant feature, NaN for an empty cluster.
    """
    weight = np.ones(len(memberships)) if sample_weight is None else sample_weight
    share = weight / weight.sum()
    mean = share @ X
    squares = X.multiply(X) if sp.issparse(X) else np.square(X - mean)
    variance = share @ squares - (np.square(mean) if sp.issparse(X) else 0)
    deviation = np.sqrt(np.maximum(variance, 0))
    mass = share @ memberships
    with np.errstate(invalid="ignore", divide="ignore"):
        inside = (share[:, None] * memberships).T @ X / mass[:, None]
    constant = deviation <= 1e-12 * np.maximum(np.abs(mean), 1e-300)
    return np.where(constant, 0.0, inside - mean) / np.where(constant, 1.0, deviation)


class _SomeFeatures(BaseEstimator):
    """A fitted estimator as a function of a few features, dense; the others stay as they are."""

    def __init__(self, estimator: Any, X: Any, chosen: NDArray[Any]) -> None:
        self.estimator = estimator
        self.X = X
        self.chosen = chosen

    @property
    def block(self) -> NDArray[Any]:
        """The features."""
        X, chosen = self.X, self.chosen
        if sp.issparse(X):
            return sp.csc_array(X)[:, chosen].toarray()
        return X.iloc[:, chosen] if hasattr(X, "iloc") else np.asarray(X)[:, chosen]

    def whole(self, block: Any) -> Any:
        """The samples with these values of the features."""
        if hasattr(self.X, "iloc"):
            whole = self.X.copy()
            whole[whole.columns[self.chosen]] = block
            return whole
        if not sp.issparse(self.X):
            whole = np.array(self.X)
            whole[:, self.chosen] = block
            return whole
        n_features = self.X.shape[1]
        others = np.ones(n_features)
        others[self.chosen] = 0
        places = np.arange(len(self.chosen)), self.chosen
        spread = sp.csr_array((np.ones(len(self.chosen)), places), (len(self.chosen), n_features))
        whole = sp.csr_array(self.X) @ sp.diags_array(others) + sp.csr_array(block) @ spread
        return sp.csr_array(whole).astype(self.X.dtype)

    def fit(self, X: Any, y: Any = None) -> _SomeFeatures:
        """Nothing is fitted."""
        return self

    def predict(self, block: Any) -> NDArray[Any]:
        """Labels, given the features."""
        return self.estimator.predict(self.whole(block))

    def predict_proba(self, block: Any) -> NDArray[Any]:
        """p(y|x), given the features."""
        return self.estimator.predict_proba(self.whole(block))


def _memberships(estimator: Any, X: Any, soft: bool) -> NDArray[Any]:
    """p(y|x) in float64, or 1 for the most probable cluster and 0 for others."""
    proba = np.asarray(estimator.predict_proba(X), dtype=np.float64)
    return proba if soft else np.eye(proba.shape[1])[proba.argmax(1)]


def _chosen(
    features: Sequence[Any] | None, names: NDArray[Any], differences: NDArray[Any], sparse: bool
) -> NDArray[Any]:
    """Numbers of the features to look at."""
    if features is None:
        if not sparse or len(names) <= SPARSE_FEATURES:
            return np.arange(len(names))
        largest = np.nanmax(np.abs(differences), axis=0)
        return np.sort(np.argsort(-largest, kind="stable")[:SPARSE_FEATURES])
    known = {name: j for j, name in enumerate(names)}
    unknown = [name for name in features if isinstance(name, str) and name not in known]
    if unknown:
        raise ValueError(f"features contains {unknown[0]!r}; the features are {list(names)}.")
    return np.array([known[name] if isinstance(name, str) else int(name) for name in features])


def _input_names(estimator: Any, X: Any, n_features: int) -> NDArray[Any]:
    given = getattr(X, "columns", None)
    if given is None:
        given = getattr(getattr(estimator, "best_estimator_", estimator), "feature_names_in_", None)
    return np.array([f"x{j}" for j in range(n_features)] if given is None else list(given), object)


def _table(columns: dict[str, NDArray[Any]], index: str | None = None) -> Any:
    """A DataFrame, or the columns themselves where pandas is not installed."""
    try:
        import pandas as pd
    except ImportError:
        return columns
    table = pd.DataFrame(columns)
    if index is not None:
        table.index.name = index
    return table
