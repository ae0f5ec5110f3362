"""Samples that are equal: spread again if that is because they were rounded, else merged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from gemclust.canonical import MERGE_SAMPLES, Canonical, canonical
from gemclust.samples import without_majority

DISTINCT = 0.9
"""At most this part of samples is distinct where those that are equal matter."""

SPARSE_FEATURES = 50
"""Sparse rows of more features stay as they are: spread, none of their values would be 0."""

ADJACENT_SAMPLES = 200
"""So many samples tell whether those that are equal have others a step away, or stand at one
place."""


def apart(data: Canonical) -> Canonical:
    """The data without equal samples, where these are many.

    If the samples were rounded, each is moved to a random place in its cell, one row for each.
    Others that are equal are merged to one of greater weight: of copies there is nothing between.

    Parameters
    ----------
    data : Canonical
        At most `MERGE_SAMPLES` rows. Weights that are whole numbers say how often a row stands.

    Returns
    -------
    Canonical
        At most `MERGE_SAMPLES` samples, or the data itself.
    """
    X = data.X
    if data.affinity is not None or (sp.issparse(X) and X.shape[1] > SPARSE_FEATURES):
        return data
    X = X.toarray() if sp.issparse(X) else X
    n_distinct = len({hash(row.tobytes()) for row in X})
    n_samples = data.n_standing // data.n_alike
    if n_distinct <= DISTINCT * n_samples:
        rows = evenly(data.weight, min(n_samples, MERGE_SAMPLES))
        widths = cell_of(X, rows)
        if widths is not None:
            noise = np.random.RandomState(0).uniform(-0.5, 0.5, (len(rows), len(widths)))
            spread = (X[rows] + widths * noise).astype(X.dtype)
            spread = sp.csr_array(spread) if sp.issparse(data.X) else spread
            weight = np.ones_like(data.weight, shape=len(rows))
            return Canonical(spread, weight, None, None, len(rows))
    return canonical(data.X, data.weight) if n_distinct <= DISTINCT * len(data) else data


def balanced(data: Canonical) -> Canonical:
    """The data, but for the weight of one point beside which others would hardly count.

    Units are to share what lies around such a point, and valleys to be looked for there.
    """
    weight = without_majority(data.weight)
    return data if np.array_equal(weight, data.weight) else replace(data, weight=weight)


def places(data: Canonical) -> Canonical:
    """The data, of which equal samples are merged where many stand at one place."""
    some = data.X[evenly(np.ones(len(data)), min(len(data), ADJACENT_SAMPLES))]
    most = canonical(some, np.ones(some.shape[0])).weight.max()
    return canonical(data.X, data.weight) if 4 * most > some.shape[0] else data


def cell_of(X: NDArray[Any], rows: NDArray[Any]) -> NDArray[Any] | None:
    """Widths of the cells to which samples were rounded, None if they were not.

    They were if every feature has values in equal steps, and most samples others in the cells next
    to theirs.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        All places.
    rows : ndarray of int of shape (n_samples,)
        The place of each sample.
    """
    steps = np.array([lattice_step(feature) for feature in X.T])
    if np.isnan(steps).any():
        return None
    cells = X / np.where(steps > 0, steps, 1)
    some = rows[evenly(np.ones(len(rows)), min(len(rows), ADJACENT_SAMPLES))]
    distances = cdist(cells[some], cells, "chebyshev")
    next_to = ((distances > 0.5) & (distances < 1.5)).any(1)
    return steps if 2 * next_to.sum() >= len(some) else None


def lattice_step(feature: NDArray[Any]) -> float:
    """What the values of a feature are multiples of, 0 if they are equal, NaN if there is none."""
    values = np.unique(feature).astype(np.float64)
    if len(values) == 1:
        return 0.0
    extent = values[-1] - values[0]
    step = extent / np.round(extent / np.diff(values).min())
    places = (values - values[0]) / step
    return float(step) if np.abs(places - np.round(places)).max() < 1e-3 else np.nan


def evenly(weight: NDArray[Any], size: int) -> NDArray[Any]:
    """So many numbers of samples, in proportion to their weights, in order."""
    places = (np.arange(size) + 0.5) / size * weight.sum(dtype=np.float64)
    return np.searchsorted(np.cumsum(weight, dtype=np.float64), places)
