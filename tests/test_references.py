"""The references among themselves: closed forms, special cases and identities of the papers."""

import numpy as np
import pytest
from references import (
    DIVERGENCES,
    gemini,
    gemini_by_name,
    squared_mmd,
    wasserstein,
)
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance


def closed_forms(p, kernel):
    """Each GEMINI (uniform weights) in the closed form of Ohl et al., 2022."""
    n = len(p)
    pi = p.mean(axis=0)
    alpha = p / pi
    omega = alpha.T @ kernel @ alpha / n**2
    between = np.diag(omega)[:, None] + np.diag(omega) - 2 * omega
    crossed = pi[:, None] * p[:, None, :] - pi * p[:, :, None]
    to_data = [(a - 1) @ kernel @ (a - 1) / n**2 for a in alpha.T]
    return {
        "kl_ova": np.sum(p * np.log(alpha)) / n,
        "kl_ovo": np.sum((p - pi) * np.log(alpha)) / n,
        "tv_ova": np.abs(p - pi).sum() / (2 * n),
        "tv_ovo": np.abs(crossed).sum() / (2 * n),
        "hellinger_ova": 1 - np.sqrt(pi * p).sum() / n,
        "hellinger_ovo": 1 - (np.sqrt(pi * p).sum(axis=1) ** 2).mean(),
        "chi2_ova": (p**2 / pi).sum() / n - 1,
        "chi2_ovo": ((p**2 / pi).sum(axis=1) * (pi**2 / p).sum(axis=1)).mean() - 1,
        "mmd_ova": pi @ np.sqrt(to_data),
        "mmd_ovo": pi @ np.sqrt(np.maximum(between, 0)) @ pi,
    }


@pytest.mark.parametrize("n_clusters", [2, 5])
def test_definition_equals_the_closed_forms(n_clusters):
    rng = np.random.default_rng(n_clusters)
    proba = rng.dirichlet(np.ones(n_clusters), size=20)
    X = rng.normal(size=(20, 3))
    for name, expected in closed_forms(proba, X @ X.T).items():
        assert gemini_by_name(name, proba, affinity=X @ X.T) == pytest.approx(expected, abs=1e-12)


def test_wasserstein_on_a_line_equals_the_area_between_distribution_functions():
    rng = np.random.default_rng(0)
    x = rng.normal(size=15)
    a, b = rng.dirichlet(np.ones(15), size=2)
    exact = wasserstein_distance(x, x, a, b)
    assert wasserstein(a, b, np.abs(x[:, None] - x)) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_divergence_of_a_distribution_from_itself_is_zero(divergence):
    rng = np.random.default_rng(0)
    a, b = rng.dirichlet(np.ones(9), size=2)
    X = rng.normal(size=(9, 2))
    affinity = cdist(X, X) if divergence == "wasserstein" else X @ X.T
    assert DIVERGENCES[divergence](a, a, affinity) == pytest.approx(0, abs=1e-12)
    assert DIVERGENCES[divergence](a, b, affinity) > 1e-3


def test_squared_mmd_one_vs_one_is_twice_one_vs_all():
    rng = np.random.default_rng(0)
    proba, weight = rng.dirichlet(np.ones(4), size=15), rng.dirichlet(np.ones(15))
    X = rng.normal(size=(15, 3))
    ova, ovo = (gemini(squared_mmd, mode, proba, weight, X @ X.T) for mode in ("ova", "ovo"))
    assert ovo == pytest.approx(2 * ova, rel=1e-12)
