"""Warnings that point at the user's line; errors that guess what was meant and name columns."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self

import joblib
import numpy as np
import scipy.sparse as sp
import sklearn
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

MOST_NAMED = 5
"""Columns that a message names."""

_INSIDE = tuple(
    str(Path(file).parent) + os.sep for file in (__file__, sklearn.__file__, joblib.__file__)
)


_ELSEWHERE = {"gpu": "cuda", "sigmoid": "logistic", "gaussian": "rbf", "taxicab": "manhattan"}
"""What other libraries call some of the names here."""


def did_you_mean(given: object, known: Iterable[str], cutoff: float = 0.6) -> str:
    """A sentence with the nearest of the known names, or nothing if none is so similar."""
    if not isinstance(given, str):
        return ""
    names = {name.lower(): name for name in known}
    given = given.lower()
    close = [_ELSEWHERE[given]] if _ELSEWHERE.get(given) in names else []
    close += get_close_matches(given, names, n=1, cutoff=cutoff)
    return f" Did you mean {names[close[0]]!r}?" if close else ""


class NamesParameters(BaseEstimator):
    """Has parameters, and answers misspelt names of them with the nearest."""

    def set_params(self, **params: Any) -> Self:
        """Set parameters; those of a step or an objective as ``step__parameter``.

        Parameters
        ----------
        **params : dict
            Parameters of the constructor.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If there is no parameter of that name; nothing is set then.
        """
        known = self.get_params(deep=False)
        for name in params:
            first, nested, inner = name.partition("__")
            if first not in known:
                raise ValueError(
                    f"{first!r} is no parameter of {type(self).__name__}."
                    f"{did_you_mean(first, known)} Its parameters are: {', '.join(known)}."
                )
            holder = params.get(first, known[first])
            if nested and not hasattr(holder, "set_params"):
                raise ValueError(
                    f"{first}={holder!r} has no parameter {inner!r}: set {first} to an instance "
                    "that has, such as MMD('ovo', kernel='rbf') has 'gamma'."
                )
        super().set_params(**params)
        return self


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn of what the first caller outside of this package, scikit-learn and joblib did."""
    level = 1
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_INSIDE):
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)


@contextmanager
def naming_columns(X: Any) -> Iterator[None]:
    """Errors about the values of X begin with the names of the columns that are at fault.

    Dates are refused here: they would become numbers, huge ones, without an error.
    """
    if dates := [name for name, dtype in _dtypes(X) if _of_dates(dtype)]:
        raise TypeError(
            f"Dates or durations, which are no numbers, in {_some(dates)}. Make numbers of them, "
            "as by (dates - dates.min()).dt.total_seconds() of a Series, or leave them out."
        )
    try:
        yield
    except (TypeError, ValueError) as error:
        if faults := _faults(X):
            error.args = (f"{faults}{error}",)
        raise


def _faults(X: Any) -> str:
    """A sentence on each kind of value that a clusterer does not take, with its columns."""
    found: dict[str, list[str]] = {}
    for name, values in _columns(X):
        if fault := _fault(values):
            found.setdefault(fault, []).append(name)
    sentences = [f"{fault} in {_some(names)}. " for fault, names in found.items()]
    return "".join(sentences)


def _columns(X: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    """The name or the number of each column of what may be samples, and its values."""
    if hasattr(X, "iloc") and hasattr(X, "columns"):
        yield from ((repr(name), np.asarray(X.iloc[:, j])) for j, name in enumerate(X.columns))
        return
    if hasattr(X, "columns"):
        yield from ((repr(name), np.asarray(X[name])) for name in X.columns)
        return
    try:
        X = X.tocsc() if sp.issparse(X) else np.asarray(X)
    except ValueError:  # rows of several lengths
        return
    if X.ndim == 2:
        for j in range(X.shape[1]):
            column = X[:, [j]].data if sp.issparse(X) else X[:, j]
            yield str(j), column


def _dtypes(X: Any) -> Iterator[tuple[str, Any]]:
    """The name or the number of each column whose type tells what it holds, and that type."""
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        yield from zip(map(repr, X.columns), X.dtypes, strict=True)
    elif not sp.issparse(X) and getattr(X, "ndim", 0) == 2:
        yield from ((str(j), X.dtype) for j in range(X.shape[1]))


def _of_dates(dtype: Any) -> bool:
    if hasattr(dtype, "is_temporal"):  # of polars
        return bool(dtype.is_temporal())
    return getattr(dtype, "kind", "") in ("m", "M")


def _fault(values: NDArray[Any]) -> str:
    try:
        numbers = values.astype(np.float64) if values.dtype.kind in "OSTU" else values
    except (TypeError, ValueError):
        return "Values that are no numbers (encode them, as by OneHotEncoder, or leave them out)"
    finite = np.isfinite(numbers)
    if finite.all():
        return ""
    return "NaN" if np.isnan(numbers[~finite]).any() else "Infinity"


def _some(names: list[str]) -> str:
    if len(names) == 1:
        return f"column {names[0]}"
    more = len(names) - MOST_NAMED
    return f"columns {', '.join(names[:MOST_NAMED])}" + (f" and {more} more" if more > 0 else "")
