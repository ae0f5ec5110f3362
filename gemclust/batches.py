"""Which samples each step of a stochastic solver sees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gemclust.imitation import Imitation
from gemclust.problem import Problem


def minibatches(
    n_samples: int, batch_size: int | None, rng: np.random.RandomState
) -> Iterator[tuple[NDArray[Any] | None, float]]:
    """Random parts of about equal size, each with its share of the samples, for one epoch."""
    if batch_size is None or batch_size >= n_samples:
        yield None, 1.0
        return
    for rows in np.array_split(rng.permutation(n_samples), round(n_samples / batch_size)):
        yield np.sort(rows), len(rows) / n_samples


def partition(
    problem: Problem | Imitation, batch_size: int | None, rng: np.random.RandomState
) -> Callable[[], Iterable[tuple[NDArray[Any] | None, float]]]:
    """A function that gives the mini-batches of the next epoch.

    An objective that compares all samples of a batch sees the same batches again, in another
    order, so that it may start where it ended the last time; others see new ones.
    """
    if isinstance(problem, Imitation) or problem.objective.n_stages:
        return lambda: minibatches(len(problem), batch_size, rng)
    parts = list(minibatches(len(problem), batch_size, rng))
    return lambda: [parts[i] for i in rng.permutation(len(parts))]
