"""Kernels, distances and precomputed matrices, compared with scikit-learn's and with loops."""

import itertools
import re

import numpy as np
import pytest
import scipy.sparse as sp
from references import gemini_by_name
from scipy.spatial.distance import cdist
from scipy.special import softmax
from sklearn.datasets import make_blobs
from sklearn.metrics.pairwise import (
    PAIRWISE_KERNEL_FUNCTIONS,
    cosine_similarity,
    laplacian_kernel,
    pairwise_distances,
    pairwise_kernels,
    rbf_kernel,
)

from gemclust import GeminiClustering
from gemclust import evaluation as evaluation_module
from gemclust import geometry as geometry_module
from gemclust.distances import check_affinity, geodesic_distances
from gemclust.features import Nystroem, choose_landmarks, random_pivots
from gemclust.geometry import MAX_MATRIX_BYTES, Affinity
from gemclust.kernels import Kernel
from gemclust.metrics import gemini_score
from gemclust.objectives import KL, MMD, Objective, SlicedWasserstein, Wasserstein


def name_of(value):
    """The value as a test's name: without addresses, which differ between processes."""
    return re.sub(r"<function (\w+) at 0x\w+>", r"\1", repr(value))


def make_data(n_samples=20, n_features=4, n_clusters=3, seed=0):
    """Positive samples, as the chi-squared kernels need them; assignments and weights."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(0.1, 2, size=(n_samples, n_features))
    proba = rng.dirichlet(np.ones(n_clusters), size=n_samples)
    return X, proba, rng.uniform(0.2, 2, n_samples)


def by_definition(name, proba, affinity, weight=None):
    weight = np.ones(len(proba)) if weight is None else weight
    return gemini_by_name(name, proba, weight / weight.sum(), affinity)


def geometry_of(objective, X, weight=None):
    weight = np.ones(X.shape[0], dtype=X.dtype) if weight is None else weight
    return Affinity(objective, X, weight).geometry(X, weight)


def distances_of(objective, X):
    geometry = geometry_of(objective, X)
    return geometry.unit * geometry.matrix.numpy()


# Kernels


KERNEL_PARAMETERS = {
    "rbf": {"gamma": 0.3},
    "laplacian": {"gamma": 0.3},
    "chi2": {"gamma": 0.3},
    "sigmoid": {"gamma": 0.05, "coef0": -0.1},
    "poly": {"gamma": 0.5, "degree": 2, "coef0": 0.7},
    "polynomial": {"gamma": 0.5, "degree": 4, "coef0": 0.0},
}


@pytest.mark.parametrize("mode", ["ova", "ovo"])
@pytest.mark.parametrize("kernel", sorted(PAIRWISE_KERNEL_FUNCTIONS))
def test_value_of_every_kernel_equals_the_definition(kernel, mode):
    X, proba, weight = make_data()
    parameters = KERNEL_PARAMETERS.get(kernel, {})
    objective = MMD(mode, kernel=kernel, **parameters)
    expected = by_definition(
        f"mmd_{mode}", proba, pairwise_kernels(X, metric=kernel, **parameters), weight
    )
    value = gemini_score(X, proba, objective, sample_weight=weight)
    assert value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("kernel", ["chi2", "sigmoid", "poly", "polynomial"])
def test_kernel_without_parameters_has_those_of_scikit_learn(kernel):
    X, proba, _ = make_data()
    expected = by_definition("mmd_ova", proba, pairwise_kernels(X, metric=kernel))
    assert gemini_score(X, proba, MMD(kernel=kernel)) == pytest.approx(expected, rel=1e-9)


def dot(a, b):
    return a @ b


def bump_of_rows(a, b):
    return np.exp(-np.abs(a - b).sum())


def intersection_of_rows(a, b):
    return float(np.minimum(a, b).sum())


def linear_of_matrices(A, B):
    return A @ B.T


ROW_KERNELS = [dot, np.dot, bump_of_rows, intersection_of_rows]
MATRIX_KERNELS = [linear_of_matrices, rbf_kernel, cosine_similarity]


@pytest.mark.parametrize("kernel", ROW_KERNELS)
@pytest.mark.parametrize("shape", [(20, 1), (20, 2), (20, 3), (20, 4), (2, 2), (3, 3)])
def test_kernel_may_be_a_function_of_two_rows(kernel, shape):
    X, proba, _ = make_data(*shape)
    matrix = np.array([[kernel(a, b) for b in X] for a in X])
    expected = by_definition("mmd_ovo", proba, matrix)
    assert gemini_score(X, proba, MMD("ovo", kernel=kernel)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("kernel", MATRIX_KERNELS)
@pytest.mark.parametrize("shape", [(20, 1), (20, 3), (2, 2), (3, 3)])
def test_kernel_may_be_a_function_of_two_matrices(kernel, shape):
    X, proba, _ = make_data(*shape)
    expected = by_definition("mmd_ovo", proba, kernel(X, X))
    value = gemini_score(X, proba, MMD("ovo", kernel=kernel))
    assert value == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_unknown_kernel_lists_the_kernels():
    X, proba, _ = make_data()
    with pytest.raises(ValueError, match="'gauss'") as error:
        gemini_score(X, proba, MMD(kernel="gauss"))
    assert all(name in str(error.value) for name in PAIRWISE_KERNEL_FUNCTIONS)


@pytest.mark.parametrize(
    "kernel",
    [lambda a, b: float(a[0] * b[1]), lambda A, B: np.outer(A[:, 0], B[:, 1])],
    ids=["rows", "matrices"],
)
def test_asymmetric_kernel_is_refused(kernel):
    X, proba, _ = make_data()
    with pytest.raises(ValueError, match="not symmetric"):
        gemini_score(X, proba, MMD(kernel=kernel))


def test_kernel_fitted_to_some_samples_keeps_its_bandwidth_on_others():
    X, proba, weight = make_data(40)
    train, new = X[:20], 5 * X[20:]
    fitted = Affinity(MMD(kernel="rbf"), train, np.ones(20)).geometry(new, weight[20:])
    matrix = fitted.unit**2 * fitted.matrix.numpy()
    gamma = 1 / (2 * median_distance(train, 2) ** 2)
    own = 1 / (2 * median_distance(new, 2) ** 2)
    assert gamma > 10 * own
    expected = by_definition("mmd_ova", proba[20:], rbf_kernel(new, gamma=gamma), weight[20:])
    assert by_definition("mmd_ova", proba[20:], matrix, weight[20:]) == pytest.approx(expected)


# Bandwidths


def median_distance(X, norm):
    """The lower median over pairs of distinct rows."""
    gaps = [np.linalg.norm(a - b, norm) for a, b in itertools.combinations(X, 2) if (a != b).any()]
    return sorted(gaps)[(len(gaps) - 1) // 2]


DOCUMENTED_BANDWIDTHS = {
    ("rbf", None): lambda X: 1 / (2 * median_distance(X, 2) ** 2),
    ("rbf", "median"): lambda X: 1 / (2 * median_distance(X, 2) ** 2),
    ("laplacian", None): lambda X: 1 / median_distance(X, 1),
    ("laplacian", "median"): lambda X: 1 / median_distance(X, 1),
    ("rbf", "scale"): lambda X: 1 / (X.shape[1] * X.var(0).mean()),
    ("poly", "scale"): lambda X: 1 / (X.shape[1] * X.var(0).mean()),
    ("laplacian", "scale"): lambda X: 1 / (X.shape[1] * X.var(0).mean() ** 0.5),
    ("rbf", "auto"): lambda X: 1 / X.shape[1],
    ("laplacian", "auto"): lambda X: 1 / X.shape[1],
    ("sigmoid", "auto"): lambda X: 1 / X.shape[1],
    ("rbf", 0.7): lambda X: 0.7,
    ("rbf", np.float32(0.5)): lambda X: 0.5,
    ("chi2", 3): lambda X: 3,
}

every_bandwidth = pytest.mark.parametrize(("kernel", "gamma"), DOCUMENTED_BANDWIDTHS)


@every_bandwidth
def test_bandwidth_is_the_documented_one(kernel, gamma):
    X, proba, _ = make_data()
    X[:, 0] += 1  # the features' means differ
    expected = DOCUMENTED_BANDWIDTHS[kernel, gamma](X)
    value = gemini_score(X, proba, MMD(kernel=kernel, gamma=gamma))
    matrix = pairwise_kernels(X, metric=kernel, gamma=float(expected))
    assert value == pytest.approx(by_definition("mmd_ova", proba, matrix), rel=1e-8)


@every_bandwidth
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_bandwidth_of_weighted_rows_is_that_of_repeated_rows(kernel, gamma, dtype):
    X, proba, _ = make_data()
    X = X.astype(dtype)
    counts = np.random.default_rng(1).integers(0, 6, len(X))
    objective = MMD(kernel=kernel, gamma=gamma)
    weighted = gemini_score(X, proba, objective, sample_weight=counts)
    repeated = gemini_score(X.repeat(counts, axis=0), proba.repeat(counts, axis=0), objective)
    assert weighted == pytest.approx(repeated, rel=1e-9 if dtype == np.float64 else 1e-5)


@pytest.mark.parametrize("gamma", ["median", "scale"])
def test_bandwidth_does_not_depend_on_the_order_of_many_samples(gamma):
    rng = np.random.default_rng(0)
    X = rng.exponential(size=(1500, 2))
    labels = (X[:, 0] > 1).astype(int)
    order = rng.permutation(len(X))
    objective = MMD(kernel="rbf", gamma=gamma)
    value = gemini_score(X, labels, objective)
    assert gemini_score(X[order], labels[order], objective) == pytest.approx(value, rel=1e-9)


def test_bandwidth_of_equal_rows_is_finite():
    for gamma in ("median", "scale"):
        assert gemini_score(np.ones((4, 2)), [0, 0, 1, 1], MMD(kernel="rbf", gamma=gamma)) == 0


@pytest.mark.parametrize("gamma", ["medium", 0, -1.0, np.nan, np.inf])
def test_impossible_bandwidth_is_named(gamma):
    X, proba, _ = make_data()
    with pytest.raises(ValueError, match=f"gamma={gamma!r} .*median"):
        gemini_score(X, proba, MMD(kernel="rbf", gamma=gamma))


# Feature maps


def test_linear_kernel_never_needs_a_matrix():
    X, labels = make_blobs(50_000, n_features=2, random_state=0)
    assert 50_000**2 * X.itemsize > MAX_MATRIX_BYTES
    geometry = geometry_of(MMD(), X)
    assert geometry.matrix is None
    assert geometry.features.array.shape == X.shape
    shares = np.bincount(labels) / len(X)
    means = [X[labels == k].mean(0) for k in range(3)]
    ova = sum(s * np.linalg.norm(m - X.mean(0)) for s, m in zip(shares, means, strict=True))
    assert gemini_score(X, labels, MMD()) == pytest.approx(ova, rel=1e-9)


@pytest.mark.parametrize("mode", ["ova", "ovo"])
@pytest.mark.parametrize("kernel", ["rbf", "laplacian", "poly", bump_of_rows, rbf_kernel])
def test_as_many_landmarks_as_samples_are_exact(kernel, mode):
    X, proba, weight = make_data()
    exact, mapped = (
        gemini_score(X, proba, MMD(mode, kernel, n_components=n), sample_weight=weight)
        for n in (None, 20)
    )
    assert mapped == pytest.approx(exact, rel=1e-6)
    # More landmarks than samples are as many as there are samples.
    assert gemini_score(
        X, proba, MMD(mode, kernel, n_components=99), sample_weight=weight
    ) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_few_landmarks_come_close(dtype):
    X, labels = make_blobs(400, n_features=2, centers=4, random_state=0)
    X = X.astype(dtype)
    exact = gemini_score(X, labels, MMD(kernel="rbf", n_components=None))
    errors = [
        abs(gemini_score(X, labels, MMD(kernel="rbf", n_components=n)) / exact - 1)
        for n in (5, 40, 200)
    ]
    assert 2e-3 < errors[0] < 0.3
    assert errors[1] < 5e-3
    assert errors[2] < 1e-3


def test_landmarks_are_drawn_by_the_objective_s_seed():
    X, proba, _ = make_data(60)
    values = [
        gemini_score(X, proba, MMD(kernel="rbf", n_components=3, random_state=seed))
        for seed in (0, 0, 1)
    ]
    assert values[0] == values[1] != values[2]


def test_number_of_components_is_automatic():
    few, many = (np.random.default_rng(0).normal(size=(n, 2)) for n in (200, 5_001))
    assert geometry_of(MMD(kernel="rbf"), few).features is None
    geometry = geometry_of(MMD(kernel="rbf"), many)
    assert geometry.matrix is None
    n_samples, n_components = geometry.features.array.shape
    assert n_samples == 5_001
    assert 50 < n_components <= 500  # those of no weight may be left out


def test_kernel_of_matrices_is_not_called_for_each_pair():
    X, proba, _ = make_data(300)
    calls = []

    def kernel(A, B):
        calls.append(A.shape)
        return laplacian_kernel(A, B, gamma=0.5)

    value = gemini_score(X, proba, MMD(kernel=kernel, n_components=50))
    expected = gemini_score(X, proba, MMD(kernel="laplacian", gamma=0.5, n_components=50))
    assert value == pytest.approx(expected, rel=1e-5)
    assert len(calls) < 300


@pytest.mark.parametrize("n_components", [0, -3, "all"])
def test_impossible_number_of_components_is_named(n_components):
    X, proba, _ = make_data()
    with pytest.raises(ValueError, match=f"n_components={n_components!r}"):
        gemini_score(X, proba, MMD(kernel="rbf", n_components=n_components))


# Landmarks


def make_unequal_clusters(seed=0):
    """Five clusters in the plane, the largest a hundred times the smallest, and which is which."""
    rng = np.random.default_rng(seed)
    sizes = [1000, 100, 30, 20, 10]
    labels = np.repeat(np.arange(5), sizes)
    return rng.normal(size=(len(labels), 2)) + 12 * labels[:, None], labels


def kernel_for(X, kernel="rbf", **parameters):
    return Kernel(MMD(kernel=kernel, **parameters), X, np.ones(X.shape[0]))


def kernel_error(kernel, X, features):
    matrix = kernel(X, X)
    return np.linalg.norm(matrix - features @ features.T) / np.linalg.norm(matrix)


def nystroem_error(kernel, X, n_components, seed=0):
    return kernel_error(kernel, X, Nystroem(kernel, X, n_components, seed)(X))


LANDMARK_KERNELS = [
    ("rbf", {}),
    ("laplacian", {}),
    ("polynomial", {}),
    ("chi2", {}),
    (bump_of_rows, {}),
    (rbf_kernel, {}),
]


@pytest.mark.parametrize(("kernel", "parameters"), LANDMARK_KERNELS, ids=name_of)
def test_as_many_landmarks_as_distinct_rows_are_exact(kernel, parameters):
    X = np.repeat(make_data(12)[0], [1, 2, 3, 4] * 3, axis=0)
    kernel = kernel_for(X, kernel, **parameters)
    landmarks = choose_landmarks(kernel, X, 12, 0)
    assert len(np.unique(np.round(landmarks, 9), axis=0)) == len(landmarks) == 12
    assert nystroem_error(kernel, X, 12) < 1e-6


@pytest.mark.parametrize(("kernel", "parameters"), LANDMARK_KERNELS, ids=name_of)
def test_error_of_the_kernel_decreases_with_the_number_of_landmarks(kernel, parameters):
    X, _, _ = make_data(80)
    kernel = kernel_for(X, kernel, **parameters)
    errors = [nystroem_error(kernel, X, size) for size in (2, 8, 30, 70)]
    assert sorted(errors, reverse=True) == errors
    assert errors[-1] < 0.3 * errors[0]


@pytest.mark.parametrize("kernel", ["rbf", "laplacian"])
@pytest.mark.parametrize("seed", range(3))
def test_landmarks_are_not_worse_than_uniform_ones_on_clusters_of_unequal_size(kernel, seed):
    X, labels = make_unequal_clusters()
    kernel = kernel_for(X, kernel, gamma=0.02)
    uniform = X[np.random.default_rng(seed).permutation(len(X))[:20]]
    ours = Nystroem(kernel, X, 20, seed)(X)
    theirs = Nystroem(kernel, uniform, 20, seed)(X)
    assert kernel_error(kernel, X, ours) < kernel_error(kernel, X, theirs)
    # Every cluster has features; uniform rows leave one without.
    norms = [[np.square(f[labels == k]).sum(1).mean() for k in range(5)] for f in (ours, theirs)]
    assert min(norms[0]) > 0.5 > min(norms[1])


def test_rows_without_weight_are_never_landmarks():
    X, labels = make_unequal_clusters()
    weight = (labels != 0).astype(float)
    for kernel in ("rbf", "laplacian"):
        landmarks = choose_landmarks(kernel_for(X, kernel, gamma=0.1), X, 30, 0, weight)
        assert landmarks.sum(1).min() > X[labels > 0].sum(1).min() - 1e-9
    pivots = random_pivots(kernel_for(X), X, 30, weight, np.random.RandomState(0))
    assert weight[pivots].all()


def test_rows_are_landmarks_in_proportion_to_their_weight():
    X = np.concatenate([np.zeros((50, 1)), np.ones((50, 1))]) + 1e-3 * np.arange(100)[:, None]
    weight = np.repeat([1.0, 9.0], 50)
    kernel = kernel_for(X, gamma=1e8)  # all rows are orthogonal
    rows = [random_pivots(kernel, X, 1, weight, np.random.RandomState(s))[0] for s in range(300)]
    assert np.mean(np.array(rows) >= 50) == pytest.approx(0.9, abs=0.05)


def test_landmarks_of_sparse_rows_are_those_of_dense_rows(sparse_data):
    X, dense, _, weight = sparse_data
    for kernel in ("rbf", "laplacian"):
        landmarks = choose_landmarks(kernel_for(X, kernel), X, 8, 0, weight)
        assert sp.issparse(landmarks)
        expected = choose_landmarks(kernel_for(dense, kernel), dense, 8, 0, weight)
        np.testing.assert_allclose(landmarks.toarray(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("kernel", "gamma"), [("rbf", 0.3), ("rbf", 1e-2), ("laplacian", 0.3)])
def test_features_in_single_precision_are_as_good(kernel, gamma):
    X, _ = make_unequal_clusters()
    X = (X - X.mean(0)) / X.std(0)
    double = kernel_for(X, kernel, gamma=gamma)
    single = kernel_for(X.astype(np.float32), kernel, gamma=gamma)
    features = [
        Nystroem(kernel, X.astype(dtype), 100, 0)(X.astype(dtype))
        for kernel, dtype in ((double, np.float64), (single, np.float32))
    ]
    assert features[1].dtype == np.float32
    # An MMD sees the kernel around its mean, which is what a wide one has little of.
    grams = [f.astype(float) - f.astype(float).mean(0) for f in features]
    exact, rounded = (gram @ gram.T for gram in grams)
    assert np.linalg.norm(rounded - exact) < 1e-3 * np.linalg.norm(exact)


@pytest.mark.parametrize("kernel", ["sigmoid", "additive_chi2", lambda a, b: float(a @ b) - 5])
def test_kernel_that_is_not_positive_has_landmarks(kernel):
    X, proba, _ = make_data(200)
    assert len(choose_landmarks(kernel_for(X, kernel), X, 30, 0)) == 30
    exact, mapped = (
        gemini_score(X, proba, MMD(kernel=kernel, n_components=size)) for size in (None, 30)
    )
    assert mapped == pytest.approx(exact, rel=0.3)


def test_kernel_that_is_not_finite_is_refused():
    X, proba, _ = make_data(50)
    with pytest.raises(ValueError, match="kernel contains NaN or infinity"):
        gemini_score(X, proba, MMD(kernel=lambda a, b: np.nan, n_components=10))


# Sparse input


@pytest.fixture
def sparse_data():
    X, proba, weight = make_data(30)
    X[X < 1] = 0
    return sp.csr_array(X), X, proba, weight


SPARSE_OBJECTIVES = [
    MMD(),
    MMD("ovo", kernel="cosine"),
    MMD(kernel="rbf"),
    MMD(kernel="rbf", gamma="scale"),
    MMD(kernel="rbf", n_components=30),
    MMD(kernel="laplacian"),
    MMD(kernel="poly"),
    Wasserstein(),
    Wasserstein(metric="manhattan"),
    Wasserstein(metric="geodesic"),
]


@pytest.mark.parametrize("objective", SPARSE_OBJECTIVES, ids=name_of)
@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix])
def test_sparse_input_has_the_value_of_dense_input(objective, container, sparse_data):
    X, dense, proba, weight = sparse_data
    value = gemini_score(container(X), proba, objective, sample_weight=weight)
    expected = gemini_score(dense, proba, objective, sample_weight=weight)
    assert value == pytest.approx(expected, rel=1e-7)


def sparse_linear(A, B):
    product = A @ B.T
    return product.toarray() if sp.issparse(product) else product


@pytest.mark.parametrize("n_components", [None, 30])
def test_sparse_input_may_meet_a_kernel_of_matrices(n_components, sparse_data):
    X, dense, proba, _ = sparse_data
    value = gemini_score(X, proba, MMD(kernel=sparse_linear, n_components=n_components))
    assert value == pytest.approx(gemini_score(dense, proba, MMD()), rel=1e-6)


@pytest.mark.parametrize("kernel", ["linear", "cosine"])
def test_sparse_input_never_becomes_dense(kernel):
    # Dense, these samples would take 320 GB.
    n_samples, n_features = 20_000, 2_000_000
    columns = np.arange(n_samples) % 2
    X = sp.csr_array(
        (np.ones(n_samples), columns, np.arange(n_samples + 1)), shape=(n_samples, n_features)
    )
    geometry = geometry_of(MMD(kernel=kernel), X)
    assert sp.issparse(geometry.features.array)
    assert geometry.features.array.nnz == n_samples
    # Two unit vectors, each sqrt(1/2) from the mean of both.
    assert gemini_score(X, columns, MMD(kernel=kernel)) == pytest.approx(np.sqrt(0.5))


# Distances

CONTINUOUS_METRICS = [
    "euclidean",
    "l2",
    "manhattan",
    "l1",
    "cityblock",
    "cosine",
    "nan_euclidean",
    "braycurtis",
    "canberra",
    "chebyshev",
    "correlation",
    "mahalanobis",
    "minkowski",
    "seuclidean",
    "sqeuclidean",
]
BINARY_METRICS = [
    "dice",
    "hamming",
    "jaccard",
    "rogerstanimoto",
    "russellrao",
    "sokalsneath",
    "yule",
]


@pytest.mark.parametrize("metric", CONTINUOUS_METRICS)
def test_distances_are_those_of_scikit_learn(metric):
    X = make_data()[0]
    expected = pairwise_distances(X, metric=metric)
    np.testing.assert_allclose(distances_of(Wasserstein(metric=metric), X), expected, atol=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@pytest.mark.parametrize("metric", BINARY_METRICS)
def test_distances_of_binary_data_are_those_of_scikit_learn(metric):
    X = (make_data(n_features=8)[0] > 1).astype(float)
    X[:, 0] = 1
    expected = pairwise_distances(X.astype(bool) if metric != "hamming" else X, metric=metric)
    np.testing.assert_allclose(distances_of(Wasserstein(metric=metric), X), expected, atol=1e-12)


def manhattan_of_rows(a, b):
    return np.abs(a - b).sum()


@pytest.mark.parametrize("mode", ["ova", "ovo"])
@pytest.mark.parametrize("metric", ["euclidean", "manhattan", manhattan_of_rows, cdist])
@pytest.mark.parametrize("n_features", [1, 3])
def test_value_of_a_metric_equals_the_definition(metric, mode, n_features):
    X, proba, weight = make_data(12, n_features)
    matrix = cdist(X, X, "euclidean" if metric in ("euclidean", cdist) else "cityblock")
    expected = by_definition(f"wasserstein_{mode}", proba, matrix, weight)
    value = gemini_score(X, proba, Wasserstein(mode, metric=metric), sample_weight=weight)
    assert value == pytest.approx(expected, rel=1e-8)


def test_negative_metric_is_refused():
    X, proba, _ = make_data()
    with pytest.raises(ValueError, match="no distance is negative"):
        gemini_score(X, proba, Wasserstein(metric=lambda a, b: float(-np.abs(a - b).sum())))


# Geodesic distances


def shortest_paths(X, n_neighbors, weighted):
    """Floyd and Warshall's loops over the graph of nearest neighbours."""
    n = len(X)
    gaps = np.sqrt(((X[:, None] - X) ** 2).sum(-1))
    paths = np.where(np.eye(n, dtype=bool), 0.0, np.inf)
    for i in range(n):
        others = sorted(set(range(n)) - {i}, key=lambda j: gaps[i, j])
        for j in others[:n_neighbors]:
            paths[i, j] = paths[j, i] = gaps[i, j] if weighted else 1.0
    for via, i, j in itertools.product(range(n), repeat=3):
        paths[i, j] = min(paths[i, j], paths[i, via] + paths[via, j])
    return paths


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("n_neighbors", [4, 9, 100])
def test_geodesic_distances_are_shortest_paths(weighted, n_neighbors):
    X = np.random.default_rng(0).normal(size=(35, 2))
    expected = shortest_paths(X, n_neighbors, weighted)
    assert np.isfinite(expected).all()
    actual = geodesic_distances(X, n_neighbors, weighted)
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)
    objective = Wasserstein(metric="geodesic", n_neighbors=n_neighbors, weighted=weighted)
    np.testing.assert_allclose(distances_of(objective, X), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("weighted", [True, False])
def test_disconnected_parts_are_twice_the_longest_path_apart(weighted):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(centre, 0.3, (10, 2)) for centre in (0, 20, 100)])
    expected = shortest_paths(X, 4, weighted)
    longest = expected[np.isfinite(expected)].max()
    expected[np.isinf(expected)] = 2 * longest
    assert (expected[0, 10:] == 2 * longest).all()
    with pytest.warns(UserWarning, match="3 parts .* Raise n_neighbors"):
        actual = geodesic_distances(X, 4, weighted)
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)


