"""What is fitted: a model to an objective on samples, or to given assignments."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gemclust import gradients
from gemclust.chunks import Rows, Watch, chunk_size, chunks, sum_chunks, unwatched
from gemclust.distributed import ALONE, Processes, split
from gemclust.evaluation import gemini, n_parts
from gemclust.geometry import Geometry
from gemclust.models import Model, log_probabilities_of, most_probable
from gemclust.objectives import Batch, Objective
from gemclust.objectives.balanced import Balanced, entropy
from gemclust.penalties import NO_PENALTIES, Penalties
from gemclust.samples import Samples
from gemclust.threads import one_thread_if_small

KEPT_MATRICES = 2**24
"""Matrices of batches that are seen again are kept if together they have at most so many
numbers."""


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
        Sample weights that sum to 1 over all processes.
    geometry : Geometry
        What the objective sees beyond p. Values are in its unit, so that training does not
        depend on the scale of X.
    objective : Objective
        The GEMINI.
    penalties : Penalties
        What training adds to the GEMINI.
    clusters : sequence of sequence of int, optional
        The units, outputs of the model, of each cluster; each is one by default.
    processes : Processes
        Those that hold a shard of the samples each.
    memory : dict
        What is kept of batches that are seen again, if the objective compares all their samples.
    watch : callable
        Is told of each part of the samples that is evaluated, where there are several.
    """

    model: Model
    inputs: Samples
    weight: Tensor
    geometry: Geometry
    objective: Objective
    penalties: Penalties = NO_PENALTIES
    clusters: Sequence[Sequence[int]] | None = None
    processes: Processes = ALONE
    memory: dict[int, dict[str, Any]] = field(default_factory=dict, repr=False)
    watch: Watch = unwatched
    sizes: list[int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", self.processes.gather(len(self.inputs)))

    def __len__(self) -> int:
        """Number of samples of all processes."""
        return sum(self.sizes)

    @property
    def trained(self) -> Objective:
        """What is maximised but for penalties on the model."""
        weight = self.penalties.entropy
        return Balanced(self.objective, weight) if weight else self.objective

    @property
    def unit(self) -> float:
        """What a value of 1 is worth in the units of X."""
        return self.geometry.unit**self.objective.homogeneity

    def subset(self, rows: NDArray[Any]) -> Problem:
        """The same on some of the samples, numbered through all processes."""
        rows = self.own(rows)
        weight = self.weight[rows]
        (mass,) = self.processes.sum([weight.sum()])
        geometry = self.geometry.subset(rows)
        inputs = self.inputs.subset(rows)
        if self.geometry.features is self.inputs:
            geometry = replace(geometry, features=inputs)
        return replace(self, inputs=inputs, weight=weight / mass, geometry=geometry, memory={})

    loss_and_gradient = gradients.loss_and_gradient

    @property
    def by_means(self) -> bool:
        """Whether the objective is a function of means over the samples, here."""
        return self.objective.n_stages > 0 and self.geometry.matrix is None

    def log_proba(self, parameters: Tensor, rows: Rows = None, training: bool = False) -> Tensor:
        """log p(y|x) of the given samples, of shape (n_restarts, n_samples, n_units)."""
        logits = self.model.logits(parameters, self.inputs.take(rows), training)
        return log_probabilities_of(logits, self.clusters)

    def as_batch(
        self, log_proba: Tensor, rows: Rows, mass: float | Tensor, visit: dict[str, Any]
    ) -> Batch:
        """The samples as the objective sees them in training, in the unit of the geometry."""
        weight = self.weight if rows is None else self.weight[rows]
        seen = {} if "matrix" in visit else self.geometry.take(rows)
        return Batch(log_proba, weight / mass, **seen, **visit)

    def visit(
        self, which: Tensor, rows: NDArray[Any] | None, rng: np.random.RandomState | None
    ) -> dict[str, Any]:
        """What an objective that compares all samples may know of this visit of them."""
        if self.objective.n_stages:
            return {}
        # Its batches are a fixed partition, of which the first sample names a part.
        part = -1 if rows is None else int(rows[0])
        if part not in self.memory:
            size = len(self.inputs if rows is None else rows)
            keep = size * len(self.inputs) <= KEPT_MATRICES
            remember = self.objective.kept_numbers * len(self.inputs) <= KEPT_MATRICES
            self.memory[part] = {
                "memory": {} if remember else None,
                **(self.geometry.take(rows) if keep else {}),
            }
        return {"restarts": tuple(which.tolist()), "rng": rng, **self.memory[part]}

    def penalty(self, parameters: Tensor, proportions: Tensor) -> NDArray[Any]:
        """What training takes from the GEMINI of each restart, in the units of X."""
        total = self.penalties.alpha * self.model.penalty(parameters)
        total = total - self.penalties.entropy * entropy(proportions).to(total)
        if self.penalties.vat:
            parts, mass = self.parts(None, len(parameters))
            with torch.enable_grad():
                total = (
                    total
                    + self.penalties.vat
                    * gradients.adversarial(self, parameters, parts, mass, seed=0).detach()
                )
        return (self.unit * total).cpu().numpy()

    def survey(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Which units win a sample, and the proportions of all, for each restart."""

        def count(part: Rows) -> tuple[Tensor, Tensor]:
            log_proba = self.log_proba(parameters, part)
            weight = self.weight if part is None else self.weight[part]
            won = torch.zeros(log_proba.shape[::2], dtype=torch.float64, device=weight.device)
            won.scatter_(1, most_probable(log_proba), 1.0)
            return won, (weight[:, None] * log_proba.exp()).sum(1)

        with self._few_threads(parameters):
            sums = sum_chunks(count, self.parts(None, len(parameters))[0], self.model, self.watch)
        winners, proportions = self.processes.sum(sums)
        return winners > 0, proportions

    def value(self, parameters: Tensor) -> NDArray[Any]:
        """The GEMINI of each restart in the units of X."""
        size = chunk_size(len(self.inputs), self._width(len(parameters)))
        with self._few_threads(parameters):
            return gemini(
                self.objective,
                self.geometry,
                self.weight,
                lambda rows: self.log_proba(parameters, rows),
                size,
                self.processes,
                self.model,
                self.watch,
            )

    def n_parts(self, n_restarts: int, n_clusters: int) -> int:
        """How many parts of the samples `survey` and `value` tell of, together."""
        size = chunk_size(len(self.inputs), self._width(n_restarts))
        parts = -(-len(self.inputs) // size)
        counted = len(self.inputs), size, n_restarts, n_clusters
        in_value = n_parts(self.objective, self.geometry, *counted)
        return in_value + (parts if parts > 1 else 0)

    def _few_threads(self, parameters: Tensor) -> AbstractContextManager[None]:
        return one_thread_if_small(len(self.inputs) * parameters.numel())

    def _width(self, n_restarts: int) -> int:
        """Numbers that are held for a sample of a chunk; features that are kept need none."""
        width = n_restarts * self.model.width + self.inputs.width
        features = self.geometry.features
        if features is None or features is self.inputs or features.few:
            return width
        return width + features.width

    def own(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The place in this process of those of the rows that are here."""
        if not self.processes.several:
            return rows
        return split(rows, self.sizes, self.processes.rank)

    def parts(
        self, rows: NDArray[Any] | None, n_restarts: int
    ) -> tuple[list[Rows], float | Tensor]:
        """Chunks of the given samples, and the weight of them all."""
        width = self._width(n_restarts)
        if rows is None:
            n_samples = len(self.inputs)
            return chunks(n_samples, chunk_size(n_samples, width)), 1.0
        rows = self.own(rows)
        (mass,) = self.processes.sum([self.weight[rows].sum()])
        size = chunk_size(len(rows), width)
        if len(rows) <= size:
            return [rows], mass
        return [rows[i : i + size] for i in range(0, len(rows), size)], mass
