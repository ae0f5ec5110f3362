"""Feature maps of kernels: normalised rows, and Nystroem features from chosen landmarks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from sklearn.metrics import pairwise_distances_argmin

from gemclust.kernels import Kernel
from gemclust.samples import row_width, working_dtype

# At the mean of near samples these are about the mean of their values.
SMOOTH = ("rbf", "poly", "polynomial", "sigmoid")


class FeatureMap:
    """A feature map around its mean and near 1, as it is over the samples that it is fitted to.

    Parameters
    ----------
    function : callable
        From rows to their features.
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        The samples.
    weight : ndarray of shape (n_samples,)
        Sample weights.
    """

    def __init__(self, function: Any, X: Any, weight: NDArray[Any]) -> None:
        self.function = function
        features = function(X)
        self.width = row_width(features)
        self.mean = None
        if not sp.issparse(features):
            self.mean = np.average(features, axis=0, weights=weight).astype(features.dtype)
            features = features - self.mean
        self.unit = float(abs(features).max()) or 1.0

    def __call__(self, X: Any) -> Any:
        """Features of the rows; sparse ones are not centred."""
        features = self.function(X)
        if self.mean is not None:
            features = (features.toarray() if sp.issparse(features) else features) - self.mean
        return features * features.dtype.type(1 / self.unit)


class CosineMap:
    """Rows divided by their norms.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Rows of the magnitude that is to be expected.
    """

    def __init__(self, X: Any) -> None:
        largest = float(abs(X).max()) or 1.0
        # A power of two rounds nothing.
        self.factor = 2.0 ** -np.round(np.log2(largest))

    def __call__(self, X: Any) -> Any:
        """The normalised rows."""
        # Imported when used, as it takes long to load.
        from sklearn.preprocessing import normalize

        dtype = working_dtype(X)
        return normalize(X.astype(dtype, copy=False) * dtype(self.factor))


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

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if sp.issparse(self.landmarks):
            # As plain arrays, which formats that run no code can read.
            rows = sp.csr_array(self.landmarks)
            state["landmarks"] = rows.data, rows.indices, rows.indptr, rows.shape
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if isinstance(self.landmarks, tuple):
            *arrays, shape = self.landmarks
            self.landmarks = sp.csr_array(tuple(arrays), shape=shape)

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


def compose(last: Callable[[Any], Any], first: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The function that applies the second, then the first."""
    return lambda X: last(first(X))
