"""Training on few samples first, then on ever more, and last on all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gemclust.distributed import ALONE, Processes
from gemclust.problem import Problem
from gemclust.training import Report, Run, Settings, train

PATIENCE = (3, 1)
"""Iterations without improvement that end training on the first of several samples, and on each
later one: more would sharpen the boundaries around few samples, hard to move on more."""


def climb(
    problems: Sequence[Problem],
    begin: Run,
    settings: Settings,
    seed: int,
    report: Report,
    processes: Processes = ALONE,
) -> Run:
    """Train on few samples, then go on from the best restart on more, and last on all.

    `begin` holds the restarts for the first problem; `max_iter` counts all iterations. Before
    and after each problem all processes take what the first one has.
    """
    first, later = PATIENCE if len(problems) > 1 else (settings.n_iter_no_change, 0)
    patience = min(settings.n_iter_no_change, first)
    at_first = replace(settings, n_iter_no_change=patience)
    run = agreed(train(problems[0], agreed(begin, processes), at_first, seed, report), processes)
    # The best may have stopped before others did.
    passed = max(map(len, run.curves))
    for problem in problems[1:]:
        if run.interrupted or run.stopped:
            break
        best = int(np.argmin([_last(curve) for curve in run.curves]))
        curve = run.curves[best]
        onwards = replace(
            settings,
            max_iter=settings.max_iter - passed,
            n_iter_no_change=min(settings.n_iter_no_change, later),
        )
        begin = run.only(best)
        run = agreed(train(problem, begin, onwards, seed, _later(report, passed)), processes)
        passed += len(run.curves[0])
        run.curves = [curve + run.curves[0]]
    return run


def agreed(run: Run, processes: Processes) -> Run:
    """The run of the first process, ended if any has ended."""
    if not processes.several:
        return run
    interrupted, stopped = processes.any(run.interrupted), processes.any(run.stopped)
    run = processes.first(run)
    run.interrupted, run.stopped = interrupted, stopped
    return run


def _last(curve: list[float]) -> float:
    return curve[-1] if curve and not math.isnan(curve[-1]) else math.inf


def _later(report: Report, iterations: int) -> Report:
    return lambda iteration, loss: report(iterations + iteration, loss)
