"""Kernels: by name or as a function, their bandwidth, and Nystroem features of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.metrics.pairwise import (
    PAIRWISE_KERNEL_FUNCTIONS,
    pairwise_distances,
    pairwise_kernels,
)

from gemclust.messages import did_you_mean
from gemclust.samples import weighted_median

MEDIAN_SAMPLES = 1_000
"""The median distance is that of so many samples, spread evenly over their norms."""

BANDWIDTHS = ("median", "scale", "auto")

# In these the samples enter by their differences, so that centred and scaled ones serve as well,
# with gamma times this power of the scale.
SHIFT_FREE = {"rbf": 2, "laplacian": 1}


_PARAMETERS = {
    "rbf": ("gamma",),
    "laplacian": ("gamma",),
    "chi2": ("gamma",),
    "sigmoid": ("gamma", "coef0"),
    "poly": ("gamma", "degree", "coef0"),
    "polynomial": ("gamma", "degree", "coef0"),
}


class Kernel:
    """A kernel between rows, with its parameters as numbers.

    Parameters
    ----------
    objective : Objective
        Its `kernel`, `gamma`, `degree` and `coef0` say which; a kernel without such attributes
        is linear.
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Where a bandwidth that is given by name comes from.
    weight : ndarray of shape (n_samples,)
        Sample weights.
    scale : float
        What a distance of 1 in X is worth in the units in which `gamma` is meant.

    Raises
    ------
    ValueError
        If the kernel or the bandwidth is unknown.
    """

    def __init__(self, objective: Any, X: Any, weight: NDArray[Any], scale: float = 1.0) -> None:
        self.kernel = getattr(objective, "kernel", "linear")
        if not callable(self.kernel) and self.kernel not in PAIRWISE_KERNEL_FUNCTIONS:
            known = sorted(PAIRWISE_KERNEL_FUNCTIONS)
            raise ValueError(
                f"kernel={self.kernel!r} is unknown; use one of {', '.join(known)}, 'precomputed' "
                f"or a function.{did_you_mean(self.kernel, known)}"
            )
        names = () if callable(self.kernel) else _PARAMETERS.get(self.kernel, ())
        given = {name: getattr(objective, name, None) for name in names}
        self.parameters = {name: v for name, v in given.items() if v is not None}
        if "gamma" in names:
            self.parameters.pop("gamma", None)
            self.parameters |= _bandwidth(self.kernel, given["gamma"], X, weight, scale)
        self.takes_matrices = callable(self.kernel) and takes_matrices(self.kernel, X)

    def __call__(self, X: Any, Y: Any) -> NDArray[Any]:
        """The matrix of kernel values between the rows of X and those of Y."""
        if self.takes_matrices:
            function: Any = self.kernel
            return np.asarray(function(X, Y))
        # scikit-learn would mirror one half of a function's values if Y were X itself, and so
        # hide that it is not symmetric.
        Y = Y.copy() if callable(self.kernel) and Y is X else Y
        return pairwise_kernels(X, Y, metric=self.kernel, **self.parameters)


def takes_matrices(function: Any, X: Any) -> bool:
    """Whether a user's kernel or metric maps two matrices to the matrix of all pairs.

    The alternative is a function of two rows. One that happens to return the right shape for
    matrices is told by its value for the rows.
    """
    first, second = X[:2], X[: min(3, X.shape[0])]
    try:
        matrix = np.asarray(function(first, second))
        fits = matrix.shape == (first.shape[0], second.shape[0])
    except Exception:  # A function of rows may fail on matrices in any way it likes.
        return False
    if not fits or sp.issparse(X):
        return fits
    try:
        value = np.asarray(function(X[0], X[1]))
    except Exception:  # As may a function of matrices on rows.
        return True
    return value.size != 1 or bool(np.isclose(value.item(), matrix[0, 1]))


def _bandwidth(
    kernel: str, gamma: Any, X: Any, weight: NDArray[Any], scale: float
) -> dict[str, float]:
    power = SHIFT_FREE.get(kernel, 0)
    if gamma is None:
        if not power:
            return {}
        gamma = "median"
    if isinstance(gamma, str) and gamma not in BANDWIDTHS:
        raise ValueError(
            f"gamma={gamma!r} must be a number or one of {', '.join(BANDWIDTHS)}."
            f"{did_you_mean(gamma, BANDWIDTHS)}"
        )
    if gamma == "median":
        median = median_distance(X, weight, "manhattan" if kernel == "laplacian" else "euclidean")
        return {"gamma": 1 / median if kernel == "laplacian" else 0.5 / median**2}
    if gamma == "scale":
        variance = _variance(X, weight)
        # Where differences enter to the first power, the unit is the standard deviation.
        spread = np.sqrt(variance) if kernel == "laplacian" else variance
        return {"gamma": float(1 / (X.shape[1] * spread)) if variance > 0 else 1.0}
    if gamma == "auto":
        gamma = 1 / X.shape[1]
    if isinstance(gamma, bool) or not np.isfinite(gamma) or gamma <= 0:
        raise ValueError(
            f"gamma={gamma!r} must be a positive number or one of {', '.join(BANDWIDTHS)}."
        )
    return {"gamma": float(np.clip(float(gamma) * scale**power, 1e-30, 1e30))}


def _variance(X: Any, weight: NDArray[Any]) -> float:
    """Mean over the features of their variances."""
    share = weight.astype(np.float64) / weight.sum(dtype=np.float64)
    mean = share @ X
    if not sp.issparse(X):
        return float((share @ np.square(X - mean)).mean())
    return float((share @ X.power(2) - np.square(mean)).mean())


def median_distance(X: Any, weight: NDArray[Any], metric: str) -> float:
    """Weighted median of the distances between distinct rows, 1 if all rows are equal."""
    if X.shape[0] > MEDIAN_SAMPLES:
        # Not by chance nor by place: the same samples are taken whatever the order of rows.
        squares = X.multiply(X).sum(1) if sp.issparse(X) else np.square(X).sum(1)
        order = np.argsort(np.asarray(squares).ravel(), kind="stable")
        levels = (np.arange(MEDIAN_SAMPLES) + 0.5) / MEDIAN_SAMPLES
        cumulative = np.cumsum(weight[order], dtype=np.float64)
        rows = order[np.searchsorted(cumulative, levels * cumulative[-1])]
        X, weight = X[rows], np.ones(MEDIAN_SAMPLES)
    distances = pairwise_distances(X, metric=metric).astype(np.float64)
    # Equal rows may come out at the square root of rounding.
    distinct = distances > 1e-6 * distances.max()
    pairs = np.outer(weight, weight)[distinct]
    return weighted_median(distances[distinct], pairs) if len(pairs) else 1.0
