"""Models of p(y|x): parameters in one flat vector, several restarts side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "logistic": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
}
_LAYERS: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
}


class Model(Protocol):
    """What training needs of a model; `parameters` are (n_restarts, n_parameters)."""

    n_units: int
    parallel: bool
    """Whether several threads may compute parts of the samples."""

    @property
    def width(self) -> int:
        """Numbers that the widest layer holds for a sample."""

    @property
    def architecture(self) -> Any:
        """What two models must share for one to go on with the parameters of the other."""

    def initialise(self, seeds: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Random parameters, a row for each seed."""

    def logits(self, parameters: Tensor, X: Tensor, training: bool = False) -> Tensor:
        """Unnormalised log p(y|x), of shape (n_restarts, n_samples, n_units).

        X has the shape (n_samples, n_features), or another X for each restart.
        """

    def pull_back(self, parameters: Tensor, X: Tensor, outer: Tensor) -> Tensor:
        """Gradient with respect to the parameters, given that to the logits in training."""

    def penalty(self, parameters: Tensor) -> Tensor:
        """Sum of squared weights (not biases) of each restart."""

    def chance(self) -> Callable[[], None]:
        """A function that lets the model draw from now on what it draws after each other call."""

    def without_traces(self) -> AbstractContextManager[None]:
        """Within it, the samples that the model sees in training leave no traces in it."""

    def module(self, parameters: Tensor) -> nn.Module:
        """One restart as a torch module from the scaled input to all logits."""


