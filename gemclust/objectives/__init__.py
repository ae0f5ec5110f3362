"""The GEMINIs by name and class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from gemclust.messages import did_you_mean
from gemclust.objectives.base import PROBABILITY_FLOOR, Batch, Objective
from gemclust.objectives.f_divergences import KL, ChiSquared, Hellinger, TotalVariation
from gemclust.objectives.mmd import MMD
from gemclust.objectives.sliced import SlicedWasserstein
from gemclust.objectives.wasserstein import Wasserstein

__all__ = [
    "KL",
    "MMD",
    "OBJECTIVES",
    "PROBABILITY_FLOOR",
    "Batch",
    "ChiSquared",
    "Hellinger",
    "Objective",
    "SlicedWasserstein",
    "TotalVariation",
    "Wasserstein",
    "get_objective",
]

_FAMILIES: dict[str, Callable[..., Objective]] = {
    "kl": KL,
    "tv": TotalVariation,
    "hellinger": Hellinger,
    "chi2": ChiSquared,
    "mmd": MMD,
    "wasserstein": Wasserstein,
    "sliced_wasserstein": SlicedWasserstein,
}

OBJECTIVES: Mapping[str, Callable[[], Objective]] = {
    f"{name}_{mode}": partial(family, mode)
    for name, family in _FAMILIES.items()
    for mode in ("ova", "ovo")
} | {"mi": partial(KL, "ova")}
"""Name -> a function that makes the objective."""

DEFAULT_OBJECTIVE = "mmd_ovo"
"""What "auto" is."""


def get_objective(objective: str | Objective) -> Objective:
    """The objective of a name, or the instance itself once its parameters are checked.

    Parameters
    ----------
    objective : str or Objective
        A key of `OBJECTIVES`, "auto" for the default of `GeminiClustering`, or an instance of any
        subclass of `Objective`.

    Returns
    -------
    objective : Objective

    Raises
    ------
    ValueError
        If no objective has this name.

    Examples
    --------
    >>> get_objective("mmd_ovo")
    MMD(mode='ovo')
    """
    if isinstance(objective, str):
        name = DEFAULT_OBJECTIVE if objective == "auto" else objective
        objective = OBJECTIVES[name]() if name in OBJECTIVES else objective
    if not isinstance(objective, Objective):
        raise ValueError(
            f"objective={objective!r} is unknown.{did_you_mean(objective, OBJECTIVES)} Use one of "
            f"{', '.join(OBJECTIVES)}, or an instance of gemclust.objectives.Objective."
        )
    objective.check()
    return objective
