"""Seeds: spread over the clusters, not drawn to outliers, and a softmax around them to start."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.spatial.distance import cdist
from scipy.special import softmax
from sklearn.datasets import make_blobs
from sklearn.metrics.pairwise import rbf_kernel

from gemclust import seeding as seeding_module
from gemclust.evaluation import log_probabilities
from gemclust.geometry import Affinity
from gemclust.models import Perceptron
from gemclust.modules import ModuleModel
from gemclust.objectives import MMD, Wasserstein, get_objective
from gemclust.problem import Problem
from gemclust.samples import Samples, Scaling, typical_distance, weighted_median
from gemclust.seeding import SEED_WIDTH, feature_space, kmeans_plus_plus, seeding_space, start
from gemclust.training import Settings

SETTINGS = Settings("lbfgs", None, 0.01, max_iter=100, tol=1e-4, n_iter_no_change=10)


def make_task(X, n_units, objective="mmd_ovo", hidden=(), weight=None, model=None):
    objective = get_objective(objective)
    weight = np.ones(X.shape[0], dtype=X.dtype) if weight is None else weight
    inputs = Samples(Scaling(X, weight)(X))
    model = model or Perceptron((X.shape[1], *hidden, n_units), "tanh")
    geometry = Affinity(objective, X, weight).geometry(X, weight)
    mass = torch.as_tensor(weight / weight.sum())
    return Problem(model, inputs, mass, geometry, objective)


def drawn(space, weight, n_seeds, seed):
    return kmeans_plus_plus(space, weight, n_seeds, np.random.RandomState(seed))


def seeds_of(X, n_seeds, seed, weight=None):
    weight = np.ones(X.shape[0]) if weight is None else weight
    return drawn(feature_space(X, weight), weight, n_seeds, seed)


# Where seeds are drawn


def squared_distances_between(X):
    return ((X[:, None] - X) ** 2).sum(-1)


def assert_typical(space, squared_radius, weight):
    """The measure of what is far: any robust one will do."""
    assert 0.5 < space.typical / weighted_median(squared_radius, weight) < 2


@pytest.mark.parametrize("objective", ["mmd_ova", "mi", MMD(kernel="cosine")], ids=str)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_space_of_features_is_euclidean(objective, container):
    X = np.random.default_rng(0).exponential(size=(25, 3))
    problem = make_task(container(X), 3, objective)
    features = (problem.geometry.features or problem.inputs).array
    features = features.toarray() if sp.issparse(features) else features
    weight = np.random.default_rng(1).uniform(size=25)
    space = seeding_space(problem, weight)
    rows = np.array([4, 11, 4])
    np.testing.assert_allclose(
        space.squared_distances(rows), squared_distances_between(features)[:, rows], atol=1e-12
    )
    centre = np.average(features, axis=0, weights=weight)
    assert_typical(space, ((features - centre) ** 2).sum(1), weight)


def test_space_of_a_kernel_is_that_of_its_features():
    X = np.random.default_rng(0).normal(size=(25, 3))
    problem = make_task(X, 3, MMD(kernel="rbf", gamma=0.3))
    kernel = rbf_kernel(X, gamma=0.3) / problem.geometry.unit**2
    weight = np.ones(25) / 25
    space = seeding_space(problem, weight)
    rows = np.array([4, 11])
    expected = kernel.diagonal()[:, None] - 2 * kernel[:, rows] + kernel.diagonal()[rows]
    np.testing.assert_allclose(space.squared_distances(rows), expected, atol=1e-12)
    to_centre = kernel.diagonal() - 2 * kernel @ weight + weight @ kernel @ weight
    assert_typical(space, to_centre, weight)


def test_space_of_distances_has_their_squares():
    X = np.random.default_rng(0).normal(size=(25, 3))
    problem = make_task(X, 3, Wasserstein(metric="manhattan"))
    distances = cdist(X, X, "cityblock") / problem.geometry.unit
    space = seeding_space(problem, np.ones(25))
    np.testing.assert_allclose(space.squared_distances([4, 11]), distances[:, [4, 11]] ** 2)
    assert_typical(space, distances[:, :8].ravel() ** 2 / 2, np.ones(200))


# k-means++


@pytest.mark.parametrize(
    "objective", ["mmd_ovo", "mi", MMD(kernel="rbf"), "wasserstein_ova"], ids=str
)
def test_each_blob_gets_one_seed(objective):
    X, labels = make_blobs(150, centers=5, cluster_std=0.5, center_box=(-20, 20), random_state=1)
    space = seeding_space(make_task(X, 5, objective), np.ones(150))
    hits = [len(set(labels[drawn(space, np.ones(150), 5, seed)])) for seed in range(20)]
    assert hits.count(5) >= 18
    assert min(hits) >= 4


@pytest.mark.parametrize("n_seeds", [1, 2, 7, 12])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_seeds_are_distinct_samples(n_seeds, dtype):
    X = np.random.default_rng(0).normal(size=(12, 4)).astype(dtype)
    for seed in range(20):
        rows = seeds_of(X, n_seeds, seed)
        assert rows.shape == (n_seeds,)
        assert len(set(rows)) == n_seeds


@pytest.mark.parametrize("distance", [50.0, 1e3, 1e6])
def test_outlier_is_seldom_a_seed(distance):
    X = np.random.default_rng(0).normal(size=(201, 2))
    X[77] = distance, 0
    scaled = Scaling(X, np.ones(201))(X)
    picked = sum(77 in seeds_of(scaled, 3, seed) for seed in range(50))
    assert picked <= 10


def test_few_outliers_leave_no_blob_without_a_seed():
    X, labels = make_blobs(150, centers=3, cluster_std=0.5, random_state=0)
    outliers = np.random.default_rng(0).normal(scale=100, size=(4, 2))
    X, labels = np.concatenate([X, outliers]), np.r_[labels, [-1] * 4]
    hits = [len(set(labels[seeds_of(X, 3, seed)]) - {-1}) for seed in range(20)]
    assert hits.count(3) >= 14


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_integer_weights_draw_the_rows_that_repetition_draws(container):
    rng = np.random.default_rng(0)
    X = np.unique(rng.normal(size=(30, 2)), axis=0)
    counts = rng.integers(0, 5, 30)
    kept = counts > 0
    repeated = X.repeat(counts, axis=0)
    for seed in range(20):
        weighted = seeds_of(container(X[kept]), 4, seed, counts[kept].astype(float))
        plain = seeds_of(container(repeated), 4, seed)
        np.testing.assert_array_equal(X[kept][weighted], repeated[plain])


def test_sparse_and_dense_samples_have_the_same_seeds():
    X = np.random.default_rng(0).exponential(size=(30, 3))
    X[X < 1] = 0
    for seed in range(10):
        np.testing.assert_array_equal(seeds_of(X, 4, seed), seeds_of(sp.csr_array(X), 4, seed))


def test_sample_without_weight_is_no_seed():
    X = np.random.default_rng(0).normal(size=(20, 2))
    weight = np.ones(20)
    weight[5:15] = 0
    drawn_rows = {row for seed in range(30) for row in seeds_of(X, 4, seed, weight)}
    assert drawn_rows <= {*range(5), *range(15, 20)}
    assert len(drawn_rows) > 6


def test_equal_samples_are_no_obstacle():
    assert set(seeds_of(np.zeros((6, 2)), 3, 0)) <= set(range(6))


# Where training starts


def start_of(problem, seeds):
    run = start(problem, np.array(seeds), SETTINGS)
    assert not run.interrupted
    return run.parameters


@pytest.fixture
def one_draw(monkeypatch):
    monkeypatch.setattr(seeding_module, "TRIES", {"lbfgs": 1})


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n_units", [2, 5, 16])
@pytest.mark.parametrize("objective", ["mmd_ovo", "tv_ova", "wasserstein_ovo"])
@pytest.mark.usefixtures("one_draw")
def test_linear_model_starts_as_a_softmax_around_its_seeds(dtype, n_units, objective):
    X = np.random.default_rng(0).normal(3, 2, size=(24, 20)).astype(dtype)
    weight = np.random.default_rng(1).uniform(0.5, 2, 24).astype(dtype)
    problem = make_task(X, n_units, objective, weight=weight)
    parameters = start_of(problem, range(12))
    assert parameters.dtype == problem.weight.dtype
    proba = log_probabilities(problem.model, parameters, problem.inputs).exp()
    mass = problem.weight.numpy().astype(np.float64)
    for restart in (0, *range(2, 12)):
        rows = drawn(seeding_space(problem, mass), mass, n_units, seed=restart)
        scaled = problem.inputs.array.astype(np.float64)
        squares = squared_distances_between(scaled)[:, rows]
        width = SEED_WIDTH * np.sqrt(typical_distance(squares.min(1), mass))
        np.testing.assert_allclose(
            proba[restart],
            softmax(-squares / (2 * width**2), axis=1),
            atol=1e-9 if dtype == np.float64 else 1e-4,
        )


@pytest.mark.parametrize("objective", ["mmd_ovo", "tv_ova"])
def test_of_several_draws_of_seeds_the_best_is_taken(monkeypatch, objective):
    X = np.random.default_rng(0).normal(size=(60, 2))
    problem = make_task(X, 6, objective)
    reached = []
    for tries in (1, 3, 30):
        monkeypatch.setattr(seeding_module, "TRIES", {"lbfgs": tries})
        reached.append(problem.value(start_of(problem, range(12)))[[0, *range(2, 12)]])
    # The first draw is among the three, and these are among the thirty.
    for few, more in itertools.pairwise(reached):
        assert (more >= few * (1 - 1e-5)).all()
        assert more.mean() > 1.01 * few.mean()


@pytest.mark.parametrize("hidden", [(), (8,)], ids=["linear", "mlp"])
def test_second_restart_begins_at_random(hidden):
    X = np.random.default_rng(0).normal(size=(30, 2))
    problem = make_task(X, 3, hidden=hidden)
    initial = problem.model.initialise([4, 5, 6], torch.float64)
    parameters = start_of(problem, [4, 5, 6])
    changed = (parameters != initial).any(1)
    assert changed.tolist() == [True, False, True]


@pytest.mark.parametrize("hidden", [(), (8,)], ids=["linear", "mlp"])
def test_start_of_a_restart_belongs_to_its_seed_alone(hidden):
    X, _ = make_blobs(60, centers=3, random_state=0)
    problem = make_task(X, 3, hidden=hidden)
    together = start_of(problem, [4, 5, 6])
    alone = start_of(problem, [6])
    proba = [log_probabilities(problem.model, p, problem.inputs).exp() for p in (together, alone)]
    torch.testing.assert_close(proba[0][2], proba[1][0], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(proba[0][0], proba[0][2], atol=0.1)


def factory(n_features, n_units):
    return torch.nn.Sequential(
        torch.nn.Linear(n_features, 16), torch.nn.Tanh(), torch.nn.Linear(16, n_units)
    )


@pytest.mark.parametrize(
    "make_model",
    [lambda: Perceptron((2, 16, 4), "relu"), lambda: ModuleModel(factory, 2, 4)],
    ids=["mlp", "module"],
)
@pytest.mark.parametrize("objective", ["mmd_ovo", MMD(kernel="rbf"), "wasserstein_ova"], ids=str)
@pytest.mark.usefixtures("one_draw")
def test_other_models_start_near_a_softmax_around_seeds(make_model, objective):
    X, labels = make_blobs(120, centers=4, cluster_std=0.4, random_state=3)
    problem = make_task(X, 4, objective, model=make_model())
    parameters = start_of(problem, [1, 2, 3])
    proba = log_probabilities(problem.model, parameters, problem.inputs).exp().numpy()
    space = seeding_space(problem, np.ones(120) / 120)
    for restart, seed in ((0, 1), (2, 3)):
        rows = drawn(space, np.ones(120) / 120, 4, seed)
        nearest = space.squared_distances(rows).argmin(1)
        assert (proba[restart].argmax(1) == nearest).mean() > 0.85
        assert len(set(labels[rows])) == 4  # so that each unit starts in a blob of its own


def test_start_leaves_the_global_random_state_alone():
    X = np.random.default_rng(0).normal(size=(30, 2))
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    start_of(make_task(X, 3, hidden=(4,)), [0, 1])
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002


def test_random_init_leaves_the_parameters_as_they_were_drawn():
    X, _ = make_blobs(60, centers=3, random_state=0)
    problem = make_task(X, 3, hidden=(4,))
    seeds = np.array([5, 6, 7])
    begin = start(problem, seeds, SETTINGS, "random")
    assert torch.equal(begin.parameters, problem.model.initialise([5, 6, 7], torch.float64))
    seeded = start(problem, seeds, SETTINGS)
    assert (begin.parameters != seeded.parameters).any(1).tolist() == [True, False, True]