def test_geodesic_distance_of_equal_samples_is_zero():
    X = np.random.default_rng(0).normal(size=(15, 2))
    twins = np.concatenate([X, X])
    # The nearest are the twin and whole pairs, so that ties change no path.
    actual = geodesic_distances(twins, 7)
    np.testing.assert_allclose(actual, np.tile(actual[:15, :15], (2, 2)), atol=1e-7)
    np.testing.assert_allclose(actual, shortest_paths(twins, 7, True), atol=1e-7)
    assert actual[:15, 15:].diagonal() == pytest.approx(0, abs=1e-7)


def test_geodesic_distances_keep_the_dtype():
    X = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    actual = geodesic_distances(X, 8)
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, geodesic_distances(X.astype(float), 8), rtol=1e-4)


def test_geodesic_distance_needs_a_neighbour():
    X, proba, _ = make_data()
    with pytest.raises(ValueError, match="n_neighbors=0"):
        gemini_score(X, proba, Wasserstein(metric="geodesic", n_neighbors=0))


# Precomputed matrices


@pytest.mark.parametrize("chosen", [{}, {"kernel": "precomputed"}])
def test_precomputed_kernel_takes_the_place_of_x(chosen):
    X, proba, weight = make_data()
    kernel = rbf_kernel(X, gamma=0.5)
    value = gemini_score(
        np.zeros_like(X), proba, MMD("ovo", **chosen), affinity=kernel, sample_weight=weight
    )
    assert value == pytest.approx(by_definition("mmd_ovo", proba, kernel, weight), rel=1e-9)


