"""Models of p(y|x): parameters in one flat vector, several restarts side by side."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

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
            return _by_autograd(self, parameters, X, outer)
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


class ModuleModel:
    """A user's torch module.

    Parameters
    ----------
    source : callable or nn.Module
        ``source(n_features, n_units)`` makes a module; an instance is copied. Parameters that do
        not require a gradient stay as they are.
    n_features, n_units : int
        Size of its input and of its output.
    """

    parallel = False

    def __init__(self, source: Any, n_features: int, n_units: int) -> None:
        self.source = source
        self.n_features = n_features
        self.n_units = n_units
        self.template = self._make(0)
        self._shapes = {
            name: p.shape for name, p in self.template.named_parameters() if p.requires_grad
        }
        if not self._shapes:
            raise ValueError(f"model={source!r} has no parameters to train.")

    @property
    def width(self) -> int:
        """Numbers that the widest layer holds for a sample, as far as is known."""
        return max(self.n_features, self.n_units)

    @property
    def architecture(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the parameters."""
        return {name: tuple(shape) for name, shape in self._shapes.items()}

    @property
    def restartable(self) -> bool:
        """Whether several restarts can share the template: an instance or buffers forbid it."""
        return not isinstance(self.source, nn.Module) and not list(self.template.buffers())

    def _make(self, seed: int) -> nn.Module:
        if isinstance(self.source, nn.Module):
            return copy.deepcopy(self.source)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = self.source(self.n_features, self.n_units)
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"model={self.source!r} returned {type(module).__name__}; a model must be a "
                "torch.nn.Module or a function (n_features, n_clusters) that returns one."
            )
        return module

    def initialise(self, seeds: Sequence[int], dtype: torch.dtype) -> Tensor:
        """The parameters with which the modules were made, a row for each seed."""
        self.template = self.template.to(dtype)
        made = [self._make(seed).parameters() for seed in seeds]
        rows = [[p.detach().flatten() for p in module if p.requires_grad] for module in made]
        return torch.stack([torch.cat(row) for row in rows]).to(dtype)

    def logits(self, parameters: Tensor, X: Tensor, training: bool = False) -> Tensor:
        """Unnormalised log p(y|x), of shape (n_restarts, n_samples, n_units)."""
        self.template = self.template.to(device=X.device, dtype=X.dtype).train(training)
        if len(parameters) == 1:
            logits = self._call(parameters[0], X[0] if X.ndim > 2 else X)[None]
        else:
            axes = (0, 0 if X.ndim > 2 else None)
            logits = vmap(self._call, in_dims=axes, randomness="different")(parameters, X)
        return logits

    def pull_back(self, parameters: Tensor, X: Tensor, outer: Tensor) -> Tensor:
        """Gradient with respect to the parameters, given that to the logits in training."""
        return _by_autograd(self, parameters, X, outer)

    def _call(self, flat: Tensor, X: Tensor) -> Tensor:
        result = functional_call(self.template, self._named(flat), (X,))
        expected = (len(X), self.n_units)
        if not isinstance(result, Tensor) or tuple(result.shape) != expected:
            is_tensor = isinstance(result, Tensor)
            found = f"shape {tuple(result.shape)}" if is_tensor else type(result).__name__
            raise ValueError(
                f"The model returned {found} for {len(X)} samples; it must return one logit for "
                f"each of {self.n_units} clusters, a tensor of shape {expected}."
            )
        return result

    def _named(self, flat: Tensor) -> dict[str, Tensor]:
        parts = flat.split([shape.numel() for shape in self._shapes.values()], dim=-1)
        return {
            name: part.unflatten(-1, shape) if shape else part[..., 0]
            for (name, shape), part in zip(self._shapes.items(), parts, strict=True)
        }

    def penalty(self, parameters: Tensor) -> Tensor:
        """Sum of squares of all parameters that have two axes or more, of each restart."""
        named = self._named(parameters)
        weights = [named[name] for name, shape in self._shapes.items() if len(shape) > 1]
        total = parameters.new_zeros(len(parameters))
        return sum((w.flatten(1).square().sum(1) for w in weights), total)

    def chance(self) -> Callable[[], None]:
        """A function that repeats what dropout draws, on the same chunks in the same order."""
        seed = int(torch.randint(2**31, ()))
        return lambda: cast(None, torch.manual_seed(seed))

    @contextmanager
    def without_traces(self) -> Iterator[None]:
        """Within it, running statistics are what they were."""
        kept = [(buffer, buffer.clone()) for buffer in self.template.buffers()]
        yield
        for buffer, value in kept:
            buffer.copy_(value)

    def module(self, parameters: Tensor) -> nn.Module:
        """One restart as a torch module from the scaled input to all logits."""
        module = copy.deepcopy(self.template).eval()
        with torch.no_grad():
            for name, value in self._named(parameters).items():
                module.get_parameter(name).copy_(value)
        return module


def _by_autograd(model: Model, parameters: Tensor, X: Tensor, outer: Tensor) -> Tensor:
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
