"""What training is worth: the best restart, its units that are used, and the clusters they form."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from gemclust import rules
from gemclust.evaluation import log_probabilities
from gemclust.models import most_probable
from gemclust.problem import Problem
from gemclust.rounding import evenly
from gemclust.samples import Samples
from gemclust.thresholds import Thresholds
from gemclust.training import Run
from gemclust.valleys import Valleys, merge
from gemclust.views import SCALES, View

POINTS_PER_UNIT = 100
"""Valleys are looked for between so many points for each unit."""

MOST_REQUIRED = 20
"""No more of these points than so many are asked of a cluster."""

STRAY_NEIGHBOURS = 10
"""A unit is the largest part of its points that so many nearest neighbours join. Each other part
goes to the unit of most of its neighbours outside, unless half of these are in its own unit or such
parts, too."""

LEAST_POINTS = 6
"""Of fewer, nothing can be said about valleys between them."""


@dataclass(frozen=True)
class Winners:
    """The clusters that win at least one sample.

    Parameters
    ----------
    numbers : list of int
        Which ones they are of those that were given.
    clusters : list of list of int
        The outputs of the model in each.
    proportions : ndarray of shape (n_clusters,)
        p(y) over these clusters only.
    value : float
        The GEMINI with these clusters only, in the units of X.
    """

    numbers: list[int]
    clusters: list[list[int]]
    proportions: NDArray[Any]
    value: float


def winners(problem: Problem, parameters: Tensor, clusters: list[list[int]]) -> Winners:
    """What is left of these clusters of one restart's units where some of them win nothing."""
    whole = replace(problem, clusters=clusters)
    won, proportions = whole.survey(parameters)
    numbers = won[0].nonzero()[:, 0].tolist()
    if len(numbers) < len(clusters):
        clusters = [clusters[k] for k in numbers]
        whole = replace(problem, clusters=clusters)
        _, proportions = whole.survey(parameters)
    value = float(whole.value(parameters)[0])
    return Winners(numbers, clusters, proportions[0].cpu().numpy(), value)


def best_restart(problem: Problem, run: Run, among: Sequence[int] | None = None) -> int:
    """The restart of the largest penalised objective, with its units that win a sample.

    The best of the given ones, or of all.
    """
    numbers = range(len(run.parameters)) if among is None else among
    if len(numbers) == 1:
        return numbers[0]
    parameters = run.parameters[list(numbers)]
    won, proportions = problem.survey(parameters)
    values = problem.value(parameters)
    for place in (~won.all(1)).nonzero()[:, 0].tolist():
        fewer = replace(problem, clusters=[[unit] for unit in won[place].nonzero()[:, 0].tolist()])
        values[place] = fewer.value(parameters[place : place + 1])[0]
    return numbers[int(np.nanargmax(values - problem.penalty(parameters, proportions)))]


@dataclass(frozen=True)
class MergeTree:
    """Units joined step by step, the least real valley first.

    Parameters
    ----------
    pairs : ndarray of int of shape (n_units - 1, 2)
        At each step, the group of the second unit joins that of the first.
    heights : ndarray of shape (n_units - 1,)
        How surely they are not one cluster; never more than at a later step that contains it.
        Inside one cluster it stays below 1.
    thresholds : Thresholds
        By which the heights were divided.
    """

    pairs: NDArray[Any]
    heights: NDArray[Any]
    thresholds: Thresholds = field(default_factory=Thresholds)

    @property
    def n_leaves(self) -> int:
        """The most groups there are."""
        return len(self.pairs) + 1

    @property
    def order(self) -> NDArray[Any]:
        """Steps by height; none comes before those below it."""
        return np.argsort(self.heights, kind="stable")

    def n_clusters(self, sensitivity: float = 1.0) -> int:
        """Groups that are left when all valleys below 1 / sensitivity are closed."""
        return 1 + int((self.heights >= 1 / sensitivity).sum())

    def cut(self, n_clusters: int) -> NDArray[Any]:
        """The group of each unit, numbered by their first units, when so many are left."""
        group = np.arange(self.n_leaves)
        for a, b in self.pairs[self.order[: max(0, len(group) - n_clusters)]]:
            a, b = sorted((group[a], group[b]))
            group[group == b] = a
        return np.unique(group, return_inverse=True)[1]

    @property
    def linkage(self) -> NDArray[Any]:
        """The steps as SciPy's linkage matrix: both groups, the height, and how many units."""
        n_units = self.n_leaves
        name, size, group = np.arange(n_units), np.ones(n_units), np.arange(n_units)
        rows = np.zeros((n_units - 1, 4))
        for step, (a, b) in enumerate(self.pairs[self.order]):
            a, b = group[a], group[b]
            size[a] += size[b]
            rows[step] = *sorted((name[a], name[b])), self.heights[self.order[step]], size[a]
            name[a] = n_units + step
            group[group == b] = a
        return rows


