"""What is fitted: a model to an objective on samples, or to given assignments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gemclust.chunks import Rows, chunk_size, chunks, map_chunks
from gemclust.distributed import ALONE, Processes, split
from gemclust.evaluation import gemini
from gemclust.geometry import Geometry
from gemclust.means import OfBatch, RunningMeans, adjoint, project, stages
from gemclust.models import Model, log_softmax
from gemclust.objectives import Batch, Objective
from gemclust.samples import Samples
from gemclust.threads import one_thread_if_small

KEPT_MATRICES = 2**24
"""Matrices of batches that are seen again are kept if together they have at most so many
numbers."""

KEPT_LOG_PROBA = 2**24
"""log p of at most so many numbers is kept from one stage of an objective to the next."""


AsBatch = Callable[[Tensor, Rows], Batch]


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
    alpha : float
        Weight of the L2 penalty.
    units : ndarray of int, optional
        The outputs of the model that count; all by default.
    processes : Processes
        Those that hold a shard of the samples each.
    memory : dict
        What is kept of batches that are seen again, if the objective compares all their samples.
    """

    model: Model
    inputs: Samples
    weight: Tensor
    geometry: Geometry
    objective: Objective
    alpha: float = 0.0
    units: NDArray[Any] | None = None
    processes: Processes = ALONE
    memory: dict[int, dict[str, Any]] = field(default_factory=dict, repr=False)
    sizes: list[int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", self.processes.gather(len(self.inputs)))

    def __len__(self) -> int:
        """Number of samples of all processes."""
        return sum(self.sizes)

    @property
    def unit(self) -> float:
        """What a value of 1 is worth in the units of X."""
        return self.geometry.unit**self.objective.homogeneity

    def subset(self, rows: NDArray[Any]) -> Problem:
        """The same on some of the samples, numbered through all processes."""
        rows = self._own(rows)
        weight = self.weight[rows]
        (mass,) = self.processes.sum([weight.sum()])
        geometry = self.geometry.subset(rows)
        inputs = self.inputs.subset(rows)
        if self.geometry.features is self.inputs:
            geometry = replace(geometry, features=inputs)
        return replace(self, inputs=inputs, weight=weight / mass, geometry=geometry, memory={})

    def loss_and_gradient(
        self,
        parameters: Tensor,
        which: Tensor,
        rows: NDArray[Any] | None = None,
        running: RunningMeans | None = None,
        rng: np.random.RandomState | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Minus the penalised objective of each restart on the given samples or all, and gradient.

        Samples that do not fit in one chunk, or lie in several processes, are visited twice: for
        the means of which the objective is a function, and for the gradient, which is exact.
        """
        leaf = parameters.detach().requires_grad_()
        parts, mass = self._parts(rows, len(parameters))
        visit = self._visit(which, rows, rng)

        def as_batch(log_proba: Tensor, part: Rows) -> Batch:
            return self._as_batch(log_proba, part, mass, visit)

        if len(parts) == 1 and not self.processes.several:
            batch = as_batch(self.log_proba(leaf, parts[0], training=True), parts[0])
            if running is None:
                value = self.objective.evaluate(batch)
            else:
                value = self.objective.value(*running.means(self.objective, batch))
        elif self.by_means:
            value = self._by_means(leaf, parts, as_batch, running)
        else:
            value = self._by_log_proba(leaf, rows, parts, as_batch)
        if self.alpha:
            value = value - self.alpha * self.model.penalty(leaf)
        (gradient,) = torch.autograd.grad(-value.sum(), leaf)
        return -value.detach(), gradient

    @property
    def by_means(self) -> bool:
        """Whether the objective is a function of means over the samples, here."""
        return self.objective.n_stages > 0 and self.geometry.matrix is None

    def log_proba(self, parameters: Tensor, rows: Rows = None, training: bool = False) -> Tensor:
        """log p(y|x) of the given samples, of shape (n_restarts, n_samples, n_units)."""
        logits = self.model.logits(parameters, self.inputs.take(rows), training)
        return log_softmax(logits if self.units is None else logits[..., self.units])

    def _as_batch(
        self, log_proba: Tensor, rows: Rows, mass: float | Tensor, visit: dict[str, Any]
    ) -> Batch:
        """The samples as the objective sees them in training, in the unit of the geometry."""
        weight = self.weight if rows is None else self.weight[rows]
        seen = {} if "matrix" in visit else self.geometry.take(rows)
        return Batch(log_proba, weight / mass, **seen, **visit)

    def _visit(
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
            self.memory[part] = {"memory": {}, **(self.geometry.take(rows) if keep else {})}
        return {"restarts": tuple(which.tolist()), "rng": rng, **self.memory[part]}

    def _by_means(
        self, leaf: Tensor, parts: list[Rows], as_batch: AsBatch, running: RunningMeans | None
    ) -> Tensor:
        repeat_chance = self.model.chance()

        def sweep(
            function: OfBatch, parameters: Tensor = leaf, kept: dict[int, Tensor] | None = None
        ) -> list[Any]:
            def visit(i: int) -> Any:
                log_proba = None if kept is None else kept.get(i)
                if log_proba is None:
                    log_proba = self.log_proba(parameters, parts[i], training=True)
                    if kept is not None:
                        kept[i] = log_proba
                return function(as_batch(log_proba, parts[i]))

            repeat_chance()
            return self._map(visit, range(len(parts)))

        several_stages = self.objective.n_stages > 1
        numbers = len(leaf) * len(self.inputs) * self.model.n_units
        kept: dict[int, Tensor] | None = (
            {} if several_stages and numbers <= KEPT_LOG_PROBA else None
        )
        constant = partial(sweep, parameters=leaf.detach(), kept=kept)
        means = stages(self.objective, constant, self.processes, running)
        value, adjoints = adjoint(self.objective, means, constant, self.processes)

        def gradient(batch: Batch) -> Tensor:
            return torch.autograd.grad(project(self.objective, batch, means, adjoints), leaf)[0]

        return self._with_gradient(value, leaf, sweep(gradient))

    def _by_log_proba(
        self, leaf: Tensor, rows: Rows, parts: list[Rows], as_batch: AsBatch
    ) -> Tensor:
        """For an objective that needs all samples at once: the model alone goes in chunks."""
        repeat_chance = self.model.chance()
        repeat_chance()
        constant = leaf.detach()
        log_probas = self._map(lambda part: self.log_proba(constant, part, training=True), parts)
        whole = torch.cat(log_probas, dim=1).requires_grad_()
        value = self.objective.evaluate(as_batch(whole, rows))
        (outer,) = torch.autograd.grad(value.sum(), whole)
        outers = outer.split([part.shape[1] for part in log_probas], dim=1)

        def gradient(i: int) -> Tensor:
            log_proba = self.log_proba(leaf, parts[i], training=True)
            return torch.autograd.grad(log_proba, leaf, outers[i])[0]

        repeat_chance()
        return self._with_gradient(value, leaf, self._map(gradient, range(len(parts))))

    def _with_gradient(self, value: Tensor, leaf: Tensor, gradients: list[Tensor]) -> Tensor:
        """A function of the parameters with this value and the sum of these gradients."""
        (gradient,) = self.processes.sum([torch.stack(gradients).sum(0)])
        return value.detach().to(leaf) + ((leaf - leaf.detach()) * gradient).sum(1)

    def _map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """The function of each chunk, in order."""
        return map_chunks(function, items, self.model)

    def survey(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Which units win a sample, and the proportions of all, for each restart."""

        def count(part: Rows) -> tuple[Tensor, Tensor]:
            log_proba = self.log_proba(parameters, part)
            weight = self.weight if part is None else self.weight[part]
            won = torch.zeros(log_proba.shape[::2], dtype=torch.float64, device=weight.device)
            won.scatter_(1, log_proba.argmax(-1), 1.0)
            return won, (weight[:, None] * log_proba.exp()).sum(1).double()

        with self._few_threads(parameters):
            counts = self._map(count, self._parts(None, len(parameters))[0])
        sums = [torch.stack(parts).sum(0) for parts in zip(*counts, strict=True)]
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
            )

    def _few_threads(self, parameters: Tensor) -> AbstractContextManager[None]:
        return one_thread_if_small(len(self.inputs) * parameters.numel())

    def _width(self, n_restarts: int) -> int:
        """Numbers that are held for a sample of a chunk; features that are kept need none."""
        width = n_restarts * self.model.width + self.inputs.width
        features = self.geometry.features
        if features is None or features is self.inputs or features.few:
            return width
        return width + features.width

    def _own(self, rows: NDArray[Any]) -> NDArray[Any]:
        if not self.processes.several:
            return rows
        return split(rows, self.sizes, self.processes.rank)

    def _parts(
        self, rows: NDArray[Any] | None, n_restarts: int
    ) -> tuple[list[Rows], float | Tensor]:
        """Chunks of the given samples, and the weight of them all."""
        width = self._width(n_restarts)
        if rows is None:
            n_samples = len(self.inputs)
            return chunks(n_samples, chunk_size(n_samples, width)), 1.0
        rows = self._own(rows)
        (mass,) = self.processes.sum([self.weight[rows].sum()])
        size = chunk_size(len(rows), width)
        if len(rows) <= size:
            return [rows], mass
        return [rows[i : i + size] for i in range(0, len(rows), size)], mass


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
    processes: ClassVar[Processes] = ALONE

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.inputs)

    def loss_and_gradient(
        self, parameters: Tensor, which: Tensor, rows: NDArray[Any] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Cross-entropy of each restart on the given samples or all, and its gradient."""
        leaf = parameters.detach().requires_grad_()
        log_proba = log_softmax(self.model.logits(leaf, self.inputs.take(rows), training=True))
        weight = self.weight if rows is None else self.weight[rows]
        target = self.target[which] if rows is None else self.target[which][:, rows]
        loss = -torch.einsum("n,rnk,rnk->r", weight / weight.sum(), target, log_proba)
        return loss.detach(), torch.autograd.grad(loss.sum(), leaf)[0]
