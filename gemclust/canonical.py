"""The samples that count, in an order that does not depend on the order given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from gemclust.samples import in_working_precision

MERGE_SAMPLES = 20_000
"""Up to so many samples, equal ones are merged and all are sorted before training; of more, so
many drawn at random say where the data lie and how far apart."""


@dataclass(frozen=True)
class Canonical:
    """The samples that count, in an order that does not depend on the order given.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_rows, n_features)
        In lexicographic order, distinct if there is no affinity. If there are many samples, X as
        it was given.
    weight : ndarray of shape (n_samples,)
        Sum of the weights of the given samples that are this row.
    affinity : ndarray of shape (n_samples, n_samples) or None
        The user's matrix in the same order.
    position : ndarray of int of shape (n_given,) or None
        The sample that each given one has become, -1 for those of weight 0; None if all are what
        they were.
    n_distinct : int
        How many rows differ from all before, as far as it is known.
    rows : ndarray of int of shape (n_samples,) or None
        Which rows of X are the samples, where it is not all of them.
    """

    X: Any
    weight: NDArray[Any]
    affinity: NDArray[Any] | None
    position: NDArray[Any] | None
    n_distinct: int
    rows: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.weight)

    @property
    def n_standing(self) -> int:
        """For how many samples these stand: weights that are whole numbers say how often each."""
        total = self.weight.sum(dtype=np.float64)
        if total < 2**53 and bool((self.weight == np.round(self.weight)).all()):
            return int(total)
        return len(self) if self.position is None else int((self.position >= 0).sum())

    @property
    def n_alike(self) -> int:
        """How often all of them stand: what stands equally often may as well stand once."""
        if self.n_standing != self.weight.sum(dtype=np.float64):
            return 1
        return int(np.gcd.reduce(self.weight.astype(np.int64)))

    def draw(self, numbers: NDArray[Any]) -> Canonical:
        """The samples of these numbers, copied, in working precision."""
        rows = numbers if self.rows is None else self.rows[numbers]
        affinity = None if self.affinity is None else self.affinity[np.ix_(numbers, numbers)]
        X, weight = in_working_precision(self.X[rows]), self.weight[numbers]
        return Canonical(X, weight, affinity, None, len(numbers))


def canonical(
    X: Any, weight: NDArray[Any], affinity: NDArray[Any] | None = None, shard: bool = False
) -> Canonical:
    """Drop rows of weight 0, merge equal rows and sort, so that weights mean repetition.

    With a precomputed affinity, rows are sorted but not merged: equal rows may differ in it. More
    than `MERGE_SAMPLES` rows, and those of a shard of so many, are left as they are, but for those
    of weight 0.
    """
    counted = np.flatnonzero(weight) if not weight.all() else None
    n_counted = X.shape[0] if counted is None else len(counted)
    if shard or n_counted > MERGE_SAMPLES:
        return _as_given(X, weight, counted, affinity)
    X = in_working_precision(X)
    position = np.full(X.shape[0], -1)
    if counted is None:
        counted = np.arange(n_counted)
    else:
        X, weight = X[counted], weight[counted]
        affinity = None if affinity is None else affinity[np.ix_(counted, counted)]
    rows, inverse = _distinct(X)
    inverse = inverse.ravel()
    n_distinct = len(rows)
    if affinity is not None:
        rows = np.argsort(inverse, kind="stable")
        inverse = np.argsort(rows)
        affinity = affinity[np.ix_(rows, rows)]
    position[counted] = inverse
    merged = np.bincount(inverse, weights=weight, minlength=len(rows)).astype(weight.dtype)
    return Canonical(X[rows], merged, affinity, position, n_distinct)


def _as_given(
    X: Any, weight: NDArray[Any], counted: NDArray[Any] | None, affinity: NDArray[Any] | None
) -> Canonical:
    if counted is None:
        return Canonical(X, weight, affinity, None, X.shape[0])
    position = np.full(X.shape[0], -1)
    position[counted] = np.arange(len(counted))
    affinity = None if affinity is None else affinity[np.ix_(counted, counted)]
    return Canonical(X, weight[counted], affinity, position, len(counted), counted)


def _distinct(X: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """First place of each distinct row, in lexicographic order, and which of them each row is."""
    if not sp.issparse(X):
        return np.unique(X, axis=0, return_index=True, return_inverse=True)[1:]
    X = X.sorted_indices()
    X.eliminate_zeros()
    keys = [
        (tuple(X.indices[start:end]), tuple(X.data[start:end]))
        for start, end in zip(X.indptr[:-1], X.indptr[1:], strict=True)
    ]
    first: dict[Any, int] = {}
    for i, key in enumerate(keys):
        first.setdefault(key, i)
    order = sorted(first)
    position = {key: i for i, key in enumerate(order)}
    return np.array([first[key] for key in order]), np.array([position[key] for key in keys])
