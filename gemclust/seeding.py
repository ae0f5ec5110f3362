"""Where training starts: a softmax around seeds that k-means++ spreads over the samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from gemclust.categorical import Categorical
from gemclust.chunks import Watch, unwatched
from gemclust.evaluation import evaluate
from gemclust.imitation import Imitation
from gemclust.models import Model, Perceptron
from gemclust.problem import Problem
from gemclust.samples import (
    distances_to,
    trimmed_mean,
    typical_distance,
    weighted_median,
    without_majority,
)
from gemclust.threads import one_thread_if_small
from gemclust.training import Run, Settings, train

SEED_WIDTH = 0.5
"""Width of the softmax around seeds, in median distances of the samples to the nearest seed."""

IMITATION_ITERATIONS = {"lbfgs": 5}
IMITATION_EPOCHS = 20

UNIT_IMITATION = {"lbfgs": 30}
UNIT_IMITATION_EPOCHS = 300
"""Units that are to be joined are trained briefly: those that are not there from the start never
will be."""

IMITATION_SAMPLES = 500
"""L-BFGS imitates assignments on at most so many samples, or `IMITATION_CLUSTER` a cluster: more of
them lead to no higher objective."""
IMITATION_CLUSTER = 20

TRIES = {"lbfgs": 3}
"""Draws of seeds among which each restart chooses."""
TRIES_OF_ONE = 10
"""The same for solvers that take one restart by default."""
MOST_SEEDS = 500
"""No more draws than come to so many seeds: of many seeds each, they hardly differ."""

CAP = 2.0
"""No distance counts more than so many times the median distance to the centre."""


@dataclass(frozen=True)
class Space:
    """Where seeds are drawn: the geometry of the objective, or the input if it has none.

    Parameters
    ----------
    squared_distances : callable
        From rows to their squared distances from all samples, (n_samples, n_rows).
    typical : float
        Median squared distance to the centre.
    """

    squared_distances: Callable[[Any], NDArray[Any]]
    typical: float


def start(
    problem: Problem,
    seeds: NDArray[Any],
    settings: Settings,
    init: str = "k-means++",
    merging: bool = False,
    watch: Watch = unwatched,
) -> Run:
    """Parameters from which to train, a row for each seed of the random numbers.

    All restarts but the second begin as a softmax of minus the squared distance to k-means++
    seeds: the linear model exactly, in its input; others by a short training to imitate it. The
    second restart begins at random. Of several draws of seeds, each restart takes the best. With
    the `init` "random", all begin at random. Units that are merged later are imitated for longer.
    """
    model, weight = problem.model, problem.weight
    mass = weight.cpu().numpy().astype(np.float64)
    parameters = model.initialise(seeds.tolist(), weight.dtype).to(weight.device)
    if not _is_seeded(problem, init):
        return Run(parameters)
    space = seeding_space(problem, mass)
    seeded = np.flatnonzero(np.arange(len(seeds)) != 1)
    tries = _tries(problem, settings)
    with one_thread_if_small(len(problem) * parameters.numel()):
        rows = [_best_seeds(problem, space, mass, tries, seed, watch) for seed in seeds[seeded]]
    if _is_linear(model):
        X = problem.inputs.array
        starts = [linear_around(X, mass, chosen) for chosen in rows]
        parameters[seeded] = torch.as_tensor(np.stack(starts)).to(weight)
        return Run(parameters)
    target = torch.as_tensor(np.stack([softmax_around(space, mass, chosen) for chosen in rows]))
    if isinstance(model, Categorical):
        parameters[seeded] = model.around(target.to(weight))
        return Run(parameters)
    imitation = Imitation(model, problem.inputs, weight, target.to(weight))
    if settings.solver == "lbfgs":
        imitation = imitation.on_some(max(IMITATION_SAMPLES, IMITATION_CLUSTER * model.n_units))
    brief = replace(settings, max_iter=_imitations(model, settings, merging), drop=False)

    def report(iteration: int, loss: float) -> bool:
        watch("imitation")
        return False

    imitated = train(imitation, Run(parameters[seeded]), brief, int(seeds[0]), report)
    parameters[seeded] = imitated.parameters
    return Run(parameters, imitated.interrupted)


def n_steps(problem: Problem, n_restarts: int, settings: Settings, init: str, merging: bool) -> int:
    """How many steps `start` tells of, at most."""
    if not _is_seeded(problem, init):
        return 0
    n_seeded = n_restarts - (n_restarts > 1)
    n_seeds = n_seeded * _tries(problem, settings) * problem.model.n_units
    return n_seeds + _imitations(problem.model, settings, merging)


def _tries(problem: Problem, settings: Settings) -> int:
    if not problem.objective.n_stages:
        return 1
    tries = TRIES.get(settings.solver, TRIES_OF_ONE)
    return max(1, min(tries, MOST_SEEDS // problem.model.n_units))


def _is_seeded(problem: Problem, init: str) -> bool:
    # With free logits and such an objective, nothing else knows where samples lie.
    blind = problem.geometry.features is None and problem.geometry.matrix is None
    return init != "random" and not (isinstance(problem.model, Categorical) and blind)


def _is_linear(model: Model) -> bool:
    return isinstance(model, Perceptron) and len(model.shapes) == 1


def _imitations(model: Model, settings: Settings, merging: bool) -> int:
    """Iterations in which a model is brought near the softmax around its seeds, at most."""
    if _is_linear(model) or isinstance(model, Categorical):
        return 0
    if merging:
        return UNIT_IMITATION.get(settings.solver, UNIT_IMITATION_EPOCHS)
    return IMITATION_ITERATIONS.get(settings.solver, IMITATION_EPOCHS)


def _best_seeds(
    problem: Problem, space: Space, mass: NDArray[Any], tries: int, seed: int, watch: Watch
) -> NDArray[Any]:
    """Of several draws of seeds those around which the softmax has the highest objective."""
    rng = np.random.RandomState(seed)
    n_units = problem.model.n_units
    draws = [kmeans_plus_plus(space, mass, n_units, rng, watch) for _ in range(tries)]
    if tries == 1:
        return draws[0]
    proba = torch.as_tensor(np.stack([softmax_around(space, mass, rows) for rows in draws]))
    log_proba = proba.to(problem.weight).log()
    values = evaluate(problem.objective, log_proba, problem.weight, problem.geometry)
    # The first of those that differ by rounding: the same seeds in another order are no better.
    return draws[int(np.argmax(values >= values.max() - 1e-5 * abs(values.max())))]


def seeding_space(problem: Problem, weight: NDArray[Any]) -> Space:
    """The space in which the objective compares samples."""
    geometry = problem.geometry
    if geometry.matrix is None:
        features = problem.inputs if geometry.features is None else geometry.features
        return feature_space(features.array, weight)
    weight = without_majority(weight)
    matrix = geometry.matrix.cpu().numpy()
    if problem.objective.affinity == "distance":
        # Around their mean, points are half as far apart in squares as from one another.
        some = np.unique(np.linspace(0, len(matrix) - 1, 200).astype(int))
        pairs = np.outer(weight[some], np.ones(len(matrix)) * weight)
        typical = 0.5 * weighted_median(np.square(matrix[some]).ravel(), pairs.ravel())
        return Space(lambda rows: np.square(matrix[:, rows], dtype=np.float64), typical)
    squares = matrix.diagonal().astype(np.float64)

    def squared_distances(rows: Any) -> NDArray[Any]:
        return np.maximum(squares[:, None] - 2.0 * matrix[:, rows] + squares[rows], 0)

    return Space(squared_distances, weighted_median(squares, weight))


def feature_space(X: Any, weight: NDArray[Any]) -> Space:
    """Euclidean space of the rows of X, dense or sparse."""
    weight = without_majority(weight)
    squares = _squared_norms(X)
    rounding = 8 * np.finfo(X.dtype).eps
    typical = weighted_median(distances_to(X, trimmed_mean(X, weight)), weight) ** 2

    def squared_distances(rows: Any) -> NDArray[Any]:
        chosen = _dense(X[rows])
        sums = squares[:, None] + squares[rows]
        distances = sums - 2 * np.asarray(X @ chosen.T)
        return np.where(distances > rounding * sums, distances, 0).astype(np.float64)

    return Space(squared_distances, typical)


def kmeans_plus_plus(
    space: Space,
    weight: NDArray[Any],
    n_seeds: int,
    rng: np.random.RandomState,
    watch: Watch = unwatched,
) -> NDArray[Any]:
    """Samples that lie far from one another, by greedy k-means++ on capped distances.

    Each next seed is drawn with probability proportional to weight times squared distance to the
    seeds so far; of several draws the one that leaves the least is kept. A distance counts at
    most `CAP` times the median distance to the centre: uncapped, the first seeds are outliers.

    Parameters
    ----------
    space : Space
        Distances between the samples.
    weight : ndarray of shape (n_samples,)
        Sample weights.
    n_seeds : int
        How many, at most n_samples.
    rng : RandomState
        The source of chance.
    watch : callable, optional
        Is told of each seed.

    Returns
    -------
    rows : ndarray of int of shape (n_seeds,)
    """
    cap = CAP**2 * space.typical or np.inf
    trials = 2 + int(np.log(n_seeds))
    rows = [_draw(weight, 1, rng)[0]]
    nearest = np.minimum(space.squared_distances(rows)[:, 0], cap)
    watch("seed")
    for _ in range(1, n_seeds):
        candidates = _draw(weight * nearest, trials, rng)
        left = np.minimum(space.squared_distances(candidates), nearest[:, None])
        best = int(np.argmin(weight @ left))
        rows.append(candidates[best])
        nearest = left[:, best]
        watch("seed")
    return np.array(rows)


def softmax_around(space: Space, weight: NDArray[Any], rows: NDArray[Any]) -> NDArray[Any]:
    """Softmax of -d^2 / (2 width^2) over the seeds, with d the distance to each."""
    squares = space.squared_distances(rows)
    nearest = squares.min(1, keepdims=True)
    proba = np.exp(-0.5 * (squares - nearest) / _squared_width(nearest[:, 0], weight))
    return proba / proba.sum(1, keepdims=True)


def linear_around(X: Any, weight: NDArray[Any], rows: NDArray[Any]) -> NDArray[Any]:
    """Parameters of the linear model whose p(y|x) is `softmax_around` in the space of X."""
    nearest = feature_space(X, weight).squared_distances(rows).min(1)
    squared_width = _squared_width(nearest, weight)
    centres = _dense(X[rows]).astype(np.float64)
    biases = -0.5 * np.square(centres).sum(1)
    return np.concatenate([centres.T.ravel(), biases]) / squared_width


def _squared_width(nearest: NDArray[Any], weight: NDArray[Any]) -> float:
    return SEED_WIDTH**2 * typical_distance(nearest, weight) or 1.0


def _draw(mass: NDArray[Any], size: int, rng: np.random.RandomState) -> NDArray[Any]:
    # Equal samples are neighbours in the canonical order, so that a sample of weight 2 and one
    # that stands twice are drawn by the same numbers.
    cumulative = np.cumsum(mass, dtype=np.float64)
    draws = np.searchsorted(cumulative, rng.uniform(size=size) * cumulative[-1])
    return np.minimum(draws, len(mass) - 1)


def _squared_norms(X: Any) -> NDArray[Any]:
    if sp.issparse(X):
        return np.asarray(X.multiply(X).sum(1)).ravel()
    return np.einsum("nd,nd->n", X, X)


def _dense(rows: Any) -> NDArray[Any]:
    return rows.toarray() if sp.issparse(rows) else rows
