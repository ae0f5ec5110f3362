"""L-BFGS on several independent problems of one shape side by side."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

MEMORY = 10
MAX_TRIALS = 25
SUFFICIENT_DECREASE = 1e-4
CURVATURE = 0.9

Evaluate = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(parameters of some problems, which problems) -> their losses and gradients."""

Curvature = tuple[Tensor, Tensor, Tensor, Tensor]
"""Last steps, changes of the gradient, their inverse products, and the scale of the next step."""


class LBFGS:
    """Minimises a loss for each row of `parameters`; rows never influence one another.

    History, inner products and line search are kept per row, so that a row walks the path it
    would walk alone. The line search brackets a point that satisfies the weak Wolfe conditions,
    which serves losses with kinks, too (Lewis and Overton, Nonsmooth optimization via
    quasi-Newton methods, 2013).

    Parameters
    ----------
    evaluate : callable
        ``evaluate(parameters, which)`` returns losses (n,) and gradients (n, n_parameters).
    parameters : tensor of shape (n_problems, n_parameters)
        Where to start.
    curvature : Curvature, optional
        What is known of losses much like these.
    """

    def __init__(
        self, evaluate: Evaluate, parameters: Tensor, curvature: Curvature | None = None
    ) -> None:
        self.evaluate = evaluate
        self.parameters = parameters.clone()
        everything = torch.arange(len(parameters), device=parameters.device)
        self.loss, self.gradient = evaluate(self.parameters, everything)
        if curvature is None:
            rows, size = parameters.shape
            self.steps = parameters.new_zeros(MEMORY, rows, size)
            self.changes = parameters.new_zeros(MEMORY, rows, size)
            # 0 marks an entry without a pair: it then adds nothing to the direction.
            self.inverse_products = parameters.new_zeros(MEMORY, rows)
            self.scale = self._first_scale()
        else:
            self.steps, self.changes, self.inverse_products, self.scale = curvature

    def curvature(self, which: Tensor) -> Curvature:
        """What the steps of these problems have shown of the second derivatives."""
        memory = (self.steps[:, which], self.changes[:, which], self.inverse_products[:, which])
        return *memory, self.scale[which]

    def _first_scale(self) -> Tensor:
        norm = self.gradient.norm(dim=1)
        return torch.where(norm > 0, 1 / norm.clamp(min=torch.finfo(norm.dtype).tiny), 1.0)

    def step(self, which: Tensor) -> Tensor:
        """One iteration of the problems `which`; returns which of them still move."""
        direction = self._direction(which)
        slope = _dot(direction, self.gradient[which])
        uphill = slope >= 0
        direction[uphill] = -self.gradient[which[uphill]] * self._first_scale()[which[uphill], None]
        slope = _dot(direction, self.gradient[which])
        found, parameters, loss, gradient = self._search(which, direction, slope)
        moved = which[found]
        self._remember(moved, parameters[found], gradient[found])
        self.parameters[moved] = parameters[found]
        self.loss[moved], self.gradient[moved] = loss[found], gradient[found]
        return self._restart_failed(which, found)

    def _restart_failed(self, which: Tensor, found: Tensor) -> Tensor:
        """Forget the history where it led nowhere; without one to forget, the row is done."""
        failed = which[~found]
        had_history = (self.inverse_products[:, failed] > 0).any(0)
        self.inverse_products[:, failed] = 0
        self.scale[failed] = self._first_scale()[failed]
        alive = found.clone()
        alive[~found] = had_history
        return alive

    def _direction(self, which: Tensor) -> Tensor:
        steps, changes = self.steps[:, which], self.changes[:, which]
        inverse_products = self.inverse_products[:, which]
        direction = -self.gradient[which]
        shares = []
        for i in reversed(range(MEMORY)):
            shares.append(inverse_products[i] * _dot(steps[i], direction))
            direction = direction - shares[-1][:, None] * changes[i]
        direction = direction * self.scale[which, None]
        for i in range(MEMORY):
            back = inverse_products[i] * _dot(changes[i], direction)
            direction = direction + (shares.pop() - back)[:, None] * steps[i]
        return direction

    def _remember(self, which: Tensor, parameters: Tensor, gradient: Tensor) -> None:
        step = parameters - self.parameters[which]
        change = gradient - self.gradient[which]
        product, square = _dot(step, change), _dot(change, change)
        good = product > 1e-10 * square.sqrt() * step.norm(dim=1)
        which, product = which[good], product[good]
        for memory, newest in ((self.steps, step[good]), (self.changes, change[good])):
            memory[:-1, which] = memory[1:, which]
            memory[-1, which] = newest
        self.inverse_products[:-1, which] = self.inverse_products[1:, which]
        self.inverse_products[-1, which] = 1 / product
        self.scale[which] = product / square[good]

    def _search(
        self, which: Tensor, direction: Tensor, slope: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Step lengths by doubling and bisection: whether one was found, and where it leads."""
        start, loss = self.parameters[which], self.loss[which]
        best = [start.clone(), loss.clone(), self.gradient[which].clone()]
        low, high = torch.zeros_like(loss), torch.full_like(loss, torch.inf)
        length = torch.ones_like(loss)
        pending = torch.arange(len(which), device=which.device)
        slack = torch.finfo(loss.dtype).eps * loss.abs()
        for _ in range(MAX_TRIALS):
            trial = start[pending] + length[pending, None] * direction[pending]
            trial_loss, trial_gradient = self.evaluate(trial, which[pending])
            target = loss + SUFFICIENT_DECREASE * length * slope + slack
            lower = trial_loss <= target[pending]
            high[pending[~lower]] = length[pending[~lower]]
            low[pending[lower]] = length[pending[lower]]
            for kept, new in zip(best, (trial, trial_loss, trial_gradient), strict=True):
                kept[pending[lower]] = new[lower]
            flat = _dot(trial_gradient, direction[pending]) >= CURVATURE * slope[pending]
            pending = pending[~(lower & flat)]
            if not len(pending):
                break
            middle = torch.where(high.isinf(), 2 * low, 0.5 * (low + high))
            length[pending] = middle[pending]
        parameters, reached, gradient = best
        return low > 0, parameters, reached, gradient


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(1)
