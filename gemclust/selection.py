"""What training is worth: the best restart, and the clusters of it that are used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gemclust.problem import Problem, evaluate, log_probabilities
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
    log_proba : tensor of shape (n_samples, n_clusters)
        log p(y|x) over these units only.
    value : float
        The GEMINI of `log_proba`, in the units of X.
    """

    restart: int
    units: NDArray[Any]
    log_proba: Tensor
    value: float


def choose(problem: Problem, run: Run) -> Choice:
    """Keep of each restart the units that win a sample, and the restart that is best with them.

    The best is that of the largest penalised objective.
    """
    log_proba = log_probabilities(problem.model, run.parameters, problem.inputs)
    values = evaluate(problem.objective, log_proba, problem.weight, problem.geometry)
    winners = [np.unique(restart.argmax(-1).cpu().numpy()) for restart in log_proba]
    for r, units in enumerate(winners):
        if len(units) < problem.model.n_units:
            kept = log_proba[r : r + 1, :, units].log_softmax(-1)
            values[r] = evaluate(problem.objective, kept, problem.weight, problem.geometry)[0]
    penalised = values
    if problem.alpha:
        penalty = problem.model.penalty(run.parameters).cpu().numpy()
        penalised = values - problem.unit * problem.alpha * penalty
    best = int(np.nanargmax(penalised))
    units = winners[best]
    kept = log_proba[best][:, units].log_softmax(-1)
    return Choice(best, units, kept, float(values[best]))
