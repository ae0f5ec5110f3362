"""The samples of one process or of several, and the few that say where the data lie."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.random import sample_without_replacement

from gemclust.canonical import MERGE_SAMPLES, Canonical, canonical
from gemclust.distributed import ALONE, Processes, split
from gemclust.rounding import apart, balanced


class Shard:
    """The samples of this process, as they are trained on.

    Few samples of several processes are gathered, so that each fits all of them, alone.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        The samples of this process.
    weight : ndarray of shape (n_samples,)
        Their weights.
    affinity : ndarray of shape (n_samples, n_samples) or None
        Kernel or distances, in a single process.
    processes : Processes
        Those that hold a shard each.
    spread : bool
        Whether samples that are equal are to be spread or merged for units.

    Attributes
    ----------
    data : Canonical
        The samples that count.
    pilot : Canonical
        The same if they are few, else some of all processes, drawn at random.
    spread : Canonical
        Those on which units are trained and between which valleys are looked for: the pilot, if
        wished without equal samples where these are many, and without a majority in one point.
    sizes : list of int
        Number of samples that count, of each process.
    group : Processes
        All processes, whether or not they gathered their samples.
    n_given, n_total, n_distinct : int
        Number of samples of all processes, of those that count, and of distinct ones as far as it
        is known.
    """

    def __init__(
        self,
        X: Any,
        weight: NDArray[Any],
        affinity: NDArray[Any] | None,
        processes: Processes,
        spread: bool = False,
    ) -> None:
        self.group = processes
        self.n_given = sum(processes.gather(X.shape[0]))
        if processes.several and sum(processes.gather(np.count_nonzero(weight))) <= MERGE_SAMPLES:
            counted = np.flatnonzero(weight)
            X, weight = processes.concatenate(X[counted]), processes.concatenate(weight[counted])
            processes = ALONE
        self.processes = processes
        # Sorted shards would not have the order of all samples in one process.
        self.data = canonical(X, weight, affinity, shard=processes.several)
        self.sizes = processes.gather(len(self.data))
        self.n_total = sum(self.sizes)
        if not self.n_total:
            raise ValueError("All sample weights are zero; at least one sample must count.")
        self.n_distinct = self.data.n_distinct if not processes.several else self.n_total
        self.pilot = self.data
        if self.n_total > MERGE_SAMPLES or processes.several:
            self.pilot = self.draw(some_rows(self.n_total, min(MERGE_SAMPLES, self.n_total)))
        self.spread = balanced(apart(self.pilot)) if spread else self.pilot

    def draw(self, rows: NDArray[Any]) -> Canonical:
        """The samples of these numbers, counted through all processes, in each of them."""
        own = self.data.draw(split(rows, self.sizes, self.processes.rank))
        if not self.processes.several:
            return own
        X, weight = self.processes.concatenate(own.X), self.processes.concatenate(own.weight)
        return Canonical(X, weight, None, None, len(weight))


def some_rows(n_samples: int, size: int) -> NDArray[Any]:
    """The same random choice of so many rows each time, in order."""
    return np.sort(sample_without_replacement(n_samples, size, random_state=0))
