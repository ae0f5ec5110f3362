"""Are two groups of samples one cluster? Whether the valley of density between them is real.

Everything here is measured on points alone: distances to their nearest neighbours, at several
scales, in several views of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from gemclust.objectives import Objective

Array = NDArray[Any]

SCALES = np.array([3, 5, 8, 13, 21, 34, 54, 86, 140])
"""Densities are those of so many neighbours."""

EDGES = 10
"""Points are joined to so many nearest neighbours."""

RANKS = 60
"""Neighbours up to this rank say how wide a gap is."""

GAP_POWER = 0.125
"""Valleys count so much more by the rank of the nearest neighbour across: its power."""

DEEPEST = 2
"""The scales and views in which a valley is deepest, over which it is averaged."""

COMPONENTS = (2, 5)
"""Beyond three features the data is seen in so many principal components, too."""

SIMULATED = 50
"""Samples from which levels are known have at least so many points."""

PART = 3
"""Valleys in a part of the data are judged like those of so many times its points: one that was
looked for and cut off for its valleys is not quite a sample of its own."""

TREE_FEATURES = 15
"""Up to so many features a tree finds neighbours faster than products of all pairs."""

LEAF_SIZE = 100
"""Of its leaves, the quickest for this many neighbours."""

BRIDGE_PAIRS = 2**20
"""So many pairs of points are compared for the shortest edge between two parts of the data."""

MOST_FEATURES = 50
"""Of more features, the first so many principal components stand for all."""


def level(n_points: Any, scale: Any, dimension: Any) -> Any:
    r"""What the depth of a valley reaches inside one cluster, by simulation on unimodal data.

    .. math:: 1.15 (0.2 + 0.65 / d) (\ln(n / k) + 0.5) \sqrt{\max(d, 5) / 5}
    """
    spread = np.sqrt(np.maximum(dimension, 5) / 5)
    return 1.15 * (0.2 + 0.65 / dimension) * (np.log(n_points / scale) + 0.5) * spread


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
        points; None where no middle is known.
    points : ndarray of shape (n_points, n_features) or None
        Where they lie.
    """

    distances: Array
    neighbours: Array
    dimension: float
    midway: Callable[[Array, Array], Array] | None = None
    points: Array | None = None


def views_of(X: Any, n_neighbours: int, rng: np.random.RandomState) -> list[View]:
    """Points as they are and, beyond three features, their first principal components.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_points, n_features)
        The points.
    n_neighbours : int
        How many to find of each.
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
    spaces = [X]
    if n_features > max(3, COMPONENTS[0]):
        most = min(MOST_FEATURES, *X.shape)
        scores = PCA(most, random_state=0).fit_transform(X)
        whole = scores if X.shape[1] > MOST_FEATURES else X
        spaces = [whole, *(scores[:, :n] for n in COMPONENTS if n <= scores.shape[1])]
    return [_view_of_points(space, n_neighbours) for space in spaces]


def view_of_distances(distances: Array, n_neighbours: int) -> View:
    """Points of which only the distances between them are known."""
    distances = distances.astype(np.float64, copy=True)
    np.fill_diagonal(distances, -np.inf)
    order = np.argsort(distances, axis=1, kind="stable")[:, 1 : n_neighbours + 1]
    return View(np.take_along_axis(distances, order, 1), order, MOST_FEATURES)


def as_distances(matrix: Array, objective: Objective) -> Array:
    """Distances between samples from the user's matrix, which may be a kernel."""
    if objective.affinity == "distance":
        return matrix
    squares = matrix.diagonal()[:, None] + matrix.diagonal() - 2 * matrix
    return np.sqrt(np.maximum(squares, 0))


