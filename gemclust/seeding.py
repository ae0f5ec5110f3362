"""Where training starts: a softmax around seeds that k-means++ spreads over the samples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from gemclust.models import Perceptron
from gemclust.samples import weighted_median
from gemclust.training import Imitation, Problem, Settings, train

SEED_WIDTH = 0.5
"""Width of the softmax around seeds, in median distances of the samples to the nearest seed."""

IMITATION_ITERATIONS = 20

CAP = 2.0
"""Distances count up to this many times the median distance to the nearest seed but one."""


def start(problem: Problem, seeds: NDArray[Any], settings: Settings) -> Tensor:
    """Parameters from which to train, a row for each seed of the random numbers.

    All restarts but the second begin as a softmax around k-means++ seeds: the linear model
    exactly, others after a short training to imitate it. The second begins at random.
    """
    model, inputs, weight = problem.model, problem.inputs, problem.weight
    parameters = model.initialise(seeds.tolist(), weight.dtype).to(weight.device)
    seeded = np.flatnonzero(np.arange(len(seeds)) != 1)
    mass = weight.cpu().numpy().astype(np.float64)
    rows = [_seeded_linear(inputs.array, mass, model.n_units, seeds[r]) for r in seeded]
    teacher = torch.as_tensor(np.stack(rows)).to(weight)
    if isinstance(model, Perceptron) and len(model.shapes) == 1:
        parameters[seeded] = teacher
        return parameters
    linear = Perceptron((inputs.array.shape[1], model.n_units))
    imitation = Imitation(model, inputs, weight, linear, teacher)
    brief = replace(settings, max_iter=IMITATION_ITERATIONS)
    run = train(imitation, parameters[seeded], brief, np.random.RandomState(seeds[0]))
    parameters[seeded] = run.parameters
    return parameters


def _seeded_linear(X: Any, weight: NDArray[Any], n_units: int, seed: int) -> NDArray[Any]:
    """Parameters of the linear model whose p(y|x) is a softmax of -|x - seed|^2 / (2 width^2)."""
    rows = kmeans_plus_plus(X, weight, n_units, np.random.RandomState(seed))
    centres = X[rows].toarray() if sp.issparse(X) else X[rows]
    centres = centres.astype(np.float64)
    width = SEED_WIDTH * seed_width(X, weight, rows) or 1.0
    return np.concatenate(
        [centres.T.ravel() / width**2, -0.5 * np.square(centres).sum(1) / width**2]
    )


def kmeans_plus_plus(
    X: Any, weight: NDArray[Any], n_seeds: int, rng: np.random.RandomState
) -> NDArray[Any]:
    """Rows of X that lie far from one another, by greedy k-means++ on capped distances.

    Each next seed is drawn with probability proportional to weight times squared distance to the
    seeds so far; of several draws the one that leaves the least is kept. A distance counts at
    most `CAP` times the median distance to the mean: uncapped, the first seeds would be outliers.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        The samples.
    weight : ndarray of shape (n_samples,)
        Sample weights.
    n_seeds : int
        How many, at most n_samples.
    rng : RandomState
        The source of chance.

    Returns
    -------
    rows : ndarray of int of shape (n_seeds,)
    """
    squares = _squared_norms(X)
    centre = np.asarray((weight / weight.sum()) @ X).ravel()
    spread = np.maximum(squares - 2 * _product(X, centre) + centre @ centre, 0)
    cap = CAP**2 * weighted_median(spread, weight) or np.inf
    trials = 2 + int(np.log(n_seeds))
    rows = [_draw(weight, 1, rng)[0]]
    nearest = _capped_distances(X, squares, rows, cap)[:, 0]
    for _ in range(1, n_seeds):
        candidates = _draw(weight * nearest, trials, rng)
        left = np.minimum(nearest[:, None], _capped_distances(X, squares, candidates, cap))
        best = int(np.argmin(weight @ left))
        rows.append(candidates[best])
        nearest = left[:, best]
    return np.array(rows)


def seed_width(X: Any, weight: NDArray[Any], rows: NDArray[Any]) -> float:
    """Median distance of the samples to the nearest of the seeds."""
    distances = _capped_distances(X, _squared_norms(X), rows, np.inf).min(1)
    return float(np.sqrt(weighted_median(distances, weight)))


def _draw(mass: NDArray[Any], size: int, rng: np.random.RandomState) -> NDArray[Any]:
    # Rows of equal samples are neighbours in the canonical order, so that a sample of weight 2
    # and one that stands twice are drawn by the same numbers.
    cumulative = np.cumsum(mass, dtype=np.float64)
    draws = np.searchsorted(cumulative, rng.uniform(size=size) * cumulative[-1])
    return np.minimum(draws, len(mass) - 1)


def _capped_distances(X: Any, squares: NDArray[Any], rows: Any, cap: float) -> NDArray[Any]:
    """Squared distances of all samples to some, none above the cap."""
    seeds = X[rows]
    dense = seeds.toarray() if sp.issparse(seeds) else seeds
    distances = squares[:, None] - 2 * _product(X, dense.T) + squares[rows][None]
    return np.clip(distances, 0, cap).astype(np.float64)


def _squared_norms(X: Any) -> NDArray[Any]:
    if sp.issparse(X):
        return np.asarray(X.multiply(X).sum(1)).ravel()
    return np.einsum("nd,nd->n", X, X)


def _product(X: Any, other: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(X @ other)
