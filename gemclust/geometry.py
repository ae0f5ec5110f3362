"""From X to what an objective needs of it: features of a kernel, or an N x N matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components, shortest_path
from sklearn.metrics.pairwise import PAIRWISE_DISTANCE_FUNCTIONS, pairwise_distances
from sklearn.neighbors import kneighbors_graph
from sklearn.preprocessing import normalize
from torch import Tensor

from gemclust.kernels import SHIFT_FREE, Kernel, Nystroem, takes_matrices
from gemclust.messages import warn
from gemclust.objectives import Objective
from gemclust.samples import Samples, Scaling, to_tensor

MAX_MATRIX_BYTES = 2 * 2**30
"""No kernel or distance matrix larger than this is computed."""

EXACT_KERNEL_SAMPLES = 5_000
AUTO_COMPONENTS = 500

# Distances that grow with X and do not change when it is shifted.
_LENGTHS = ("euclidean", "l2", "manhattan", "l1", "cityblock", "chebyshev", "geodesic")


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
    scaling : Scaling, optional
        Centre and scale of X, where the caller has them already.
    """

    def __init__(
        self,
        objective: Objective,
        X: Any,
        weight: NDArray[Any],
        precomputed: Any = None,
        scaling: Scaling | None = None,
    ) -> None:
        self.objective = objective
        self.scaling = scaling or Scaling(X, weight)
        self.given = precomputed is not None
        self.kernel: Kernel | None = None
        self.map: Nystroem | None = None
        if objective.affinity != "kernel" or self.given:
            return
        space, unit = self._space(X, self.scaling(X) if self._shift_free else None)
        self.kernel = Kernel(objective, space, weight, unit)
        components = self._n_components(X.shape[0])
        if components is not None and self.kernel.kernel not in ("linear", "cosine"):
            self.map = Nystroem(self.kernel, space, components, objective.random_state)

    @property
    def _shift_free(self) -> bool:
        """Whether X may be centred and scaled without a change of the kernel or metric."""
        if self.objective.affinity == "distance":
            metric = getattr(self.objective, "metric", "euclidean")
            return isinstance(metric, str) and metric in _LENGTHS
        kernel = getattr(self.objective, "kernel", "linear")
        return isinstance(kernel, str) and (kernel == "linear" or kernel in SHIFT_FREE)

    def _space(self, X: Any, inputs: Any) -> tuple[Any, float]:
        """The rows that are compared, and what their unit is worth in the units of X."""
        if self._shift_free:
            return inputs, self.scaling.scale
        return X, 1.0

    def _n_components(self, n_samples: int) -> int | None:
        components = getattr(self.objective, "n_components", "auto")
        if components == "auto":
            return None if n_samples <= EXACT_KERNEL_SAMPLES else AUTO_COMPONENTS
        if components is None:
            return None
        if not isinstance(components, int | np.integer) or components < 1:
            raise ValueError(f"n_components={components!r} must be 'auto', None or at least 1.")
        return min(int(components), n_samples)

    def geometry(
        self,
        X: Any,
        weight: NDArray[Any],
        precomputed: NDArray[Any] | None = None,
        inputs: Samples | None = None,
        device: str | torch.device = "cpu",
    ) -> Geometry:
        """What the objective needs to know of X.

        `inputs` are the rows in the units of the model, where the caller has them already.
        """
        if self.objective.affinity is None:
            return Geometry()
        if self.given and precomputed is None:
            raise ValueError(
                "The model was fitted with `affinity`: pass `score` that of its samples; "
                "`partial_fit` takes none, give the objective a function as its kernel or metric."
            )
        if precomputed is not None:
            if self.objective.affinity == "kernel":
                return _kernel_geometry(precomputed, weight, device)
            return _distance_geometry(precomputed, 1.0, device)
        if self._shift_free and inputs is None:
            inputs = Samples(self.scaling(X), device)
        space, unit = self._space(X, inputs.array if inputs is not None else None)
        if self.objective.affinity == "distance":
            return self._distance_geometry(space, unit, device)
        assert self.kernel is not None
        if self.kernel.kernel == "linear":
            return Geometry(features=inputs, unit=unit)
        if self.kernel.kernel == "cosine":
            return _feature_geometry(normalize(X * _power_of_two(X)), weight, device)
        if self.map is not None:
            return _feature_geometry(self.map(space), weight, device)
        _check_memory(X, "n_components=500, or the linear kernel")
        matrix = _check_matrix(self.kernel(space, space), X, "kernel")
        return _kernel_geometry(matrix, weight, device)

    def _distance_geometry(self, X: Any, unit: float, device: Any) -> Geometry:
        _check_memory(X, "an MMD objective, or a subsample of X")
        metric = getattr(self.objective, "metric", "euclidean")
        if isinstance(metric, str) and metric == "geodesic":
            neighbors, weighted = self.objective.n_neighbors, self.objective.weighted
            matrix = geodesic_distances(X, neighbors, weighted)
            return _distance_geometry(matrix, unit if weighted else 1.0, device)
        if not callable(metric) and metric not in _known_metrics():
            raise ValueError(
                f"metric={metric!r} is unknown; use one of {', '.join(_known_metrics())}, "
                "'precomputed' or a function."
            )
        if callable(metric) and takes_matrices(metric, X):
            matrix = metric(X, X)
        elif callable(metric):
            # scikit-learn would mirror one half and hide that a function is not symmetric.
            matrix = pairwise_distances(X, X.copy(), metric=metric)
        else:
            matrix = pairwise_distances(X, metric=metric)
        return _distance_geometry(_check_matrix(matrix, X, "distance"), unit, device)


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
    if not isinstance(n_neighbors, int | np.integer) or n_neighbors < 1:
        raise ValueError(f"n_neighbors={n_neighbors!r} must be an integer of at least 1.")
    if X.shape[0] == 1:
        return np.zeros((1, 1), dtype=X.dtype)
    graph = kneighbors_graph(X, min(n_neighbors, X.shape[0] - 1), mode="distance")
    if not weighted:
        graph.data[:] = 1
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
    if sp.issparse(affinity):
        raise ValueError("The affinity is sparse; pass it dense, affinity.toarray().")
    return _check_matrix(affinity, X, objective.affinity)


