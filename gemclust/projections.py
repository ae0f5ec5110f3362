"""Directions in which points are seen where their features hide the clusters."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from numpy.typing import NDArray

PLANE, SPACE = 2, 5
"""Numbers of dimensions to which points are projected."""

POINTS_PER_FEATURE = 10
"""Of fewer points for each feature, directions with clusters would be found by chance."""

RIDGE = 1e-3
"""Of the mean local variance, added to that in each direction."""

ROUNDING = 1e-9
"""Of the mean variance, the least that is added."""


def projections(scores: NDArray[Any], neighbours: NDArray[Any]) -> list[NDArray[Any]]:
    """Points along a few directions: features without clusters may hide what others show.

    Parameters
    ----------
    scores : ndarray of shape (n_points, n_features)
        The principal components of the points.
    neighbours : ndarray of int of shape (n_points, n_neighbours)
        The nearest other points of each.

    Returns
    -------
    projections : list of ndarray of shape (n_points, n_directions)
        Along the first 5 principal components, and along the 2 and 5 directions that preserve
        neighbourhoods best; of few points, along the first 2 and 5 components.
    """
    best, views = scores, []
    if len(scores) >= POINTS_PER_FEATURE * scores.shape[1]:
        best = scores @ local_directions(scores, neighbours)
        views.append((scores, SPACE))
    views += [(best, PLANE), (best, SPACE)]
    # All of a space's directions are the points turned round: their valleys would count twice.
    return [space[:, :n] for space, n in views if n < space.shape[1]]


def local_directions(points: NDArray[Any], neighbours: NDArray[Any]) -> NDArray[Any]:
    r"""Directions in which neighbours are near, for all that points are far apart.

    .. math:: \max_w \frac{w^\top T w}{w^\top W w}, \qquad
              T = \langle (x_i - \bar x)(x_i - \bar x)^\top \rangle, \qquad
              W = \langle (x_i - x_j)(x_i - x_j)^\top \rangle_{j \text{ near } i}

    In a feature without clusters, neighbours are about as far apart as any points; in one with
    clusters, as far as their clusters are wide. Source: He and Niyogi, Locality Preserving
    Projections, NIPS 2003.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features)
    neighbours : ndarray of int of shape (n_points, n_neighbours)
        The nearest other points of each.

    Returns
    -------
    directions : ndarray of shape (n_features, n_features)
        In columns, the best first; along each, neighbours are equally far apart.
    """
    n_points, n_near = neighbours.shape
    points = points - points.mean(0)
    graph = sp.coo_array(
        (np.ones(neighbours.size), (np.repeat(np.arange(n_points), n_near), neighbours.ravel())),
        shape=(n_points, n_points),
    ).tocsr()
    graph = graph + graph.T
    degree = graph.sum(0)
    local = points.T @ (degree[:, None] * points - graph @ points) / neighbours.size
    total = points.T @ points / n_points
    # Where neighbours are equal, what is left of the local variance is rounding.
    ridge = max(RIDGE * np.trace(local), ROUNDING * np.trace(total)) / len(total) or 1.0
    _, directions = scipy.linalg.eigh(total, local + ridge * np.eye(len(total)))
    return directions[:, ::-1]