def _view_of_points(points: Array, n_neighbours: int) -> View:
    from sklearn.neighbors import NearestNeighbors

    points = points - points.mean(0)
    tree = points.shape[1] <= TREE_FEATURES
    index = NearestNeighbors(
        n_neighbors=min(len(points), n_neighbours + 1),
        algorithm="kd_tree" if tree else "brute",
        leaf_size=LEAF_SIZE,
    ).fit(points)

    def nearest(queries: Array) -> tuple[Array, Array]:
        distances, neighbours = index.kneighbors(queries)
        if not tree:
            _refine(distances, neighbours, queries, points)
        return distances, neighbours

    def midway(first: Array, second: Array) -> Array:
        return nearest((points[first] + points[second]) / 2)[0]

    distances, neighbours = nearest(points)
    return View(distances[:, 1:], neighbours[:, 1:], points.shape[1], midway, points)


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
        values = np.unique(feature)
        if 8 < len(values) < len(X) / 2:
            step = np.median(np.diff(values))
            feature += step * rng.uniform(-0.5, 0.5, len(X))
    return X


@dataclass(frozen=True)
class Depths:
    """Valleys between groups, one in each column.

    Parameters
    ----------
    depth : ndarray of shape (n_scales, n_valleys)
        How deep they are at each scale in each view, in standard deviations.
    scale : ndarray of shape (n_scales, 1)
        Number of neighbours.
    dimension : ndarray of shape (n_scales, n_valleys)
        Of the data around them.
    rank : ndarray of shape (n_valleys,)
        Rank of the nearest neighbour across.
    """

    depth: Array
    scale: Array
    dimension: Array
    rank: Array

    def significance(self, n_points: Any) -> Array:
        """How deep each is, relative to what is found in one cluster of so many points."""
        relative = self.depth / level(n_points, self.scale, self.dimension)
        return np.sort(relative, axis=0)[-DEEPEST:].mean(0) * self.rank**GAP_POWER

    def __getitem__(self, columns: Any) -> Depths:
        depth, dimension = self.depth[:, columns], self.dimension[:, columns]
        return Depths(depth, self.scale, dimension, self.rank[columns])

    @classmethod
    def stack(cls, valleys: Sequence[Depths]) -> Depths:
        """The valleys of all of them."""
        depth, dimension = (
            np.concatenate([getattr(each, name) for each in valleys], axis=1)
            for name in ("depth", "dimension")
        )
        rank = np.concatenate([each.rank for each in valleys])
        return cls(depth, valleys[0].scale, dimension, rank)


def standing_for(size: Any, n_points: int) -> Any:
    """The number of points of a sample of one cluster, for which a group of this size stands."""
    return np.minimum(PART * np.maximum(size, SIMULATED), n_points)


