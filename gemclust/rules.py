"""What values of parameters are possible."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

Rule = Callable[[Any], bool]
"""Whether a value is possible."""


def integer(least: int) -> Rule:
    """Whole numbers that are not less."""

    def good(value: Any) -> bool:
        if not isinstance(value, int | np.integer) or isinstance(value, bool):
            return False
        return bool(value >= least)

    return good


def number(positive: bool) -> Rule:
    """Finite numbers that are positive, or not negative."""

    def good(value: Any) -> bool:
        if not isinstance(value, int | float | np.number) or isinstance(value, bool):
            return False
        return bool(np.isfinite(value) and (value > 0 if positive else value >= 0))

    return good


def one_of(*names: str | None) -> Rule:
    """These names, or None if it is among them."""
    return lambda value: isinstance(value, str | None) and value in names


def either(first: Rule, second: Rule) -> Rule:
    """What one of two rules allows."""
    return lambda value: first(value) or second(value)


def listed(names: Iterable[str]) -> str:
    """The names as a message gives them."""
    return ", ".join(map(repr, names))
