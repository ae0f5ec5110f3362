"""The exact gradient of a problem, of which not all samples may be held at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gemclust.chunks import Rows, map_chunks, sum_chunks
from gemclust.means import OfBatch, RunningMeans, adjoint, project, stages
from gemclust.objectives import Batch
from gemclust.penalties import adversarial_divergence

if TYPE_CHECKING:
    from gemclust.problem import Problem

KEPT_LOG_PROBA = 2**24
"""log p of at most so many numbers is kept from one stage of an objective to the next."""

AsBatch = Callable[[Tensor, Rows], Batch]


def loss_and_gradient(
    problem: Problem,
    parameters: Tensor,
    which: Tensor,
    rows: NDArray[Any] | None = None,
    running: RunningMeans | None = None,
    rng: np.random.RandomState | None = None,
) -> tuple[Tensor, Tensor]:
    """Minus the penalised objective of each restart on the given samples or all, and gradient.

    Samples that do not fit in one chunk, or lie in several processes, are visited twice: for
    the means of which the objective is a function, and for the gradient, which is exact.

    Parameters
    ----------
    problem : Problem
        Of which this is a method.
    parameters : tensor of shape (n_restarts, n_parameters)
        Of the model.
    which : tensor of int of shape (n_restarts,)
        The numbers of these restarts.
    rows : ndarray of int, optional
        The samples of one step.
    running : RunningMeans, optional
        What goes on from batch to batch.
    rng : RandomState, optional
        Source of the directions of adversarial perturbations.
    """
    leaf = parameters.detach().requires_grad_()
    parts, mass = problem.parts(rows, len(parameters))
    visit = problem.visit(which, rows, rng)

    def as_batch(log_proba: Tensor, part: Rows) -> Batch:
        return problem.as_batch(log_proba, part, mass, visit)

    if len(parts) == 1 and not problem.processes.several:
        batch = as_batch(problem.log_proba(leaf, parts[0], training=True), parts[0])
        if running is None:
            value = problem.trained.evaluate(batch)
        else:
            value = problem.trained.value(*running.means(problem.trained, batch))
        seen = batch.log_proba
    elif problem.by_means:
        value = _by_means(problem, leaf, rows, parts, as_batch, running)
        seen = None
    else:
        value = _by_log_proba(problem, leaf, rows, parts, as_batch)
        seen = None
    if problem.penalties.alpha:
        value = value - problem.penalties.alpha * problem.model.penalty(leaf)
    if problem.penalties.vat:
        seed = 0 if rng is None else int(rng.randint(2**31))
        value = value - problem.penalties.vat * adversarial(problem, leaf, parts, mass, seed, seen)
    (gradient,) = torch.autograd.grad(-value.sum(), leaf)
    return -value.detach(), gradient


def _by_means(
    problem: Problem,
    leaf: Tensor,
    rows: NDArray[Any] | None,
    parts: list[Rows],
    as_batch: AsBatch,
    running: RunningMeans | None,
) -> Tensor:
    """For an objective of means over the samples: these first, and then their gradients."""
    objective = problem.trained
    repeat_chance = problem.model.chance()
    constant = leaf.detach()
    n_samples = len(problem.inputs if rows is None else problem.own(rows))
    keep = (
        _can_pull_back(problem) and len(leaf) * n_samples * problem.model.n_units <= KEPT_LOG_PROBA
    )
    kept: dict[int, Tensor] = {}

    def sweep(function: OfBatch) -> list[Tensor]:
        def visit(i: int) -> Any:
            log_proba = kept.get(i)
            if log_proba is None:
                log_proba = problem.log_proba(constant, parts[i], training=True)
            if keep:
                kept[i] = log_proba
            return function(as_batch(log_proba, parts[i]))

        repeat_chance()
        return sum_chunks(visit, range(len(parts)), problem.model)

    means = stages(objective, sweep, problem.processes, running)
    value, adjoints = adjoint(objective, means, sweep, problem.processes)

    def gradient(i: int) -> tuple[Tensor, ...]:
        if not keep:
            log_proba = problem.log_proba(leaf, parts[i], training=True)
            inner = project(objective, as_batch(log_proba, parts[i]), means, adjoints)
            return torch.autograd.grad(inner, leaf)
        log_proba = kept[i].requires_grad_()
        inner = project(objective, as_batch(log_proba, parts[i]), means, adjoints)
        (outer,) = torch.autograd.grad(inner, log_proba)
        return (_pull_back(problem, constant, parts[i], log_proba.detach(), outer),)

    repeat_chance()
    return _with_gradient(problem, value, leaf, gradient, len(parts))


def _by_log_proba(
    problem: Problem, leaf: Tensor, rows: Rows, parts: list[Rows], as_batch: AsBatch
) -> Tensor:
    """For an objective that needs all samples at once: the model alone goes in chunks."""
    repeat_chance = problem.model.chance()
    repeat_chance()
    constant = leaf.detach()
    log_probas = list(
        map_chunks(
            lambda part: problem.log_proba(constant, part, training=True), parts, problem.model
        )
    )
    whole = torch.cat(log_probas, dim=1).requires_grad_()
    value = problem.trained.evaluate(as_batch(whole, rows))
    (outer,) = torch.autograd.grad(value.sum(), whole)
    outers = outer.split([part.shape[1] for part in log_probas], dim=1)

    def gradient(i: int) -> tuple[Tensor, ...]:
        if _can_pull_back(problem):
            return (_pull_back(problem, constant, parts[i], log_probas[i], outers[i]),)
        log_proba = problem.log_proba(leaf, parts[i], training=True)
        return torch.autograd.grad(log_proba, leaf, outers[i])

    repeat_chance()
    return _with_gradient(problem, value, leaf, gradient, len(parts))


def _can_pull_back(problem: Problem) -> bool:
    """Whether the gradient with respect to the logits follows from log p: one unit each."""
    return problem.clusters is None or max(map(len, problem.clusters)) == 1


def _pull_back(
    problem: Problem, parameters: Tensor, rows: Rows, log_proba: Tensor, outer: Tensor
) -> Tensor:
    """Gradient with respect to the parameters, given that to log p of these samples."""
    outer = outer - log_proba.exp() * outer.sum(-1, keepdim=True)
    if problem.clusters is not None:
        all_units = outer.new_zeros(*outer.shape[:2], problem.model.n_units)
        all_units[..., [units[0] for units in problem.clusters]] = outer
        outer = all_units
    return problem.model.pull_back(parameters, problem.inputs.take(rows), outer)


def _with_gradient(
    problem: Problem,
    value: Tensor,
    leaf: Tensor,
    gradient: Callable[[int], Sequence[Tensor]],
    n_parts: int,
) -> Tensor:
    """A function of the parameters with this value and the sum of these gradients."""
    (total,) = problem.processes.sum(sum_chunks(gradient, range(n_parts), problem.model))
    return value.detach().to(leaf) + ((leaf - leaf.detach()) * total.to(leaf)).sum(1)


def adversarial(
    problem: Problem,
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
            problem.model,
            parameters,
            problem.inputs.take(rows),
            (problem.weight if rows is None else problem.weight[rows]) / mass,
            problem.penalties.radius,
            # Other directions in each part of each process.
            (seed + i + len(parts) * problem.processes.rank) % 2**31,
            problem.clusters,
            log_proba,
        )

    if len(parts) == 1 and not problem.processes.several:
        return of_part(0, leaf)

    def value_and_gradient(i: int) -> tuple[Tensor, ...]:
        own = leaf.detach().requires_grad_()
        divergence = of_part(i, own)
        return divergence.detach(), torch.autograd.grad(divergence.sum(), own)[0]

    sums = sum_chunks(value_and_gradient, range(len(parts)), problem.model)
    divergence, total = problem.processes.sum(sums)
    return divergence.to(leaf) + ((leaf - leaf.detach()) * total.to(leaf)).sum(1)