class Valleys:
    r"""What lies between groups of points, joined group by group.

    With :math:`r_k(i)` the distance of point i to its k-th neighbour and d the dimension of the
    data around it, :math:`-d \ln r_k` is a log density. A group has its peak, two groups have a
    saddle: the highest of the lowest densities along an edge between them. The depth of the valley
    is :math:`z_k = d \sqrt{k / 2}` times the difference of saddle and lower peak (of
    :math:`-\ln r_k`), in standard deviations of what it is by chance; divided by its `level` in
    one cluster, and averaged over the two scales and views in which it is deepest. Gaps count a
    little more the wider they are: times the eighth root of the rank of the nearest neighbour
    across.

    Parameters
    ----------
    views : list of View
        The points.
    labels : ndarray of int of shape (n_points,)
        The group of each, 0, 1, ...
    smallest : float
        A smaller group is no cluster, whatever lies around it.
    """

    def __init__(self, views: list[View], labels: Array, smallest: float) -> None:
        self.n_points = len(labels)
        self.size = np.bincount(labels).astype(float)
        self.smallest = smallest
        n_groups = len(self.size)
        self.alive = np.ones(n_groups, dtype=bool)
        most = min(view.distances.shape[1] for view in views)
        scales = SCALES[(max(8, self.n_points / 8) >= SCALES) & (most > SCALES)]
        parts = [_evidence(view, labels, n_groups, scales) for view in views]
        self.scale = np.tile(scales, len(views))[:, None]
        self.view = np.repeat(np.arange(len(views)), len(scales))
        self.peak = np.concatenate([part.peak for part in parts])
        self.inverse_dimension = np.concatenate([part.inverse_dimension for part in parts])
        self.saddle = np.concatenate([part.saddle for part in parts])
        self.rank = np.stack([part.rank for part in parts])

    def depths(self, group: int, others: Any = slice(None)) -> Depths:
        """The valleys between a group and others, of which each is a column."""
        size, both = self.size[others], self.size[others] + self.size[group]
        inverse, peak = self.inverse_dimension, self.peak
        dimension = 1 / np.maximum(inverse[:, others], inverse[:, [group]])
        lower = np.minimum(peak[:, others], peak[:, [group]])
        saddle = self.saddle[:, group, others]
        depth = np.maximum(dimension, 1) * (lower - saddle) * np.sqrt(self.scale / 2)
        # A group must hold the neighbours by which it is measured, and as many again.
        fits = self.scale <= np.maximum(8, np.minimum(size, self.size[group]) / 2)
        depth = np.where(fits & np.isfinite(depth), depth, 0.0)
        depth[np.isinf(saddle) & (self.scale <= 8)] = 1e6  # no edge at all
        # In a view, the data is of the lowest dimension that it has at any scale.
        lowest = np.where(self.scale <= np.maximum(21, both / 4), dimension, np.inf)
        lowest = np.stack([lowest[self.view == v].min(0) for v in range(len(self.rank))])
        lowest = np.maximum(lowest, 1)[self.view]
        return Depths(np.maximum(depth, 0), self.scale, lowest, self.rank[:, group, others].max(0))

    def significance(self, group: int, alone: bool = False) -> Array:
        """How real the valley between a group and each other is: 1 and more, and they are two.

        It is that among all points, or what it would be if there were no other group than these.
        """
        both = standing_for(self.size + self.size[group], self.n_points)
        rho = self.depths(group).significance(both if alone else self.n_points)
        return np.where(self.alive & (np.arange(len(self.size)) != group), rho, np.inf)

    def matrix(self, alone: bool = False) -> Array:
        """The significance between each two groups, infinite where one is no more, or the same."""
        n_groups = len(self.size)
        rho = np.array([self.significance(i, alone) for i in range(n_groups)])
        rho = rho.reshape(n_groups, n_groups)
        return np.minimum(rho, rho.T)

    def join(self, i: int, j: int) -> None:
        """Group i takes in group j."""
        share = self.size[j] / (self.size[i] + self.size[j])
        inverse = self.inverse_dimension
        inverse[:, i] += share * (inverse[:, j] - inverse[:, i])
        self.size[i] += self.size[j]
        self.peak[:, i] = np.maximum(self.peak[:, i], self.peak[:, j])
        self.saddle[:, i] = np.maximum(self.saddle[:, i], self.saddle[:, j])
        self.rank[:, i] = np.minimum(self.rank[:, i], self.rank[:, j])
        self.saddle[:, :, i], self.rank[:, :, i] = self.saddle[:, i], self.rank[:, i]
        self.saddle[:, i, i] = -np.inf
        self.alive[j] = False


def merge(valleys: Valleys) -> tuple[Array, Array]:
    """Join the two groups with the least significant valley until one is left.

    Returns
    -------
    pairs : ndarray of int of shape (n_groups - 1, 2)
        The second group joins the first.
    heights : ndarray of shape (n_groups - 1,)
        How surely the two are not one cluster, as in `heights_of`.
    """
    n_groups = len(valleys.size)
    rho = valleys.matrix()
    pairs = np.zeros((n_groups - 1, 2), dtype=int)
    size, counts = np.zeros(n_groups - 1), np.zeros(n_groups - 1, dtype=bool)
    found = []
    for step in range(n_groups - 1):
        i, j = map(int, np.unravel_index(rho.argmin(), rho.shape))
        if valleys.size[i] < valleys.size[j]:
            i, j = j, i
        pairs[step], counts[step] = (i, j), valleys.size[j] >= valleys.smallest
        found.append(valleys.depths(i, [j]))
        valleys.join(i, j)
        size[step] = valleys.size[i]
        rho[j] = rho[:, j] = np.inf
        rho[i] = rho[:, i] = valleys.significance(i)
    return pairs, heights_of(pairs, found, size, counts)