@pytest.mark.parametrize("chosen", [{}, {"metric": "precomputed"}])
def test_precomputed_distances_take_the_place_of_x(chosen):
    X, proba, weight = make_data(12)
    distances = cdist(X, X, "chebyshev")
    value = gemini_score(
        np.zeros_like(X), proba, Wasserstein(**chosen), affinity=distances, sample_weight=weight
    )
    expected = by_definition("wasserstein_ova", proba, distances, weight)
    assert value == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("objective", [MMD(), Wasserstein()], ids=name_of)
def test_good_affinity_passes_as_an_array_in_the_dtype_of_x(objective):
    X = make_data()[0].astype(np.float32)
    distances = cdist(X, X)
    checked = check_affinity(distances.tolist(), X, objective)
    assert checked.dtype == np.float32
    np.testing.assert_allclose(checked, distances, rtol=1e-6)
    assert check_affinity(None, X, objective) is None


@pytest.mark.parametrize("objective", [MMD(), Wasserstein()], ids=name_of)
@pytest.mark.parametrize("shape", [(20, 7), (20,), (7, 7), (7, 20), (20, 20, 1)])
def test_affinity_of_a_wrong_shape_is_named(objective, shape):
    X, _, _ = make_data()
    with pytest.raises(ValueError, match=r"20 samples.*\(20, 20\)") as error:
        check_affinity(np.zeros(shape), X, objective)
    assert str(shape) in str(error.value)
    assert ("cross-validation" in str(error.value)) == (shape == (20, 7))
    assert ("callable" in str(error.value)) == (shape == (20, 7))


