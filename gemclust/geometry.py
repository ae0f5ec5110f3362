"""From X to what an objective needs of it: features of a kernel, or an N x N matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components, shortest_path
from sklearn.kernel_approximation import Nystroem
from sklearn.metrics.pairwise import PAIRWISE_KERNEL_FUNCTIONS, pairwise_distances, pairwise_kernels
from sklearn.neighbors import kneighbors_graph
from sklearn.preprocessing import normalize
from torch import Tensor

from gemclust.messages import warn
from gemclust.objectives import Objective
from gemclust.samples import Samples, weighted_median

MAX_MATRIX_BYTES = 2 * 2**30
"""No kernel or distance matrix larger than this is computed."""

EXACT_KERNEL_SAMPLES = 5_000
AUTO_COMPONENTS = 500
MEDIAN_SAMPLES = 1_000

_MEDIAN_KERNELS = ("rbf", "laplacian")
_PARAMETERS = {
    "rbf": ("gamma",),
    "laplacian": ("gamma",),
    "chi2": ("gamma",),
    "sigmoid": ("gamma", "coef0"),
    "poly": ("gamma", "degree", "coef0"),
    "polynomial": ("gamma", "degree", "coef0"),
}


@dataclass(frozen=True)
class Geometry:
    """What an objective knows of the samples: features, a matrix, or nothing.

    Parameters
    ----------
    features : Samples, optional
        A feature map of the kernel.
    matrix : tensor of shape (n_samples, n_samples), optional
        Kernel or distances.
    unit : float
        What a norm or a distance of 1 is worth in the units of X. Everything is held near 1, so
        that neither very large nor very small X overflow.
    """

    features: Samples | None = None
    matrix: Tensor | None = None
    unit: float = 1.0

    def take(self, rows: NDArray[Any] | slice | None = None) -> dict[str, Any]:
        """Features and matrix of the given rows, or of all, as `Batch` takes them."""
        features = None if self.features is None else self.features.take(rows)
        matrix = self.matrix
        if matrix is not None and rows is not None:
            matrix = matrix[rows][:, rows]
        return {"features": features, "matrix": matrix}


class Affinity:
    """How samples compare: the kernel or metric of an objective, fitted to the training data.

    Parameters
    ----------
    objective : Objective
        Says by its `affinity` and its parameters what is needed.
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Bandwidths given by name and Nystroem landmarks come from here.
    weight : ndarray of shape (n_samples,)
        Sample weights.
    precomputed : ndarray of shape (n_samples, n_samples), optional
        Kernel or distances given by the user.
    """

    def __init__(
        self, objective: Objective, X: Any, weight: NDArray[Any], precomputed: Any = None
    ) -> None:
        self.objective = objective
        self.map: Nystroem | None = None
        self.parameters: dict[str, Any] = {}
        if objective.affinity == "kernel" and precomputed is None:
            self._fit_kernel(X, weight)

    def _fit_kernel(self, X: Any, weight: NDArray[Any]) -> None:
        kernel = self.objective.kernel
        if not callable(kernel) and kernel not in PAIRWISE_KERNEL_FUNCTIONS:
            raise ValueError(
                f"kernel={kernel!r} is unknown; use one of "
                f"{', '.join(sorted(PAIRWISE_KERNEL_FUNCTIONS))}, 'precomputed' or a function."
            )
        self.parameters = {
            name: value
            for name in _PARAMETERS.get(kernel, ())
            if (value := getattr(self.objective, name)) is not None
        }
        if "gamma" in _PARAMETERS.get(kernel, ()):
            self.parameters |= _bandwidth(kernel, self.objective.gamma, X, weight)
        components = self._n_components(X.shape[0])
        if components is not None and kernel not in ("linear", "cosine"):
            self.map = Nystroem(
                kernel=_row_function(kernel, X),
                n_components=components,
                random_state=self.objective.random_state,
                **self.parameters,
            ).fit(X)

    def _n_components(self, n_samples: int) -> int | None:
        components = self.objective.n_components
        if components == "auto":
            return None if n_samples <= EXACT_KERNEL_SAMPLES else AUTO_COMPONENTS
        if components is None:
            return None
        if isinstance(components, str) or components < 1:
            raise ValueError(f"n_components={components!r} must be 'auto', None or at least 1.")
        return min(int(components), n_samples)

    def geometry(
        self,
        X: Any,
        weight: NDArray[Any],
        precomputed: Any = None,
        inputs: tuple[Samples, float] | None = None,
        device: str | torch.device = "cpu",
    ) -> Geometry:
        """What the objective needs to know of X.

        `inputs` are X centred, and their unit, where the caller has them already: they are the
        features of the linear kernel.
        """
        if self.objective.affinity is None:
            return Geometry()
        if self.objective.affinity == "distance":
            matrix = self._distances(X) if precomputed is None else precomputed
            return _distance_geometry(matrix, device)
        if precomputed is not None:
            return _kernel_geometry(precomputed, weight, device)
        kernel = self.objective.kernel
        if kernel == "linear":
            samples, unit = inputs or _centred(X, weight, device)
            return Geometry(features=samples, unit=unit)
        if kernel == "cosine":
            return Geometry(features=_centred(normalize(X), weight, device)[0])
        if self.map is not None:
            return Geometry(features=_centred(self.map.transform(X), weight, device)[0])
        return _kernel_geometry(self._kernel_matrix(X), weight, device)

    def _kernel_matrix(self, X: Any) -> NDArray[Any]:
        _check_memory(X, "a kernel with n_components=500, or the linear kernel")
        kernel = self.objective.kernel
        if callable(kernel) and _takes_matrices(kernel, X):
            return _check_matrix(kernel(X, X), X, "kernel")
        matrix = pairwise_kernels(X, metric=kernel, **self.parameters)
        return _check_matrix(matrix, X, "kernel")

    def _distances(self, X: Any) -> NDArray[Any]:
        _check_memory(X, "an MMD objective, or a subsample of X")
        metric = self.objective.metric
        if metric == "geodesic":
            return geodesic_distances(X, self.objective.n_neighbors, self.objective.weighted)
        if callable(metric) and _takes_matrices(metric, X):
            matrix = metric(X, X)
        else:
            matrix = pairwise_distances(X, metric=metric)
        return _check_matrix(matrix, X, "distance")


def geodesic_distances(X: Any, n_neighbors: int = 10, weighted: bool = True) -> NDArray[Any]:
    """Shortest paths in the graph of nearest neighbours.

    Two samples share an edge if either is among the `n_neighbors` nearest of the other. Samples
    of parts that no edge joins are put at twice the longest path within any part.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        The samples.
    n_neighbors : int, default=10
        Neighbours of each sample.
    weighted : bool, default=True
        Whether an edge is as long as its Euclidean length, or 1.

    Returns
    -------
    distances : ndarray of shape (n_samples, n_samples)
        In the dtype of X.

    Warns
    -----
    UserWarning
        If the graph has more than one part.

    Examples
    --------
    >>> geodesic_distances(np.array([[0.0], [1.0], [3.0]]), n_neighbors=1)
    array([[0., 1., 3.],
           [1., 0., 2.],
           [3., 2., 0.]])
    """
    if n_neighbors < 1:
        raise ValueError(f"n_neighbors={n_neighbors!r} must be at least 1.")
    graph = kneighbors_graph(X, min(n_neighbors, X.shape[0] - 1), mode="distance")
    # An edge of length 0 would count as no edge.
    graph.data = (
        np.maximum(graph.data, np.finfo(graph.dtype).tiny) if weighted else graph.data * 0 + 1
    )
    graph = graph.maximum(graph.T)
    distances = shortest_path(graph, method="D", directed=False)
    parts, _ = connected_components(graph, directed=False)
    if parts > 1:
        warn(
            f"The graph of {n_neighbors} nearest neighbours has {parts} parts that no edge joins; "
            "samples of different parts are put at twice the longest path. Raise n_neighbors to "
            "join them."
        )
        reachable = np.isfinite(distances)
        distances[~reachable] = 2 * distances[reachable].max()
    return distances.astype(X.dtype)


def check_affinity(affinity: Any, X: Any, objective: Objective) -> NDArray[Any] | None:
    """A user's kernel or distance matrix as an array in the dtype of X; None stays None.

    Raises
    ------
    ValueError
        If the objective has no use for it, or it is no kernel or distance matrix of the rows of X.
    """
    _check_consistent(objective, affinity)
    if affinity is None:
        return None
    return _check_matrix(affinity, X, objective.affinity)


def _check_matrix(affinity: Any, X: Any, kind: str | None) -> NDArray[Any]:
    """Square with a row for each sample, finite, symmetric and, if distances, not negative."""
    n_samples, dtype = X.shape[0], X.dtype
    matrix = np.asarray(affinity, dtype=dtype)
    if matrix.shape != (n_samples, n_samples):
        hint = ""
        if matrix.ndim == 2 and matrix.shape[0] == n_samples:
            hint = (
                " A matrix that is not square comes from cross-validation, which slices rows only:"
                " there give the objective a function as its kernel or metric, which is called"
                " with the rows of X."
            )
        raise ValueError(
            f"The affinity has shape {matrix.shape}, but X has {n_samples} samples: it must have "
            f"shape ({n_samples}, {n_samples}).{hint}"
        )
    if not np.isfinite(matrix).all():
        raise ValueError("The affinity contains NaN or infinity; every pair needs a finite value.")
    largest = float(np.abs(matrix).max())
    asymmetry = float(np.abs(matrix - matrix.T).max())
    if asymmetry > 1e-5 * largest:
        raise ValueError(
            f"The affinity is not symmetric: two entries differ by {asymmetry:.3g}. Use "
            "(A + A.T) / 2 if that is what you mean."
        )
    if kind == "distance" and matrix.min() < 0:
        raise ValueError(
            f"The distances contain {matrix.min():.3g}, but no distance is negative. For a kernel "
            "use an MMD objective."
        )
    return matrix


def _check_consistent(objective: Objective, precomputed: Any) -> None:
    choice = {"kernel": ("kernel", "linear"), "distance": ("metric", "euclidean")}
    if objective.affinity is None:
        if precomputed is not None:
            raise ValueError(
                f"{objective} looks at probabilities only and cannot use an affinity; leave "
                "`affinity` out, or use an MMD or Wasserstein objective."
            )
        return
    name, default = choice[objective.affinity]
    chosen = getattr(objective, name, default)
    if precomputed is None and chosen == "precomputed":
        raise ValueError(f"{name}='precomputed' needs the matrix: pass `affinity`.")
    if precomputed is not None and chosen not in (default, "precomputed"):
        raise ValueError(
            f"`affinity` was given together with {name}={chosen!r}: only one of them can be used. "
            f"Leave `affinity` out, or set {name}='precomputed'."
        )


def _bandwidth(kernel: str, gamma: Any, X: Any, weight: NDArray[Any]) -> dict[str, float]:
    names = ("median", "scale", "auto")
    if gamma is None:
        if kernel not in _MEDIAN_KERNELS:
            return {}
        gamma = "median"
    if gamma == "auto":
        return {"gamma": 1 / X.shape[1]}
    if gamma == "scale":
        variance = _variance(X, weight)
        return {"gamma": 1 / (X.shape[1] * variance) if variance > 0 else 1.0}
    if gamma == "median":
        metric = "manhattan" if kernel == "laplacian" else "euclidean"
        median = _median_distance(X, weight, metric)
        return {"gamma": 1 / median if kernel == "laplacian" else 0.5 / median**2}
    if isinstance(gamma, str) or not (np.isfinite(gamma) and gamma > 0):
        raise ValueError(f"gamma={gamma!r} must be a positive number or one of {', '.join(names)}.")
    return {"gamma": float(gamma)}


def _variance(X: Any, weight: NDArray[Any]) -> float:
    """Variance of all entries of X together."""
    share = weight / weight.sum() / X.shape[1]
    mean = float((share @ X).sum())
    square = X.power(2) if sp.issparse(X) else np.square(X)
    return float((share @ square).sum()) - mean**2


def _median_distance(X: Any, weight: NDArray[Any], metric: str) -> float:
    # Evenly spread rows of the canonical order: no chance, and the same for any order of X.
    rows = np.unique(np.linspace(0, X.shape[0] - 1, MEDIAN_SAMPLES).astype(int))
    distances = pairwise_distances(X[rows], metric=metric).astype(np.float64)
    pairs = np.outer(weight[rows], weight[rows])[distances > 0]
    return weighted_median(distances[distances > 0], pairs) if len(pairs) else 1.0


def _centred(
    X: Any, weight: NDArray[Any], device: str | torch.device = "cpu"
) -> tuple[Samples, float]:
    """Rows of X around their mean and divided by the unit that is returned with them."""
    if not sp.issparse(X):
        X = X - np.average(X, axis=0, weights=weight).astype(X.dtype)
    unit = float(abs(X).max()) or 1.0
    return Samples(X * X.dtype.type(1 / unit), device), unit


def _kernel_geometry(matrix: NDArray[Any], weight: NDArray[Any], device: Any) -> Geometry:
    # Centring changes no MMD; in float32 it saves the digits that a large mean would take.
    share = (weight / weight.sum()).astype(np.float64)
    mean = matrix @ share
    centred = matrix - mean[:, None] - mean[None, :] + share @ mean
    unit = float(np.abs(centred).max()) or 1.0
    tensor = torch.as_tensor((centred / unit).astype(matrix.dtype), device=device)
    return Geometry(matrix=tensor, unit=float(np.sqrt(unit)))


def _distance_geometry(matrix: NDArray[Any], device: Any) -> Geometry:
    unit = float(matrix.max()) or 1.0
    return Geometry(
        matrix=torch.as_tensor(matrix / matrix.dtype.type(unit), device=device), unit=unit
    )


def _check_memory(X: Any, remedy: str) -> None:
    needed = X.shape[0] ** 2 * X.dtype.itemsize
    if needed > MAX_MATRIX_BYTES:
        raise ValueError(
            f"A matrix of {X.shape[0]} x {X.shape[0]} pairs would take {needed / 2**30:.1f} GiB, "
            f"more than the bound of {MAX_MATRIX_BYTES / 2**30:.0f} GiB. Use {remedy}."
        )


def _takes_matrices(function: Any, X: Any) -> bool:
    """Whether a user's kernel or metric maps two matrices to the matrix of all pairs."""
    first, second = X[:2], X[: min(3, X.shape[0])]
    try:
        return np.shape(function(first, second)) == (first.shape[0], second.shape[0])
    except Exception:  # A function of two rows may fail on matrices in any way it likes.
        return False


def _row_function(kernel: Any, X: Any) -> Any:
    if callable(kernel) and _takes_matrices(kernel, X):
        return lambda a, b: float(np.squeeze(kernel(a[None], b[None])))
    return kernel