class Selection:
    """How units form clusters, and why.

    Parameters
    ----------
    tree : MergeTree
        Of the leaves.
    leaves : list of list of int
        The units of the model in each leaf.
    sizes : ndarray of shape (n_leaves,)
        Test points of each leaf.

    Attributes
    ----------
    valleys : ndarray of shape (n_clusters, n_clusters)
        How real the valley between each two clusters is, were there no others: 1 and more, and
        they are two. NaN on the diagonal.
    counts : dict of int to int
        How many restarts found each number of clusters.
    """

    valleys: NDArray[Any]
    counts: dict[int, int]

    def __init__(self, tree: MergeTree, leaves: list[list[int]], sizes: NDArray[Any]) -> None:
        self.tree = tree
        self.leaves = leaves
        self.sizes = sizes

    def __repr__(self) -> str:
        at = ", ".join(f"{s:g}: {self.n_clusters(s)}" for s in (0.7, 1.0, 1.4))
        return f"Selection({len(self.leaves)} units; clusters by sensitivity: {at})"

    @property
    def heights(self) -> NDArray[Any]:
        """Significance of the valleys in the tree, the highest first: above 1 they are real."""
        return np.sort(self.tree.heights)[::-1]

    @property
    def linkage(self) -> NDArray[Any]:
        """The tree as SciPy's linkage matrix, in which leaves are counted."""
        return self.tree.linkage

    def n_clusters(self, sensitivity: float = 1.0) -> int:
        """The number that another sensitivity would give; `max_clusters` does not bound it."""
        if not rules.number(positive=True)(sensitivity):
            raise ValueError(f"{sensitivity=} is not possible; it must be a positive number.")
        return self.tree.n_clusters(float(sensitivity))

    def clusters(self, n_clusters: int) -> list[list[int]]:
        """The units of each cluster where the tree is cut into so many."""
        most = len(self.leaves)
        if not rules.integer(1)(n_clusters) or n_clusters > most:
            raise ValueError(
                f"{n_clusters=} is not possible; it must be an integer from 1 to {most}, the "
                "number of units."
            )
        group = self.tree.cut(int(n_clusters))
        return [
            [unit for leaf in np.flatnonzero(group == g) for unit in self.leaves[leaf]]
            for g in range(group.max() + 1)
        ]


class TestPoints:
    """Samples between which valleys are looked for.

    Parameters
    ----------
    inputs : Samples
        They, as the model sees them.
    views : callable
        From a number of neighbours to the views of them.
    smallest : float or None
        A group whose points stand for fewer is no cluster. None: one of fewer than 1 % of the
        points, or than 4, but not of 20 and more, whatever they stand for.
    weight : ndarray of shape (n_points,) or None
        How many each stands for, in the mean 1; None if it is 1 for all.
    """

    __test__ = False  # for pytest

    def __init__(
        self,
        inputs: Samples,
        views: Callable[[int], list[View]],
        smallest: float | None,
        weight: NDArray[Any] | None = None,
    ) -> None:
        self.inputs = inputs
        self.smallest = smallest or max(4, min(0.01 * len(inputs), MOST_REQUIRED))
        self.counted = weight if smallest else None
        self.views = None
        # Of fewer points nothing can be said.
        if len(inputs) >= LEAST_POINTS:
            found = views(min(len(inputs) - 1, int(max(SCALES)) + 1))
            self.views = [replace(view, weight=weight) for view in found]

    def settled(self, units: NDArray[Any]) -> NDArray[Any]:
        """The unit of each point, of strays that of their neighbours.

        A unit that has won points of two groups would bridge the gap between them: it is the
        largest of its parts that neighbours join, and the others are strays. A point of which one
        neighbour at most is in its unit is a part of its own.
        """
        if self.views is None:
            return units
        neighbours = self.views[0].neighbours[:, :STRAY_NEIGHBOURS]
        n_points, n_near = neighbours.shape
        first, second = np.repeat(np.arange(n_points), n_near), neighbours.ravel()
        for _ in range(2):
            same = units[first] == units[second]
            joined = same.reshape(n_points, n_near).sum(1) > 1
            inside = same & joined[first] & joined[second]
            graph = sp.coo_array(
                (inside[inside], (first[inside], second[inside])), (n_points, n_points)
            )
            n_parts, part = connected_components(graph, directed=False)
            rising = np.argsort(np.bincount(part)[part], kind="stable")
            largest = np.empty(units.max() + 1, dtype=part.dtype)
            largest[units[rising]] = part[rising]
            stray = ~joined | (part != largest[units])
            out = stray[first] & (part[first] != part[second])
            # To other strays nothing can go.
            to = out & ~same & ~stray[second]
            links = sp.coo_array(
                (np.ones(to.sum()), (part[first[to]], units[second[to]])), (n_parts, len(largest))
            ).tocsr()
            moved = 2 * links.sum(1) > np.bincount(part[first[out]], minlength=n_parts)
            goes_to = np.asarray(links.argmax(1)).ravel()[part]
            units = np.where(moved[part], goes_to, units)
        return units

    def valleys(self, labels: NDArray[Any]) -> Valleys | None:
        """What lies between these groups of them."""
        if self.views is None:
            return None
        return Valleys(self.views, labels, self.smallest, self.counted)