def spoiled(distances, i, j, value):
    distances[i, j] = value
    return distances


@pytest.mark.parametrize("objective", [MMD(), Wasserstein()], ids=name_of)
@pytest.mark.parametrize(
    ("i", "j", "value", "message"),
    [
        (3, 3, np.nan, "NaN or infinity"),
        (3, 5, np.inf, "NaN or infinity"),
        (2, 4, 99.0, "not symmetric.*differ by 9"),
    ],
)
def test_bad_entry_of_an_affinity_is_named(objective, i, j, value, message):
    X, _, _ = make_data()
    with pytest.raises(ValueError, match=message):
        check_affinity(spoiled(cdist(X, X), i, j, value), X, objective)


def test_rounding_is_not_asymmetry():
    X, _, _ = make_data()
    affinity = cdist(X, X)
    affinity[0, 1] *= 1 + 1e-9
    check_affinity(affinity, X, Wasserstein())


def test_kernel_may_be_negative_but_no_distance():
    X, _, _ = make_data()
    affinity = X @ X.T - 3
    check_affinity(affinity, X, MMD())
    with pytest.raises(ValueError, match=f"{affinity.min():.3g}.*no distance is negative.*MMD"):
        check_affinity(affinity, X, Wasserstein())


def test_sparse_affinity_is_refused_by_name():
    X, _, _ = make_data()
    with pytest.raises((ValueError, TypeError), match=r"sparse|dense"):
        check_affinity(sp.csr_array(cdist(X, X)), X, Wasserstein())


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (MMD(kernel="rbf"), "kernel='rbf'.*kernel='precomputed'"),
        (MMD(kernel="cosine"), "kernel='cosine'.*kernel='precomputed'"),
        (MMD(kernel=dot), "kernel=<function dot.*kernel='precomputed'"),
        (Wasserstein(metric="manhattan"), "metric='manhattan'.*metric='precomputed'"),
        (Wasserstein(metric="geodesic"), "metric='geodesic'.*metric='precomputed'"),
        (KL(), "KL.*cannot use an affinity"),
    ],
    ids=name_of,
)
def test_affinity_without_a_use_is_refused(objective, message):
    X, proba, _ = make_data()
    with pytest.raises(ValueError, match=message):
        gemini_score(X, proba, objective, affinity=cdist(X, X))


