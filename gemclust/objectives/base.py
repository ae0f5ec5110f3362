"""What the GEMINIs have in common: each is a function of weighted means over samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from gemclust.messages import NamesParameters, did_you_mean

PROBABILITY_FLOOR = 1e-12
"""log p and 1 / p see no probability below this one, in value and in gradient."""

MODES = ("ova", "ovo")


def safe_sqrt(x: Tensor) -> Tensor:
    """Square root that is 0 with gradient 0 wherever `x` is not positive, and NaN of NaN."""
    positive = ~(x <= 0)
    return torch.where(positive, torch.where(positive, x, 1.0).sqrt(), 0.0)


@dataclass(frozen=True)
class Batch:
    """Samples as an objective sees them.

    Parameters
    ----------
    log_proba : tensor of shape (n_restarts, n_samples, n_clusters)
        log p(y|x). Every restart has its own; the rest is shared.
    weight : tensor of shape (n_samples,)
        Sample weights that sum to 1.
    features : tensor of shape (n_samples, n_components), optional
        A feature map of the kernel, dense or sparse; or the rows of X.
    matrix : tensor of shape (n_samples, n_samples), optional
        The kernel or the distance between the samples of this batch.
    unit : float
        What a kernel norm or a distance of 1 in this batch is worth in the data's own units.
    triangle : bool, default=False
        Whether the distances are known to obey the triangle inequality, with 0 on the diagonal.
    restarts : tuple of int, optional
        Which restarts these are, where some have stopped; 0, 1, ... by default.
    memory : dict, optional
        What an objective keeps from one visit of these very samples to the next; None where they
        are not seen again.
    rng : RandomState, optional
        Source of chance in training; None: no chance, everything is evaluated.
    watch : callable, optional
        Is told the name of each part of long work that is done.
    """

    log_proba: Tensor
    weight: Tensor
    features: Tensor | None = None
    matrix: Tensor | None = None
    unit: float = 1.0
    triangle: bool = False
    restarts: tuple[int, ...] | None = None
    memory: dict[Any, Any] | None = None
    rng: np.random.RandomState | None = None
    watch: Callable[[str], object] | None = None

    @cached_property
    def proba(self) -> Tensor:
        """p(y|x), exactly 0 where log p is minus infinity."""
        return self.log_proba.exp()

    @cached_property
    def floored_log_proba(self) -> Tensor:
        """log p(y|x), nowhere below the floor."""
        return self.log_proba.clamp(min=math.log(PROBABILITY_FLOOR))

    @cached_property
    def weighted_proba(self) -> Tensor:
        """p(y|x) times the sample weights: the joint distribution of samples and clusters."""
        return self.weight[:, None] * self.proba

    @cached_property
    def proportions(self) -> Tensor:
        """p(y), of shape (n_restarts, n_clusters)."""
        return self.weighted_proba.sum(1)

    def mean(self, values: Tensor) -> Tensor:
        """Weighted mean over samples of `values`, (n_restarts, n_samples, ...)."""
        # A product with the weights sums one by one: in float32 it loses digits with their number.
        weight = self.weight.reshape(-1, *[1] * (values.ndim - 2))
        return (weight * values).sum(1)


class Objective(NamesParameters):
    r"""A GEMINI: the expected statistical distance between cluster distributions.

    .. math:: I_{ova} = E_{k \sim p(y)} [D(p(x|k) \| p(x))], \qquad
              I_{ovo} = E_{a, b \sim p(y)} [D(p(x|a) \| p(x|b))]

    A subclass says which weighted means over samples it needs (`means`) and what it makes of
    them (`value`). It needs no registration: pass an instance wherever an objective goes.

    Parameters
    ----------
    mode : {"ova", "ovo"}
        One-vs-all or one-vs-one.

    Notes
    -----
    Means may come in stages, each a function of those before: `means` is called `n_stages`
    times, with all earlier means as arguments. Sample weights, gradients in chunks and sums over
    processes follow from this form alone. An objective that needs all samples at once sets
    ``n_stages = 0`` and overrides `evaluate`.
    """

    affinity: ClassVar[str | None] = None
    """What the objective needs to know of the data: None, "kernel", "distance" or "features", which
    are the rows of X."""

    n_stages: ClassVar[int] = 1

    value_samples: ClassVar[int | None] = None
    """Of more samples, an objective that needs all at once takes the mean over random parts of
    about so many; None: it takes all."""

    kept_numbers: int = 0
    """How many numbers it keeps for each sample that is seen again."""

    homogeneity: ClassVar[float] = 1.0
    """The value grows with this power of all distances; it matters with an affinity only."""

    def __init__(self, mode: str = "ova") -> None:
        self.mode = mode

    def means(self, batch: Batch, *earlier: Tensor) -> tuple[Tensor, ...]:
        """Weighted means over the samples of a batch.

        Parameters
        ----------
        batch : Batch
            The samples.
        *earlier : tensor
            All means of the stages before this one.

        Returns
        -------
        means : tuple of tensor of shape (n_restarts, ...)
            The means of this stage; `Batch.mean` takes one.
        """
        raise NotImplementedError(f"{type(self).__name__} is no function of means.")

    def inner_product(
        self, batch: Batch, earlier: Sequence[Tensor], factors: Sequence[Tensor]
    ) -> Tensor:
        """Sum of a stage's means times given numbers of the same shapes.

        Override it where that is less work than the means themselves.

        Parameters
        ----------
        batch : Batch
            The samples.
        earlier : sequence of tensor
            All means of the stages before this one.
        factors : sequence of tensor
            One for each mean of this stage.

        Returns
        -------
        product : tensor of shape ()
        """
        means = self.means(batch, *earlier)
        parts = [(mean * factor).sum() for mean, factor in zip(means, factors, strict=True)]
        return torch.stack(parts).sum()

    def value(self, *means: Tensor) -> Tensor:
        """The GEMINI of each restart.

        Parameters
        ----------
        *means : tensor
            The means of all stages.

        Returns
        -------
        value : tensor of shape (n_restarts,)
            In the unit of the batch.
        """
        raise NotImplementedError(f"{type(self).__name__} is no function of means.")

    def evaluate(self, batch: Batch) -> Tensor:
        """The GEMINI of each restart on the samples of a batch.

        Parameters
        ----------
        batch : Batch
            The samples.

        Returns
        -------
        value : tensor of shape (n_restarts,)
            In the units of X.

        Examples
        --------
        >>> from gemclust.objectives import KL
        >>> certain = torch.tensor([[[0.0, -torch.inf], [-torch.inf, 0.0]]])
        >>> KL().evaluate(Batch(certain, weight=torch.tensor([0.5, 0.5])))
        tensor([0.6931])
        """
        means: tuple[Tensor, ...] = ()
        for _ in range(self.n_stages):
            means += self.means(batch, *means)
        return batch.unit**self.homogeneity * self.value(*means)

    def n_told(self, n_restarts: int, n_clusters: int) -> int:
        """Of how many parts `evaluate` tells a batch's `watch`, at most."""
        return 0

    def for_units(self) -> Objective:
        """By which units are trained that are to share the samples, and to be joined later."""
        return self

    def check(self) -> None:
        """Raise a ValueError that names the parameter that is wrong, if one is."""
        mode = getattr(self, "mode", "ova")
        if mode not in MODES:
            hint = did_you_mean(mode, MODES)
            raise ValueError(f"mode={mode!r} is unknown; use 'ova' or 'ovo'.{hint}")
