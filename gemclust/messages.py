"""Warnings that point at the user's line, and errors that guess what was meant."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

import joblib
import sklearn

_INSIDE = tuple(
    str(Path(file).parent) + os.sep for file in (__file__, sklearn.__file__, joblib.__file__)
)


def did_you_mean(given: object, known: Iterable[str]) -> str:
    """A sentence with the nearest of the known names, or nothing."""
    if not isinstance(given, str):
        return ""
    names = {name.lower(): name for name in known}
    close = get_close_matches(given.lower(), names, n=1)
    return f" Did you mean {names[close[0]]!r}?" if close else ""


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn of what the first caller outside of this package, scikit-learn and joblib did."""
    level = 1
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_INSIDE):
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)
