"""What training is worth: the best restart, and the clusters of it that are used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
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
    """Keep the restart with the best penalised objective and its units that win a sample."""
    log_proba = log_probabilities(problem.model, run.parameters, problem.inputs)
    values = evaluate(problem.objective, log_proba, problem.weight, problem.geometry)
    penalised = values
    if problem.alpha:
        penalty = problem.model.penalty(run.parameters).cpu().numpy()
        penalised = values - problem.geometry.unit * problem.alpha * penalty
    best = int(np.nanargmax(penalised))
    log_proba, value = log_proba[best], values[best]
    wins = torch.bincount(log_proba.argmax(-1), minlength=problem.model.n_units)
    units = np.flatnonzero(wins.cpu().numpy())
    if len(units) < problem.model.n_units:
        log_proba = log_proba[:, units].log_softmax(-1)
        (value,) = evaluate(problem.objective, log_proba[None], problem.weight, problem.geometry)
    return Choice(best, units, log_proba, float(value))