def heights_of(pairs: Array, found: Sequence[Depths], size: Array, counts: Array) -> Array:
    """How surely the two groups of each step are not one cluster.

    The tree is judged from its top: a part of the data, once cut off, is like a sample of its own,
    in which fewer points make for lower valleys than in all. It is no cluster if any valley in it
    is real for its number of points, but not more surely than that it is a part.

    Parameters
    ----------
    pairs : ndarray of int of shape (n_steps, 2)
        The second group joins the first.
    found : sequence of Depths
        The valley between them.
    size : ndarray of shape (n_steps,)
        Their number of points.
    counts : ndarray of bool of shape (n_steps,)
        Whether both are large enough for clusters.
    """
    n_steps = len(pairs)
    last: dict[int, int] = {}
    parts: list[list[int]] = []
    inside: list[list[int]] = []
    for step, (i, j) in enumerate(pairs.tolist()):
        parts.append([last[group] for group in (i, j) if group in last])
        inside.append(sum((inside[part] for part in parts[step]), [step] if counts[step] else []))
        last[i] = step
    heights, limit = np.zeros(n_steps), np.full(n_steps, np.inf)
    valleys = Depths.stack(found) if found else None
    for step in reversed(range(n_steps)):
        n_points = standing_for(size[step], size[-1])
        own = valleys[inside[step]].significance(n_points) if valleys else np.zeros(0)
        heights[step] = limit[parts[step]] = min(own.max(initial=0.0), limit[step])
    return heights


@dataclass(frozen=True)
class _Evidence:
    """Of one view: (n_scales, n_groups) and pairs of groups."""

    peak: Array
    inverse_dimension: Array
    saddle: Array
    rank: Array


