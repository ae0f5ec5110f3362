"""In how many directions groups of points extend."""

import numpy as np
import pytest

from gemclust import GeminiClustering
from gemclust.shapes import Shapes


@pytest.fixture
def rng():
    return np.random.RandomState(0)


def groups(rng, sizes, n_features):
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    means = 5 * rng.normal(size=(len(sizes), n_features))
    return means[labels] + rng.normal(size=(len(labels), n_features)), labels


def test_two_groups_together_are_what_their_points_are(rng):
    X, labels = groups(rng, (7, 1, 30), 4)
    shapes = Shapes(X, labels)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        both = X[(labels == i) | (labels == j)]
        size, mean, scatter = shapes.union(i, j)
        assert size == len(both)
        np.testing.assert_allclose(mean, both.mean(0))
        np.testing.assert_allclose(scatter, len(both) * np.cov(both.T, bias=True))


def test_groups_that_join_are_one_group(rng):
    X, labels = groups(rng, (20, 11, 5), 3)
    shapes = Shapes(X, labels)
    shapes.join(0, 2)
    joined = Shapes(X, np.where(labels == 2, 0, labels))
    assert shapes.dimension(0, 1) == pytest.approx(joined.dimension(0, 1))


@pytest.mark.parametrize("n_points", [12, 300])
@pytest.mark.parametrize("n_features", [2, 5, 20])
def test_a_round_cloud_extends_in_all_directions_however_few_its_points(n_points, n_features, rng):
    found = []
    for _ in range(200):
        X = rng.normal(size=(n_points, n_features))
        found.append(1 / Shapes(X, np.arange(n_points) % 2).dimension(0, 1))
    # The estimate without bias is that of the denominator.
    assert np.mean(found) == pytest.approx(1 / n_features, rel=0.15)


def test_a_line_extends_in_one_direction(rng):
    X = np.outer(rng.normal(size=50), [3.0, -1.0, 2.0])
    assert Shapes(X, np.arange(50) % 2).dimension(0, 1) == pytest.approx(1, rel=0.05)


def test_spreads_count_by_their_shares(rng):
    X = rng.normal(size=(200_000, 3)) * np.sqrt([4, 2, 1])
    found = Shapes(X, np.arange(len(X)) % 2).dimension(0, 1)
    assert found == pytest.approx((4 + 2 + 1) ** 2 / (16 + 4 + 1), rel=0.02)


def test_points_that_coincide_have_no_shape():
    found = Shapes(np.zeros((10, 3)), np.arange(10) % 2).dimension(0, 1)
    assert found == 3


@pytest.mark.parametrize("n_features", [3, 10])
def test_features_with_a_common_factor_are_one_cluster(n_features):
    splits = 0
    for seed in range(8):
        rng = np.random.RandomState(seed)
        X = rng.normal(size=(200, 1)) + 0.3 * rng.normal(size=(200, n_features))
        splits += GeminiClustering(random_state=0).fit(X).n_clusters_ > 1
    assert splits == 0


@pytest.mark.parametrize("common", [0.0, 1.0])
def test_a_kernel_of_one_cluster_is_one_cluster(common):
    splits = 0
    for seed in range(8):
        rng = np.random.RandomState(seed)
        X = common * rng.normal(size=(200, 1)) + 0.3 * rng.normal(size=(200, 10))
        splits += GeminiClustering(random_state=0).fit(X, affinity=X @ X.T).n_clusters_ > 1
    assert splits == 0


def test_two_clusters_with_a_common_factor_are_two():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(400, 1)) + 0.3 * rng.normal(size=(400, 10))
    X[:200, :5] += 3
    assert GeminiClustering(random_state=0).fit(X).n_clusters_ == 2
