"""Rows of the experiments, as numbers and as text."""

import numpy as np
from pages import rows

from papers.fits import groups

NOT_RUN = "not run"


def spread(values, digits=3, of=1):
    """Mean and standard deviation, and the number of fits if it is less than it is to be."""
    if not len(values):
        return NOT_RUN
    deviation = values.std(ddof=1) if len(values) > 1 else 0.0
    few = f", {len(values)} of {of} fits" if len(values) < of else ""
    return f"{values.mean():.{digits}f} ({deviation:.{digits}f}){few}"


def reach(values):
    """Mean, least and most."""
    if not len(values):
        return NOT_RUN
    return f"{values.mean():.3f} ({values.min():.3f} to {values.max():.3f})"


def mean(values, digits=2):
    return f"{values.mean():.{digits}f}" if len(values) else NOT_RUN


class Results:
    """The rows of an experiment, by data set, method and objective."""

    def __init__(self, name):
        self.rows = rows(f"papers_{name}.csv")
        self.columns = {}

    def __call__(self, column, *key):
        if column not in self.columns:
            self.columns[column] = groups(self.rows, column) if self.rows else {}
        return self.columns[column].get(key, np.array([]))
