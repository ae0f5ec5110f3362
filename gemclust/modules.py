"""Torch modules that are made of what was fitted."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


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
        """
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
        self.register_buffer("landmarks", landmarks.clone())
        self.register_buffer("projection", projection.clone())
        self.register_buffer("mean", mean.clone())
        self.gamma = gamma
        self.unit = unit

    def forward(self, x: Tensor) -> Tensor:
        """Features of shape (n_samples, n_components)."""
        kernel = torch.exp(-self.gamma * torch.cdist(x, self.landmarks).square())
        return (kernel @ self.projection - self.mean) / self.unit