@pytest.mark.parametrize(
    "objective", [MMD(kernel="precomputed"), Wasserstein(metric="precomputed")], ids=name_of
)
def test_precomputed_needs_the_matrix(objective):
    X, proba, _ = make_data()
    with pytest.raises(ValueError, match="='precomputed' needs the matrix: pass `affinity`"):
        gemini_score(X, proba, objective)


# Size


@pytest.mark.parametrize(
    ("objective", "remedy"),
    [
        (MMD(kernel="rbf", n_components=None), "n_components=500"),
        (MMD(kernel=bump_of_rows, n_components=None), "n_components=500"),
        (Wasserstein(metric="geodesic"), "another metric"),
    ],
    ids=name_of,
)
@pytest.mark.parametrize(("dtype", "needed"), [(np.float64, "11.9"), (np.float32, "6.0")])
def test_matrix_beyond_the_bound_is_refused_with_its_size_and_a_remedy(
    objective, remedy, dtype, needed
):
    X = np.random.default_rng(0).normal(size=(40_000, 1)).astype(dtype)
    with pytest.raises(ValueError, match=rf"40000 x 40000 .*{needed} GiB.*2 GiB.*{remedy}"):
        gemini_score(X, X[:, 0] > 0, objective)


@pytest.mark.parametrize(
    "metric", ["euclidean", "cosine", cdist], ids=["euclidean", "cosine", "function"]
)
def test_distances_of_many_samples_are_computed_batch_by_batch(monkeypatch, metric):
    monkeypatch.setattr(geometry_module, "EXACT_TRANSPORT_SAMPLES", 50)
    X = 3 + np.random.default_rng(0).normal(size=(80, 2))
    objective, weight = Wasserstein(metric=metric), np.ones(80)
    geometry = Affinity(objective, X, weight).geometry(X, weight)
    assert geometry.matrix is None
    rows = np.array([3, 50, 7, 79])
    for some in (rows, slice(10, 20)):
        batch = geometry.take(some)
        assert batch["features"] is None
        named = metric if isinstance(metric, str) else "euclidean"
        expected = cdist(X[some], X[some], named)
        np.testing.assert_allclose(geometry.unit * batch["matrix"], expected, atol=1e-12)
    np.testing.assert_array_equal(
        geometry.subset(rows).take(np.array([0, 3]))["matrix"],
        geometry.take(rows[[0, 3]])["matrix"],
    )