class Perceptron:
    """Multilayer perceptron; without hidden layers it is the linear model.

    Parameters
    ----------
    sizes : sequence of int
        Number of features, of units of each hidden layer, and of outputs.
    activation : {"identity", "logistic", "tanh", "relu"}
        What follows each hidden layer.
    """

    parallel = True

    def __init__(self, sizes: Sequence[int], activation: str = "relu") -> None:
        self.sizes = tuple(int(size) for size in sizes)
        self.activation = activation
        self.n_units = self.sizes[-1]

    @property
    def width(self) -> int:
        """Numbers that the widest layer holds for a sample."""
        return max(self.sizes[1:])

    @property
    def architecture(self) -> tuple[Any, ...]:
        """Sizes of the layers and, if any are hidden, the activation."""
        return (*self.sizes, self.activation) if len(self.sizes) > 2 else self.sizes

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Shape of each layer's weights."""
        return list(zip(self.sizes[:-1], self.sizes[1:], strict=True))

    def initialise(self, seeds: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Uniform weights and biases within Glorot and Bengio's bound."""
        return torch.stack([self._draw(np.random.RandomState(seed)) for seed in seeds]).to(dtype)

    def _draw(self, rng: np.random.RandomState) -> Tensor:
        parts = []
        for fan_in, fan_out in self.shapes:
            bound = math.sqrt((2 if self.activation == "logistic" else 6) / (fan_in + fan_out))
            parts.append(rng.uniform(-bound, bound, fan_in * fan_out))
            parts.append(rng.uniform(-bound, bound, fan_out))
        return torch.from_numpy(np.concatenate(parts))

    def layers(self, parameters: Tensor) -> list[tuple[Tensor, Tensor]]:
        """(weights, biases) of each layer: views into the flat parameters."""
        split = [size for fan_in, fan_out in self.shapes for size in (fan_in * fan_out, fan_out)]
        parts = parameters.split(split, dim=1)
        return [
            (weights.unflatten(1, shape), biases)
            for weights, biases, shape in zip(parts[::2], parts[1::2], self.shapes, strict=True)
        ]

    def logits(self, parameters: Tensor, X: Tensor, training: bool = False) -> Tensor:
        """Unnormalised log p(y|x), of shape (n_restarts, n_samples, n_units)."""
        # Samples lie along the last axis of memory: sums over units and products are several times
        # faster so, since units are few.
        (weights, biases), *layers = self.layers(parameters)
        hidden = _first_layer(X, weights, biases)
        for weights, biases in layers:
            hidden = ACTIVATIONS[self.activation](hidden)
            hidden = torch.baddbmm(biases[..., None], weights.transpose(1, 2), hidden)
        return hidden.transpose(1, 2)

    def pull_back(self, parameters: Tensor, X: Tensor, outer: Tensor) -> Tensor:
        """Gradient with respect to the parameters, given that to the logits in training."""
        if len(self.sizes) > 2:
            return by_autograd(self, parameters, X, outer)
        # Logits that are linear in the parameters need not be computed again.
        restarts, samples, units = outer.shape
        columns = outer.transpose(1, 2).reshape(restarts * units, samples)
        product = columns @ X if X.layout == torch.strided else (X.t() @ columns.T).T
        weights = product.unflatten(0, (restarts, units)).transpose(1, 2)
        return torch.cat([weights.flatten(1), outer.sum(1)], dim=1)

    def penalty(self, parameters: Tensor) -> Tensor:
        """Sum of squared weights (not biases) of each restart."""
        return torch.stack([w.square().sum((1, 2)) for w, _ in self.layers(parameters)]).sum(0)

    def chance(self) -> Callable[[], None]:
        """Nothing is drawn."""
        return lambda: None

    def without_traces(self) -> AbstractContextManager[None]:
        """There never are any."""
        return nullcontext()

    def module(self, parameters: Tensor) -> nn.Module:
        """One restart as a torch module from the scaled input to all logits."""
        modules: list[nn.Module] = []
        for weights, biases in self.layers(parameters[None]):
            linear = nn.Linear(weights.shape[1], weights.shape[2], dtype=weights.dtype)
            with torch.no_grad():
                linear.weight.copy_(weights[0].T)
                linear.bias.copy_(biases[0])
            modules += [linear, _LAYERS[self.activation]()]
        return nn.Sequential(*modules[:-1])


def by_autograd(model: Model, parameters: Tensor, X: Tensor, outer: Tensor) -> Tensor:
    """`Model.pull_back` by torch's own differentiation."""
    leaf = parameters.detach().requires_grad_()
    return torch.autograd.grad(model.logits(leaf, X, training=True), leaf, outer)[0]


def log_softmax(logits: Tensor) -> Tensor:
    """log p(y|x) from logits of shape (n_restarts, n_samples, n_units), samples last in memory."""
    return logits.transpose(1, 2).log_softmax(1).transpose(1, 2)


def log_probabilities_of(logits: Tensor, clusters: Sequence[Sequence[int]] | None) -> Tensor:
    """log p(y|x) of clusters, which are disjoint unions of units; None: each unit is one.

    Units that are in no cluster do not count.
    """
    if clusters is None:
        return log_softmax(logits)
    if max(map(len, clusters)) == 1:
        return log_softmax(logits[..., [units[0] for units in clusters]])
    kept = [unit for units in clusters for unit in units]
    log_proba = log_softmax(logits[..., kept]).transpose(1, 2)
    parts = log_proba.split([len(units) for units in clusters], dim=1)
    return torch.stack([part.logsumexp(1) for part in parts], 1).transpose(1, 2)


def most_probable(log_proba: Tensor) -> Tensor:
    """Number of the most probable unit of each sample, of shape (n_restarts, n_samples)."""
    # With samples last in memory, argmax takes several times as long.
    return log_proba.max(-1).indices


def _first_layer(X: Tensor, weights: Tensor, biases: Tensor) -> Tensor:
    """What each restart makes of X, (n_restarts, n_outputs, n_samples), as one product."""
    restarts, fan_in, fan_out = weights.shape
    if X.ndim > 2:
        return torch.baddbmm(biases[..., None], weights.transpose(1, 2), X.transpose(1, 2))
    # Its gradient is laid out as it is: as a view, a restart's would take several times as long.
    columns = weights.transpose(1, 2).reshape(restarts * fan_out, fan_in).contiguous()
    if X.layout == torch.strided:
        product = torch.addmm(biases.flatten()[:, None], columns, X.T)
    else:
        product = (X @ columns.T + biases.flatten()).T
    return product.unflatten(0, (restarts, fan_out))
