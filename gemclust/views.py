"""How densely points lie, and what lies between groups of them, in one view of the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from gemclust.objectives import Objective
from gemclust.projections import projections
from gemclust.threads import n_workers

Array = NDArray[Any]

SCALES = np.array([3, 5, 8, 13, 21, 34, 54, 86, 140])
"""Densities are those of so many neighbours."""

EDGES = 10
"""Points are joined to so many nearest neighbours."""

RANKS = 60
"""Neighbours up to this rank say how wide a gap is."""

LARGEST_OF_VIEWS = 54
"""The largest scale where there are several views: what larger ones show, these show, too."""

FEW_POINTS, TREE_FEATURES = 2_000, 15
"""Among so few points in up to so many features, a tree finds neighbours faster than products of
all pairs."""

TREE_SHARE = 0.12
"""Among more points, a tree is faster where cubes around the neighbours of a point hold at most
this share of all points: it leaves out the others. In one round cluster it can leave out few."""

CUBES = 50
"""Cubes around so many points show that."""

LEAF_SIZE = 32
"""Of its leaves, the quickest for this many neighbours."""

LOOKED_AT = 1000
"""So many values tell whether they stand on a lattice: of few values, some of these are equal."""

BRIDGE_PAIRS = 2**16
"""So many pairs of points are compared for the shortest edge between two parts of the data."""

PLAIN_FEATURES = 3
"""Up to so many features, points are seen as they are only."""

MOST_FEATURES = 50
"""Of more features, the first so many principal components stand for all."""

LANDMARKS = 200
"""Points from which the coordinates of all are found where only distances are known."""

DOUBT = 2
"""Where points stand for unequal numbers, peaks are lower and saddles higher by so many standard
deviations of what that adds to the noise."""

ROUNDING = 1e-9
"""Of the largest spread in any direction: less is none."""


@dataclass(frozen=True)
class View:
    """Points with their neighbours.

    Parameters
    ----------
    distances, neighbours : ndarray of shape (n_points, n_neighbours)
        The nearest other points, in order.
    dimension : float
        That of the space; the data's own may be lower.
    midway : callable, optional
        From two arrays of points to the distances between the middle of each pair and its nearest
        points, and these; None where no middle is known.
    coordinates : ndarray of shape (n_points, n_features)
        Where they lie, as nearly as is known.
    points : ndarray of shape (n_points, n_features) or None
        Where they lie, where that is known.
    weight : ndarray of shape (n_points,) or None
        How many each stands for, in the mean 1; None if it is 1 for all.
    """

    distances: Array
    neighbours: Array
    dimension: float
    coordinates: Array
    midway: Callable[[Array, Array], tuple[Array, Array]] | None = None
    points: Array | None = None
    weight: Array | None = None

    def masses(self, neighbours: Array) -> Array:
        """For how many the neighbours up to each rank stand."""
        if self.weight is None:
            return np.broadcast_to(np.arange(1.0, neighbours.shape[1] + 1), neighbours.shape)
        return np.cumsum(self.weight[neighbours], axis=1)

    def doubts(self, neighbours: Array) -> Array:
        """By how much their log masses may be wrong, since some of them stand for many more.

        Their standard deviation, beyond that of so many equal weights, times `DOUBT`.
        """
        if self.weight is None:
            return np.zeros(neighbours.shape)
        squares = np.cumsum(self.weight[neighbours] ** 2, axis=1)
        equal = 1 / np.arange(1.0, neighbours.shape[1] + 1)
        return DOUBT * np.sqrt(np.maximum(squares / self.masses(neighbours) ** 2 - equal, 0))


def views_of(X: Any, n_neighbours: int, rng: np.random.RandomState) -> list[View]:
    """Points as they are and, beyond three features, their `projections`.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_points, n_features)
        The points.
    n_neighbours : int
        How many to find of each, at most.
    rng : RandomState
        Spreads values that stand on a lattice, where distances repeat.
    """
    # Imported when used, as these modules take long to load.
    from sklearn.decomposition import PCA, TruncatedSVD

    n_features = X.shape[1]
    if sp.issparse(X) and n_features > MOST_FEATURES:
        # Sparse rows are seen as they are not centred.
        n_components = min(MOST_FEATURES, X.shape[0] - 1)
        X = TruncatedSVD(n_components, random_state=0).fit_transform(X)
    X = X.toarray() if sp.issparse(X) else X
    X = _spread(np.asarray(X, dtype=np.float64), rng)
    scores = PCA(min(MOST_FEATURES, *X.shape), random_state=0).fit_transform(X)
    # Features that are constant, or follow from others, are none of the data's directions.
    spread = scores.std(0)
    scores = scores[:, : max(1, int((spread > ROUNDING * spread[0]).sum()))]
    if scores.shape[1] <= PLAIN_FEATURES:
        return [_view_of_points(X if scores.shape[1] == n_features else scores, n_neighbours)]
    n_neighbours = min(n_neighbours, LARGEST_OF_VIEWS + 1)
    whole = _view_of_points(scores if n_features > MOST_FEATURES else X, n_neighbours)
    spaces = projections(scores, whole.neighbours[:, :EDGES])
    return [whole, *(_view_of_points(space, n_neighbours) for space in spaces)]


def near_one(X: Any) -> Any:
    """Samples of any magnitude, in float64, in units in which their squares can be computed.

    The unit is a power of two, so that nothing is rounded.
    """
    X = X.astype(np.float64)
    X *= np.ldexp(1.0, -int(np.frexp(max(X.max(), -X.min()))[1]))
    return X


def view_of_distances(distances: Array, n_neighbours: int) -> View:
    """Points of which only the distances between them are known."""
    distances = distances.astype(np.float64, copy=True)
    coordinates = scaled(distances)
    np.fill_diagonal(distances, -np.inf)
    order = np.argsort(distances, axis=1, kind="stable")[:, 1 : n_neighbours + 1]
    return View(np.take_along_axis(distances, order, 1), order, MOST_FEATURES, coordinates)


def scaled(distances: Array) -> Array:
    """Points whose distances are near these, by classical scaling of some of them.

    Source: de Silva and Tenenbaum, Sparse multidimensional scaling using landmark points, 2004.
    """
    n_points = len(distances)
    some = np.unique(np.linspace(0, n_points - 1, LANDMARKS).astype(int))
    squares = np.square(distances[some])
    inner = squares[:, some] - squares[:, some].mean(0)
    spreads, axes = np.linalg.eigh(-0.5 * (inner - inner.mean(1, keepdims=True)))
    kept = spreads[-MOST_FEATURES:] > ROUNDING * max(spreads[-1], 0)
    spreads, axes = spreads[-MOST_FEATURES:][kept], axes[:, -MOST_FEATURES:][:, kept]
    return (squares - squares[:, some].mean(1, keepdims=True)).T @ axes / (-2 * np.sqrt(spreads))


def as_distances(matrix: Array, objective: Objective) -> Array:
    """Distances between samples from the user's matrix, which may be a kernel."""
    if objective.affinity == "distance":
        return matrix
    squares = matrix.diagonal()[:, None] + matrix.diagonal() - 2 * matrix
    return np.sqrt(np.maximum(squares, 0))


