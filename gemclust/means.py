"""Objectives that are functions of means over samples: their value and their exact gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from gemclust.distributed import ALONE, Processes
from gemclust.objectives import Batch, Objective

OfBatch = Callable[[Batch], Any]

Sweep = Callable[[OfBatch], list[Tensor]]
"""Sums, over parts of all samples whose weights sum to 1 over parts and processes, of what a
function makes of them."""


def stages(
    objective: Objective,
    sweep: Sweep,
    processes: Processes = ALONE,
    running: RunningMeans | None = None,
) -> list[tuple[Tensor, ...]]:
    """The means of each stage over all samples, summed in float64."""
    means: list[tuple[Tensor, ...]] = []
    for stage in range(objective.n_stages):
        earlier = [mean for done in means for mean in done]

        def part(batch: Batch, earlier: list[Tensor] = earlier) -> tuple[Tensor, ...]:
            return objective.means(batch, *_like(batch, earlier))

        total = processes.sum(sweep(part))
        means.append(tuple(total) if running is None else running.blend(stage, total))
    return means


def adjoint(
    objective: Objective,
    means: list[tuple[Tensor, ...]],
    sweep: Sweep,
    processes: Processes = ALONE,
) -> tuple[Tensor, list[list[Tensor]]]:
    """The value at these means, and its derivative with respect to those of each stage.

    A mean counts in the value and in the later means that depend on it.
    """
    leaves = [[mean.requires_grad_() for mean in stage] for stage in means]
    flat = [mean for stage in leaves for mean in stage]
    value = objective.value(*flat)
    gradients = iter(torch.autograd.grad(value.sum(), flat, materialize_grads=True))
    adjoints = [[next(gradients) for _ in stage] for stage in leaves]
    for last in range(len(leaves) - 1, 0, -1):
        earlier = [mean for stage in leaves[:last] for mean in stage]

        def through(
            batch: Batch, earlier: list[Tensor] = earlier, last: int = last
        ) -> tuple[Tensor, ...]:
            given = _like(batch, earlier)
            part = objective.inner_product(batch, given, _like(batch, adjoints[last]))
            return torch.autograd.grad(part, earlier, materialize_grads=True)

        through_last = iter(processes.sum(sweep(through)))
        adjoints[:last] = [[a + next(through_last) for a in stage] for stage in adjoints[:last]]
    return value.detach(), adjoints


def project(
    objective: Objective,
    batch: Batch,
    means: list[tuple[Tensor, ...]],
    adjoints: list[list[Tensor]],
) -> Tensor:
    """What has, summed over all parts, the objective's gradient with respect to log p."""
    earlier: list[Tensor] = []
    parts: list[Tensor] = []
    for stage, derivatives in zip(means, adjoints, strict=True):
        parts.append(objective.inner_product(batch, earlier, _like(batch, derivatives)))
        earlier += [mean.detach() for mean in _like(batch, stage)]
    return torch.stack(parts).sum()


def _like(batch: Batch, means: Iterable[Tensor]) -> list[Tensor]:
    """The means in the precision of the batch."""
    return [mean.to(batch.log_proba.dtype) for mean in means]


class RunningMeans:
    """Means over the last mini-batches: the objective of those of one batch alone is biased.

    Each stage's mean moves towards that of the batch by a share; gradients flow through the batch
    as if it were the whole.

    Parameters
    ----------
    share : float
        Weight of the newest batch.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self.kept: dict[int, tuple[Tensor, ...]] = {}

    def means(self, objective: Objective, batch: Batch) -> list[Tensor]:
        """Those of all stages, on this batch."""
        means: list[Tensor] = []
        for stage in range(objective.n_stages):
            means += self.blend(stage, objective.means(batch, *means))
        return means

    def blend(self, stage: int, means: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The running means, with the gradient of the given ones."""
        new = [mean.detach() for mean in means]
        old = self.kept.get(stage, new)
        kept = tuple(a + self.share * (b - a) for a, b in zip(old, new, strict=True))
        self.kept[stage] = kept
        return tuple(m + (k - n) for m, k, n in zip(means, kept, new, strict=True))
