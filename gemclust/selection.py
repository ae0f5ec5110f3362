"""What training is worth: the best restart, and the clusters of it that are used."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gemclust.problem import Problem
from gemclust.training import Run


@dataclass(frozen=True)
class Choice:
    """The restart that is kept.

    Parameters
    ----------
    restart : int
        Which one it is.
    units : ndarray of int of shape (n_clusters,)
        The outputs of the model that win at least one sample.
    proportions : ndarray of shape (n_clusters,)
        p(y) over these units only.
    value : float
        The GEMINI with these units only, in the units of X.
    """

    restart: int
    units: NDArray[Any]
    proportions: NDArray[Any]
    value: float


def choose(problem: Problem, run: Run) -> Choice:
    """Keep of each restart the units that win a sample, and the restart that is best with them.

    The best is that of the largest penalised objective.
    """
    winners, proportions = problem.survey(run.parameters)
    values = problem.value(run.parameters)
    for r in (~winners.all(1)).nonzero()[:, 0].tolist():
        units = winners[r].nonzero()[:, 0].cpu().numpy()
        fewer = replace(problem, units=units)
        values[r] = fewer.value(run.parameters[r : r + 1])[0]
    penalised = values
    if problem.alpha:
        penalty = problem.model.penalty(run.parameters).cpu().numpy()
        penalised = values - problem.unit * problem.alpha * penalty
    best = int(np.nanargmax(penalised))
    units = winners[best].nonzero()[:, 0].cpu().numpy()
    if len(units) < problem.model.n_units:
        fewer = replace(problem, units=units)
        _, proportions = fewer.survey(run.parameters[best : best + 1])
    else:
        proportions = proportions[best : best + 1]
    return Choice(best, units, proportions[0].cpu().numpy(), float(values[best]))
