"""What is fitted: a model to an objective on samples, or to given assignments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gemclust.chunks import Rows, chunk_size, chunks, map_chunks, sum_chunks
from gemclust.distributed import ALONE, Processes, split
from gemclust.evaluation import gemini
from gemclust.geometry import Geometry
from gemclust.means import OfBatch, RunningMeans, adjoint, project, stages
from gemclust.models import Model, log_probabilities_of, log_softmax, most_probable
from gemclust.objectives import Batch, Objective
from gemclust.objectives.balanced import Balanced, entropy
from gemclust.penalties import NO_PENALTIES, Penalties, adversarial_divergence
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
    penalties : Penalties
        What training adds to the GEMINI.
    clusters : sequence of sequence of int, optional
        The units, outputs of the model, of each cluster; each is one by default.
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
    penalties: Penalties = NO_PENALTIES
    clusters: Sequence[Sequence[int]] | None = None
    processes: Processes = ALONE
    memory: dict[int, dict[str, Any]] = field(default_factory=dict, repr=False)
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
                value = self.trained.evaluate(batch)
            else:
                value = self.trained.value(*running.means(self.trained, batch))
            seen = batch.log_proba
        elif self.by_means:
            value = self._by_means(leaf, rows, parts, as_batch, running)
            seen = None
        else:
            value = self._by_log_proba(leaf, rows, parts, as_batch)
            seen = None
        if self.penalties.alpha:
            value = value - self.penalties.alpha * self.model.penalty(leaf)
        if self.penalties.vat:
            seed = 0 if rng is None else int(rng.randint(2**31))
            value = value - self.penalties.vat * self._adversarial(leaf, parts, mass, seed, seen)
        (gradient,) = torch.autograd.grad(-value.sum(), leaf)
        return -value.detach(), gradient

    @property
    def by_means(self) -> bool:
        """Whether the objective is a function of means over the samples, here."""
        return self.objective.n_stages > 0 and self.geometry.matrix is None

    def log_proba(self, parameters: Tensor, rows: Rows = None, training: bool = False) -> Tensor:
        """log p(y|x) of the given samples, of shape (n_restarts, n_samples, n_units)."""
        logits = self.model.logits(parameters, self.inputs.take(rows), training)
        return log_probabilities_of(logits, self.clusters)

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
            remember = self.objective.kept_numbers * len(self.inputs) <= KEPT_MATRICES
            self.memory[part] = {
                "memory": {} if remember else None,
                **(self.geometry.take(rows) if keep else {}),
            }
        return {"restarts": tuple(which.tolist()), "rng": rng, **self.memory[part]}

    def _by_means(
        self,
        leaf: Tensor,
        rows: NDArray[Any] | None,
        parts: list[Rows],
        as_batch: AsBatch,
        running: RunningMeans | None,
    ) -> Tensor:
        objective = self.trained
        repeat_chance = self.model.chance()
        constant = leaf.detach()
        n_samples = len(self.inputs if rows is None else self._own(rows))
        keep = self._can_pull_back and len(leaf) * n_samples * self.model.n_units <= KEPT_LOG_PROBA
        kept: dict[int, Tensor] = {}

        def sweep(function: OfBatch) -> list[Tensor]:
            def visit(i: int) -> Any:
                log_proba = kept.get(i)
                if log_proba is None:
                    log_proba = self.log_proba(constant, parts[i], training=True)
                if keep:
                    kept[i] = log_proba
                return function(as_batch(log_proba, parts[i]))

            repeat_chance()
            return sum_chunks(visit, range(len(parts)), self.model)

        means = stages(objective, sweep, self.processes, running)
        value, adjoints = adjoint(objective, means, sweep, self.processes)

        def gradient(i: int) -> tuple[Tensor, ...]:
            if not keep:
                log_proba = self.log_proba(leaf, parts[i], training=True)
                inner = project(objective, as_batch(log_proba, parts[i]), means, adjoints)
                return torch.autograd.grad(inner, leaf)
            log_proba = kept[i].requires_grad_()
            inner = project(objective, as_batch(log_proba, parts[i]), means, adjoints)
            (outer,) = torch.autograd.grad(inner, log_proba)
            return (self._pull_back(constant, parts[i], log_proba.detach(), outer),)

        repeat_chance()
        return self._with_gradient(value, leaf, gradient, len(parts))

    def _by_log_proba(
        self, leaf: Tensor, rows: Rows, parts: list[Rows], as_batch: AsBatch
    ) -> Tensor:
        """For an objective that needs all samples at once: the model alone goes in chunks."""
        repeat_chance = self.model.chance()
        repeat_chance()
        constant = leaf.detach()
        log_probas = list(
            map_chunks(
                lambda part: self.log_proba(constant, part, training=True), parts, self.model
            )
        )
        whole = torch.cat(log_probas, dim=1).requires_grad_()
        value = self.trained.evaluate(as_batch(whole, rows))
        (outer,) = torch.autograd.grad(value.sum(), whole)
        outers = outer.split([part.shape[1] for part in log_probas], dim=1)

        def gradient(i: int) -> tuple[Tensor, ...]:
            if self._can_pull_back:
                return (self._pull_back(constant, parts[i], log_probas[i], outers[i]),)
            log_proba = self.log_proba(leaf, parts[i], training=True)
            return torch.autograd.grad(log_proba, leaf, outers[i])

        repeat_chance()
        return self._with_gradient(value, leaf, gradient, len(parts))

    @property
    def _can_pull_back(self) -> bool:
        """Whether the gradient with respect to the logits follows from log p: one unit each."""
        return self.clusters is None or max(map(len, self.clusters)) == 1

    def _pull_back(
        self, parameters: Tensor, rows: Rows, log_proba: Tensor, outer: Tensor
    ) -> Tensor:
        """Gradient with respect to the parameters, given that to log p of these samples."""
        outer = outer - log_proba.exp() * outer.sum(-1, keepdim=True)
        if self.clusters is not None:
            all_units = outer.new_zeros(*outer.shape[:2], self.model.n_units)
            all_units[..., [units[0] for units in self.clusters]] = outer
            outer = all_units
        return self.model.pull_back(parameters, self.inputs.take(rows), outer)

    def _with_gradient(
        self, value: Tensor, leaf: Tensor, gradient: Callable[[int], Sequence[Tensor]], n_parts: int
    ) -> Tensor:
        """A function of the parameters with this value and the sum of these gradients."""
        (total,) = self.processes.sum(sum_chunks(gradient, range(n_parts), self.model))
        return value.detach().to(leaf) + ((leaf - leaf.detach()) * total.to(leaf)).sum(1)

    def _adversarial(
        self,
        leaf: Tensor,
        parts: list[Rows],
        mass: float | Tensor,
        seed: int,
        log_proba: Tensor | None = None,
    ) -> Tensor:
        """The virtual adversarial divergence, as a function of the parameters."""

        def of_part(i: int, parameters: Tensor) -> Tensor:
            rows = parts[i]
            return adversarial_divergence(
                self.model,
                parameters,
                self.inputs.take(rows),
                (self.weight if rows is None else self.weight[rows]) / mass,
                self.penalties.radius,
                # Other directions in each part of each process.
                (seed + i + len(parts) * self.processes.rank) % 2**31,
                self.clusters,
                log_proba,
            )

        if len(parts) == 1 and not self.processes.several:
            return of_part(0, leaf)

        def value_and_gradient(i: int) -> tuple[Tensor, ...]:
            own = leaf.detach().requires_grad_()
            divergence = of_part(i, own)
            return divergence.detach(), torch.autograd.grad(divergence.sum(), own)[0]

        sums = sum_chunks(value_and_gradient, range(len(parts)), self.model)
        divergence, total = self.processes.sum(sums)
        return divergence.to(leaf) + ((leaf - leaf.detach()) * total.to(leaf)).sum(1)

    def penalty(self, parameters: Tensor, proportions: Tensor) -> NDArray[Any]:
        """What training takes from the GEMINI of each restart, in the units of X."""
        total = self.penalties.alpha * self.model.penalty(parameters)
        total = total - self.penalties.entropy * entropy(proportions).to(total)
        if self.penalties.vat:
            parts, mass = self._parts(None, len(parameters))
            with torch.enable_grad():
                total = (
                    total
                    + self.penalties.vat
                    * self._adversarial(parameters, parts, mass, seed=0).detach()
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
            sums = sum_chunks(count, self._parts(None, len(parameters))[0], self.model)
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

    def on_some(self, most: int) -> Imitation:
        """The same on every so manieth sample, so that there are at most so many."""
        rows = np.arange(0, len(self), -(-len(self) // most))
        return replace(
            self,
            inputs=self.inputs.subset(rows),
            weight=self.weight[rows],
            target=self.target[:, rows],
        )

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
