"""The generated sets are those of the papers."""

import numpy as np
import pytest

from gemclust import datasets


@pytest.mark.parametrize(("df", "farthest"), [(1, 2585.7), (2, 64.8)])
def test_gaussian_student_is_that_of_the_authors(df, farthest):
    X, y = datasets.make_gaussian_student(df=df)
    assert np.bincount(y).tolist() == [1203, 1235, 1268, 1294]
    assert np.abs(X).max() == pytest.approx(farthest, abs=0.05)
    centres = [np.median(X[y == k], axis=0) for k in range(4)]
    np.testing.assert_allclose(centres, [[5, 5], [5, -5], [-5, 5], [-5, -5]], atol=0.15)
    for k in range(3):
        np.testing.assert_allclose(np.cov(X[y == k].T), np.eye(2), atol=0.15)


def test_two_moons_are_those_of_the_authors():
    X, y = datasets.make_two_moons()
    assert np.bincount(y).tolist() == [263, 237]
    distances = np.linalg.norm(X[:, None] - X[None], axis=2)
    assert np.quantile(distances, 0.05) == pytest.approx(0.31196, abs=5e-6)
    nearest = distances[y == 0][:, y == 1].min()
    assert nearest > np.quantile(distances, 0.05)


def test_celeux_one():
    X, y = datasets.make_celeux_one(30_000, n_noise=3, mu=0.6, random_state=0)
    assert X.shape == (30_000, 8)
    for k, centre in enumerate([0.6, -0.6, 0]):
        expected = np.r_[np.full(5, centre), np.zeros(3)]
        np.testing.assert_allclose(X[y == k].mean(0), expected, atol=0.05)
        np.testing.assert_allclose(np.cov(X[y == k].T), np.eye(8), atol=0.05)
        assert np.mean(y == k) == pytest.approx(1 / 3, abs=0.01)


def test_celeux_two():
    X, y = datasets.make_celeux_two(40_000, random_state=0)
    assert X.shape == (40_000, 14)
    for k, centre in enumerate([[0, 0], [4, 0], [0, 2], [4, 2]]):
        np.testing.assert_allclose(X[y == k, :2].mean(0), centre, atol=0.05)
        np.testing.assert_allclose(np.cov(X[y == k, :2].T), np.eye(2), atol=0.05)
    design = np.c_[np.ones(len(X)), X[:, :2]]
    slopes = np.linalg.lstsq(design, X[:, 2:], rcond=None)[0]
    expected = np.array(
        [
            [0, 0.5, 1],
            [0, 2, 0],
            [0.4, 0, 3],
            [0.8, -1, 2],
            [1.2, 2, -4],
            [1.6, 0.5, 0],
            [2.0, 4, 0.5],
            [2.4, 3, 0],
            [2.8, 2, 1],
            [3.2, 0, 0],
            [3.6, 0, 0],
            [4.0, 0, 0],
        ]
    )
    np.testing.assert_allclose(slopes.T, expected, atol=0.05)
    residuals = np.cov((X[:, 2:] - design @ slopes).T)
    variances = [1, 1, 1, 0.5, 0.5, 2.5, 1.5, 3, 5, 1, 1, 1]
    np.testing.assert_allclose(residuals.diagonal(), variances, rtol=0.05)
    # Two pairs of the nine are correlated: axes of variances 1 and 3, turned by 60 degrees, and of
    # 2 and 6, turned by 30.
    np.testing.assert_allclose(residuals[5, 6], np.sqrt(3) / 2, atol=0.05)
    np.testing.assert_allclose(residuals[7, 8], np.sqrt(3), atol=0.1)
    residuals[[5, 6, 7, 8], [6, 5, 8, 7]] = 0
    np.testing.assert_allclose(residuals, np.diag(residuals.diagonal()), atol=0.1)


@pytest.mark.parametrize("name", datasets.__all__)
def test_the_random_state_decides(name):
    make = getattr(datasets, name)
    same, again, other = (make(random_state=seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(same, again)
    assert not np.array_equal(same, other)
