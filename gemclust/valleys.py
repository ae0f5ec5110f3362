"""Are two groups of samples one cluster? Whether the valley of density between them is real.

Everything here is measured on points alone: distances to their nearest neighbours, at several
scales, in several views of the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gemclust.shapes import Shapes
from gemclust.thresholds import Thresholds, thresholds
from gemclust.views import EDGES, SCALES, View, evidence_in

Array = NDArray[Any]

GAP_POWER = 0.125
"""Valleys count so much more by the rank of the nearest neighbour across: its power."""

DEEPEST = 2
"""The scales and views in which a valley is deepest, over which it is averaged."""

SIMULATED = 50
"""Samples from which levels are known have at least so many points."""

SCALE_PARTS = 8
"""Scales have at most this part of the points: one over which is given."""

PLANE = 2
"""In views of more dimensions, it counts in how many directions groups extend: in a plane, the
level leaves room for such."""

JOINED_FIRST = 0.5
"""When groups are joined, valleys around one that is too small for a cluster count no more: it
joins the nearest before others do between which a valley may be real."""

PART = 3
"""Valleys in a part of the data are judged like those of so many times its points: one that was
looked for and cut off for its valleys is not quite a sample of its own."""

NO_WAY_ROUND, EACH_DIRECTION = 0.87, 0.11
"""How the level of valleys depends on the dimension of the data: on a line every gap is a valley,
and with each direction there is more room for places where few points are."""

ON_A_LINE = 1.25
"""Where all points lie on a line, valleys are so many times less significant: each gap is one."""


def factor(dimension: Any) -> Any:
    """What the level is in so many dimensions, in units of what it is for the number of points."""
    return NO_WAY_ROUND / dimension + EACH_DIRECTION * np.sqrt(dimension)


def level(n_points: Any, scale: Any, dimension: Any) -> Any:
    r"""What the depth of a valley seldom reaches inside one cluster.

    .. math:: (0.87 / d + 0.11 \sqrt d) (\ln(n / k) + 0.5)

    The two numbers are chosen on samples with one mode and on data sets, as measured in
    `docs/valleys.md`.
    """
    return factor(np.asarray(dimension)) * (np.log(n_points / scale) + 0.5)


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
    data around it, :math:`-d \ln r_k` is a log density; where points stand for unequal numbers, the
    log of their mean is added, as in `evidence_in`. A group has its peak, two groups have a
    saddle: the highest of the lowest densities along an edge between them. The depth of the valley
    is :math:`z_k = d \sqrt{k / 2}` times the difference of saddle and lower peak (of
    :math:`-\ln r_k`), in standard deviations of what it is by chance; divided by its `level` in
    one cluster, and averaged over the two scales and views in which it is deepest. In a single
    feature it is less (`ON_A_LINE`). Gaps count a little more the wider they are: times the eighth
    root of the rank of the nearest neighbour across. The dimension of the level is at most that of
    the extent of the two groups (`Shapes`).

    Parameters
    ----------
    views : list of View
        The points.
    labels : ndarray of int of shape (n_points,)
        The group of each, 0, 1, ...
    smallest : float
        A smaller group is no cluster, whatever lies around it.
    counted : ndarray of shape (n_points,), optional
        As how many each point counts for that; 1 by default.
    """

    def __init__(
        self, views: list[View], labels: Array, smallest: float, counted: Array | None = None
    ) -> None:
        self.n_points = len(labels)
        self.size = np.bincount(labels).astype(float)
        self.count = np.bincount(labels, counted).astype(float)
        self.smallest = smallest
        n_groups = len(self.size)
        self.alive = np.ones(n_groups, dtype=bool)
        most = min(view.distances.shape[1] for view in views)
        scales = SCALES[(max(8, self.n_points / SCALE_PARTS) >= SCALES) & (most > SCALES)]
        parts = [evidence_in(view, labels, n_groups, scales) for view in views]
        self.scale = np.tile(scales, len(views))[:, None]
        self.view = np.repeat(np.arange(len(views)), len(scales))
        lines = np.array([view.dimension == 1 for view in views])[self.view, None]
        self.spread = np.sqrt(2 / self.scale) * np.where(lines, ON_A_LINE, 1)
        self.peak = np.concatenate([part.peak for part in parts])
        self.inverse_dimension = np.concatenate([part.inverse_dimension for part in parts])
        self.saddle = np.concatenate([part.saddle for part in parts])
        self.rank = np.stack([part.rank for part in parts])
        # Else most valleys inside clusters are not seen, and the highest of them stands clear.
        self.seen_midway = all(view.midway is not None for view in views)
        self.shapes = {
            number: Shapes(view.coordinates, labels)
            for number, view in enumerate(views)
            if view.coordinates.shape[1] > PLANE
        }

    def touched(self) -> float:
        """To how many others a group has an edge, in the mean; 0 where there are several views.

        In the many features of these, groups touch many others even along a curve.
        """
        if self.view.any():
            return 0.0
        # At larger scales, peaks have saddles to whatever is among the points that measure them.
        rows = self.scale[:, 0] <= EDGES
        return float(np.isfinite(self.saddle[rows]).any(0).sum() / len(self.size))

    def depths(self, group: int, others: Any = slice(None)) -> Depths:
        """The valleys between a group and others, of which each is a column."""
        size, both = self.size[others], self.size[others] + self.size[group]
        inverse, peak = self.inverse_dimension, self.peak
        dimension = 1 / np.maximum(inverse[:, others], inverse[:, [group]])
        lower = np.minimum(peak[:, others], peak[:, [group]])
        saddle = self.saddle[:, group, others]
        depth = np.maximum(dimension, 1) * (lower - saddle) / self.spread
        # A group must hold the neighbours by which it is measured, and as many again.
        fits = self.scale <= np.maximum(8, np.minimum(size, self.size[group]) / 2)
        depth = np.where(fits & np.isfinite(depth), depth, 0.0)
        depth[np.isinf(saddle) & (self.scale <= 8)] = 1e6  # no edge at all
        # In a view, the data is of the lowest dimension that it has at any scale.
        lowest = np.where(self.scale <= np.maximum(21, both / 4), dimension, np.inf)
        lowest = np.minimum.reduceat(lowest, np.flatnonzero(np.diff(self.view, prepend=-1)))
        lowest = np.maximum(lowest, 1)[self.view]
        return Depths(np.maximum(depth, 0), self.scale, lowest, self.rank[:, group, others].max(0))

    def evidence(self, group: int, others: Array) -> Depths:
        """The same, for the extent of the two groups together.

        Where the data is wider in few directions than in the rest, it is a thick line or sheet. Of
        these, valleys that cross them count, as there is no way round, and the dimension that
        neighbours show is that of their inside.
        """
        found = self.depths(group, others)
        dimension = found.dimension.copy()
        for number, shapes in self.shapes.items():
            extent = [shapes.dimension(group, other) for other in others.tolist()]
            rows = self.view == number
            dimension[rows] = np.clip(dimension[rows], 1, extent)
        return replace(found, dimension=dimension)

    def significance(self, group: int, alone: bool = False) -> Array:
        """How real the valley between a group and each other is: 1 and more, and they are two.

        It is that among all points, or what it would be if there were no other group than these.
        """
        others = np.flatnonzero(self.alive & (np.arange(len(self.size)) != group))
        both = standing_for(self.size[others] + self.size[group], self.n_points)
        rho = np.full(len(self.size), np.inf)
        depths = self.evidence(group, others) if alone else self.depths(group, others)
        rho[others] = depths.significance(both if alone else self.n_points)
        return rho

    def matrix(self, alone: bool = False) -> Array:
        """The significance between each two groups, infinite where one is no more, or the same."""
        rho = np.full((len(self.size), len(self.size)), np.inf)
        for group in np.flatnonzero(self.alive).tolist():
            rho[group] = self.significance(group, alone)
        return np.minimum(rho, rho.T)

    def beside_small(self) -> Array:
        """Pairs of groups of which one at least is too small for a cluster."""
        small = self.count < self.smallest
        return (small[:, None] | small) & self.alive[:, None] & self.alive

    def join(self, i: int, j: int) -> None:
        """Group i takes in group j."""
        share = self.size[j] / (self.size[i] + self.size[j])
        inverse = self.inverse_dimension
        inverse[:, i] += share * (inverse[:, j] - inverse[:, i])
        self.size[i] += self.size[j]
        self.count[i] += self.count[j]
        self.peak[:, i] = np.maximum(self.peak[:, i], self.peak[:, j])
        self.saddle[:, i] = np.maximum(self.saddle[:, i], self.saddle[:, j])
        self.rank[:, i] = np.minimum(self.rank[:, i], self.rank[:, j])
        self.saddle[:, :, i], self.rank[:, :, i] = self.saddle[:, i], self.rank[:, i]
        self.saddle[:, i, i] = -np.inf
        for shapes in self.shapes.values():
            shapes.join(i, j)
        self.alive[j] = False