def _check_matrix(affinity: Any, X: Any, kind: str | None) -> NDArray[Any]:
    """Square with a row for each sample, finite, symmetric and, if distances, not negative."""
    n_samples = X.shape[0]
    matrix = np.asarray(affinity, dtype=X.dtype)
    if matrix.shape != (n_samples, n_samples):
        hint = ""
        if matrix.ndim == 2 and matrix.shape[0] == n_samples:
            hint = (
                " A matrix that is not square comes from cross-validation, which slices rows only:"
                " there give the objective a function as its kernel or metric (a callable kernel),"
                " which is called with the rows of X."
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
    if kind != "distance":
        return matrix
    if matrix.min() < -1e-5 * largest:
        raise ValueError(
            f"The distances contain {matrix.min():.3g}, but no distance is negative. For a kernel "
            "use an MMD objective."
        )
    return np.maximum(matrix, 0)


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
    if precomputed is None and isinstance(chosen, str) and chosen == "precomputed":
        raise ValueError(
            f"{name}='precomputed' needs the matrix: pass `affinity` (or, where there is no such "
            f"parameter, give the objective a function as its {name})."
        )
    if precomputed is not None and chosen not in (default, "precomputed"):
        raise ValueError(
            f"`affinity` was given together with {name}={chosen!r}: only one of them can be used. "
            f"Leave `affinity` out, or set {name}='precomputed'."
        )


def _known_metrics() -> list[str]:
    known = {*PAIRWISE_DISTANCE_FUNCTIONS, *_LENGTHS, *_SCIPY_METRICS} - {"precomputed"}
    return sorted(known)


_SCIPY_METRICS = (
    *("braycurtis", "canberra", "correlation", "dice", "hamming", "jaccard", "mahalanobis"),
    *("minkowski", "rogerstanimoto", "russellrao", "seuclidean", "sokalsneath", "sqeuclidean"),
    "yule",
)


def _power_of_two(X: Any) -> Any:
    """A factor that brings the largest entry near 1 and rounds nothing."""
    largest = float(abs(X).max()) or 1.0
    return X.dtype.type(2.0 ** -np.round(np.log2(largest)))


def _feature_geometry(features: Any, weight: NDArray[Any], device: Any) -> Geometry:
    """Features around their mean; sparse ones stay where they are."""
    if not sp.issparse(features):
        features = features - np.average(features, axis=0, weights=weight).astype(features.dtype)
    unit = float(abs(features).max()) or 1.0
    return Geometry(Samples(features * features.dtype.type(1 / unit), device), unit=unit)


def _kernel_geometry(matrix: NDArray[Any], weight: NDArray[Any], device: Any) -> Geometry:
    # Centring changes no MMD; in float32 it saves the digits that a large mean would take.
    share = weight.astype(np.float64) / weight.sum(dtype=np.float64)
    mean = matrix @ share
    centred = matrix - mean[:, None] - mean[None, :] + share @ mean
    unit = float(np.abs(centred).max()) or 1.0
    tensor = to_tensor((centred / unit).astype(matrix.dtype), device)
    return Geometry(matrix=tensor, unit=float(np.sqrt(unit)))


def _distance_geometry(matrix: NDArray[Any], scale: float, device: Any) -> Geometry:
    unit = float(matrix.max()) or 1.0
    tensor = to_tensor(matrix / matrix.dtype.type(unit), device)
    return Geometry(matrix=tensor, unit=unit * scale)


def _check_memory(X: Any, remedy: str) -> None:
    needed = X.shape[0] ** 2 * X.dtype.itemsize
    if needed > MAX_MATRIX_BYTES:
        raise ValueError(
            f"A matrix of {X.shape[0]} x {X.shape[0]} pairs would take {needed / 2**30:.1f} GiB, "
            f"more than the bound of {MAX_MATRIX_BYTES / 2**30:.0f} GiB. Use {remedy}."
        )