def _view_of_points(points: Array, n_neighbours: int) -> View:
    from scipy.spatial import KDTree
    from sklearn.neighbors import NearestNeighbors

    points = points - points.mean(0)
    n_nearest = min(len(points), n_neighbours + 1)
    if by_tree(points, n_nearest):
        tree = KDTree(points, leafsize=LEAF_SIZE)

        def nearest(queries: Array) -> tuple[Array, Array]:
            found: tuple[Array, Array] = tree.query(
                queries, np.arange(1, n_nearest + 1), workers=n_workers()
            )
            return found

    else:
        index = NearestNeighbors(n_neighbors=n_nearest, algorithm="brute").fit(points)

        def nearest(queries: Array) -> tuple[Array, Array]:
            distances, neighbours = index.kneighbors(queries)
            _refine(distances, neighbours, queries, points)
            return distances, neighbours

    def midway(first: Array, second: Array) -> tuple[Array, Array]:
        return nearest((points[first] + points[second]) / 2)

    distances, neighbours = nearest(points)
    return View(distances[:, 1:], neighbours[:, 1:], points.shape[1], points, midway, points)


def by_tree(points: Array, n_nearest: int) -> bool:
    """Whether to find so many neighbours by a tree, not by products of all pairs."""
    n_points, n_features = points.shape
    if n_points <= FEW_POINTS:
        return n_features <= TREE_FEATURES
    return n_features <= PLAIN_FEATURES or share_in_cubes(points, n_nearest) <= TREE_SHARE


