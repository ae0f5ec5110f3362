"""GEMINIs of the Wasserstein distance: exact optimal transport between clusters."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gemclust.objectives.base import Batch, Objective
from gemclust.objectives.transport import Potentials, transport
from gemclust.threads import in_threads

TRUE_METRICS = frozenset(
    "canberra chebyshev cityblock euclidean geodesic hamming l1 l2 mahalanobis manhattan minkowski "
    "seuclidean".split()
)
"""Names of metrics that are known to obey the triangle inequality, with 0 on the diagonal."""

SMALL_TRANSPORT = 300
"""Samples below which a simplex is done before a thread has started."""


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
    n_pairs : int, optional
        One-vs-one only: how many of the K (K - 1) / 2 pairs of clusters each step of "adam" or
        "sgd" looks at, drawn at random; their sum is scaled up so that its expectation is the sum
        over all pairs. Everything that is reported is evaluated on all pairs.

    See Also
    --------
    SlicedWasserstein : A lower bound in N log N, for many samples.
    MMD : The same from a kernel; much faster on many samples.

    Notes
    -----
    One linear program for each cluster (pair of clusters) and restart; they share torch's threads,
    and their number changes no digit. Where the distance is known to obey the triangle inequality
    (see `Batch.triangle`), mass that two distributions share stays where it is, and only their
    difference is moved. Where samples are seen again, each program starts at its last solution:
    2 N numbers are kept for it.

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
        n_pairs: int | None = None,
    ) -> None:
        super().__init__(mode)
        self.metric = metric
        self.n_neighbors = n_neighbors
        self.weighted = weighted
        self.n_pairs = n_pairs

    def check(self) -> None:
        super().check()
        if self.n_pairs is None:
            return
        if not isinstance(self.n_pairs, int | np.integer) or self.n_pairs < 1:
            raise ValueError(f"n_pairs={self.n_pairs!r} must be None or an integer of at least 1.")
        if self.mode != "ovo":
            raise ValueError(f"n_pairs={self.n_pairs} needs mode='ovo'; leave it out.")

    def evaluate(self, batch: Batch) -> Tensor:
        # The data are one more column, of proportion 1: one-vs-all pairs each cluster with it.
        data = batch.weight[None, :, None].expand(len(batch.log_proba), -1, 1)
        joint = torch.cat([batch.weighted_proba, data], 2).transpose(1, 2)
        pairs, factor = self._pairs(batch)
        alive = (joint.detach().sum(2) > 0).tolist()
        tasks = [(r, a, b) for r, has in enumerate(alive) for a, b in pairs if has[a] and has[b]]
        value = 0.0 * joint.sum((1, 2))  # NaN where p is
        if tasks:
            value = value.index_add(0, *_costs(joint, tasks, batch))
        return factor * batch.unit * value

    def _pairs(self, batch: Batch) -> tuple[list[tuple[int, int]], float]:
        """Columns to transport between, and the factor of their sum."""
        n_clusters = batch.log_proba.shape[2]
        # Two clusters lie on one line with the data: W is a norm of their difference.
        if self.mode == "ova" and not (batch.triangle and n_clusters == 2):
            return [(k, n_clusters) for k in range(n_clusters)], 1.0
        pairs = list(combinations(range(n_clusters), 2))
        if self.n_pairs is None or self.n_pairs >= len(pairs) or batch.rng is None:
            return pairs, 2.0
        drawn = np.sort(batch.rng.choice(len(pairs), self.n_pairs, replace=False))
        return [pairs[i] for i in drawn], 2.0 * len(pairs) / self.n_pairs


def _costs(joint: Tensor, tasks: list[tuple[int, int, int]], batch: Batch) -> tuple[Tensor, Tensor]:
    """Restart and pi_a pi_b W(w_a, w_b) of each task (restart, a, b)."""
    # This is the maximum, over potentials that do not depend on p, of a function linear in each
    # p. So that function at the best potentials has the value and, by the envelope theorem, the
    # gradient.
    source, target = (torch.as_tensor(part).to(joint) for part in _solve(joint, tasks, batch))
    restart, a, b = torch.tensor(tasks, device=joint.device).T
    proportions = joint.sum(2)
    costs = proportions[restart, b] * (joint[restart, a] * source).sum(1)
    return restart, costs + proportions[restart, a] * (joint[restart, b] * target).sum(1)


def _solve(joint: Tensor, tasks: list[tuple[int, int, int]], batch: Batch) -> Potentials:
    """Potentials of each task, of shape (n_tasks, n_samples)."""
    assert batch.matrix is not None
    matrix = batch.matrix.detach().cpu().numpy()
    mass = joint.detach().cpu().numpy().astype(np.float64)
    names = batch.restarts or range(len(mass))
    memory = {} if batch.memory is None else batch.memory

    def solve(task: tuple[int, int, int]) -> Potentials:
        r, a, b = task
        start = memory.get((names[r], a, b))
        return transport(mass[r, a], mass[r, b], matrix, batch.triangle, start)

    small = len(matrix) < SMALL_TRANSPORT
    solved = [solve(task) for task in tasks] if small else in_threads(solve, tasks)
    memory.update({(names[r], a, b): pair for (r, a, b), pair in zip(tasks, solved, strict=True)})
    source, target = zip(*solved, strict=True)
    return np.stack(source), np.stack(target)