@pytest.mark.parametrize("mode", ["ova", "ovo"])
def test_transport_of_many_samples_is_its_mean_over_parts(monkeypatch, mode):
    X = np.random.default_rng(0).normal(size=(600, 2))
    proba = softmax(2 * X @ np.random.default_rng(1).normal(size=(2, 3)), axis=1)
    whole = gemini_score(X, proba, Wasserstein(mode))
    monkeypatch.setattr(geometry_module, "EXACT_TRANSPORT_SAMPLES", 300)
    monkeypatch.setattr(evaluation_module, "TRANSPORT_PART", 200)
    parts = gemini_score(X, proba, Wasserstein(mode))
    assert whole < parts < 1.1 * whole  # that of fewer samples is greater
    order = np.random.default_rng(2).permutation(600)
    # The order in which they are given does not matter.
    assert gemini_score(X[order], proba[order], Wasserstein(mode)) == pytest.approx(parts)

    class InSmallParts(Wasserstein):
        value_samples = 50

    small = gemini_score(X, proba, InSmallParts(mode))
    assert parts < small < 1.3 * whole  # an objective may want smaller parts


@pytest.mark.parametrize("mode", ["ova", "ovo"])
def test_sliced_transport_of_many_samples_is_its_mean_over_parts(monkeypatch, mode):
    X = np.random.default_rng(0).normal(size=(900, 2))
    proba = softmax(2 * X @ np.random.default_rng(1).normal(size=(2, 3)), axis=1)
    whole = gemini_score(X, proba, SlicedWasserstein(mode))
    monkeypatch.setattr(SlicedWasserstein, "value_samples", 300)
    parts = gemini_score(X, proba, SlicedWasserstein(mode))
    assert whole < parts < 1.05 * whole
    model = GeminiClustering(
        3, objective=SlicedWasserstein(mode), max_iter=2, tol=1e9, random_state=0
    )
    model.fit(X)
    assert model.score(X) == pytest.approx(model.objective_value_, rel=1e-9)


