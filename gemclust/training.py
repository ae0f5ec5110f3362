"""The optimisation loop: restarts side by side, full batch or mini-batches, until it stops."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gemclust.batches import minibatches, partition
from gemclust.imitation import Imitation
from gemclust.lbfgs import LBFGS, Curvature
from gemclust.means import RunningMeans
from gemclust.models import Model, Perceptron
from gemclust.problem import Problem
from gemclust.threads import one_thread_if_small

KEPT_AFTER = {4: 0.5, 8: 0.3, 12: 0.2, 16: 0.1}
"""Iterations of L-BFGS -> share of the restarts, the best by then, that go on."""


Report = Callable[[int, float], bool]
"""(iteration, best loss) -> whether to stop."""


@dataclass(frozen=True)
class Settings:
    """How to train; the estimator's parameters of the same names, with "auto" resolved."""

    solver: str
    batch_size: int | None
    learning_rate: float
    max_iter: int
    tol: float
    n_iter_no_change: int
    drop: bool = True
    running_means: float | None = None


@dataclass
class Run:
    """Where training stands, a row for each restart.

    Parameters
    ----------
    parameters : tensor of shape (n_restarts, n_parameters)
        The best found.
    interrupted : bool
        Whether a KeyboardInterrupt ended it.
    stopped : bool
        Whether the report asked to stop.
    curvature : Curvature, optional
        What L-BFGS knows of the second derivatives.

    Attributes
    ----------
    curves : list of list of float
        The loss of each restart after each of its iterations.
    converged : ndarray of bool of shape (n_restarts,)
        Whether it stopped by itself.
    """

    parameters: Tensor
    interrupted: bool = False
    stopped: bool = False
    curvature: Curvature | None = None

    def __post_init__(self) -> None:
        self.curves: list[list[float]] = [[] for _ in self.parameters]
        self.converged = np.zeros(len(self.parameters), dtype=bool)

    def only(self, restart: int) -> Run:
        """One restart, from which to go on."""
        which = torch.tensor([restart])
        curvature = None if self.curvature is None else self.curvature.of(which)
        return Run(self.parameters[which], self.interrupted, self.stopped, curvature)


def train(
    problem: Problem | Imitation,
    begin: Run,
    settings: Settings,
    seed: int,
    report: Report | None = None,
) -> Run:
    """Minimise the problem's loss from each row of the parameters with which to begin.

    Raises
    ------
    FloatingPointError
        If the loss of every restart is not finite.
    """
    run = replace(begin)
    if run.interrupted:
        return run
    minimise = _quasi_newton if settings.solver == "lbfgs" else _stochastic
    small = one_thread_if_small(_multiplications(problem, run, settings))
    with _own_chance(problem.model, seed), small:
        try:
            minimise(problem, run, settings, seed, report or (lambda iteration, loss: False))
        except KeyboardInterrupt:
            if problem.processes.several:
                # The others cannot know where this one stopped: they end by the lost connection.
                raise
            run.interrupted = True
    return run


def _quasi_newton(
    problem: Problem | Imitation, run: Run, settings: Settings, seed: int, report: Report
) -> None:
    state = LBFGS(problem.loss_and_gradient, run.parameters, run.curvature)
    _check_finite(state.loss, settings, steps=0)
    run.parameters = state.parameters
    stop = _Stopping(len(state.loss), settings)
    active = state.loss.isfinite().nonzero()[:, 0]
    for iteration in range(1, settings.max_iter + 1):
        before = state.loss[active].clone()
        moving = state.step(active)
        active = _keep_books(run, stop, active, before, state.loss[active], ~moving)
        if settings.drop and iteration in KEPT_AFTER:
            active = _leading(state.loss, active, KEPT_AFTER[iteration])
        run.stopped = problem.processes.any(report(iteration, float(state.loss.min())))
        if run.stopped or not len(active):
            break
    run.curvature = state.curvature


def _leading(loss: Tensor, active: Tensor, share: float) -> Tensor:
    """Those of the active restarts that are among the best of all."""
    best = loss.nan_to_num(nan=torch.inf).argsort(stable=True)[: math.ceil(share * len(loss))]
    return active[torch.isin(active, best)]


def _stochastic(
    problem: Problem | Imitation, run: Run, settings: Settings, seed: int, report: Report
) -> None:
    rng = np.random.RandomState(seed)
    parameters = run.parameters.clone()
    optimiser = make_optimiser(settings.solver, parameters, settings.learning_rate)
    active = restarts = torch.arange(len(parameters), device=parameters.device)
    best = parameters.new_full((len(parameters),), torch.inf)
    stop = _Stopping(len(parameters), settings)
    extras = _extras(problem, settings, rng)
    parts = partition(problem, settings.batch_size, rng)
    steps = 0
    for epoch in range(1, settings.max_iter + 1):
        # The loss of the full batch belongs to the parameters before its step, the mean over
        # mini-batches rather to those after them.
        reached = parameters.clone()
        loss = torch.zeros_like(best)
        for rows, share in parts():
            part = descend(problem, parameters, restarts, optimiser, rows, extras)
            _check_finite(part, settings, steps)
            loss += share * part
            steps += 1
        if rows is not None:
            reached = parameters.clone()
            _check_finite(reached.sum(1), settings, steps)
        before = best[active]
        better = active[loss[active] < before]
        best[better] = loss[better]
        run.parameters = run.parameters.index_copy(0, better, reached[better])
        active = _keep_books(run, stop, active, before, loss[active])
        run.stopped = problem.processes.any(report(epoch, float(best.min())))
        if run.stopped or not len(active):
            break


