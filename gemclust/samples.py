"""The rows of X: as tensors, in the units of the model, and in an order of their own."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

KEPT_NUMBERS = 2**22
"""Samples of at most so many numbers are transformed once and kept."""


def to_tensor(array: NDArray[Any], device: str | torch.device = "cpu") -> Tensor:
    """The array as a tensor that shares its memory where it can and is never written to."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.as_tensor(array, device=device)


def as_array(X: Any) -> Any:
    """A tensor as an array, which shares its memory if it is on the CPU; anything else as it is.

    NumPy has no bfloat16: such a tensor is copied as float32, which holds all its values.
    """
    if not isinstance(X, Tensor):
        return X
    X = X.detach().cpu()
    if X.dtype == torch.bfloat16:
        X = X.float()
    try:
        return X.numpy()
    except TypeError as error:
        raise ValueError(
            f"A tensor of {X.dtype} and layout {X.layout} cannot be made an array: convert it, as "
            "by X.float(), and a sparse one by X.to_dense() or to a CSR matrix of SciPy."
        ) from error


def row_width(X: Any) -> int:
    """Numbers that a row has; if X is sparse, those that one has on average."""
    return 1 + X.nnz // max(1, X.shape[0]) if sp.issparse(X) else int(X.shape[1])


class Samples:
    """Rows of a dense or CSR matrix as tensors, all of them or some, after a transformation.

    Few samples are transformed once and kept. Of many no second copy is made: what is taken is
    transformed anew each time.

    Parameters
    ----------
    array : ndarray or CSR matrix of shape (n_rows, n_features)
        Shared, not copied, where the device allows it.
    device : str or torch.device
        Where the tensors live.
    transform : callable, optional
        From some rows of the array to what is taken.
    rows : ndarray of int of shape (n_samples,), optional
        Which rows of the array are samples, in which order; all by default.
    width : int, optional
        Numbers that a transformed sample has; if the transformation does not say it, as many as
        a row.
    keep : int
        Up to so many numbers the samples are few.
    """

    def __init__(
        self,
        array: Any,
        device: str | torch.device = "cpu",
        transform: Callable[[Any], Any] | None = None,
        rows: NDArray[Any] | None = None,
        width: int | None = None,
        keep: int = KEPT_NUMBERS,
    ) -> None:
        self.source = array
        self.device = device
        self.transform = transform
        self.rows = rows
        self.width = width or getattr(transform, "width", row_width)(array)
        self.keep = keep
        self._array: Any = array if transform is None and rows is None else None
        self._all: Tensor | None = None
        self._memo = threading.local()

    def __len__(self) -> int:
        return int(self.source.shape[0]) if self.rows is None else len(self.rows)

    @property
    def few(self) -> bool:
        """Whether all samples together may be kept."""
        return len(self) * self.width <= self.keep

    @property
    def array(self) -> Any:
        """All samples as an array; only where they are few is it kept."""
        if self._array is not None:
            return self._array
        array = self._transformed(slice(None))
        if self.few:
            self._array = array
        return array

    def take(self, rows: NDArray[Any] | slice | None = None) -> Tensor:
        """The given samples, or all."""
        if rows is None:
            if self._all is None:
                self._all = self._tensor(self.array)
            return self._all
        # The model and the objective often take the very same rows one after the other.
        last: tuple[Any, Any] = getattr(self._memo, "last", (None, None))
        if last[0] is not rows:
            kept = self._array is not None or self.few
            part = self.array[rows] if kept else self._transformed(rows)
            last = self._memo.last = rows, self._tensor(part)
        return last[1]

    def subset(self, rows: NDArray[Any]) -> Samples:
        """Some of the samples as samples of their own."""
        rows = rows if self.rows is None else self.rows[rows]
        return Samples(self.source, self.device, self.transform, rows, self.width, self.keep)

    def _transformed(self, rows: NDArray[Any] | slice) -> Any:
        if self.rows is not None:
            rows = self.rows[rows]
        part = self.source[rows]
        return part if self.transform is None else self.transform(part)

    def _tensor(self, array: Any) -> Tensor:
        if not sp.issparse(array):
            return to_tensor(np.ascontiguousarray(array), self.device)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse")
            return torch.sparse_csr_tensor(
                torch.as_tensor(array.indptr),
                torch.as_tensor(array.indices),
                torch.as_tensor(array.data),
                size=array.shape,
                device=self.device,
                check_invariants=False,
            )


