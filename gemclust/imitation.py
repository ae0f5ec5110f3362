"""A model brought near given assignments, to start from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gemclust.distributed import ALONE, Processes
from gemclust.models import Model, log_softmax
from gemclust.samples import Samples


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
