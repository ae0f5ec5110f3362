"""What significance makes valleys of a tree real, as all of its valleys together tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

CLEAR_GAP, CLEAR_LEVEL = 0.4, 0.4
"""Valleys are clear if the next of the tree has at most this share of their significance: then
those from this level on are real."""

MERGES = 18
"""Of fewer merges that count, the others say too little of what valleys are without clusters."""

FEW = 3
"""So many valleys, or clear ones for each, change no level."""

MANY, LEAST = 0.1, 0.65
"""The level that several valleys must reach falls by so much with the logarithm of their number,
but no lower than this: inside one cluster, one valley may be near 1, but seldom ten are."""

SURROUNDED, MANY_SURROUNDED = 4.0, 0.2
"""Where each group touches so many others or more, as in a plane, it falls by so much instead: of
valleys with a way round, fewer are there by chance. Along a curve each group touches two. In more
than three features, that says nothing (`Valleys.touched`)."""

PARTS = 0.27
"""The level rises by so much with the logarithm of the number of clear valleys for each that is to
be real: each of the parts between them may have one by chance, but not all of them have."""


@dataclass(frozen=True)
class Thresholds:
    """Levels of significance from which valleys of one tree are real.

    Parameters
    ----------
    least : tuple of float
        Where the next level begins, from low to high.
    levels : tuple of float
        What significance is divided by below the first of these, and from each of them on.

    Examples
    --------
    >>> Thresholds((0.5,), (1.0, 0.4))(np.array([0.2, 0.6]))
    array([0.2, 1.5])
    """

    least: tuple[float, ...] = ()
    levels: tuple[float, ...] = (1.0,)

    def __call__(self, significance: Array) -> Array:
        """In units in which each level is 1."""
        # A little less, as what equals a level passes it.
        levels = np.array(self.levels) / (1 + 1e-9 * (np.array(self.levels) != 1))
        return significance / levels[np.searchsorted(self.least, significance, side="right")]


def thresholds(heights: Array, counts: Array, touched: float) -> Thresholds:
    r"""Those of a tree of these heights, of which at least `MERGES` count (`counts`).

    Heights below the last gap are what this very sample has inside its clusters, as far as the
    groups are large enough to say so; the n above are clear. The highest j below are real if the
    last of them reaches

    .. math:: 1 + 0.27 \max(0, \ln\tfrac{n}{3 j}) - c \max(0, \ln\tfrac{j}{3})

    or 0.65, if this is more; c is 0.2 if a group touches 4 others or more in the mean (`touched`),
    else 0.1. From the half of the largest such j on, they end at the widest gap.
    """
    falling = np.sort(heights[counts])[::-1]
    if len(falling) < MERGES:
        return Thresholds()
    gaps = (falling[:-1] >= CLEAR_LEVEL) & (falling[1:] <= CLEAR_GAP * falling[:-1])
    n_clear = int(np.flatnonzero(gaps)[-1]) + 1 if gaps.any() else 0
    others = falling[n_clear:]
    numbers = np.arange(1, len(others) + 1)
    several = 1 + PARTS * np.log(np.maximum(1, n_clear / (FEW * numbers)))
    many = MANY_SURROUNDED if touched >= SURROUNDED else MANY
    several -= many * np.log(np.maximum(1, numbers / FEW))
    several = np.maximum(several, LEAST)
    one = several[0]
    fewest = int((others >= one).sum())
    most = int(np.flatnonzero(np.append(True, others >= several))[-1])
    last, following = np.append(one, others), np.append(others, 0)
    least, levels = [], [float(one)]
    if most > fewest:
        # Of the first half, gaps between single valleys may be wide by chance.
        first = max(fewest, most // 2)
        number = first + int((last / np.maximum(following, 1e-9))[first : most + 1].argmax())
        if number > fewest:
            below = max(following[number], CLEAR_GAP * last[number])
            least.append(float(np.sqrt(last[number] * below)))
            levels.append(float(several[most - 1]))
    if n_clear:
        least.append(float(np.sqrt(falling[n_clear - 1] * falling[n_clear])))
        levels.append(CLEAR_LEVEL)
    return Thresholds(tuple(least), tuple(levels))
