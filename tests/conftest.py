"""Fixtures that the tests share."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor


@dataclass
class Problem:
    """Samples with weights that sum to 1 and random assignments, in float64."""

    X: Tensor  # (n_samples, 3)
    logits: Tensor  # (n_restarts, n_samples, n_clusters)
    weight: Tensor  # (n_samples,)


@pytest.fixture
def make_problem():
    def make(n_samples=14, n_clusters=3, n_restarts=1, seed=0, uniform=False):
        rng = np.random.default_rng(seed)
        X = 5 + rng.normal(size=(n_samples, 3))
        logits = 1.5 * rng.normal(size=(n_restarts, n_samples, n_clusters))
        weight = np.ones(n_samples) if uniform else rng.uniform(0.2, 2, n_samples)
        return Problem(*(torch.as_tensor(a) for a in (X, logits, weight / weight.sum())))

    return make
