"""Canonical order, scale and the weighted median, compared with repetition and loops."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from gemclust.canonical import MERGE_SAMPLES, canonical
from gemclust.samples import (
    Samples,
    Scaling,
    typical_distance,
    weighted_median,
    without_majority,
)


def make_rows(n_samples=40, seed=0, dtype=np.float64):
    """Few distinct rows, many of them equal, and integer weights, some of them 0."""
    rng = np.random.default_rng(seed)
    X = rng.integers(-1, 3, size=(n_samples, 2)).astype(dtype) / 4
    return X, rng.integers(0, 4, n_samples).astype(dtype)


def counts_of_rows(X, weight):
    """Sum of the weights of each distinct row, in loops; rows sorted."""
    counts = {}
    for row, mass in zip(X, weight, strict=True):
        key = tuple(row + 0.0)  # + 0.0 makes -0.0 the same key
        if mass:
            counts[key] = counts.get(key, 0.0) + mass
    return dict(sorted(counts.items()))


# Canonical order


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_equal_rows_are_merged_and_sorted(dtype):
    X, weight = make_rows(dtype=dtype)
    expected = counts_of_rows(X, weight)
    assert 1 < len(expected) < len(X)
    data = canonical(X, weight)
    np.testing.assert_array_equal(data.X, list(expected))
    np.testing.assert_array_equal(data.weight, list(expected.values()))
    assert data.X.dtype == data.weight.dtype == dtype
    assert data.affinity is None


def test_rows_of_weight_zero_are_dropped():
    X = np.array([[2.0], [1.0], [3.0], [1.0]])
    data = canonical(X, np.array([1.0, 0.0, 0.5, 0.0]))
    np.testing.assert_array_equal(data.X, [[2.0], [3.0]])
    np.testing.assert_array_equal(data.weight, [1.0, 0.5])


def test_minus_zero_is_zero():
    for container in (np.array, sp.csr_array):
        data = canonical(container([[0.0, 1.0], [-0.0, 1.0]]), np.ones(2))
        assert data.X.shape == (1, 2)
        assert data.weight.tolist() == [2.0]


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csr_matrix])
def test_order_of_the_samples_does_not_matter(container):
    X, weight = make_rows()
    expected = canonical(container(X), weight)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(X))
        actual = canonical(container(X[order]), weight[order])
        assert abs(actual.X - expected.X).max() == 0
        np.testing.assert_array_equal(actual.weight, expected.weight)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_weights_are_repetition(container):
    X, weight = make_rows()
    expected = canonical(container(X), weight)
    repeated = X.repeat(weight.astype(int), axis=0)
    actual = canonical(container(repeated), np.ones(len(repeated)))
    assert abs(actual.X - expected.X).max() == 0
    np.testing.assert_array_equal(actual.weight, expected.weight)


def scrambled_csr(X, seed=0):
    """CSR with explicit zeros and column indices in random order."""
    rng = np.random.default_rng(seed)
    data, indices, indptr = [], [], [0]
    for row in X:
        stored = [j for j in rng.permutation(len(row)) if row[j] or rng.random() < 0.5]
        indices += stored
        data += [row[j] for j in stored]
        indptr.append(len(indices))
    return sp.csr_array((np.array(data), np.array(indices), np.array(indptr)), shape=X.shape)


def test_explicit_zeros_and_unsorted_indices_make_no_row_distinct():
    X, weight = make_rows()
    scrambled = scrambled_csr(X)
    assert (scrambled.data == 0).any()
    assert not scrambled.has_sorted_indices
    before = scrambled.copy()
    data = canonical(scrambled, weight)
    assert counts_of_rows(data.X.toarray(), data.weight) == counts_of_rows(X, weight)
    assert data.X.shape[0] == len(counts_of_rows(X, weight))
    # The user's matrix stays as it is.
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(scrambled, name), getattr(before, name))


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, scrambled_csr])
def test_affinity_goes_with_its_samples(container):
    X, weight = make_rows()
    data = canonical(container(X), weight, X @ X.T)
    rows = data.X.toarray() if sp.issparse(data.X) else data.X
    assert len(rows) == np.count_nonzero(weight)  # equal rows may differ in the affinity
    np.testing.assert_array_equal(data.affinity, rows @ rows.T)
    assert counts_of_rows(rows, data.weight) == counts_of_rows(X, weight)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, scrambled_csr])
def test_order_of_samples_with_an_affinity_does_not_matter(container):
    X = np.random.default_rng(0).integers(0, 3, size=(30, 4)) + np.arange(30)[:, None] // 10
    X = np.unique(X, axis=0).astype(float)
    X[X == 2] = 0
    X = np.unique(X, axis=0)
    expected = canonical(container(X), np.arange(1.0, len(X) + 1), X @ X.T)
    order = np.random.default_rng(1).permutation(len(X))
    actual = canonical(container(X[order]), order + 1.0, X[order] @ X[order].T)
    assert abs(actual.X - expected.X).max() == 0
    np.testing.assert_array_equal(actual.weight, expected.weight)
    np.testing.assert_array_equal(actual.affinity, expected.affinity)


def test_affinity_of_equal_rows_may_differ():
    data = canonical(np.array([[1.0], [0.0], [1.0]]), np.ones(3), np.diag([5.0, 6.0, 7.0]))
    assert data.X.ravel().tolist() == [0.0, 1.0, 1.0]
    assert sorted(data.affinity.diagonal().tolist()[1:]) == [5.0, 7.0]


def test_sparse_samples_with_an_affinity_stay_sparse():
    rng = np.random.default_rng(0)
    columns = rng.integers(100_000, size=(100, 3))
    entries = rng.normal(size=300), columns.ravel(), np.arange(0, 301, 3)
    X = sp.csr_array(entries, shape=(100, 100_000))
    tracemalloc.start()
    data = canonical(X, np.ones(100), np.eye(100))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sp.issparse(data.X)
    assert peak < 10e6  # dense, X takes 80 MB


def test_many_samples_stay_as_they_are_but_for_weight_zero():
    X, weight = make_rows(2 * MERGE_SAMPLES)
    assert np.count_nonzero(weight) > MERGE_SAMPLES
    data = canonical(X, weight)
    assert data.X is X  # without a copy
    np.testing.assert_array_equal(data.rows, np.flatnonzero(weight))
    np.testing.assert_array_equal(data.weight, weight[weight > 0])
    np.testing.assert_array_equal(data.position[data.rows], np.arange(len(data)))
    assert (data.position[weight == 0] == -1).all()


def test_shards_keep_their_order():
    X, weight = make_rows()
    data = canonical(X, weight, shard=True)
    assert data.X is X
    np.testing.assert_array_equal(data.rows, np.flatnonzero(weight))


def test_as_many_samples_as_are_merged():
    X, weight = make_rows(MERGE_SAMPLES)
    assert len(canonical(X, weight).X) == len(counts_of_rows(X, weight))


# Rows as tensors


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("rows", [None, slice(3, 9), np.array([8, 2, 2])])
def test_rows_become_tensors(order, rows):
    X = np.asarray(np.random.default_rng(0).normal(size=(12, 3)), order=order)
    taken = X if rows is None else X[rows]
    for samples in (Samples(X), Samples(sp.csr_array(X))):
        tensor = samples.take(rows)
        assert len(samples) == 12
        np.testing.assert_array_equal(
            tensor.to_dense().numpy() if tensor.is_sparse_csr else tensor.numpy(), taken
        )
        assert samples.take(None) is samples.take()


# Scale


def test_scale_is_the_median_distance_to_the_centre():
    X = np.random.default_rng(0).normal(3, 2, size=(41, 4))
    scaling = Scaling(X, np.ones(41))
    radius = sorted(np.sqrt(((x - scaling.centre) ** 2).sum()) for x in X)
    assert np.linalg.norm(scaling.centre - X.mean(0)) < 0.5 * radius[20]
    assert scaling.scale == pytest.approx(radius[20] / 2)
    np.testing.assert_allclose(scaling(X), (X - scaling.centre) / scaling.scale)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_scale_of_weighted_rows_is_that_of_repeated_rows(container):
    rng = np.random.default_rng(0)
    X, counts = rng.exponential(size=(30, 3)), rng.integers(0, 5, 30)
    weighted = Scaling(container(X), counts.astype(float))
    repeated = Scaling(container(X.repeat(counts, axis=0)), np.ones(counts.sum()))
    np.testing.assert_allclose(weighted.centre, repeated.centre, rtol=1e-12)
    assert weighted.scale == pytest.approx(repeated.scale, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("factor", "shift"), [(1e30, 0.0), (1e-30, 0.0), (7.0, -300.0)])
def test_scaled_samples_depend_on_no_unit_or_origin(dtype, factor, shift):
    X = np.random.default_rng(0).normal(size=(30, 3)).astype(dtype)
    moved = X * dtype(factor) + dtype(shift)
    expected, actual = Scaling(X, np.ones(30, dtype))(X), Scaling(moved, np.ones(30, dtype))(moved)
    assert actual.dtype == dtype
    tolerance = 1e-10 if dtype == np.float64 else 1e-3
    np.testing.assert_allclose(actual, expected, atol=tolerance)


@pytest.mark.parametrize("distance", [10.0, 1e3, 1e6, 1e12])
def test_few_outliers_do_not_press_the_other_samples_together(distance):
    X = np.random.default_rng(0).normal(size=(200, 2))
    plain = Scaling(X, np.ones(200)).scale
    outliers = np.concatenate([X, [[distance, 0.0], [distance, distance]]])
    scaled = Scaling(outliers, np.ones(202))(outliers)
    assert scaled[:200].std() == pytest.approx(X.std() / plain, rel=0.2)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e30])
def test_constant_samples_have_a_finite_scale(container, value):
    X = container(np.full((7, 3), value))
    scaling = Scaling(X, np.ones(7))
    scaled = scaling(X)
    assert np.isfinite(scaling.scale)
    assert scaling.scale > 0
    assert np.isfinite(abs(scaled).max())
    if container is np.asarray:
        assert np.ptp(scaled) == 0


def test_constant_columns_become_zero():
    X = np.random.default_rng(0).normal(size=(30, 3))
    X[:, 1] = 5.0
    np.testing.assert_allclose(Scaling(X, np.ones(30))(X)[:, 1], 0.0, atol=1e-12)


def test_scale_where_most_samples_are_equal():
    X = np.concatenate([np.zeros((20, 1)), [[-1.0], [1.0]]])
    scaling = Scaling(X, np.ones(22))
    assert scaling.scale == pytest.approx(2 / 22)  # the mean distance, as the median is 0


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("most", [50.0, 1e3, 1e6, 1e12])
def test_one_heavy_sample_does_not_make_the_scale_small(container, most):
    X = np.random.default_rng(0).normal(3, 1, size=(50, 2))
    weight = np.where(np.arange(50) == 7, most, 1.0)
    plain = Scaling(container(X), np.ones(50)).scale
    assert Scaling(container(X), weight).scale == pytest.approx(plain, rel=0.5)


def test_sparse_samples_are_scaled_and_not_centred():
    dense = np.random.default_rng(0).exponential(size=(31, 4))
    dense[dense < 1] = 0
    X = sp.csr_array(dense)
    scaling = Scaling(X, np.ones(31))
    scaled = scaling(X)
    assert sp.issparse(scaled)
    assert scaled.nnz == X.nnz
    assert (scaling.centre == 0).all()
    assert scaling.scale == pytest.approx(np.median(np.linalg.norm(dense, axis=1)) / 2)
    np.testing.assert_allclose(scaled.toarray(), dense / scaling.scale)


# Weights and medians


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_only_a_majority_of_the_weight_is_reduced(dtype):
    ordinary = np.random.default_rng(0).exponential(size=20).astype(dtype)
    np.testing.assert_array_equal(without_majority(ordinary), ordinary)
    heavy = np.array([1, 2, 70, 3], dtype=dtype)
    reduced = without_majority(heavy)
    assert reduced.dtype == dtype
    assert reduced.tolist() == [1, 2, 3, 3]
    assert without_majority(heavy[:1]).tolist() == [1]


def test_typical_distance_is_not_that_of_the_places_to_themselves():
    distances, weight = np.array([0.0, 1.0, 2.0, 3.0, 4.0]), np.ones(5)
    assert typical_distance(distances, weight) == 2
    assert typical_distance(distances, np.array([1e6, 1, 1, 1, 1])) == 1
    assert typical_distance(np.repeat(distances, [20, 1, 1, 1, 1]), np.ones(24)) == 1
    assert typical_distance(np.zeros(3), np.ones(3)) == 0


@pytest.mark.parametrize("seed", range(10))
def test_weighted_median_is_the_lower_median_of_repeated_values(seed):
    rng = np.random.default_rng(seed)
    values, counts = rng.integers(0, 6, 15) / 7, rng.integers(0, 4, 15)
    repeated = np.sort(values.repeat(counts))
    expected = repeated[(len(repeated) - 1) // 2]
    assert weighted_median(values, counts.astype(float)) == expected
    # The unit of the weights does not matter.
    assert weighted_median(values, counts / 7 * 1e-3) == expected


def test_weighted_median_has_at_least_half_of_the_weight_below_it():
    rng = np.random.default_rng(0)
    values, weight = rng.normal(size=50), rng.uniform(size=50)
    median = weighted_median(values, weight)
    assert weight[values <= median].sum() >= 0.5 * weight.sum() > weight[values < median].sum()


def test_value_without_weight_is_no_median():
    assert weighted_median(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 0.0])) == 1.0