def share_in_cubes(points: Array, n_nearest: int) -> float:
    """The mean share of points in cubes around balls, each of which holds so many about a point."""
    some = points[np.unique(np.linspace(0, len(points) - 1, FEW_POINTS).astype(int))]
    nearest = -(-n_nearest * len(some) // len(points))
    shares = []
    for center in some[:: -(-len(some) // CUBES)]:
        apart = np.abs(some - center)
        radius = np.partition(np.linalg.norm(apart, axis=1), nearest - 1)[nearest - 1]
        shares.append((apart <= radius).all(1).mean())
    return float(np.mean(shares))


def _refine(distances: Array, neighbours: Array, queries: Array, points: Array) -> None:
    """Small distances anew, where they came from products: equal points would be apart there."""
    lost = distances < 1e-5 * np.linalg.norm(queries, axis=1)[:, None]
    for rank in np.flatnonzero(lost.any(0)):
        rows = np.flatnonzero(lost[:, rank])
        between = queries[rows] - points[neighbours[rows, rank]]
        distances[rows, rank] = np.linalg.norm(between, axis=1)


def _spread(X: Array, rng: np.random.RandomState) -> Array:
    """Values on a lattice moved by up to half a step to each side; of few values they stay."""
    X = X.copy()
    for feature in X.T:
        some = feature[:LOOKED_AT]
        if len(np.unique(some)) == len(some):
            continue
        values = np.unique(feature)
        if 8 < len(values) < len(X) / 2:
            step = np.median(np.diff(values))
            feature += step * rng.uniform(-0.5, 0.5, len(X))
    return X


@dataclass(frozen=True)
class Evidence:
    """Of one view: (n_scales, n_groups) and pairs of groups."""

    peak: Array
    inverse_dimension: Array
    saddle: Array
    rank: Array


def evidence_in(view: View, labels: Array, n_groups: int, scales: Array) -> Evidence:
    r"""Peaks, dimensions and saddles of groups of points at some scales.

    Heights are :math:`-\ln r_k + \ln(w_k / k) / d`, with :math:`w_k` the weight of the k nearest,
    less or more what is doubtful of it (`View.doubts`) at peaks and at saddles.
    """
    n_near = view.distances.shape[1]
    size = np.bincount(labels, minlength=n_groups)
    floor = _floor(view)
    logs = np.log(np.maximum(view.distances, floor))
    masses = view.masses(view.neighbours)
    # Levina and Bickel's dimension, from how the radius grows with the number of neighbours.
    low, high = np.maximum(scales // 2, 2), np.minimum(2 * scales, n_near)
    slopes = logs[:, high - 1] - logs[:, low - 1]
    slopes /= np.log(masses[:, high - 1] / masses[:, low - 1])
    means = np.stack([np.bincount(labels, slope, n_groups) / size for slope in slopes.T])
    inverse = np.maximum(means, 1 / view.dimension)
    heights = inverse[:, labels].T * np.log(masses[:, scales - 1] / scales) - logs[:, scales - 1]
    doubts = inverse[:, labels].T * view.doubts(view.neighbours)[:, scales - 1]
    least, heights = heights - doubts, heights + doubts
    peak = np.full((len(scales), n_groups), -np.inf)
    saddle = np.full((len(scales), n_groups, n_groups), -np.inf)
    first, second, ends = _edges(view, labels, heights, inverse, scales, floor)
    for s, scale in enumerate(scales):
        np.maximum.at(peak[s], labels, least[:, s])
        np.maximum.at(saddle[s], (labels[first], labels[second]), ends[:, s])
        if scale > EDGES:
            # At a large scale the peak of a group is joined to all by whom it is measured.
            order = np.argsort(heights[:, s], kind="stable")
            top = np.empty(n_groups, dtype=int)
            top[labels[order]] = order
            a, b = np.repeat(top, scale), view.neighbours[top, :scale].ravel()
            across = labels[a] != labels[b]
            a, b = a[across], b[across]
            low_end = np.minimum(heights[a, s], heights[b, s])
            np.maximum.at(saddle[s], (labels[a], labels[b]), low_end)
    n_ranks = min(RANKS, n_near)
    rank = np.full((n_groups, n_groups), n_ranks + 1.0)
    others = labels[view.neighbours[:, :n_ranks]]
    # The lowest rank is the last to be written.
    for r in reversed(range(n_ranks)):
        rank[labels, others[:, r]] = r + 1
    saddle = np.maximum(saddle, saddle.transpose(0, 2, 1))
    return Evidence(peak, inverse, saddle, np.minimum(rank, rank.T))


def _floor(view: View) -> float:
    """Below this, distances are those of points that coincide, as far as density goes."""
    for distances in (view.distances[:, 0], view.distances):
        positive = distances[distances > 0]
        if len(positive):
            return float(0.5 * np.quantile(positive, 0.05))
    extent = 0.0 if view.points is None else float(np.ptp(view.points))
    return extent or 1.0


def _edges(
    view: View, labels: Array, heights: Array, inverse: Array, scales: Array, floor: float
) -> tuple[Array, Array, Array]:
    """Edges between groups, the most promising for each two, and the heights on their way."""
    n_points = len(labels)
    n_edges = min(EDGES, view.neighbours.shape[1])
    near = view.neighbours[:, :n_edges]
    bridges = _bridges(view, near)
    a = np.append(np.repeat(np.arange(n_points), n_edges), bridges[:, 0])
    b = np.append(near.ravel(), bridges[:, 1])
    swap = labels[a] > labels[b]
    a, b = np.where(swap, b, a), np.where(swap, a, b)
    edges = np.sort((a * n_points + b)[labels[a] != labels[b]])
    a, b = np.divmod(edges[np.diff(edges, prepend=-1) > 0], n_points)
    ends = np.minimum(heights[a], heights[b])
    if not len(a) or view.points is None or view.midway is None:
        return a, b, ends
    pair = labels[a] * inverse.shape[1] + labels[b]
    scores = [ends[:, min(s, len(scales) - 1)] for s in (2, 5, len(scales) - 1)]
    scores.append(-np.linalg.norm(view.points[a] - view.points[b], axis=1))
    order = np.argsort(pair, kind="stable")
    starts = np.flatnonzero(np.diff(pair[order], prepend=-1))
    kept = np.unique(np.concatenate([order[_best(score[order], starts)] for score in scores]))
    a, b, ends = a[kept], b[kept], ends[kept]
    distances, nearest = view.midway(a, b)
    # The first of these is taken for the point that the middle itself is not.
    excess = np.log(view.masses(nearest)[:, scales] / (scales + 1))
    excess += view.doubts(nearest)[:, scales]
    middle = (inverse[:, labels[a]] + inverse[:, labels[b]]).T / 2 * excess
    middle -= np.log(np.maximum(distances[:, scales], floor))
    return a, b, np.minimum(ends, middle)


def _best(scores: Array, starts: Array) -> Array:
    """The place of the highest score of each run, of which the first places are given."""
    part = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(scores)))
    places = np.flatnonzero(scores == np.maximum.reduceat(scores, starts)[part])
    # Of several that are equal, the first.
    return places[np.flatnonzero(np.diff(part[places], prepend=-1))]


def _bridges(view: View, near: Array, most: int = 60) -> Array:
    """Short edges that join the components of the graph of nearest neighbours."""
    n_points, n_near = near.shape
    found = np.zeros((0, 2), dtype=int)
    if view.points is None:
        return found
    starts = np.arange(n_points + 1) * n_near
    graph = sp.csr_array((np.ones(near.size), near.ravel(), starts), shape=(n_points, n_points))
    n_parts, part = connected_components(graph, directed=False)
    squares = np.einsum("nd,nd->n", view.points, view.points)
    while n_parts > 1:
        smallest = np.argsort(np.bincount(part), kind="stable")[:-1][:most]
        new = np.array([_bridge(view.points, squares, part == c) for c in smallest])
        found = np.append(found, new, axis=0)
        joined = (np.ones(len(new)), (part[new[:, 0]], part[new[:, 1]]))
        parts = sp.coo_array(joined, shape=(n_parts, n_parts))
        n_parts, whole = connected_components(parts, directed=False)
        part = whole[part]
    return found


def _bridge(points: Array, squares: Array, inside: Array) -> tuple[int, int]:
    """A short edge from the points inside to the others.

    It is the shortest from as many of those inside as can be compared at once, or one that is found
    from there by going to and fro between nearest points.
    """
    first = np.flatnonzero(inside)
    some = first[:: -(-len(first) * len(points) // BRIDGE_PAIRS)]
    start, end = _nearest_pair(points, squares, some, ~inside)
    while len(some) < len(first):
        _, back = _nearest_pair(points, squares, np.array([end]), inside)
        if back == start:
            break
        start, end = _nearest_pair(points, squares, np.array([back]), ~inside)
    return start, end


def _nearest_pair(points: Array, squares: Array, first: Array, among: Array) -> tuple[int, int]:
    """Of the first points and those among all, the two that are nearest."""
    distances = squares[first][:, None] + squares
    distances -= 2 * points[first] @ points.T
    distances[:, ~among] = np.inf
    i, j = np.unravel_index(distances.argmin(), distances.shape)
    return int(first[i]), int(j)