def select(
    problem: Problem,
    run: Run,
    points: TestPoints,
    number: Callable[[MergeTree], int],
    report: Callable[[str], object] = lambda step: None,
) -> tuple[int, Selection]:
    """Join the units of each restart; the best of those that find the most frequent number.

    Parameters
    ----------
    problem : Problem
        What was trained.
    run : Run
        All restarts.
    points : TestPoints
        Where valleys are looked for.
    number : callable
        From a tree to the number of clusters at which it is cut.
    report : callable, optional
        Told of each restart that is done.
    """
    restarts = [r for r, finite in enumerate(run.parameters.isfinite().all(1).tolist()) if finite]
    grown = {}
    for r in restarts:
        grown[r] = _grow(problem, run.parameters[r : r + 1], points)
        report("restart")
    found = {r: number(selection.tree) for r, (selection, _) in grown.items()}
    counts = Counter(found.values())
    most = max(counts.values())
    best = best_restart(problem, run, [r for r in restarts if counts[found[r]] == most])
    selection, valleys = grown[best]
    selection.counts = dict(sorted(counts.items()))
    selection.valleys = _between(valleys, selection.tree, found[best])
    return best, selection


def _grow(
    problem: Problem, parameters: Tensor, points: TestPoints
) -> tuple[Selection, Valleys | None]:
    log_proba = log_probabilities(problem.model, parameters, points.inputs)[0]
    units = points.settled(most_probable(log_proba).cpu().numpy())
    seen, labels, sizes = np.unique(units, return_inverse=True, return_counts=True)
    # A unit that wins no point goes with that of the point where it is most probable.
    leaf = labels[log_proba.max(0).indices.cpu().numpy()]
    leaf[seen] = np.arange(len(seen))
    leaves = [np.flatnonzero(leaf == place).tolist() for place in range(len(seen))]
    valleys = points.valleys(labels)
    if valleys is None or len(seen) == 1:
        pairs = np.stack([np.zeros(len(seen) - 1, dtype=int), np.arange(1, len(seen))], 1)
        return Selection(MergeTree(pairs, np.zeros(len(pairs))), leaves, sizes), None
    return Selection(MergeTree(*merge(copy.deepcopy(valleys))), leaves, sizes), valleys


def _between(valleys: Valleys | None, tree: MergeTree, n_clusters: int) -> NDArray[Any]:
    """The significance of the valley between each two clusters."""
    group = tree.cut(n_clusters)
    matrix = np.full((group.max() + 1, group.max() + 1), np.nan)
    if valleys is None:
        return matrix
    for a, b in tree.pairs[tree.order[: max(0, len(group) - n_clusters)]]:
        valleys.join(a, b)
    alive = np.flatnonzero(valleys.alive)
    found = valleys.matrix(alone=True)[np.ix_(alive, alive)]
    np.fill_diagonal(found, np.nan)
    # In the units of the tree's heights.
    matrix[np.ix_(group[alive], group[alive])] = tree.thresholds(found)
    return matrix


def n_points_to_test(n_units: int) -> int:
    """Between how many points valleys are looked for, if there are so many."""
    return POINTS_PER_UNIT * max(n_units, 20)


def points_to_test(weight: NDArray[Any], size: int) -> NDArray[Any]:
    """Numbers of the samples to look for valleys between, in proportion to their weights.

    Each is one point at most: points that coincide are peaks of their own. Of few samples, all that
    have half the mean weight are among them.
    """
    return np.unique(evenly(weight, min(size, 2 * len(weight))))


def points_by_rate(
    weight: NDArray[Any], rate: NDArray[Any], size: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """So many of the samples, in proportion to their weights and rates, each once at most.

    Returns
    -------
    rows : ndarray of int of shape (n_points,)
        Numbers of the samples, in order.
    weight : ndarray of shape (n_points,)
        How many each stands for of those that would be drawn without rates, in the mean 1.
    """
    chance = chances(weight * rate, size)
    rows = np.unique(evenly(chance, size))
    stands_for = (chances(weight, size) / chance)[rows]
    return rows, stands_for / stands_for.mean()


def chances(mass: NDArray[Any], size: int) -> NDArray[Any]:
    """Of drawing each where so many are drawn: in proportion to their masses, but at most 1."""
    if size >= len(mass):
        return np.ones(len(mass))
    mass = np.maximum(mass / mass.max(), 1e-15)
    rising = np.sort(mass)
    # By what masses must be multiplied if those that are larger are drawn for certain.
    factors = (size - np.arange(len(mass))[::-1]) / np.cumsum(rising)
    possible = np.flatnonzero(factors * rising < 1)
    return np.minimum(1, factors[possible[-1]] * mass)
