"""What GEMINIs of optimal transport have in common: dual potentials give value and gradient."""

from __future__ import annotations

import copy
from itertools import combinations
from typing import ClassVar

import torch
from torch import Tensor

from gemclust.objectives.base import Batch, Objective

Task = tuple[int, int, int]
"""A restart and two of its distributions."""


class Transport(Objective):
    r"""GEMINI of a distance with a dual that is linear in both distributions.

    .. math:: \pi_a \pi_b W(w_a, w_b) = \max_{u, v} \sum_i w_i (\pi_b p_{ia} u_i + \pi_a p_{ib} v_i)

    The feasible potentials u, v do not depend on p. So this sum at the best of them has the value
    and, by the envelope theorem, the gradient. A subclass finds them (`potentials`).
    """

    n_stages: ClassVar[int] = 0

    def pairs(self, batch: Batch) -> tuple[list[tuple[int, int]], float]:
        """Pairs of distributions to transport between, and the factor of the sum of their costs.

        The distributions are the clusters and, after them, the data.
        """
        n_clusters = batch.log_proba.shape[2]
        if self.mode == "ova":
            return [(k, n_clusters) for k in range(n_clusters)], 1.0
        return list(combinations(range(n_clusters), 2)), 2.0

    def for_units(self) -> Transport:
        """One-vs-all: K transports instead of K (K - 1) / 2."""
        objective = copy.copy(self)
        objective.mode = "ova"
        return objective

    def potentials(self, joint: Tensor, tasks: list[Task], batch: Batch) -> tuple[Tensor, Tensor]:
        """The best u and v of each task.

        Parameters
        ----------
        joint : tensor of shape (n_restarts, n_clusters + 1, n_samples)
            w_i p_ik, and w_i in the last row, without a gradient.
        tasks : list of tuple
            Restart, first and second distribution, both of them with mass.
        batch : Batch
            The samples.

        Returns
        -------
        u, v : tensor of shape (n_tasks, n_samples)
            In the unit of the batch.
        """
        raise NotImplementedError

    def evaluate(self, batch: Batch) -> Tensor:
        data = batch.weight[None, :, None].expand(len(batch.log_proba), -1, 1)
        joint = torch.cat([batch.weighted_proba, data], 2).transpose(1, 2)
        proportions = joint.sum(2)
        pairs, factor = self.pairs(batch)
        alive = (proportions > 0).tolist()
        tasks = [(r, a, b) for r, has in enumerate(alive) for a, b in pairs if has[a] and has[b]]
        value = 0.0 * proportions.sum(1)  # NaN where p is
        if tasks:
            u, v = self.potentials(joint.detach(), tasks, batch)
            restart, a, b = torch.tensor(tasks, device=joint.device).T
            costs = proportions[restart, b] * (joint[restart, a] * u).sum(1)
            costs = costs + proportions[restart, a] * (joint[restart, b] * v).sum(1)
            value = value.index_add(0, restart, costs)
        return factor * batch.unit * value