# Units of X


POWER_OF_TWO = 2.0**100  # about 1e30, and multiplication by it is exact


GEOMETRIC = [
    MMD(),
    MMD("ovo"),
    Wasserstein(),
    Wasserstein("ovo"),
    Wasserstein(metric="manhattan"),
    Wasserstein(metric="geodesic"),
]
SCALE_FREE = [
    MMD(kernel="cosine"),
    MMD(kernel="rbf"),
    MMD(kernel="rbf", gamma="scale"),
    MMD(kernel="rbf", n_components=10),
    MMD(kernel="laplacian"),
]


@pytest.mark.parametrize("objective", GEOMETRIC, ids=name_of)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("factor", [POWER_OF_TWO, 1 / POWER_OF_TWO, 1e30, 1e-30, 1e3])
def test_value_scales_with_x(objective, dtype, factor):
    X, proba, weight = make_data()
    X = X.astype(dtype)
    value = gemini_score(X, proba, objective, sample_weight=weight)
    scaled = gemini_score(X * dtype(factor), proba, objective, sample_weight=weight)
    assert value > 0.01
    tolerance = 1e-10 if dtype == np.float64 else 1e-5
    assert scaled / factor == pytest.approx(value, rel=tolerance)


@pytest.mark.parametrize("objective", SCALE_FREE, ids=name_of)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("factor", [POWER_OF_TWO, 1 / POWER_OF_TWO, 1e30, 1e-30, 1e3])
def test_value_of_a_kernel_with_its_own_scale_does_not_depend_on_that_of_x(
    objective, dtype, factor
):
    X, proba, weight = make_data()
    X = X.astype(dtype)
    value = gemini_score(X, proba, objective, sample_weight=weight)
    scaled = gemini_score(X * dtype(factor), proba, objective, sample_weight=weight)
    assert value > 0.01
    assert scaled == pytest.approx(value, rel=1e-8 if dtype == np.float64 else 1e-4)


