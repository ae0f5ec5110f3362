"""What is fitted: a model to an objective on samples, or to given assignments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from gemclust.geometry import Geometry
from gemclust.models import Model
from gemclust.objectives import Batch, Objective
from gemclust.samples import Samples
from gemclust.threads import one_thread_if_small

CHUNK = 2**22
"""Numbers in one chunk of logits when all samples are predicted."""


@dataclass(frozen=True)
class Problem:
    """A model to fit to samples: the penalised objective as a function of the parameters.

    Parameters
    ----------
    model : Model
        p(y|x).
    inputs : Samples
        What the model sees.
    weight : tensor of shape (n_samples,)
        Sample weights that sum to 1.
    geometry : Geometry
        What the objective sees beyond p. Values are in its unit, so that training does not
        depend on the scale of X.
    objective : Objective
        The GEMINI.
    alpha : float
        Weight of the L2 penalty.
    units : ndarray of int, optional
        The outputs of the model that count; all by default.
    """

    model: Model
    inputs: Samples
    weight: Tensor
    geometry: Geometry
    objective: Objective
    alpha: float = 0.0
    units: NDArray[Any] | None = None

    def loss(self, parameters: Tensor, which: Tensor, rows: NDArray[Any] | None = None) -> Tensor:
        """Minus the penalised objective of each restart, on the given rows or all."""
        logits = self.model.logits(parameters, self.inputs.take(rows), training=True)
        if self.units is not None:
            logits = logits[..., self.units]
        value = self.objective.evaluate(self.batch(logits.log_softmax(-1), rows))
        if self.alpha:
            value = value - self.alpha * self.model.penalty(parameters)
        return -value

    @property
    def unit(self) -> float:
        """What a value of 1 is worth in the units of X."""
        return self.geometry.unit**self.objective.homogeneity

    def batch(self, log_proba: Tensor, rows: NDArray[Any] | None = None) -> Batch:
        """The samples as the objective sees them, in the unit of the geometry."""
        weight = self.weight if rows is None else self.weight[rows]
        return Batch(log_proba, weight / weight.sum(), **self.geometry.take(rows))


@dataclass(frozen=True)
class Imitation:
    """A model to start at given assignments: the cross-entropy to `target`.

    Parameters
    ----------
    target : tensor of shape (n_restarts, n_samples, n_units)
        p(y|x) to imitate.
    """

    model: Model
    inputs: Samples
    weight: Tensor
    target: Tensor

    def loss(self, parameters: Tensor, which: Tensor, rows: NDArray[Any] | None = None) -> Tensor:
        """Cross-entropy of each restart, on the given rows or all."""
        log_proba = self.model.logits(parameters, self.inputs.take(rows), training=True)
        log_proba = log_proba.log_softmax(-1)
        weight = self.weight if rows is None else self.weight[rows]
        target = self.target[which] if rows is None else self.target[which][:, rows]
        return -torch.einsum("n,rnk,rnk->r", weight / weight.sum(), target, log_proba)


def log_probabilities(
    model: Model, parameters: Tensor, inputs: Samples, units: NDArray[Any] | None = None
) -> Tensor:
    """log p(y|x) of all samples, of shape (n_restarts, n_samples, n_units), in chunks."""
    size = max(1, CHUNK // (len(parameters) * model.width))
    parts = []
    with torch.no_grad(), one_thread_if_small(len(inputs) * parameters.numel()):
        for start in range(0, len(inputs), size):
            whole = size >= len(inputs)
            logits = model.logits(
                parameters, inputs.take(None if whole else slice(start, start + size))
            )
            parts.append((logits if units is None else logits[..., units]).log_softmax(-1))
    return torch.cat(parts, dim=1)


def evaluate(
    objective: Objective,
    log_proba: Tensor,
    weight: Tensor,
    geometry: Geometry,
    rows: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """The GEMINI of each restart in the units of X; `rows` says where samples are in geometry."""
    batch = Batch(log_proba, weight / weight.sum(), **geometry.take(rows), unit=geometry.unit)
    with torch.no_grad():
        return objective.evaluate(batch).cpu().numpy()
