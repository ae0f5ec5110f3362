"""L-BFGS on several independent problems of one shape side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MEMORY = 10
MAX_TRIALS = 25
SUFFICIENT_DECREASE = 1e-4
CURVATURE = 0.9

Evaluate = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(parameters of some problems, which problems) -> their losses and gradients."""


class Curvature:
    """Last steps and changes of the gradient of several problems, and the direction they suggest.

    The directions of L-BFGS are combinations of these vectors and the gradient; their weights
    follow from inner products alone, which are kept, so that an iteration takes three products of
    matrices instead of sixty of vectors.

    Parameters
    ----------
    vectors : tensor of shape (n_problems, 2 * MEMORY, n_parameters)
        Steps, then changes of the gradient.
    products : ndarray of shape (n_problems, 2 * MEMORY, 2 * MEMORY)
        Inner products of the vectors.
    inverse : ndarray of shape (n_problems, MEMORY)
        1 over the product of step and change; 0 marks a pair that does not count.
    scale : ndarray of shape (n_problems,)
        Length of the step where nothing is known.
    age : int
        How many pairs have been seen.
    """

    def __init__(
        self,
        vectors: Tensor,
        products: NDArray[Any],
        inverse: NDArray[Any],
        scale: NDArray[Any],
        age: int = 0,
    ) -> None:
        self.vectors = vectors
        self.products = products
        self.inverse = inverse
        self.scale = scale
        self.age = age

    @classmethod
    def unknown(cls, gradient: Tensor) -> Curvature:
        """Before the first step."""
        rows, size = gradient.shape
        return cls(
            gradient.new_zeros(rows, 2 * MEMORY, size),
            np.zeros((rows, 2 * MEMORY, 2 * MEMORY)),
            np.zeros((rows, MEMORY)),
            _unit(gradient),
        )

    def of(self, which: Tensor) -> Curvature:
        """That of some of the problems."""
        rows = which.cpu().numpy()
        kept = (self.products[rows], self.inverse[rows], self.scale[rows])
        return Curvature(self.vectors[which], *kept, self.age)

    def direction(self, which: Tensor, gradient: Tensor) -> Tensor:
        """Minus the gradient, times what is known of the inverse second derivatives."""
        vectors, rows = self._some(which), which.cpu().numpy()
        inverse, products = self.inverse[rows], self.products[rows]
        slopes = _numpy(torch.bmm(vectors, gradient[:, :, None])[:, :, 0])
        # Weights of the vectors; that of the gradient is -1 until the scale is applied.
        weights = np.zeros_like(slopes)
        shares = {}
        oldest_first = [slot % MEMORY for slot in range(max(0, self.age - MEMORY), self.age)]
        for i in reversed(oldest_first):
            along = np.einsum("rj,rj->r", products[:, i], weights) - slopes[:, i]
            shares[i] = inverse[:, i] * along
            weights[:, MEMORY + i] -= shares[i]
        scale = self.scale[rows]
        weights *= scale[:, None]
        for i in oldest_first:
            along = np.einsum("rj,rj->r", products[:, MEMORY + i], weights)
            along -= scale * slopes[:, MEMORY + i]
            weights[:, i] += shares[i] - inverse[:, i] * along
        combined = torch.bmm(torch.as_tensor(weights).to(vectors)[:, None], vectors)[:, 0]
        return combined - torch.as_tensor(scale).to(vectors)[:, None] * gradient

    def remember(self, which: Tensor, step: Tensor, change: Tensor) -> None:
        """Take in what a step of some problems has shown; the oldest of ten is forgotten."""
        rows, slot = which.cpu().numpy(), self.age % MEMORY
        self.age += 1
        self.vectors[which, slot] = step
        self.vectors[which, MEMORY + slot] = change
        newest = torch.stack([step, change], 2)
        products = _numpy(torch.bmm(self._some(which), newest))
        length, product, square = (
            products[:, slot, 0],
            products[:, slot, 1],
            products[:, MEMORY + slot, 1],
        )
        # The inverse of a smaller one than `tiny` is infinite.
        tiny = np.finfo(product.dtype).tiny
        good = (product > 1e-10 * np.sqrt(length * square)) & (product >= tiny)
        if not good.all():
            self.vectors[which[~good], slot::MEMORY] = 0
            products[~good] = 0
        for place, column in ((slot, 0), (MEMORY + slot, 1)):
            self.products[rows, :, place] = self.products[rows, place, :] = products[..., column]
        self.inverse[rows, slot] = 0
        self.inverse[rows[good], slot] = 1 / product[good]
        self.scale[rows[good]] = product[good] / square[good]

    def forget(self, which: Tensor, gradient: Tensor) -> NDArray[Any]:
        """Start anew; returns which of the problems had anything to forget."""
        rows = which.cpu().numpy()
        had = (self.inverse[rows] > 0).any(1)
        self.inverse[rows] = 0
        self.scale[rows] = _unit(gradient)
        return had

    def _some(self, which: Tensor) -> Tensor:
        return self.vectors if len(which) == len(self.vectors) else self.vectors[which]


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
        self.curvature = curvature or Curvature.unknown(self.gradient)

    def step(self, which: Tensor) -> Tensor:
        """One iteration of the problems `which`; returns which of them still move."""
        gradient = self.gradient[which]
        direction = self.curvature.direction(which, gradient)
        slope = _dot(direction, gradient)
        uphill = slope >= 0
        if uphill.any():
            steepest = -gradient * torch.as_tensor(_unit(gradient)).to(gradient)[:, None]
            direction = torch.where(uphill[:, None], steepest, direction)
            slope = _dot(direction, gradient)
        found, parameters, loss, gradient = self._search(which, direction, slope)
        moved = which
        if not found.all():
            moved, parameters = which[found], parameters[found]
            loss, gradient = loss[found], gradient[found]
        if len(moved):
            step, change = parameters - self.parameters[moved], gradient - self.gradient[moved]
            self.curvature.remember(moved, step, change)
        self.parameters[moved] = parameters
        self.loss[moved], self.gradient[moved] = loss, gradient
        return self._restart_failed(which, found)

    def _restart_failed(self, which: Tensor, found: Tensor) -> Tensor:
        """Forget the history where it led nowhere; without one to forget, the row is done."""
        if found.all():
            return found
        failed = which[~found]
        had_history = self.curvature.forget(failed, self.gradient[failed])
        alive = found.clone()
        alive[~found] = torch.as_tensor(had_history).to(alive)
        return alive

    def _search(
        self, which: Tensor, direction: Tensor, slope: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Step lengths by doubling and bisection: whether one was found, and where it leads."""
        start, loss = self.parameters[which], self.loss[which]
        slack = torch.finfo(loss.dtype).eps * loss.abs()
        first = start + direction
        reached, gradient = self.evaluate(first, which)
        enough = reached <= loss + SUFFICIENT_DECREASE * slope + slack
        if (enough & (_dot(gradient, direction) >= CURVATURE * slope)).all():
            return enough, first, reached, gradient
        best = [start.clone(), loss.clone(), self.gradient[which].clone()]
        low, high = torch.zeros_like(loss), torch.full_like(loss, torch.inf)
        length = torch.ones_like(loss)
        pending = torch.arange(len(which), device=which.device)
        for trials in range(MAX_TRIALS):
            if trials == 0:
                trial, trial_loss, trial_gradient = first, reached, gradient
            else:
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


def _numpy(tensor: Tensor) -> NDArray[Any]:
    return tensor.double().cpu().numpy()


def _unit(gradient: Tensor) -> NDArray[Any]:
    """What makes a step along the gradient one long."""
    norm = _numpy(gradient.norm(dim=1))
    return np.divide(1, norm, out=np.ones_like(norm), where=norm > 0)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(1)