def _evidence(view: View, labels: Array, n_groups: int, scales: Array) -> _Evidence:
    n_points, n_near = view.distances.shape
    size = np.bincount(labels, minlength=n_groups)
    floor = _floor(view)
    logs = np.log(np.maximum(view.distances, floor))
    heights = -logs[:, scales - 1]
    # Levina and Bickel's dimension, from how the radius grows with the number of neighbours.
    low, high = np.maximum(scales // 2, 2), np.minimum(2 * scales, n_near)
    slopes = (logs[:, high - 1] - logs[:, low - 1]) / np.log(high / low)
    peak = np.full((len(scales), n_groups), -np.inf)
    inverse = np.empty((len(scales), n_groups))
    saddle = np.full((len(scales), n_groups, n_groups), -np.inf)
    first, second, ends = _edges(view, labels, n_groups, heights, scales, floor)
    for s, scale in enumerate(scales):
        np.maximum.at(peak[s], labels, heights[:, s])
        mean = np.bincount(labels, slopes[:, s], n_groups) / size
        inverse[s] = np.maximum(mean, 1 / view.dimension)
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
    others = labels[view.neighbours[:, :n_ranks]].ravel()
    ranks = np.tile(np.arange(1.0, n_ranks + 1), n_points)
    np.minimum.at(rank, (np.repeat(labels, n_ranks), others), ranks)
    saddle = np.maximum(saddle, saddle.transpose(0, 2, 1))
    return _Evidence(peak, inverse, saddle, np.minimum(rank, rank.T))


def _floor(view: View) -> float:
    """Below this, distances are those of points that coincide, as far as density goes."""
    for distances in (view.distances[:, 0], view.distances):
        positive = distances[distances > 0]
        if len(positive):
            return float(0.5 * np.quantile(positive, 0.05))
    extent = 0.0 if view.points is None else float(np.ptp(view.points))
    return extent or 1.0


def _edges(
    view: View, labels: Array, n_groups: int, heights: Array, scales: Array, floor: float
) -> tuple[Array, Array, Array]:
    """Edges between groups, a few most promising for each two, and the heights on their way."""
    n_points = len(labels)
    n_edges = min(EDGES, view.neighbours.shape[1])
    near = view.neighbours[:, :n_edges]
    bridges = _bridges(view, near)
    a = np.append(np.repeat(np.arange(n_points), n_edges), bridges[:, 0])
    b = np.append(near.ravel(), bridges[:, 1])
    swap = labels[a] > labels[b]
    a, b = np.where(swap, b, a), np.where(swap, a, b)
    a, b = np.divmod(np.unique((a * n_points + b)[labels[a] != labels[b]]), n_points)
    ends = np.minimum(heights[a], heights[b])
    if not len(a) or view.points is None or view.midway is None:
        return a, b, ends
    pair = labels[a] * n_groups + labels[b]
    scores = [ends[:, min(s, len(scales) - 1)] for s in (2, 5, len(scales) - 1)]
    scores.append(-np.linalg.norm(view.points[a] - view.points[b], axis=1))
    kept = np.unique(np.concatenate([_best_of_each(pair, score, 2) for score in scores]))
    a, b, ends = a[kept], b[kept], ends[kept]
    middle = -np.log(np.maximum(view.midway(a, b)[:, scales], floor))
    return a, b, np.minimum(ends, middle)


def _best_of_each(pair: Array, score: Array, most: int) -> Array:
    """Places of the highest scores of each pair."""
    order = np.lexsort((-score, pair))
    new = np.r_[True, pair[order][1:] != pair[order][:-1]]
    place = np.arange(len(order))
    kept: Array = order[place - np.maximum.accumulate(np.where(new, place, 0)) < most]
    return kept


def _bridges(view: View, near: Array, most: int = 60) -> Array:
    """Short edges that join the components of the graph of nearest neighbours."""
    n_points = len(near)
    a, b = np.repeat(np.arange(n_points), near.shape[1]), near.ravel()
    found: list[tuple[int, int]] = []
    while view.points is not None:
        graph = sp.coo_array((np.ones(len(a)), (a, b)), shape=(n_points, n_points))
        n_parts, part = connected_components(graph, directed=False)
        if n_parts == 1:
            break
        smallest = np.argsort(np.bincount(part), kind="stable")[:-1][:most]
        new = [_bridge(view.points, part == c) for c in smallest]
        found += new
        a = np.append(a, [edge[0] for edge in new])
        b = np.append(b, [edge[1] for edge in new])
    return np.array(found, dtype=int).reshape(-1, 2)


def _bridge(points: Array, inside: Array) -> tuple[int, int]:
    """A short edge from the points inside to the others.

    It is the shortest from as many of those inside as can be compared at once, or one that is found
    from there by going to and fro between nearest points.
    """
    first, others = np.flatnonzero(inside), np.flatnonzero(~inside)
    some = first[:: -(-len(first) * len(others) // BRIDGE_PAIRS)]
    start, end = _nearest_pair(points, some, others)
    while len(some) < len(first):
        back, _ = _nearest_pair(points, first, np.array([end]))
        if back == start:
            break
        start, end = _nearest_pair(points, np.array([back]), others)
    return start, end


def _nearest_pair(points: Array, first: Array, second: Array) -> tuple[int, int]:
    squares = np.einsum("nd,nd->n", points[first], points[first])[:, None]
    distances = squares + np.einsum("nd,nd->n", points[second], points[second])
    distances -= 2 * points[first] @ points[second].T
    i, j = np.unravel_index(distances.argmin(), distances.shape)
    return int(first[i]), int(second[j])
