"""Exact optimal transport between two distributions over the same samples, by POT."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Potentials = tuple[NDArray[Any], NDArray[Any]]

MAX_PIVOTS = 10_000_000
ROUNDING = 1e-14
"""Mass below this part of the largest confuses the simplex and moves the value by no more."""


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
    options = {"numItermax": MAX_PIVOTS, "potentials_init": start, "check_marginals": False}
    _, log = ot.emd(source, target, costs, log=True, **options)
    if log["warning"] is not None:
        raise RuntimeError(
            f"Optimal transport from {len(source)} to {len(target)} samples was not solved: "
            f"{log['warning']}"
        )
    return log["u"], log["v"]
