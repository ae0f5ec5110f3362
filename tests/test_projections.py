"""Directions that preserve neighbourhoods, against loops and on clusters that noise hides."""

import numpy as np
import pytest
from scipy.linalg import subspace_angles
from sklearn.datasets import make_blobs
from sklearn.neighbors import NearestNeighbors

from gemclust.projections import RIDGE, local_directions


def nearest(points, n_neighbours=10):
    index = NearestNeighbors(n_neighbors=n_neighbours).fit(points)
    return index.kneighbors(return_distance=False)


def hidden_clusters(n_noise=6):
    """Three blobs in two of the features; the others vary as much and show nothing."""
    rng = np.random.RandomState(0)
    centres = [[-6, 0], [6, 0], [0, 9]]
    X, _ = make_blobs(400, centers=centres, random_state=rng)
    noise = rng.normal(scale=1.2 * X.std(), size=(len(X), n_noise))
    return np.hstack([X, noise])


def test_directions_are_those_of_loops():
    points = np.random.RandomState(0).normal(size=(40, 3)) * [1, 2, 5]
    neighbours = nearest(points, 4)
    local, total = np.zeros((3, 3)), np.zeros((3, 3))
    for i, near in enumerate(neighbours):
        from_mean = points[i] - points.mean(0)
        total += np.outer(from_mean, from_mean) / 40
        for j in near:
            local += np.outer(points[i] - points[j], points[i] - points[j]) / 160
    local += RIDGE * np.trace(local) / 3 * np.eye(3)
    directions = local_directions(points, neighbours)
    np.testing.assert_allclose(directions.T @ local @ directions, np.eye(3), atol=1e-12)
    ratios = directions.T @ total @ directions
    np.testing.assert_allclose(ratios, np.diag(np.diagonal(ratios)), atol=1e-12)
    assert np.all(np.diff(np.diagonal(ratios)) < 0)


def test_clusters_that_noise_hides_are_seen():
    X = hidden_clusters()
    plane = np.eye(X.shape[1])[:, :2]
    found = local_directions(X, nearest(X))[:, :2]
    principal = np.linalg.svd(X - X.mean(0), full_matrices=False)[2][:2].T
    assert np.rad2deg(subspace_angles(found, plane).max()) < 10
    assert np.rad2deg(subspace_angles(principal, plane).max()) > 60


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_projected_points_depend_on_no_unit_and_no_origin(factor):
    X = hidden_clusters(2)
    neighbours = nearest(X)
    expected = (X - X.mean(0)) @ local_directions(X, neighbours)
    moved = factor * (X + 3)
    found = (moved - moved.mean(0)) @ local_directions(moved, neighbours)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["constant feature", "equal points", "one place"])
def test_points_without_volume_have_finite_directions(kind):
    points = np.random.RandomState(0).normal(size=(60, 4))
    if kind == "constant feature":
        points[:, 1] = 7
    elif kind == "equal points":
        points = np.repeat(points[:4], 15, axis=0)
    else:
        points[:] = 1
    directions = local_directions(points, nearest(points))
    assert directions.shape == (4, 4)
    assert np.isfinite(directions).all()
