"""What the clusterer at the end of a pipeline or a search sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from gemclust.samples import as_array

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


class Seen(NamedTuple):
    """Samples as a clusterer sees them.

    Parameters
    ----------
    model : ClusterMixin
        The clusterer, fitted.
    X : ndarray or CSR matrix of float of shape (n_samples, n_features)
        What the steps before it have made of the samples.
    names : ndarray of str of shape (n_features,)
        Names of the features.
    table : DataFrame, ndarray or CSR matrix
        X before it was made an array.
    """

    model: Any
    X: Any
    names: NDArray[Any]
    table: Any


def clusterer(estimator: Any) -> Any:
    """The fitted clusterer itself, the last step of a pipeline, or what a search found best."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    model = estimator[-1] if hasattr(estimator, "steps") else estimator
    check_is_fitted(model)
    return model


def steps_before(estimator: Any) -> Pipeline | None:
    """The steps of a pipeline before the clusterer, if there are any."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if not hasattr(estimator, "steps"):
        return None
    before = estimator[:-1]
    before.steps = [step for step in before.steps if step[1] not in (None, "passthrough")]
    return before if before.steps else None


def seen_by_clusterer(estimator: Any, X: Any) -> Seen:
    """The clusterer, the samples as it sees them, and what it calls their features."""
    model, before = clusterer(estimator), steps_before(estimator)
    if before is not None:
        X = before.transform(X)
    names = _names(model, X, before)
    X = table = as_array(X)
    X = sp.csr_array(X) if sp.issparse(X) else np.asarray(X)
    # Whole numbers overflow in squares, and truth values have no differences.
    X = X if X.dtype in (np.float32, np.float64) else X.astype(np.float64)
    if names is None or len(names) != X.shape[1]:
        names = [f"x{j}" for j in range(X.shape[1])]
    return Seen(model, X, np.asarray(names, dtype=object), table)


def _names(model: Any, X: Any, before: Pipeline | None) -> Any:
    if hasattr(X, "columns"):
        return list(map(str, X.columns))
    if before is not None and hasattr(before[-1], "get_feature_names_out"):
        return before.get_feature_names_out()
    return getattr(model, "feature_names_in_", None)
