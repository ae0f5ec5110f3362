"""An objective that favours clusters of equal size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gemclust.objectives.base import Batch, Objective


class Balanced(Objective):
    r"""Another objective plus a weight times the entropy of p(y).

    .. math:: I + w H(\pi), \qquad H(\pi) = -\sum_k \pi_k \log \pi_k

    Parameters
    ----------
    objective : Objective
        The other one.
    weight : float
        Of the entropy.
    """

    def __init__(self, objective: Objective, weight: float) -> None:
        self.objective = objective
        self.weight = weight

    @property
    def n_stages(self) -> int:  # type: ignore[override]
        return self.objective.n_stages

    def means(self, batch: Batch, *earlier: Tensor) -> tuple[Tensor, ...]:
        if earlier:
            return self.objective.means(batch, *earlier[1:])
        return batch.proportions, *self.objective.means(batch)

    def inner_product(
        self, batch: Batch, earlier: Sequence[Tensor], factors: Sequence[Tensor]
    ) -> Tensor:
        if earlier:
            return self.objective.inner_product(batch, earlier[1:], factors)
        first, *others = factors
        product = self.objective.inner_product(batch, (), others)
        return (batch.proportions * first).sum() + product

    def value(self, *means: Tensor) -> Tensor:
        return self.objective.value(*means[1:]) + self.weight * entropy(means[0])

    def evaluate(self, batch: Batch) -> Tensor:
        return self.objective.evaluate(batch) + self.weight * entropy(batch.proportions)


def entropy(proportions: Tensor) -> Tensor:
    """Entropy of p(y) of each restart."""
    return -torch.xlogy(proportions, proportions).sum(-1)
