"""GEMINIs of the Wasserstein distance: exact optimal transport between clusters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gemclust.objectives.base import Batch
from gemclust.objectives.transport import Task, Transport
from gemclust.threads import in_threads

Potentials = tuple[NDArray[Any], NDArray[Any]]

TRUE_METRICS = (
    *("euclidean", "l2", "manhattan", "l1", "cityblock", "chebyshev", "minkowski", "geodesic"),
    *("canberra", "hamming", "mahalanobis", "seuclidean"),
)
"""Names of metrics that are known to obey the triangle inequality, with 0 on the diagonal."""

MAX_PIVOTS = 10_000_000
WARM_PIVOTS = 50
"""Pivots for each sample after which a start is given up: where many costs are equal, like hops,
the simplex may go around in circles from there. From nothing it is done in far fewer."""

ROUNDING = 1e-12
"""Mass below this part of the largest confuses the simplex and moves the value by no more."""

SMALL_TRANSPORT = 300
"""Samples below which a simplex is done before a thread has started."""


class Wasserstein(Transport):
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
    difference is moved, which takes less time and memory. Where samples are seen again, each
    program starts at its last solution, for which 2 N numbers are kept.

    Examples
    --------
    >>> from gemclust.metrics import gemini_score
    >>> gemini_score([[0.0], [1.0]], [0, 1], objective=Wasserstein())
    0.5
    """

    affinity: ClassVar[str | None] = "distance"

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

    def pairs(self, batch: Batch) -> tuple[list[tuple[int, int]], float]:
        pairs, factor = super().pairs(batch)
        if batch.triangle and self.mode == "ova" and len(pairs) == 2:
            # The data lie between the two: W(w_a, w) = pi_b W(w_a, w_b), and one of them will do.
            return [(0, 1)], 2.0
        if self.n_pairs is None or self.n_pairs >= len(pairs) or batch.rng is None:
            return pairs, factor
        drawn = np.sort(batch.rng.choice(len(pairs), self.n_pairs, replace=False))
        return [pairs[i] for i in drawn], factor * len(pairs) / self.n_pairs

    def n_told(self, n_restarts: int, n_clusters: int) -> int:
        n_pairs = n_clusters if self.mode == "ova" else n_clusters * (n_clusters - 1) // 2
        return n_restarts * n_pairs

    def for_units(self) -> Wasserstein:
        objective = cast(Wasserstein, super().for_units())
        objective.n_pairs = None
        return objective

    def potentials(self, joint: Tensor, tasks: list[Task], batch: Batch) -> tuple[Tensor, Tensor]:
        assert batch.matrix is not None
        matrix = batch.matrix.detach().cpu().numpy()
        mass = joint.cpu().numpy().astype(np.float64)
        names = batch.restarts or range(len(mass))
        keys = [(names[r], a, b) for r, a, b in tasks]
        memory = {} if batch.memory is None else batch.memory

        def solve(index: int) -> Potentials:
            r, a, b = tasks[index]
            start = memory.get(keys[index])
            return transport(mass[r, a], mass[r, b], matrix, batch.triangle, start)

        indices = range(len(tasks))
        small = len(matrix) < SMALL_TRANSPORT
        solved = []
        for potentials in map(solve, indices) if small else in_threads(solve, indices):
            solved.append(potentials)
            if batch.watch is not None:
                batch.watch("transport")
        memory.update(zip(keys, solved, strict=True))
        u, v = (np.stack(part) for part in zip(*solved, strict=True))
        return torch.as_tensor(u).to(joint), torch.as_tensor(v).to(joint)


def transport(
    source: NDArray[Any],
    target: NDArray[Any],
    matrix: NDArray[Any],
    triangle: bool = False,
    start: Potentials | None = None,
) -> Potentials:
    r"""Dual solution of the transport between two masses, each taken relative to its sum.

    .. math:: \max_{u, v} \sum_i a_i u_i + \sum_j b_j v_j \quad
              \text{subject to} \quad u_i + v_j \leq c_{ij}

    Parameters
    ----------
    source, target : ndarray of shape (n_samples,)
        Masses a and b with positive sums.
    matrix : ndarray of shape (n_samples, n_samples)
        Costs c.
    triangle : bool, default=False
        Whether c obeys the triangle inequality and has 0 on its diagonal. Then mass that source
        and target share stays where it is, and only the difference has to be moved.
    start : tuple of two ndarray, optional
        Potentials near the solution: they save time and change no value.

    Returns
    -------
    u, v : ndarray of shape (n_samples,)
        Feasible at samples without mass, too.

    Raises
    ------
    RuntimeError
        If the simplex does not end.

    Examples
    --------
    >>> u, v = transport(np.array([1, 0]), np.array([1, 3]), np.array([[0, 2], [2, 0]]), True)
    >>> float(u[0] + 0.25 * v[0] + 0.75 * v[1])
    1.5
    """
    source, target = source / source.sum(), target / target.sum()
    negligible = ROUNDING * max(source.max(), target.max())
    if triangle:
        source, target = source - target, target - source
    rows, columns = (np.flatnonzero(mass > negligible) for mass in (source, target))
    first, second = np.full((2, len(source)), np.nan)
    if not (len(rows) and len(columns)):
        return np.zeros_like(first), np.zeros_like(second)
    begin = None if start is None else (start[0][rows], start[1][columns])
    costs = matrix[np.ix_(rows, columns)].astype(np.float64)
    first[rows], second[columns] = _simplex(source[rows], target[columns], costs, begin)
    if triangle:
        first[columns] = -second[columns]
    # At the other samples, the largest that is feasible.
    rest = np.isnan(first)
    first[rest] = (matrix[np.ix_(rest, columns)] - second[columns]).min(1)
    if triangle:
        return first, -first
    rest = np.isnan(second)
    second[rest] = (matrix[:, rest] - first[:, None]).min(0)
    return first, second


def _simplex(
    source: NDArray[Any], target: NDArray[Any], costs: NDArray[Any], start: Potentials | None
) -> Potentials:
    """Dual solution where all mass is positive."""
    import ot

    source, target = source / source.sum(), target / target.sum()
    attempts = [] if start is None else [(start, WARM_PIVOTS * sum(costs.shape))]
    for begin, most in [*attempts, (None, MAX_PIVOTS)]:
        options = {"numItermax": most, "potentials_init": begin, "check_marginals": False}
        _, log = ot.emd(source, target, costs, log=True, **options)
        if log["warning"] is None:
            return log["u"], log["v"]
    raise RuntimeError(
        f"Optimal transport from {len(source)} to {len(target)} samples was not solved: "
        f"{log['warning']}"
    )
