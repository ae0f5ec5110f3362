"""A fitted estimator as a function of some of its features."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.base import BaseEstimator


class SomeFeatures(BaseEstimator):
    """A fitted estimator as a function of a few features, dense; the others stay as they are.

    A feature of a polars DataFrame is given by the numbers of the rows that its values come from:
    as an array of all features it would lose their names and types.
    """

    def __init__(self, estimator: Any, X: Any, chosen: NDArray[Any]) -> None:
        self.estimator = estimator
        self.X = X
        self.chosen = chosen

    @property
    def block(self) -> NDArray[Any]:
        """The features."""
        X, chosen = self.X, self.chosen
        if hasattr(X, "with_columns"):
            return np.tile(np.arange(len(X))[:, None], len(chosen))
        if sp.issparse(X):
            return sp.csc_array(X)[:, chosen].toarray()
        return X.iloc[:, chosen] if hasattr(X, "iloc") else np.asarray(X)[:, chosen]

    def whole(self, block: Any) -> Any:
        """The samples with these values of the features."""
        if hasattr(self.X, "with_columns"):
            columns = zip(self.chosen, np.asarray(block).T, strict=True)
            return self.X.with_columns([self.X[:, int(j)][rows] for j, rows in columns])
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

    def fit(self, X: Any, y: Any = None) -> SomeFeatures:
        """Nothing is fitted."""
        return self

    def predict(self, block: Any) -> NDArray[Any]:
        """Labels, given the features."""
        return self.estimator.predict(self.whole(block))

    def predict_proba(self, block: Any) -> NDArray[Any]:
        """p(y|x), given the features."""
        return self.estimator.predict_proba(self.whole(block))
