"""What makes the clusters: how features differ in them, and which of them decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from gemclust.messages import MOST_NAMED, did_you_mean
from gemclust.parameters import check_sample_weight
from gemclust.pipelines import seen_by_clusterer
from gemclust.samples import as_array
from gemclust.some_features import SomeFeatures

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

    Raises
    ------
    ValueError
        If `features` contains what is no feature.

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
    _, samples, names, _ = seen_by_clusterer(estimator, X)
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

    Raises
    ------
    ValueError
        If X has no columns, as a list of texts, or `features` contains what is none of them.

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
    n_features = _width(X)
    names = _input_names(estimator, X, n_features)
    before = _memberships(estimator, X, soft)

    def change(model: Any, permuted: Any, y: Any = None) -> float:
        return -0.5 * float(np.abs(_memberships(model, permuted, soft) - before).sum(1).mean())

    if sparse or features is not None or hasattr(X, "with_columns"):
        differences = np.zeros((1, n_features))
        if sparse and features is None:
            differences = standardised_differences(sp.csr_array(X), before)
        chosen = _chosen(features, names, differences, sparse)
        estimator = SomeFeatures(estimator, X, chosen)
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
    X = X.astype(np.float64, copy=False)
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
    if isinstance(features, str) or not np.iterable(features):
        raise ValueError(f"{features=} is a name alone: give a list, [{features!r}].")
    if not len(features):
        raise ValueError("features is empty; None means all.")
    numbers = {name: j for j, name in enumerate(names)}
    return np.array([_number(feature, names, numbers) for feature in features], dtype=int)


def _number(feature: Any, names: NDArray[Any], numbers: dict[Any, int]) -> int:
    """The number of a feature, given by its name or by the number itself."""
    if isinstance(feature, str) and feature in numbers:
        return numbers[feature]
    whole = isinstance(feature, int | np.integer) and not isinstance(feature, bool)
    if whole and 0 <= feature < len(names):
        return int(feature)
    more = ", ..." if len(names) > MOST_NAMED else ""
    raise ValueError(
        f"features contains {feature!r}.{did_you_mean(feature, map(str, names))} It must contain "
        f"numbers from 0 to {len(names) - 1}, or names: "
        f"{', '.join(map(repr, names[:MOST_NAMED]))}{more}."
    )


def _width(X: Any) -> int:
    """How many columns X has."""
    shape = np.shape(X)
    if len(shape) == 2:
        return int(shape[1])
    raise ValueError(
        f"X has shape {shape}, but features are the columns of X. Texts are a single feature, and "
        "to exchange them says nothing. Take the last step alone, and what the others make of X: "
        "feature_importances(pipeline[-1], pipeline[:-1].transform(X)). The names of its columns "
        "are pipeline[:-1].get_feature_names_out()."
    )


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