class Scaling:
    """Centre and scale of X, neither moved by outliers: the model sees (X - centre) / scale.

    The centre is a trimmed mean, and the scale the median distance to it over sqrt(n_features).
    Sparse X is not centred. A point of much weight counts at most half as much as all others.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        The training data.
    weight : ndarray of shape (n_samples,)
        Sample weights.
    """

    def __init__(self, X: Any, weight: NDArray[Any]) -> None:
        centred = not sp.issparse(X)
        weight = without_majority(weight)
        zeros = np.zeros(X.shape[1], dtype=X.dtype)
        self.centre = trimmed_mean(X, weight) if centred else zeros
        radius = distances_to(X, self.centre)
        typical = weighted_median(radius, weight) or np.average(radius, weights=weight) or 1.0
        self.scale = float(typical / np.sqrt(X.shape[1]))

    def width(self, X: Any) -> int:
        """Numbers that a row of X has in the units of the model."""
        return int(X.shape[1]) if self.centre.any() else row_width(X)

    def __call__(self, X: Any) -> Any:
        """X in the units of the model; sparse X becomes dense only if training data was dense."""
        dtype = self.centre.dtype
        if sp.issparse(X):
            if not self.centre.any():
                return X.astype(dtype, copy=False) * dtype.type(1 / self.scale)
            X = X.toarray()
        moved = np.subtract(X, self.centre, dtype=dtype)
        moved /= dtype.type(self.scale)
        return moved


def trimmed_mean(X: Any, weight: NDArray[Any]) -> NDArray[Any]:
    """Mean of the rows without those that lie twice the median distance away, or more."""
    centre = _mean(X, weight)
    for _ in range(2):
        radius = distances_to(X, centre)
        centre = _mean(X, weight * (radius <= 2 * weighted_median(radius, weight)))
    return centre


def _mean(X: Any, weight: NDArray[Any]) -> NDArray[Any]:
    share = (weight / weight.sum()).astype(X.dtype)
    return np.asarray(share @ X).ravel().astype(X.dtype)


def distances_to(X: Any, centre: NDArray[Any]) -> NDArray[Any]:
    """Distances of the rows to the centre in float64, safe from overflow."""
    if sp.issparse(X):
        magnitude = float(abs(X).max()) or 1.0
        X = X.astype(np.float64) * (1 / magnitude)
        centre = centre.astype(np.float64) / magnitude
        squares = np.asarray(X.power(2).sum(1)).ravel() - 2 * (X @ centre) + centre @ centre
        return np.sqrt(np.maximum(squares, 0)) * magnitude
    moved = X - centre
    magnitude = float(np.abs(moved).max()) or 1.0
    moved /= X.dtype.type(magnitude)
    return np.linalg.norm(moved, axis=1).astype(np.float64) * magnitude


def in_working_precision(X: Any) -> Any:
    """X in float32 if it is, else in float64."""
    return X.astype(working_dtype(X), copy=False)


def working_dtype(X: Any) -> type[np.floating[Any]]:
    """The type in which samples of X are computed with."""
    return np.float32 if X.dtype == np.float32 else np.float64


def without_majority(weight: NDArray[Any]) -> NDArray[Any]:
    """The weights, none of them more than half of all but the largest together.

    Where half of the weight is in one point, the median of distances is 0, or as small as chance
    makes it, and does not tell how far samples lie apart.
    """
    most = 0.5 * (weight.sum(dtype=np.float64) - weight.max())
    return np.minimum(weight, weight.dtype.type(most)) if most > 0 else weight


def weighted_median(values: NDArray[Any], weight: NDArray[Any]) -> float:
    """The least value that at least half of the weight does not exceed."""
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(cumulative, 0.5 * cumulative[-1] * (1 - 1e-12))])


def typical_distance(distances: NDArray[Any], weight: NDArray[Any]) -> float:
    """The weighted median, where distances of 0 count half as much as all others at most."""
    at = distances == 0
    here, others = weight[at].sum(dtype=np.float64), weight[~at].sum(dtype=np.float64)
    if 2 * here > others:
        weight = np.where(at, weight * (0.5 * others / here), weight)
    return weighted_median(distances, weight)
