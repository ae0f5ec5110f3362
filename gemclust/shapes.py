"""In how many directions groups of points extend."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Shapes:
    """Mean and scatter of groups of points, which are joined.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features)
    labels : ndarray of int of shape (n_points,)
        The group of each, 0, 1, ...; none is empty.
    """

    def __init__(self, points: Array, labels: Array) -> None:
        parts = np.split(points[np.argsort(labels, kind="stable")], np.bincount(labels).cumsum())
        self.size = [float(len(part)) for part in parts[:-1]]
        self.mean = [part.mean(0) for part in parts[:-1]]
        rests = [part - mean for part, mean in zip(parts[:-1], self.mean, strict=True)]
        self.scatter = [rest.T @ rest for rest in rests]

    def union(self, i: int, j: int) -> tuple[float, Array, Array]:
        """Size, mean and scatter of two groups together."""
        size = self.size[i] + self.size[j]
        between = self.mean[j] - self.mean[i]
        scatter = self.scatter[i] + self.scatter[j]
        scatter = scatter + self.size[i] * self.size[j] / size * np.outer(between, between)
        return size, self.mean[i] + self.size[j] / size * between, scatter

    def join(self, i: int, j: int) -> None:
        """Group i takes in group j."""
        self.size[i], self.mean[i], self.scatter[i] = self.union(i, j)

    def dimension(self, i: int, j: int) -> float:
        r"""In how many directions two groups together extend.

        .. math:: (\operatorname{tr} \Sigma)^2 / \operatorname{tr} \Sigma^2

        with the covariance of all of them, the denominator estimated without bias: 1 for points
        along a line, the number of features for a round cloud.
        """
        size, _, scatter = self.union(i, j)
        trace, squares, free = np.trace(scatter), np.square(scatter).sum(), max(size - 1, 2)
        squares = free**2 / ((free - 1) * (free + 2)) * (squares - trace**2 / free)
        return max(1.0, float(trace**2 / squares)) if squares > 0 else float(len(scatter))