@pytest.mark.parametrize(
    "objective", [*GEOMETRIC, *(o for o in SCALE_FREE if o.kernel != "cosine")], ids=name_of
)
@pytest.mark.parametrize(("dtype", "mean"), [(np.float32, 1e4), (np.float64, 1e8)])
def test_large_mean_leaves_four_digits(objective, dtype, mean):
    X, proba, weight = make_data()
    shifted = (X + mean).astype(dtype)
    # What rounding leaves of X itself is not the geometry's fault.
    X = shifted.astype(np.float64) - mean
    value = gemini_score(shifted, proba, objective, sample_weight=weight)
    expected = gemini_score(X, proba, objective, sample_weight=weight)
    assert value == pytest.approx(expected, rel=1e-4)


def test_geometry_holds_numbers_near_one():
    X, _, weight = make_data()
    for objective in (MMD(), Wasserstein(), MMD(kernel="poly", degree=6)):
        geometry = geometry_of(objective, 1e20 * X, weight)
        held = geometry.matrix if geometry.features is None else geometry.features.take()
        assert 0.1 < held.abs().max() < 100


# What an objective sees


@pytest.mark.parametrize("objective", [MMD(), MMD(kernel="rbf"), Wasserstein(), KL()], ids=name_of)
def test_some_rows_are_a_part_of_all(objective):
    X, _, weight = make_data()
    geometry = geometry_of(objective, X, weight)
    rows = np.array([7, 2, 11])
    whole, part = geometry.take(), geometry.take(rows)
    assert whole.keys() == part.keys() == {"features", "matrix", "triangle"}
    if whole["features"] is not None:
        np.testing.assert_array_equal(part["features"], whole["features"][rows])
    if whole["matrix"] is not None:
        np.testing.assert_array_equal(part["matrix"], whole["matrix"][np.ix_(rows, rows)])
    given = {"kernel": 1, "distance": 1, None: 0}[objective.affinity]
    assert sum(whole[name] is not None for name in ("features", "matrix")) == given


class OneKernel(Objective):
    """Written as a user would: it declares what it needs and brings no parameter for it."""

    affinity = "kernel"
    homogeneity = 2.0

    def means(self, batch, *earlier):
        joint = batch.weighted_proba
        if batch.matrix is not None:
            return ((joint * (batch.matrix @ joint)).sum(),)
        return ((joint.transpose(1, 2) @ batch.features).square().sum((1, 2)),)

    def value(self, *means):
        return means[0]


class OneDistance(OneKernel):
    affinity = "distance"
    homogeneity = 1.0

    def means(self, batch, *earlier):
        joint = batch.weighted_proba
        return ((joint * (batch.matrix @ joint)).sum((1, 2)),)


@pytest.mark.parametrize("objective", [OneKernel(), OneDistance()], ids=name_of)
def test_objective_of_ones_own_gets_the_default_geometry(objective):
    X, proba, _ = make_data()
    X = X - X.mean(0)
    joint = proba / len(X)
    matrix = X @ X.T if objective.affinity == "kernel" else cdist(X, X)
    value = gemini_score(X, proba, objective)
    assert value == pytest.approx((joint * (matrix @ joint)).sum(), rel=1e-9)


def test_rounding_below_zero_is_no_negative_distance():
    X, _, _ = make_data()
    matrix = cdist(X, X)
    matrix[0, 0] = -2e-16
    assert check_affinity(matrix, X, Wasserstein()).min() == 0
