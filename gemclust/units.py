"""The unit model: a softmax on features of a kernel about as wide as the units lie apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gemclust.features import FeatureMap, Nystroem
from gemclust.kernels import Kernel
from gemclust.models import Perceptron
from gemclust.modules import RadialFeatures
from gemclust.objectives import MMD
from gemclust.samples import Scaling, to_tensor, typical_distance
from gemclust.seeding import feature_space, kmeans_plus_plus

WIDTH = 4.0
"""Width of the kernel in median distances to the nearest of as many seeds as there are units. Units
on narrower kernels straddle gaps between clusters."""

UNIT_OBJECTIVE = MMD("ova")
"""By which units are trained unless the user has another; its kernel is that of the features."""

UNIT_ITERATIONS = 10
"""Units are to share the samples, not to be the best clusters: more change little in the local
features' own objective, and under others let units straddle gaps or die out."""

SAMPLES_PER_UNIT = 50
"""Units are trained on so many samples each, of all processes."""

LANDMARKS = 256
SEED_SAMPLES = 5_000


class LocalFeatures:
    """Nystroem features of an RBF kernel of a local width, on centred and scaled rows.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        The samples.
    weight : ndarray of shape (n_samples,)
        Sample weights.
    scaling : Scaling
        Of the rows.
    n_units : int
        How many units are to share the samples.
    random_state : int
        Draws seeds and landmarks.
    """

    def __init__(
        self, X: Any, weight: NDArray[Any], scaling: Scaling, n_units: int, random_state: int
    ) -> None:
        self.scaling = scaling
        rows = np.unique(np.linspace(0, X.shape[0] - 1, SEED_SAMPLES).astype(int))
        space, mass = scaling(X[rows]), weight[rows].astype(np.float64)
        rng = np.random.RandomState(random_state)
        # Samples that are seeds themselves tell of no distance: they are half of them at most.
        n_seeds = min(n_units, -(-len(rows) // 2))
        seeds = kmeans_plus_plus(feature_space(space, mass), mass, n_seeds, rng)
        nearest = feature_space(space, mass).squared_distances(seeds).min(1)
        typical = typical_distance(nearest, mass) or 1.0
        kernel = Kernel(MMD(kernel="rbf", gamma=0.5 / (WIDTH**2 * typical)), space, mass)
        nystroem = Nystroem(kernel, space, LANDMARKS, random_state, mass)
        self.map = FeatureMap(nystroem, space, mass)

    def width(self, X: Any) -> int:
        """Number of features."""
        return self.map.width

    def __call__(self, X: Any) -> Any:
        """Features of rows of X."""
        return self.map(self.scaling(X))

    def module(self) -> nn.Module:
        """The same from scaled rows as a torch module."""
        nystroem, mean = self.map.function, self.map.mean
        assert mean is not None
        landmarks = nystroem.landmarks
        landmarks = landmarks.toarray() if hasattr(landmarks, "toarray") else landmarks
        dtype = landmarks.dtype
        return RadialFeatures(
            to_tensor(landmarks),
            nystroem.kernel.parameters["gamma"],
            to_tensor(nystroem.projection.astype(dtype)),
            to_tensor(mean),
            self.map.unit,
        )


class UnitModel(Perceptron):
    """The linear model on local features.

    Parameters
    ----------
    features : LocalFeatures
        Its input.
    n_units : int
        Number of outputs.
    """

    def __init__(self, features: LocalFeatures, n_units: int) -> None:
        super().__init__((features.map.width, n_units))
        self.features = features

    @property
    def architecture(self) -> tuple[Any, ...]:
        """Its name and sizes."""
        return ("local", *self.sizes)

    def module(self, parameters: torch.Tensor) -> nn.Module:
        """One restart as a torch module from the scaled input to all logits."""
        return nn.Sequential(self.features.module(), super().module(parameters))
