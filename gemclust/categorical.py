"""A free p(y|x) for each training sample: what an objective wants where no model constrains it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn

LEAST_PROBABILITY = 1e-4
"""Where training starts no probability is smaller: from nearly one-hot rows nothing moves."""

NO_PREDICTION = (
    "model='categorical' has logits of its own for each training sample and cannot tell the "
    "cluster of any other: use labels_ and probabilities_, or another model."
)


class Categorical:
    """Free logits of each sample; its input are the numbers of the samples.

    Parameters
    ----------
    n_samples, n_units : int
        Size of the table of logits.
    """

    parallel = True

    def __init__(self, n_samples: int, n_units: int) -> None:
        self.n_samples = n_samples
        self.n_units = n_units

    @property
    def width(self) -> int:
        """Numbers that it holds for a sample."""
        return self.n_units

    @property
    def architecture(self) -> tuple[str, int, int]:
        """Its name and sizes."""
        return "categorical", self.n_samples, self.n_units

    def initialise(self, seeds: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Standard normal logits."""
        size = self.n_samples * self.n_units
        draws = [np.random.RandomState(seed).standard_normal(size) for seed in seeds]
        return torch.from_numpy(np.stack(draws)).to(dtype)

    def around(self, target: Tensor) -> Tensor:
        """Parameters of the given p(y|x), of shape (n_restarts, n_samples, n_units)."""
        return target.clamp(min=LEAST_PROBABILITY).log().flatten(1)

    def logits(self, parameters: Tensor, X: Tensor, training: bool = False) -> Tensor:
        """Unnormalised log p(y|x), of shape (n_restarts, n_samples, n_units)."""
        return parameters.unflatten(1, (self.n_samples, self.n_units))[:, X[:, 0]]

    def pull_back(self, parameters: Tensor, X: Tensor, outer: Tensor) -> Tensor:
        """Gradient with respect to the parameters, given that to the logits in training."""
        gradient = torch.zeros_like(parameters).unflatten(1, (self.n_samples, self.n_units))
        return gradient.index_add_(1, X[:, 0], outer.contiguous()).flatten(1)

    def penalty(self, parameters: Tensor) -> Tensor:
        """Mean squared logit of each restart."""
        return parameters.square().sum(1) / self.n_samples

    def chance(self) -> Callable[[], None]:
        """Nothing is drawn."""
        return lambda: None

    def without_traces(self) -> AbstractContextManager[None]:
        """There never are any."""
        return nullcontext()

    def module(self, parameters: Tensor) -> nn.Module:
        """There is none."""
        raise ValueError(NO_PREDICTION)
