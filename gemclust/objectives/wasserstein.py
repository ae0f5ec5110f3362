"""GEMINIs of the Wasserstein distance: exact optimal transport between clusters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gemclust.objectives.base import Batch, Objective

MAX_PIVOTS = 10_000_000


class Wasserstein(Objective):
    r"""Wasserstein distance, with a metric.

    .. math:: I_{ova} = \sum_k \pi_k W(w_k, w), \qquad
              I_{ovo} = \sum_{k,l} \pi_k \pi_l W(w_k, w_l)

    where :math:`w` are the sample weights, :math:`w_{ik} = w_i p_{ik} / \pi_k` and :math:`W(a, b)`
    is the least cost of moving the mass a to the mass b. Each W is one linear program, solved
    exactly by POT; its dual solution is the gradient.

    Parameters
    ----------
    mode : {"ova", "ovo"}, default="ova"
        One-vs-all or one-vs-one.
    metric : str or callable, default="euclidean"
        A name that scikit-learn's `pairwise_distances` knows, a function of two rows that returns
        a number or of two matrices that returns the matrix of distances, "geodesic" (the shortest
        path in the graph of nearest neighbours), or "precomputed" if `fit` gets an `affinity`.
    n_neighbors : int, default=10
        Neighbours of each sample in the graph of the geodesic metric.
    weighted : bool, default=True
        Whether the length of an edge of that graph is its Euclidean length or 1 (hops).

    See Also
    --------
    MMD : The same from a kernel; much faster on many samples.

    Examples
    --------
    >>> from gemclust.metrics import gemini_score
    >>> gemini_score([[0.0], [1.0]], [0, 1], objective=Wasserstein())
    0.5
    """

    affinity: ClassVar[str | None] = "distance"
    n_stages: ClassVar[int] = 0

    def __init__(
        self,
        mode: str = "ova",
        metric: str | Callable[..., Any] = "euclidean",
        n_neighbors: int = 10,
        weighted: bool = True,
    ) -> None:
        super().__init__(mode)
        self.metric = metric
        self.n_neighbors = n_neighbors
        self.weighted = weighted

    def evaluate(self, batch: Batch) -> Tensor:
        # pi_k W(w_k, w) is the maximum, over potentials that do not depend on p, of a function
        # linear in p (one-vs-one: in each p). So that function at the best potentials has the
        # value and, by the envelope theorem, the gradient of the GEMINI.
        per_restart = self._one_vs_all if self.mode == "ova" else self._one_vs_one
        joint, proportions = batch.weighted_proba, batch.proportions
        assert batch.matrix is not None
        cost = np.ascontiguousarray(batch.matrix.detach().cpu().numpy(), dtype=np.float64)
        weight = batch.weight.detach().cpu().numpy().astype(np.float64)
        values = [per_restart(joint[r], proportions[r], weight, cost) for r in range(len(joint))]
        return batch.unit * torch.stack(values)

    @staticmethod
    def _one_vs_all(
        joint: Tensor, proportions: Tensor, weight: NDArray[Any], cost: NDArray[Any]
    ) -> Tensor:
        mass = _as_mass(joint)
        potentials = np.zeros(mass.shape)
        for k in np.flatnonzero(mass.sum(0) > 0):
            source, target = _potentials(mass[:, k], weight, cost)
            potentials[:, k] = source + weight @ target
        return (joint * torch.as_tensor(potentials).to(joint)).sum()

    @staticmethod
    def _one_vs_one(
        joint: Tensor, proportions: Tensor, weight: NDArray[Any], cost: NDArray[Any]
    ) -> Tensor:
        mass = _as_mass(joint)
        alive = np.flatnonzero(mass.sum(0) > 0)
        total = (0.0 * joint).sum()
        for k, first in enumerate(alive):
            for second in alive[k + 1 :]:
                pair = _potentials(mass[:, first], mass[:, second], cost)
                source, target = (torch.as_tensor(potential).to(joint) for potential in pair)
                total = total + 2 * (
                    proportions[second] * (joint[:, first] * source).sum()
                    + proportions[first] * (joint[:, second] * target).sum()
                )
        return total


def _as_mass(joint: Tensor) -> NDArray[Any]:
    return joint.detach().cpu().numpy().astype(np.float64)


def _potentials(
    source: NDArray[Any], target: NDArray[Any], cost: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Dual solution of the transport between two masses, each taken relative to its sum."""
    import ot

    # Mass below rounding of the largest confuses the simplex and moves the value by no more.
    source, target = (np.where(m > 1e-15 * m.max(), m, 0.0) for m in (source, target))
    _, log = ot.emd(
        source / source.sum(), target / target.sum(), cost, numItermax=MAX_PIVOTS, log=True
    )
    if log["warning"] is not None:
        raise RuntimeError(
            f"Optimal transport between {len(source)} samples was not solved: {log['warning']}"
        )
    # The solver leaves potentials of samples without mass to chance; these are the feasible ones
    # that fit the rest, and the potentials elsewhere are their own transform already.
    potential = (cost - log["v"]).min(1)
    return potential, (cost - potential[:, None]).min(0)
