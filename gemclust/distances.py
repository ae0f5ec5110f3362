"""Distances between all samples, and checks of matrices that users give."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components, shortest_path
from sklearn.metrics.pairwise import PAIRWISE_DISTANCE_FUNCTIONS, pairwise_distances

from gemclust.kernels import takes_matrices
from gemclust.messages import warn
from gemclust.objectives import Objective
from gemclust.samples import as_array, working_dtype

# Distances that grow with X and do not change when it is shifted.
LENGTHS = ("euclidean", "l2", "manhattan", "l1", "cityblock", "chebyshev", "geodesic")


def all_distances(metric: Any, X: Any) -> NDArray[Any]:
    """Those between all pairs of rows, by a metric's name or by a user's function."""
    if callable(metric) and takes_matrices(metric, X):
        matrix = metric(X, X)
    elif callable(metric):
        # scikit-learn would mirror one half and hide that a function is not symmetric.
        matrix = pairwise_distances(X, X.copy(), metric=metric)
    else:
        matrix = pairwise_distances(X, metric=metric)
    return check_matrix(matrix, X, "distance")


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
    # Here, since it loads a third of scikit-learn.
    from sklearn.neighbors import kneighbors_graph

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


def check_affinity(
    affinity: Any, X: Any, objective: Objective, joining: bool = False
) -> NDArray[Any] | None:
    """A user's kernel or distance matrix as an array of floats; None stays None.

    Raises
    ------
    ValueError
        If the objective has no use for it, it is no kernel or distance matrix of the rows of X, or
        units are to be joined by the distances of a kernel that has none.
    """
    affinity = as_array(affinity)
    _check_consistent(objective, affinity)
    if affinity is None:
        return None
    if sp.issparse(affinity):
        raise ValueError("The affinity is sparse; pass it dense, affinity.toarray().")
    matrix = check_matrix(affinity, X, objective.affinity)
    if joining and objective.affinity == "kernel":
        _check_distances_of_kernel(matrix)
    return matrix


def _check_distances_of_kernel(matrix: NDArray[Any]) -> None:
    """Of a kernel, k(x, x) + k(y, y) - 2 k(x, y) is a squared distance."""
    least = (matrix - matrix.diagonal() / 2 - matrix.diagonal()[:, None] / 2).argmax()
    i, j = divmod(int(least), len(matrix))
    square = matrix[i, i] + matrix[j, j] - 2 * matrix[i, j]
    if square < -1e-5 * np.abs(matrix).max():
        raise ValueError(
            f"The affinity is no kernel: of samples {i} and {j}, k(x, x) + k(y, y) - 2 k(x, y) = "
            f"{square:.3g}, but it must not be negative, as units are joined by the distances that "
            "it is the square of. If these are distances, use a Wasserstein objective; of the "
            "adjacency of a graph take a kernel, such as scipy.linalg.expm(adjacency - "
            "numpy.diag(adjacency.sum(1)))."
        )


def check_matrix(affinity: Any, X: Any, kind: str | None) -> NDArray[Any]:
    """Square with a row for each sample, finite, symmetric and, if distances, not negative."""
    n_samples = X.shape[0]
    matrix = np.asarray(affinity, dtype=working_dtype(X))
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
    if objective.affinity not in choice:
        if precomputed is not None:
            sight = "the rows of X" if objective.affinity else "probabilities only"
            raise ValueError(
                f"{objective} looks at {sight} and cannot use an affinity; leave "
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


def known_metrics() -> list[str]:
    """Names of metrics, in alphabetical order."""
    known = {*PAIRWISE_DISTANCE_FUNCTIONS, *LENGTHS, *_SCIPY_METRICS} - {"precomputed"}
    return sorted(known)


_SCIPY_METRICS = (
    *("braycurtis", "canberra", "correlation", "dice", "hamming", "jaccard", "mahalanobis"),
    *("minkowski", "rogerstanimoto", "russellrao", "seuclidean", "sokalsneath", "sqeuclidean"),
    "yule",
)
