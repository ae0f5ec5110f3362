"""How time is taken: after a warm-up, in turns, and per epoch."""

import gc
import logging
import time
from typing import NamedTuple

import numpy as np


class Outcome(NamedTuple):
    """One row of speed.csv: a number for us, one for what we are compared with."""

    ours: float
    other: float = float("nan")
    note: str = ""


def seconds(call):
    """Wall time of ``call()``."""
    gc.collect()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def alternate(calls, rounds, first, clock=seconds):
    """Median of ``clock(call)`` for each call, taken in turns; ``first`` says whose turn is first.

    The order is reversed from one round to the next.
    """
    taken = [[] for _ in calls]
    for turn in range(first, first + rounds):
        order = range(len(calls))
        for i in reversed(order) if turn % 2 else order:
            taken[i].append(clock(calls[i]))
    return [float(np.median(times)) for times in taken]


class EpochClock(logging.Handler):
    """Notes when each epoch ended: with ``verbose=1`` each leaves a line in the log."""

    def __init__(self):
        super().__init__()
        self.times = []

    def emit(self, record):
        self.times.append(time.perf_counter())


def epoch_seconds(model, X):
    """Median seconds of an epoch of our fit, without what comes before the first and after all."""
    clock, logger = EpochClock(), logging.getLogger("gemclust")
    logger.addHandler(clock)
    try:
        model.set_params(verbose=1).fit(X)
    finally:
        logger.removeHandler(clock)
    return float(np.median(np.diff(clock.times)))


def endless(n_epochs):
    """Parameters with which our fit takes so many iterations, whatever happens."""
    return {"max_iter": n_epochs, "tol": 0.0, "n_iter_no_change": n_epochs + 1}