def _keep_books(
    run: Run,
    stop: _Stopping,
    active: Tensor,
    before: Tensor,
    after: Tensor,
    stuck: Tensor | None = None,
) -> Tensor:
    """Write down the losses of the active restarts; returns those that go on."""
    for r, value in zip(active.tolist(), after.tolist(), strict=True):
        run.curves[r].append(value)
    done = stop.update(active, before, after)
    if stuck is not None:
        done |= stuck
    run.converged[active[done].cpu().numpy()] = True
    return active[~done & after.isfinite()]


def descend(
    problem: Problem | Imitation,
    parameters: Tensor,
    restarts: Tensor,
    optimiser: torch.optim.Optimizer,
    rows: NDArray[Any] | None,
    extras: dict[str, Any],
) -> Tensor:
    """One step of the optimiser on some rows; returns the losses before it."""
    loss, parameters.grad = problem.loss_and_gradient(parameters, restarts, rows, **extras)
    optimiser.step()
    return loss


def make_optimiser(solver: str, parameters: Tensor, learning_rate: float) -> torch.optim.Optimizer:
    """torch's optimiser of that name."""
    if solver == "adam":
        return torch.optim.Adam([parameters], lr=learning_rate)
    return torch.optim.SGD([parameters], lr=learning_rate, momentum=0.9, nesterov=True)


def _extras(
    problem: Problem | Imitation, settings: Settings, rng: np.random.RandomState
) -> dict[str, Any]:
    """What else a stochastic solver tells the problem."""
    if isinstance(problem, Imitation):
        return {}
    share = settings.running_means
    several = round(len(problem) / (settings.batch_size or np.inf)) > 1
    fits = problem.by_means and several
    return {"running": RunningMeans(share) if share and fits else None, "rng": rng}


def one_pass(
    problem: Problem,
    parameters: NDArray[Any],
    state: dict[str, NDArray[Any]],
    settings: Settings,
    seed: int = 0,
) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """Parameters and moments of the optimiser after one more pass over the samples."""
    tensor = torch.as_tensor(parameters).to(problem.weight)[None].clone()
    optimiser = make_optimiser(settings.solver, tensor, settings.learning_rate)
    if state:
        optimiser.state[tensor] = {name: torch.tensor(value) for name, value in state.items()}
    rng = np.random.RandomState(seed)
    n_samples = len(problem)
    extras = _extras(problem, settings, rng)
    with _own_chance(problem.model, seed), one_thread_if_small(n_samples * tensor.numel()):
        for steps, (rows, _) in enumerate(minibatches(n_samples, settings.batch_size, rng)):
            loss = descend(problem, tensor, torch.arange(1), optimiser, rows, extras)
            _check_finite(loss, settings, steps)
    _check_finite(tensor.sum(1), settings, steps=1)
    kept = {name: value.cpu().numpy() for name, value in optimiser.state[tensor].items()}
    return tensor[0].cpu().numpy(), kept


class _Stopping:
    """Counts, for each restart, iterations in a row that improved the loss too little."""

    def __init__(self, n_restarts: int, settings: Settings) -> None:
        self.settings = settings
        self.stalled = torch.zeros(n_restarts, dtype=torch.long)

    def update(self, which: Tensor, before: Tensor, after: Tensor) -> Tensor:
        # A comparison with an infinite or NaN loss before is an improvement.
        little = (before - after <= self.settings.tol * after.abs()).to(self.stalled.device)
        which = which.to(self.stalled.device)
        self.stalled[which] = torch.where(little, self.stalled[which] + 1, 0)
        return (self.stalled[which] >= self.settings.n_iter_no_change).to(before.device)


def _multiplications(problem: Problem | Imitation, run: Run, settings: Settings) -> float:
    return min(len(problem), settings.batch_size or np.inf) * run.parameters.numel()


@contextmanager
def _own_chance(model: Model, seed: int) -> Iterator[None]:
    """Seed what a user's module draws (dropout), and leave torch's global state as it was."""
    if isinstance(model, Perceptron):
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _check_finite(loss: Tensor, settings: Settings, steps: int) -> None:
    """Raise if every restart is lost; before the first step it cannot be for its length."""
    if loss.isfinite().any():
        return
    cause = (
        f"learning_rate={settings.learning_rate:g} is too large"
        if steps and settings.solver != "lbfgs"
        else "the model returns NaN (or the objective), or X holds values too large for its dtype"
    )
    raise FloatingPointError(
        f"The objective is no longer finite after {steps} steps of {settings.solver}; most likely "
        f"{cause}."
    )
