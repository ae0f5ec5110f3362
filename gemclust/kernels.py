"""Kernels: by name or as a function, their bandwidth, and Nystroem features of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from sklearn.metrics.pairwise import (
    PAIRWISE_KERNEL_FUNCTIONS,
    pairwise_distances,
    pairwise_distances_argmin,
    pairwise_kernels,
)

from gemclust.samples import weighted_median

MEDIAN_SAMPLES = 1_000
"""The median distance is that of so many samples, spread evenly over their norms."""

BANDWIDTHS = ("median", "scale", "auto")

# In these the samples enter by their differences, so that centred and scaled ones serve as well,
# with gamma times this power of the scale.
SHIFT_FREE = {"rbf": 2, "laplacian": 1}

# At the mean of near samples these are about the mean of their values.
SMOOTH = ("rbf", "poly", "polynomial", "sigmoid")

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
            raise ValueError(
                f"kernel={self.kernel!r} is unknown; use one of "
                f"{', '.join(sorted(PAIRWISE_KERNEL_FUNCTIONS))}, 'precomputed' or a function."
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


class Nystroem:
    r"""Features whose inner products are a kernel's values, exact between a few landmarks.

    .. math:: \varphi(x) = K_{LL}^{-1/2} k(L, x)

    Parameters
    ----------
    kernel : Kernel
        The kernel.
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Where the landmarks come from; all of its rows are if there are no more than n_components.
    n_components : int
        Number of landmarks.
    random_state : int
        Draws them.
    weight : ndarray of shape (n_samples,), optional
        Sample weights; rows of weight 0 have no part in the landmarks.
    """

    def __init__(
        self,
        kernel: Kernel,
        X: Any,
        n_components: int,
        random_state: int,
        weight: NDArray[Any] | None = None,
    ) -> None:
        self.kernel = kernel
        self.landmarks = choose_landmarks(kernel, X, n_components, random_state, weight)
        matrix = _checked(kernel(self.landmarks, self.landmarks))
        values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
        # Below this, an eigenvalue is rounding of the kernel and its feature is noise.
        rounding = 1e-9 if X.dtype == np.float32 else 1e-12
        kept = values > rounding * max(values.max(), np.finfo(np.float64).tiny)
        self.projection = vectors[:, kept] / np.sqrt(values[kept])

    def __call__(self, X: Any) -> NDArray[Any]:
        """Features of shape (n_samples, at most n_components), in the dtype of X."""
        return (self.kernel(X, self.landmarks) @ self.projection).astype(X.dtype)


def choose_landmarks(
    kernel: Kernel,
    X: Any,
    n_components: int,
    random_state: int,
    weight: NDArray[Any] | None = None,
) -> Any:
    """Landmarks of Nystroem features: rows of X, or means of rows where the kernel is smooth.

    Rows are drawn one after the other with probability proportional to weight times what the
    features of those before leave of k(x, x), so that no part of the data is left out. A smooth
    kernel at the mean of neighbours is about the mean of their kernels, and these means are what
    an MMD compares: there, two steps of Lloyd's algorithm move the landmarks to the middle of
    the rows around them. There may be fewer than `n_components`, if those explain the kernel.
    """
    weight = np.ones(X.shape[0]) if weight is None else weight.astype(np.float64)
    if not weight.all():
        X, weight = X[weight > 0], weight[weight > 0]
    if X.shape[0] <= n_components:
        return X
    rng = np.random.RandomState(random_state)
    landmarks = X[np.sort(random_pivots(kernel, X, n_components, weight, rng))]
    for _ in range(2 if kernel.kernel in SMOOTH else 0):
        landmarks = _means_of_nearest(X, weight, landmarks)
    return landmarks


def random_pivots(
    kernel: Kernel,
    X: Any,
    n_components: int,
    weight: NDArray[Any],
    rng: np.random.RandomState,
) -> list[int]:
    """Pivots of a randomly pivoted Cholesky decomposition of the kernel's matrix.

    Pivots are proposed many at a time and rejected with the probability that makes them those of
    one draw after the other (Chen et al., doi 10.1002/cpa.22234, and Epperly et al.,
    arXiv 2410.03969). For a kernel that is not positive, they are drawn by weight alone.
    """
    residual = _diagonal(kernel, X)
    indefinite = -1e-3 * residual.max()
    negligible = 10 * np.finfo(X.dtype).eps * (weight @ residual)
    factor = np.zeros((X.shape[0], n_components))
    pivots: list[int] = []
    while (done := len(pivots)) < n_components:
        mass = weight * residual
        if mass.sum() <= negligible:
            break
        drawn = rng.choice(len(mass), size=max(10, n_components // 5), p=mass / mass.sum())
        known = factor[:, :done]
        matrix = kernel(X[drawn], X[drawn]) - known[drawn] @ known[drawn].T
        bars = residual[drawn] * rng.random_sample(len(drawn))
        accepted, triangle = _eliminate(matrix, bars, n_components - done)
        if not accepted:  # Only rounding is left.
            break
        rows = drawn[accepted]
        columns = kernel(X, X[rows]) - known @ known[rows].T
        columns = solve_triangular(triangle, columns.T, lower=True).T
        factor[:, done : done + len(rows)] = columns
        residual = residual - np.square(columns).sum(1)
        if residual.min() < indefinite:
            pivots = []
            break
        residual = np.maximum(residual, 0)
        residual[rows] = 0
        pivots.extend(rows)
    # Of a kernel that is not positive, what is left says nothing.
    share = weight / weight.sum()
    return pivots or list(rng.choice(len(share), n_components, replace=False, p=share))


def _eliminate(
    matrix: NDArray[Any], bars: NDArray[Any], most: int
) -> tuple[list[int], NDArray[Any]]:
    """Rows whose pivot passes its bar, and the Cholesky factor of the matrix between them."""
    accepted: list[int] = []
    columns: list[NDArray[Any]] = []
    for i, bar in enumerate(bars):
        if matrix[i, i] > bar and len(accepted) < most:
            accepted.append(i)
            columns.append(matrix[:, i] / np.sqrt(matrix[i, i]))
            matrix = matrix - np.outer(columns[-1], columns[-1])
    return accepted, np.array(columns).T[accepted] if accepted else np.empty((0, 0))


def _means_of_nearest(X: Any, weight: NDArray[Any], landmarks: Any) -> Any:
    """Weighted means of the rows nearest to each landmark; sparse rows have sparse means."""
    nearest = pairwise_distances_argmin(X, landmarks)
    group = np.unique(nearest, return_inverse=True)[1]
    share = (weight / np.bincount(group, weight)[group]).astype(X.dtype)
    return sp.csr_array((share, (group, np.arange(len(group))))) @ X


def _diagonal(kernel: Kernel, X: Any) -> NDArray[Any]:
    """k(x, x) of all rows, 0 where it is negative."""
    blocks = (X[start : start + 50] for start in range(0, X.shape[0], 50))
    values = np.concatenate([np.diagonal(kernel(block, block)) for block in blocks])
    return np.maximum(_checked(values), 0)


def _checked(values: NDArray[Any]) -> NDArray[Any]:
    """Kernel values in float64, all of them finite."""
    if not np.isfinite(values).all():
        raise ValueError("The kernel contains NaN or infinity; every pair needs a finite value.")
    return values.astype(np.float64)


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
        raise ValueError(f"gamma={gamma!r} must be a number or one of {', '.join(BANDWIDTHS)}.")
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
