"""The number of clusters that is found, why, and what else the tree of units would give."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy import spatial
from scipy.cluster.hierarchy import dendrogram, fcluster, is_valid_linkage
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.datasets import make_blobs, make_circles, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from torch import nn

from gemclust import (
    GeminiClustering,
    automatic,
    fitting,
    projections,
    select_n_clusters,
    thresholds,
)
from gemclust.distributed import ALONE
from gemclust.metrics import gemini_score
from gemclust.models import Perceptron
from gemclust.objectives import MMD, OBJECTIVES, SlicedWasserstein, Wasserstein
from gemclust.progress import Progress
from gemclust.shards import Shard

CENTRES = [(0, 0), (9, 0), (0, 9)]
X, TRUTH = make_blobs(150, centers=CENTRES, random_state=0)


def make(n_clusters="auto", **parameters):
    return GeminiClustering(n_clusters, **{"random_state": 0} | parameters)


def perceptron(n_features, n_clusters):
    return nn.Sequential(nn.Linear(n_features, 8), nn.Tanh(), nn.Linear(8, n_clusters))


@pytest.fixture(scope="module")
def fitted():
    return make().fit(X)


@pytest.fixture(scope="module")
def moons():
    """More clusters than the number that is found may be cut from these units."""
    samples, _ = make_moons(200, noise=0.06, random_state=0)
    return samples, make().fit(samples)


# The number


def one_gaussian(n_samples, n_features):
    return np.random.RandomState(2).normal(size=(n_samples, n_features)), np.zeros(n_samples)


def uniform(n_samples, n_features):
    return np.random.RandomState(3).uniform(size=(n_samples, n_features)), np.zeros(n_samples)


def small_beside_large():
    """Of 2,180 samples, six clusters of 30 that lie far from the large ones."""
    small = [(x, y) for x in (30, 37, 44) for y in (0, 7)]
    return make_blobs([1000, 1000] + [30] * 6, centers=[(0, 0), (0, 9), *small], random_state=0)


def heavy_tails(n_samples, n_features):
    return np.random.RandomState(4).standard_t(2, (n_samples, n_features)), np.zeros(n_samples)


def with_outliers():
    far = 1e3 * np.random.RandomState(5).standard_cauchy((6, 2))
    return np.r_[X, far], np.r_[TRUTH, np.full(6, -1)]


def rounded(n_samples, centres, step=1.0):
    samples, truth = make_blobs(n_samples, centers=centres, random_state=0)
    return step * np.round(samples), truth


def answers(n_samples, n_items):
    """On a scale from 1 to 5."""
    draws = np.random.RandomState(6).normal(3, 1, (n_samples, n_items))
    return np.clip(np.round(draws), 1, 5), np.zeros(n_samples)


def counts(n_samples, n_features):
    draws = np.random.RandomState(7).poisson(4, (n_samples, n_features))
    return draws, np.zeros(n_samples)


def drawn_again(n_samples, samples, truth):
    rows = np.random.RandomState(8).randint(0, len(samples), n_samples)
    return samples[rows], truth[rows]


SHAPES = {
    "blobs": (X, TRUTH),
    "blobs on a line": make_blobs(120, centers=[[-6], [0], [6], [12]], random_state=0),
    "blobs in ten dimensions": make_blobs(200, 10, centers=4, random_state=0),
    "more features than samples": make_blobs(60, 300, centers=3, random_state=0),
    "uneven": make_blobs([200, 40, 20], centers=CENTRES, random_state=0),
    "small beside large": small_beside_large(),
    "moons": make_moons(250, noise=0.06, random_state=0),
    "rings": make_circles(400, factor=0.4, noise=0.04, random_state=0),
    "whole numbers": (np.round(2 * X).astype(int), TRUTH),
    "constant features": (np.c_[X, np.ones((150, 4))], TRUTH),
    "repeated": (np.repeat(X, 3, axis=0), np.repeat(TRUTH, 3)),
    "outliers": with_outliers(),
    "rounded on a line": rounded(1600, [[20 * k] for k in range(8)]),
    "rounded": rounded(600, [(0, 0), (8, 0), (0, 8)], step=1 / 3),
    "answers": answers(600, 2),
    "answers to five questions": answers(600, 5),
    "counts": counts(600, 1),
    "pairs of counts": counts(600, 2),
    "drawn again": drawn_again(1000, *make_moons(250, noise=0.06, random_state=0)),
    "a Gaussian drawn again": drawn_again(400, *one_gaussian(200, 5)),
    "a Gaussian": one_gaussian(300, 2),
    "a Gaussian on a line": one_gaussian(200, 1),
    "a Gaussian in eight dimensions": one_gaussian(300, 8),
    "a square": uniform(300, 2),
    "a cube": uniform(300, 3),
    "heavy tails": heavy_tails(300, 2),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_number_and_clusters(shape):
    samples, truth = SHAPES[shape]
    model = make().fit(samples)
    known = truth >= 0
    assert model.n_clusters_ == len(set(truth[known]))
    assert adjusted_rand_score(truth[known], model.labels_[known]) > 0.98


@pytest.mark.parametrize("n_samples", [2, 3, 4, 5, 6, 7, 8, 11, 12, 17, 20])
def test_few_samples(n_samples):
    samples = np.resize([[0.0, 0.0], [20.0, 0.0]], (n_samples, 2))
    samples = samples + np.random.RandomState(0).normal(size=(n_samples, 2))
    model = make().fit(samples)
    assert model.n_clusters_ == (1 if n_samples < 12 else 2)
    np.testing.assert_array_equal(model.predict(samples), model.labels_)
    if n_samples >= 12:
        np.testing.assert_array_equal(model.labels_[::2], model.labels_[0])


@pytest.mark.parametrize("n_samples", [30, 100, 500])
def test_samples_without_clusters_of_any_number(n_samples):
    for n_features in (1, 3, 20):
        assert make().fit(one_gaussian(n_samples, n_features)[0]).n_clusters_ == 1


def test_units_are_doubled_where_they_are_few(monkeypatch):
    centres = 10 * np.stack(np.divmod(np.arange(15), 4), 1)
    samples, truth = make_blobs(750, centers=centres, random_state=0)
    few = make(n_units=20).fit(samples)
    monkeypatch.setattr(automatic, "UNITS", 20)
    monkeypatch.setattr(automatic, "MOST_UNITS", 40)
    model = make().fit(samples)
    assert sum(map(len, model.selection_.leaves)) == 40
    assert sum(map(len, few.selection_.leaves)) == 20
    assert model.n_clusters_ >= few.n_clusters_
    assert model.n_clusters_ == 15
    assert adjusted_rand_score(truth, model.labels_) > 0.99


def test_interrupt_where_units_are_few_ends_training(monkeypatch):
    """Twice the units would be trained anew, and what the interrupt has kept thrown away."""
    trained = []

    def interrupt(self, iteration, loss):
        trained.append(iteration)
        raise KeyboardInterrupt

    centres = 10 * np.stack(np.divmod(np.arange(15), 4), 1)
    samples, _ = make_blobs(750, centers=centres, random_state=0)
    monkeypatch.setattr(automatic, "UNITS", 20)
    monkeypatch.setattr(automatic, "MOST_UNITS", 40)
    monkeypatch.setattr(Progress, "__call__", interrupt)
    with pytest.warns(UserWarning, match="interrupted"):
        model = make().fit(samples)
    assert trained == [1]
    assert sum(map(len, model.selection_.leaves)) == 20
    assert 3 * model.n_clusters_ > 20


def test_found_number_is_bounded():
    for most in (1, 2, 3, 4, 1000):
        model = make(max_clusters=most).fit(X)
        assert model.n_clusters_ == min(most, 3)
        assert model.selection_.n_clusters() == 3
        assert model.predict_proba(X).shape == (150, min(most, 3))


def test_smaller_groups_are_no_clusters():
    samples, truth = SHAPES["uneven"]
    found = {size: make(min_cluster_size=size).fit(samples) for size in (10, 30, 60, 500)}
    assert [model.n_clusters_ for model in found.values()] == [3, 2, 1, 1]
    assert adjusted_rand_score(truth > 0, found[60].labels_) == 0
    # It is a number of samples, whether they stand in rows of their own or not, among many or few.
    repeated = np.repeat(samples, 3, axis=0)
    for size, number in [(40, 3), (75, 2)]:
        assert make(min_cluster_size=size).fit(repeated).n_clusters_ == number
        weighted = make(min_cluster_size=size).fit(samples, sample_weight=np.full(260, 3))
        assert weighted.n_clusters_ == number


def with_noise_features(seed):
    """Three clusters in two of six features; all six vary by as much."""
    rng = np.random.RandomState(seed)
    samples, truth = make_blobs(450, centers=[[-3, 0], [3, 0], [0, 5]], random_state=rng)
    return np.hstack([samples / samples.std(0), rng.normal(size=(450, 4))]), truth


def test_noise_features_do_not_hide_clusters(monkeypatch):
    samples, truth = with_noise_features(5)
    model = make().fit(samples)
    assert model.n_clusters_ == 3
    assert adjusted_rand_score(truth, model.labels_) > 0.8
    monkeypatch.setattr(projections, "POINTS_PER_FEATURE", np.inf)
    assert make().fit(samples).n_clusters_ < 3


@pytest.mark.parametrize("seed", [3, 4])
def test_single_samples_far_away_are_no_clusters(seed):
    samples, _ = with_noise_features(seed)
    model = make().fit(samples)
    assert model.n_clusters_ == 3
    assert np.bincount(model.labels_).min() > 100


def test_more_sensitive_finds_more():
    samples, _ = make_blobs(200, centers=CENTRES, cluster_std=2.5, random_state=1)
    values = [0.05, 0.5, 1.0, 2.0, 4.0, 1000.0]
    models = [make(n_units=12, sensitivity=value).fit(samples) for value in values]
    numbers = [model.n_clusters_ for model in models]
    assert numbers == sorted(numbers)
    assert numbers[0] == 1 < numbers[-1]
    for value, number, model in zip(values, numbers, models, strict=True):
        assert models[0].selection_.n_clusters(value) == model.selection_.n_clusters(value)
        assert number == model.selection_.n_clusters(value)
        labels, _ = models[0].cut(samples, sensitivity=value)
        np.testing.assert_array_equal(labels, model.labels_)


# Labels, probabilities and scores


@pytest.mark.parametrize("given", [{}, {"n_clusters": 2, "n_units": 15}, {"n_init": 3}], ids=str)
def test_one_clustering_whichever_way_it_is_asked_for(given):
    model = make(**given)
    np.testing.assert_array_equal(model.fit_predict(X), model.labels_)
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    proba = model.predict_proba(X)
    assert proba.shape == (150, model.n_clusters_)
    np.testing.assert_allclose(proba.sum(1), 1)
    np.testing.assert_allclose(model.cluster_proportions_, proba.mean(0))
    np.testing.assert_array_equal(np.unique(model.labels_), np.arange(model.n_clusters_))
    assert len(model.get_feature_names_out()) == model.n_clusters_
    expected = gemini_score(X, proba, "mmd_ovo")
    assert model.objective_value_ == pytest.approx(expected, rel=1e-9)
    assert model.score(X) == pytest.approx(expected, rel=1e-9)
    with torch.no_grad():
        logits = model.module_(torch.from_numpy(X))
    np.testing.assert_array_equal(logits.argmax(1), model.labels_)
    np.testing.assert_allclose(logits.softmax(1), proba, atol=1e-9)


@pytest.mark.parametrize(
    ("ova", "ovo"),
    [
        (Wasserstein("ova"), Wasserstein("ovo")),
        (SlicedWasserstein("ova", n_projections=5), SlicedWasserstein("ovo", n_projections=5)),
    ],
    ids=["exact", "sliced"],
)
def test_units_of_transport_are_trained_one_vs_all(ova, ovo):
    samples, asked = X[:100], str(ovo)
    first, second = (make(objective=each).fit(samples) for each in (ova, ovo))
    assert first.n_clusters_ == 3
    assert first.objective_curve_ == second.objective_curve_
    np.testing.assert_array_equal(first.labels_, second.labels_)
    assert str(second.objective) == asked
    score = gemini_score(samples, second.predict_proba(samples), ovo)
    assert second.objective_value_ == pytest.approx(score, rel=1e-9)
    assert second.objective_value_ != pytest.approx(first.objective_value_)


def test_probability_of_a_cluster_is_the_sum_of_its_units(moons):
    samples, model = moons
    n_units = sum(map(len, model.selection_.leaves))
    assert n_units == 25
    _, units = model.cut(samples, n_clusters=len(model.selection_.leaves))
    assert units.shape[1] <= n_units
    for n_clusters in (1, 2, 5):
        labels, proba = model.cut(samples, n_clusters=n_clusters)
        group = model.selection_.tree.cut(n_clusters)
        sums = np.stack([units[:, group == g].sum(1) for g in range(n_clusters)], 1)
        np.testing.assert_allclose(proba, sums, atol=1e-12)
        np.testing.assert_array_equal(labels, sums.argmax(1))


def test_copies_find_the_same(fitted):
    for copied in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted), clone(fitted).fit(X)):
        np.testing.assert_array_equal(copied.predict_proba(X), fitted.predict_proba(X))
        np.testing.assert_array_equal(copied.selection_.heights, fitted.selection_.heights)
        np.testing.assert_array_equal(copied.selection_.valleys, fitted.selection_.valleys)
        np.testing.assert_array_equal(*(m.cut(X, n_clusters=2)[0] for m in (copied, fitted)))


@pytest.mark.parametrize("factor", [1e-200, 1e-3, 1e4, 1e300])
def test_labels_depend_on_no_unit_and_no_origin(moons, factor):
    samples, model = moons
    for shift in (0.0, 100.0):
        moved = make().fit(factor * (samples + shift))
        assert moved.n_clusters_ == 2
        np.testing.assert_array_equal(moved.labels_, model.labels_)
        np.testing.assert_allclose(moved.selection_.heights, model.selection_.heights, rtol=1e-6)


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("shape", ["rounded", "drawn again"])
def test_repeated_samples_depend_on_no_unit(shape, factor):
    samples, truth = SHAPES[shape]
    model = make().fit(factor * samples)
    assert model.n_clusters_ == truth.max() + 1
    assert adjusted_rand_score(truth, model.labels_) > 0.98


@pytest.mark.parametrize("shape", ["blobs", "moons", "a Gaussian", "rounded"])
def test_weights_are_repetitions(shape):
    samples, _ = SHAPES[shape]
    samples = samples[::3] if shape == "rounded" else samples
    weight = np.random.RandomState(1).randint(0, 4, len(samples))
    rows = np.repeat(np.arange(len(samples)), weight)
    weighted = make().fit(samples, sample_weight=weight)
    rng = np.random.RandomState(2)
    order = rng.permutation(len(rows))
    repeated = make().fit(samples[rows[order]])
    np.testing.assert_array_equal(weighted.labels_[rows[order]], repeated.labels_)
    np.testing.assert_allclose(repeated.selection_.heights, weighted.selection_.heights, rtol=1e-9)
    np.testing.assert_allclose(repeated.selection_.valleys, weighted.selection_.valleys, rtol=1e-9)


@pytest.mark.parametrize("factor", [1e-9, 1.0 / 3, 1e6])
def test_weights_in_any_unit(fitted, factor):
    model = make().fit(X, sample_weight=np.full(150, factor))
    np.testing.assert_array_equal(model.labels_, fitted.labels_)


@pytest.mark.parametrize("most", [3, 30, 10_000])
def test_large_weights_make_no_clusters_of_single_samples(most):
    for weight in (np.random.RandomState(0).randint(1, most, 150), np.geomspace(0.1, most, 150)):
        model = make().fit(X, sample_weight=weight)
        assert model.n_clusters_ == 3
        assert adjusted_rand_score(TRUTH, model.labels_) == 1


@pytest.mark.parametrize("times", [100, 400, 10_000])
@pytest.mark.parametrize("model", ["auto", "mlp"])
def test_one_sample_with_most_of_the_weight_hides_no_clusters(times, model):
    weight = np.where(np.arange(150) == 20, times, 1)
    weighted = make(model=model).fit(X, sample_weight=weight)
    repeated = make(model=model).fit(np.repeat(X, weight, axis=0))
    np.testing.assert_array_equal(repeated.labels_, np.repeat(weighted.labels_, weight))
    assert weighted.n_clusters_ == 3
    assert adjusted_rand_score(TRUTH, weighted.labels_) > 0.95


def test_few_samples_with_most_of_the_weight_hide_no_clusters():
    weight = np.where(np.arange(150) % 15 == 0, 100, 1)
    model = make().fit(X, sample_weight=weight)
    assert model.n_clusters_ == 3
    assert adjusted_rand_score(TRUTH, model.labels_) > 0.95


@pytest.mark.parametrize("parameters", [{"n_units": 30}, {}], ids=str)
def test_known_number_with_most_of_the_weight_in_one_place(parameters):
    """Such as accounts that were never used."""
    samples = np.r_[X + 40, np.zeros((300, 2))]
    model = make(4, **parameters).fit(samples)
    assert model.n_clusters_ == 4
    if not parameters:
        assert adjusted_rand_score(np.r_[TRUTH, np.full(300, 3)], model.labels_) == 1


@pytest.mark.parametrize("n_units", [60, 100, 140])
def test_units_for_most_samples(n_units):
    model = make(n_units=n_units).fit(X)
    assert model.n_clusters_ == 3
    assert len(model.selection_.leaves) > n_units / 2


@pytest.mark.parametrize("n_clusters", ["auto", 3])
@pytest.mark.parametrize("model", ["auto", "linear"])
def test_few_units_that_are_left_are_no_evidence(n_clusters, model):
    with pytest.warns(ConvergenceWarning, match=r"Only \d of 18 units win.*alpha=0.03 is too"):
        make(n_clusters, alpha=0.03, model=model, n_units=18).fit(X)
    with pytest.warns(ConvergenceWarning, match=r"Only \d of 150 units win.*Leave n_units"):
        make(n_clusters, model="mlp", objective="kl_ova", n_units=150).fit(X)


@pytest.mark.parametrize("shape", ["blobs", "moons", "a Gaussian", "answers", "outliers"])
@pytest.mark.parametrize("model", ["auto", "linear", "mlp"])
def test_units_that_are_enough_are_no_reason_to_warn(shape, model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(model=model).fit(SHAPES[shape][0])


def test_weights_without_which_there_are_fewer(fitted):
    model = make().fit(X, sample_weight=TRUTH > 0)
    assert model.n_clusters_ == 2
    assert adjusted_rand_score(TRUTH[TRUTH > 0], model.labels_[TRUTH > 0]) == 1


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array])
def test_sparse_samples(container):
    samples = np.maximum(X, 0)
    dense, sparse = make().fit(samples), make().fit(container(samples))
    assert sparse.n_clusters_ == dense.n_clusters_ == 3
    assert adjusted_rand_score(dense.labels_, sparse.labels_) > 0.98
    np.testing.assert_array_equal(sparse.predict(samples), sparse.labels_)
    labels, _ = sparse.cut(container(samples), n_clusters=3)
    np.testing.assert_array_equal(labels, sparse.labels_)


def test_single_precision(fitted):
    model = make().fit(X.astype(np.float32))
    assert model.predict_proba(X.astype(np.float32)).dtype == np.float32
    assert model.cut(X.astype(np.float32), n_clusters=2)[1].dtype == np.float32
    np.testing.assert_array_equal(model.labels_, fitted.labels_)


def test_partial_fit_keeps_the_clusters(fitted):
    model = copy.deepcopy(fitted).partial_fit(X[:60])
    assert model.predict_proba(X).shape == (150, 3)
    assert adjusted_rand_score(TRUTH[:60], model.labels_) == 1
    assert model._clusters == fitted._clusters
    assert not np.array_equal(model._parameters, fitted._parameters)


# What units are made of


@pytest.mark.filterwarnings("ignore:The objective still improved")
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective(objective):
    samples, truth = X[::2], TRUTH[::2]
    model = make(objective=objective, max_iter=60, n_units=6).fit(samples)
    assert model.n_clusters_ == 3
    assert adjusted_rand_score(truth, model.labels_) == 1
    expected = gemini_score(samples, model.predict_proba(samples), objective)
    assert model.objective_value_ == pytest.approx(expected, rel=1e-6)


@pytest.mark.filterwarnings("ignore:The objective still improved")
@pytest.mark.parametrize(
    "given",
    [
        {"model": "mlp"},
        {"model": "linear"},
        {"model": "local"},
        {"model": perceptron, "learning_rate": 0.01},
        {"objective": MMD(kernel="rbf")},
        {"solver": "adam", "max_iter": 100},
        {"batch_size": 30, "max_iter": 60},
    ],
    ids=["mlp", "linear", "local", "factory", "rbf", "adam", "mini-batches"],
)
def test_every_model(given):
    model = make(**given).fit(X)
    assert model.n_clusters_ == 3
    assert adjusted_rand_score(TRUTH, model.labels_) == 1
    np.testing.assert_array_equal(model.predict(X), model.labels_)


def test_precomputed_matrices_say_where_valleys_lie(fitted):
    kernel, distances = X @ X.T, cdist(X, X)
    order = np.random.RandomState(0).permutation(150)
    for objective, matrix in [("mmd_ovo", kernel), (Wasserstein("ovo"), distances)]:
        model = make(objective=objective, n_units=8).fit(X, affinity=matrix)
        assert adjusted_rand_score(TRUTH, model.labels_) == 1
        again = make(objective=objective, n_units=8)
        again.fit(X[order], affinity=matrix[np.ix_(order, order)])
        np.testing.assert_array_equal(again.labels_, model.labels_[order])
    # What they say counts, not X.
    one = np.exp(-(cdist(*2 * [np.random.RandomState(0).normal(size=(150, 2))]) ** 2))
    assert make().fit(X, affinity=one).n_clusters_ == 1


# The tree


def test_cuts_are_nested(moons):
    samples, model = moons
    finer, _ = model.cut(samples, n_clusters=8)
    for n_clusters in range(7, 0, -1):
        groups = model.selection_.tree.cut(n_clusters + 1), model.selection_.tree.cut(n_clusters)
        assert len(set(zip(*groups, strict=True))) == n_clusters + 1
        clusters = model.selection_.clusters(n_clusters)
        assert sorted(u for units in clusters for u in units) == list(range(25))
        coarser, proba = model.cut(samples, n_clusters=n_clusters)
        assert proba.shape == (200, n_clusters)
        np.testing.assert_allclose(proba.sum(1), 1)
        np.testing.assert_array_equal(coarser, proba.argmax(1))
    np.testing.assert_array_equal(model.cut(samples, n_clusters=2)[0], model.labels_)
    assert len(set(finer)) == 8


@pytest.mark.parametrize("n_clusters", [1, 2, 4])
def test_cut_is_the_fit_at_that_number(moons, n_clusters):
    samples, model = moons
    fixed = make(n_clusters, n_units=25).fit(samples)
    assert fixed.n_clusters_ == n_clusters
    labels, proba = model.cut(samples, n_clusters=n_clusters)
    np.testing.assert_array_equal(fixed.labels_, labels)
    np.testing.assert_allclose(fixed.predict_proba(samples), proba)
    assert fixed.selection_.valleys.shape == (n_clusters, n_clusters)


@pytest.mark.parametrize("n_clusters", [3, 4, 5])
def test_valleys_between_pieces_of_a_cluster_are_not_real(n_clusters):
    samples, moon = make_moons(600, noise=0.05, random_state=0)
    fixed = make(n_clusters, n_units=75).fit(samples)
    assert fixed.selection_.tree.thresholds.least  # the two moons stand clear of all others
    of = [int(np.bincount(moon[fixed.labels_ == k]).argmax()) for k in range(n_clusters)]
    valleys = fixed.selection_.valleys
    for a, b in enumerate(np.nanargmin(valleys, axis=1)):
        # Pieces of one moon that do not touch have no edge between them.
        assert (valleys[a, b] < 1) == (of[a] == of[b]) == (of.count(of[a]) > 1)


@pytest.mark.parametrize(
    ("n_samples", "n_units", "found", "more"),
    [
        (4_000, 100, 33, 0),
        (4_000, 100, 34, 200),
        (4_000, 100, 66, 200),
        (4_000, 100, 67, 400),
        (4_000, 100, 100, 400),
        (3_199, 100, 100, 200),  # eight samples for each unit
        (1_599, 100, 100, 0),
        (4_000, 200, 67, 400),
        (9_000, 400, 400, 0),
        (700, 87, 87, 0),
    ],
)
def test_more_units_are_trained_where_there_are_fewer_than_three_for_each_cluster(
    n_samples, n_units, found, more
):
    samples = np.random.RandomState(0).normal(size=(n_samples, 2)).astype(np.float32)
    shard = Shard(samples, np.ones(n_samples, dtype=np.float32), None, ALONE)
    assert automatic.more_units(make(), n_units, found, shard) == more
    assert automatic.more_units(make(n_units=100), n_units, found, shard) == 0
    assert automatic.more_units(make(found), n_units, found, shard) == 0


def test_many_clusters_that_touch_tell_together(monkeypatch):
    rng = np.random.RandomState(0)
    grid = 4.0 * np.stack(np.meshgrid(range(5), range(5)), axis=-1).reshape(-1, 2)
    samples = np.repeat(grid, 100, axis=0) + rng.normal(size=(2500, 2))
    model = make().fit(samples)
    assert 24 <= model.n_clusters_ <= 26
    # Along curves, more of such valleys are there by chance.
    monkeypatch.setattr(thresholds, "SURROUNDED", 100.0)
    assert make().fit(samples).n_clusters_ < 20
    # One by one, most of them are not real.
    monkeypatch.setattr(thresholds, "MANY", 0.0)
    assert make().fit(samples).n_clusters_ < 10


def test_known_number_of_clusters_that_are_not_convex():
    samples, truth = SHAPES["rings"]
    assert adjusted_rand_score(truth, make(2, n_units=30).fit(samples).labels_) == 1
    assert adjusted_rand_score(truth, make(2).fit(samples).labels_) < 0.5


def test_cut_changes_nothing(fitted):
    before = pickle.dumps(fitted)
    fitted.cut(X, n_clusters=5)
    fitted.cut(X[:1], sensitivity=9.0)
    assert pickle.dumps(fitted) == before


@pytest.mark.parametrize("sensitivity", [0.01, 0.7, 1.0, 1.6, 30.0])
def test_cut_at_a_sensitivity(moons, sensitivity):
    samples, model = moons
    number = model.selection_.n_clusters(sensitivity)
    by_sensitivity = model.cut(samples, sensitivity=sensitivity)
    by_number = model.cut(samples, n_clusters=number)
    assert by_sensitivity[1].shape == (200, number)
    for one, other in zip(by_sensitivity, by_number, strict=True):
        np.testing.assert_array_equal(one, other)


def test_tree_is_that_of_scipy(moons):
    _, model = moons
    selection = model.selection_
    linkage, n_leaves = selection.linkage, len(selection.leaves)
    assert linkage.shape == (n_leaves - 1, 4)
    assert is_valid_linkage(linkage)
    assert np.all(np.diff(linkage[:, 2]) >= 0)
    assert linkage[-1, 3] == n_leaves
    assert selection.sizes.sum() == 200
    np.testing.assert_array_equal(linkage[::-1, 2], selection.heights)
    assert sorted(dendrogram(linkage, no_plot=True)["leaves"]) == list(range(n_leaves))
    distinct = 0
    for k in range(1, n_leaves + 1):
        # Where two steps have one height, SciPy takes both or none.
        if 1 < k < n_leaves and selection.heights[k - 1] == selection.heights[k - 2]:
            continue
        flat = fcluster(linkage, k, criterion="maxclust")
        if len(set(flat)) == k:
            distinct += 1
            assert adjusted_rand_score(flat, selection.tree.cut(k)) == 1
    assert distinct > 10


def test_evidence(fitted):
    selection = fitted.selection_
    matrix, off = selection.valleys, ~np.eye(3, dtype=bool)
    np.testing.assert_array_equal(matrix, matrix.T)
    assert np.isnan(np.diag(matrix)).all()
    assert (matrix[off] >= 1).all()
    assert (selection.heights[:2] >= 1).all()
    assert (selection.heights[2:] < 1).all()
    assert (selection.heights >= 0).all()
    assert selection.counts == {3: 1}
    numbers = [selection.n_clusters(s) for s in np.geomspace(1e-3, 1e3, 50)]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize("model", ["linear", "mlp", "module"])
@pytest.mark.parametrize("objective", ["mmd_ova", "kl_ova", "tv_ovo"])
def test_units_of_any_model_share_the_samples(model, objective):
    """Trained to the end they would straddle gaps, and those of a hidden layer die out."""
    fewest = 12
    if model == "module":  # which takes small steps
        model, fewest = two_layers, 6
    fitted = make(n_units=24, model=model, objective=objective).fit(X)
    units, _ = fitted.cut(X, n_clusters=len(fitted.selection_.leaves))
    assert len(np.unique(units)) >= fewest
    assert fitted.n_clusters_ == 3
    assert adjusted_rand_score(TRUTH, fitted.labels_) == 1


def two_layers(n_features, n_clusters):
    return nn.Sequential(nn.Linear(n_features, 32), nn.ReLU(), nn.Linear(32, n_clusters))


@pytest.mark.parametrize("copies", [1, 5])
def test_features_that_add_nothing_change_no_number(copies):
    for seed in range(6):
        even = np.random.RandomState(1000 + seed).uniform(size=(150, 1))
        constant = np.ones((150, 5))
        wide = np.hstack([*[even * 2.0**k for k in range(copies)], constant])
        expected = select_n_clusters(even, random_state=0)
        assert select_n_clusters(wide, random_state=0) == expected


def test_many_features_are_the_reason_where_all_is_automatic():
    X = np.random.RandomState(0).normal(size=(200, 1000))
    X[100:, 0] += 45
    with pytest.warns(ConvergenceWarning, match=r"units win.*With many features, reduce them"):
        fitted = GeminiClustering(random_state=0).fit(X)
    assert fitted.n_clusters_ == 2


def test_restarts_vote():
    samples, _ = make_blobs(200, centers=CENTRES, cluster_std=2.3, random_state=0)
    model = make(n_init=5).fit(samples)
    counts = model.selection_.counts
    assert sum(counts.values()) == 5
    assert len(counts) > 1
    assert counts[model.n_clusters_] == max(counts.values())


# Many samples


def test_rounded_values_of_many_samples():
    samples, truth = rounded(24_000, [[20 * k] for k in range(8)])
    model = make().fit(samples)
    assert model.n_clusters_ == 8
    assert adjusted_rand_score(truth, model.labels_) > 0.98
    assert model.objective_value_ == pytest.approx(model.score(samples), rel=1e-9)


@pytest.mark.parametrize(("smallest", "found"), [(None, 2), (100, 2), (400, 1)])
def test_small_group_among_many_samples(smallest, found):
    """200 of 60,000: of 10,000 points that are drawn evenly it would have 33."""
    draw = np.random.RandomState(0)
    samples = np.concatenate([draw.normal(size=(60_000, 2)), draw.normal(10, 1, size=(200, 2))])
    model = make(min_cluster_size=smallest).fit(samples)
    assert model.n_clusters_ == found
    if found == 2:
        assert (model.labels_[-200:] == model.labels_[-1]).all()
        assert (model.labels_ == model.labels_[-1]).sum() < 260


@pytest.mark.parametrize("n_places", [3, 30, 150])
def test_many_samples_at_few_places(n_places):
    """Where so many stand, they say no more than a few that are weighted."""
    places = np.random.RandomState(9).normal(size=(n_places, 2))
    model = make().fit(drawn_again(25_000, places, np.zeros(n_places))[0])
    assert model.n_clusters_ == 1


@pytest.mark.parametrize("objective", ["auto", "mmd_ovo", "kl_ova"])
def test_cost_on_many_samples_is_bounded(monkeypatch, objective):
    samples, truth = make_blobs(25_000, centers=CENTRES, random_state=0)
    n_seen, n_asked = [], []
    logits, pull_back = Perceptron.logits, Perceptron.pull_back

    def counted(method):
        def call(self, parameters, X, *args):
            n_seen.append(len(parameters) * len(X))
            return method(self, parameters, X, *args)

        return call

    class Counting(spatial.KDTree):
        def query(self, X, *args, **kwargs):
            n_asked.append(len(X))
            return super().query(X, *args, **kwargs)

    monkeypatch.setattr(Perceptron, "logits", counted(logits))
    monkeypatch.setattr(Perceptron, "pull_back", counted(pull_back))
    monkeypatch.setattr(spatial, "KDTree", Counting)
    model = make(n_units=20, objective=objective).fit(samples)
    assert model.n_clusters_ == 3
    assert adjusted_rand_score(truth, model.labels_) > 0.99
    # Units see few samples, of which there are 50 for each; then all are seen once for each number
    # that follows from the clusters.
    assert sum(n_seen) <= 4 * 25_000 + 40 * 50 * 20
    assert 0 < sum(n_asked) <= 20 * 2_000


def test_estimator_hands_the_test_points_to_the_search(monkeypatch, fitted):
    seen = []
    views_of = fitting.views_of

    def record(points, n_neighbours, rng):
        seen.append(points)
        return views_of(points, n_neighbours, rng)

    monkeypatch.setattr(fitting, "views_of", record)
    make().fit(X)
    # In the order of the rows, each once, in units of a power of two.
    unit = np.log2(np.abs(X).max() / np.abs(seen[0]).max())
    assert unit == round(unit)
    assert 0.5 <= np.abs(seen[0]).max() < 1
    np.testing.assert_array_equal(2**unit * seen[0], np.unique(X, axis=0))