def merge(valleys: Valleys) -> tuple[Array, Array, Thresholds]:
    """Join the two groups with the least significant valley until one is left.

    Returns
    -------
    pairs : ndarray of int of shape (n_groups - 1, 2)
        The second group joins the first.
    heights : ndarray of shape (n_groups - 1,)
        How surely the two are not one cluster, as in `heights_of`.
    thresholds : Thresholds
        By which these heights were divided.
    """
    n_groups = len(valleys.size)
    rho = valleys.matrix()
    pairs = np.zeros((n_groups - 1, 2), dtype=int)
    size, counts = np.zeros(n_groups - 1), np.zeros(n_groups - 1, dtype=bool)
    found = []
    touched = valleys.touched()  # by units, not by what they are joined to
    for step in range(n_groups - 1):
        order = np.where(valleys.beside_small(), np.minimum(rho, JOINED_FIRST + 1e-9 * rho), rho)
        i, j = map(int, np.unravel_index(order.argmin(), rho.shape))
        if valleys.count[i] < valleys.count[j]:
            i, j = j, i
        pairs[step], counts[step] = (i, j), valleys.count[j] >= valleys.smallest
        found.append(valleys.evidence(i, np.array([j])))
        valleys.join(i, j)
        size[step] = valleys.size[i]
        rho[j] = rho[:, j] = np.inf
        rho[i] = rho[:, i] = valleys.significance(i)
    heights = heights_of(pairs, found, size, counts)
    levels = thresholds(heights, counts, touched) if valleys.seen_midway else Thresholds()
    return pairs, levels(heights), levels


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
