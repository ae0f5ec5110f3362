"""Torch modules: a user's as a model, and those that are made of what was fitted."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from gemclust.models import by_autograd


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
        self._statistics: dict[str, Tensor] = {}
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
        return by_autograd(self, parameters, X, outer)

    def _call(self, flat: Tensor, X: Tensor) -> Tensor:
        result = functional_call(self.template, self._named(flat) | self._statistics, (X,))
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
        """Within it, running statistics are those of copies: a backward pass needs the others."""
        self._statistics = {name: value.clone() for name, value in self.template.named_buffers()}
        try:
            yield
        finally:
            self._statistics = {}

    def module(self, parameters: Tensor) -> nn.Module:
        """One restart as a torch module from the scaled input to all logits."""
        module = copy.deepcopy(self.template).eval()
        with torch.no_grad():
            for name, value in self._named(parameters).items():
                module.get_parameter(name).copy_(value)
        return module


class ClusterLogits(nn.Module):
    """From rows of X, in their own units, to the logits of the clusters.

    Its `state_dict` holds all of it, so that `from_state_dict` makes it anew from that of a file.

    Parameters
    ----------
    inner : nn.Module
        From centred and scaled rows to the logits of all units.
    centre : tensor of shape (n_features,)
        Where X is centred.
    scale : float
        By which it is divided.
    clusters : list of list of int
        The units of each cluster.
    """

    centre: Tensor
    scale: Tensor
    cluster: Tensor

    def __init__(
        self, inner: nn.Module, centre: Tensor, scale: float, clusters: list[list[int]]
    ) -> None:
        super().__init__()
        self.inner = inner
        # Units that are in no cluster have the number -1.
        cluster = torch.full((1 + max(map(max, clusters)),), -1)
        for number, units in enumerate(clusters):
            cluster[units] = number
        self.register_buffer("centre", centre.clone())
        self.register_buffer("scale", torch.tensor(scale, dtype=centre.dtype))
        self.register_buffer("cluster", cluster)
        self.clusters = clusters

    @classmethod
    def from_state_dict(cls, inner: nn.Module, state: Mapping[str, Tensor]) -> ClusterLogits:
        """What was saved, around a new module of the same architecture.

        Parameters
        ----------
        inner : nn.Module
            As the function made it that was the estimator's `model`; its parameters are replaced.
        state : mapping of str to tensor
            The state of an estimator's ``module_``.

        Returns
        -------
        module : ClusterLogits
            From rows of X to the logits of the clusters, for evaluation.

        Raises
        ------
        ValueError
            If the state is not that of such a module.
        """
        if missing := {"cluster", "centre", "scale"} - set(state):
            raise ValueError(
                f"The state has no {', '.join(sorted(missing))}: give that of the estimator's "
                "`module_`, not of the module inside it."
            )
        cluster, centre = state["cluster"], state["centre"]
        clusters = [
            (cluster == number).nonzero()[:, 0].tolist() for number in range(1 + int(cluster.max()))
        ]
        module = cls(inner.to(centre.dtype), centre, float(state["scale"]), clusters)
        module.load_state_dict(state)
        return module.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape (n_samples, n_clusters)."""
        logits = self.inner((x - self.centre) / self.scale)
        parts = [logits[:, units].logsumexp(1) for units in self.clusters]
        return torch.stack(parts, 1)


class RadialFeatures(nn.Module):
    """Nystroem features of an RBF kernel.

    Parameters
    ----------
    landmarks : tensor of shape (n_landmarks, n_features)
        Between which the kernel is exact.
    gamma : float
        Of the kernel.
    projection : tensor of shape (n_landmarks, n_components)
        From kernel values to features.
    mean : tensor of shape (n_components,)
        That of the features.
    unit : float
        By which they are divided.
    """

    landmarks: Tensor
    projection: Tensor
    mean: Tensor

    def __init__(
        self, landmarks: Tensor, gamma: float, projection: Tensor, mean: Tensor, unit: float
    ) -> None:
        super().__init__()
        # Some formats of files take only what lies in memory row by row.
        own = {"memory_format": torch.contiguous_format}
        self.register_buffer("landmarks", landmarks.clone(**own))
        self.register_buffer("projection", projection.clone(**own))
        self.register_buffer("mean", mean.clone(**own))
        self.gamma = gamma
        self.unit = unit

    def forward(self, x: Tensor) -> Tensor:
        """Features of shape (n_samples, n_components)."""
        kernel = torch.exp(-self.gamma * torch.cdist(x, self.landmarks).square())
        return (kernel @ self.projection - self.mean) / self.unit
