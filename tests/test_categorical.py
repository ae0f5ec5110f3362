"""The model without form: free logits of each sample."""

import numpy as np
import pytest
import torch
from scipy.sparse.csgraph import shortest_path
from sklearn.datasets import make_blobs, make_moons
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import kneighbors_graph

from gemclust import GeminiClustering
from gemclust.categorical import Categorical
from gemclust.metrics import gemini_score
from gemclust.objectives import MMD, Wasserstein

X, Y = make_blobs(100, centers=3, cluster_std=0.5, random_state=0)


def fitted(n_clusters=3, **parameters):
    return GeminiClustering(n_clusters, model="categorical", random_state=0, **parameters)


def test_logits_and_their_gradient():
    model = Categorical(5, 3)
    parameters = model.initialise([0, 1], torch.float64).requires_grad_()
    numbers = torch.tensor([[3], [0], [3]])
    logits = model.logits(parameters, numbers)
    assert torch.equal(logits, parameters.unflatten(1, (5, 3))[:, [3, 0, 3]])
    outer = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0)).double()
    (expected,) = torch.autograd.grad(logits, parameters, outer)
    torch.testing.assert_close(model.pull_back(parameters.detach(), numbers, outer), expected)


@pytest.mark.parametrize("objective", ["mmd_ova", "mmd_ovo", "wasserstein_ova", "wasserstein_ovo"])
def test_geometry_is_enough(objective):
    model = fitted(objective=objective).fit(X)
    assert adjusted_rand_score(Y, model.labels_) == 1
    assert model.probabilities_.shape == (100, 3)
    np.testing.assert_array_equal(model.probabilities_.argmax(1), model.labels_)
    np.testing.assert_allclose(model.probabilities_.sum(1), 1)
    assert model.objective_value_ == pytest.approx(
        gemini_score(X, model.probabilities_, objective), rel=1e-9
    )
    assert np.array_equal(fitted(objective=objective).fit_predict(X), model.labels_)


@pytest.mark.parametrize("objective", ["mi", "tv_ovo", "hellinger_ova", "chi2_ova"])
def test_f_divergences_are_blind(objective):
    model = fitted(objective=objective, max_iter=50).fit(X)
    assert abs(adjusted_rand_score(Y, model.labels_)) < 0.05
    assert model.n_clusters_ == 3


def hops(points, n_neighbors=5):
    graph = kneighbors_graph(points, n_neighbors)
    distances = shortest_path(graph.maximum(graph.T), unweighted=True)
    return np.where(np.isinf(distances), 2 * len(points), distances)


@pytest.mark.parametrize("n_clusters", [2, "auto"])
def test_a_graph_needs_no_features(n_clusters):
    points, y = make_moons(200, noise=0.04, random_state=0)
    distances = hops(points)
    assert distances[y == 0][:, y == 1].min() == 400  # two parts
    numbers = np.arange(200)[:, None]
    objective = Wasserstein("ova", metric="precomputed")
    model = fitted(n_clusters, objective=objective).fit(numbers, affinity=distances)
    assert model.n_clusters_ == 2
    assert adjusted_rand_score(y, model.labels_) == 1


def test_affinity_may_be_a_kernel():
    model = fitted(objective=MMD("ovo", kernel="precomputed")).fit(X, affinity=X @ X.T)
    assert adjusted_rand_score(Y, model.labels_) == 1


def test_equal_rows_and_weights_share_a_row():
    rows = np.repeat(np.arange(100), 2)
    twice = fitted().fit(X[rows])
    heavy = fitted().fit(X, sample_weight=np.full(100, 2.0))
    np.testing.assert_array_equal(twice.labels_, heavy.labels_[rows])
    np.testing.assert_allclose(twice.probabilities_, heavy.probabilities_[rows], atol=1e-10)


def test_warm_start_goes_on_and_another_model_forgets():
    model = fitted(warm_start=True, max_iter=3).fit(X)
    value = model.objective_value_
    assert model.set_params(max_iter=50).fit(X).objective_value_ >= value
    assert not hasattr(model.set_params(model="linear", warm_start=False).fit(X), "probabilities_")


@pytest.mark.parametrize(
    "use",
    [
        lambda m: m.predict(X),
        lambda m: m.predict_proba(X),
        lambda m: m.transform(X),
        lambda m: m.score(X),
        lambda m: m.partial_fit(X),
    ],
)
def test_no_new_points(use):
    model = fitted().fit(X)
    with pytest.raises(ValueError, match="labels_ and probabilities_"):
        use(model)


@pytest.mark.parametrize("n_clusters", [3, "auto"])
@pytest.mark.parametrize("n_places", [1, 2])
def test_samples_are_told_apart_by_the_affinity_alone(n_clusters, n_places):
    nowhere = (np.arange(len(X)) % n_places)[:, None]
    model = fitted(n_clusters, objective=MMD("ovo", kernel="precomputed"))
    assert adjusted_rand_score(Y, model.fit(nowhere, affinity=rbf_kernel(X)).labels_) == 1


def test_there_is_no_module_and_help_needs_none():
    model = fitted().fit(X)
    assert not hasattr(model, "module_")
    with pytest.raises(AttributeError, match=r"no `module_`.*labels_ and probabilities_"):
        model.module_  # noqa: B018
    assert "categorical" in model._repr_html_()


def test_samples_of_weight_zero_have_no_logits():
    with pytest.raises(ValueError, match="weight 0"):
        fitted().fit(X, sample_weight=np.r_[0.0, np.ones(99)])


@pytest.mark.parametrize("n_samples", [300, 21_000])
@pytest.mark.parametrize("n_clusters", ["auto", 3])
def test_logits_are_joined_to_clusters_among_any_number_of_samples(n_samples, n_clusters):
    samples, truth = make_blobs(n_samples, centers=[(0, 0), (20, 0), (0, 20)], random_state=0)
    model = fitted(n_clusters, n_units=20, objective="mmd_ovo").fit(samples)
    assert model.n_clusters_ == 3
    assert adjusted_rand_score(truth, model.labels_) == 1


def test_mini_batches():
    model = fitted(solver="adam", batch_size=40, learning_rate=0.1, max_iter=200).fit(X)
    assert adjusted_rand_score(Y, model.labels_) == 1


def test_numbers_of_rows_as_integers_leave_the_affinity_as_it_is():
    numbers, kernel = np.arange(len(X))[:, None], np.exp(-((X[:, None] - X) ** 2).sum(-1))
    model = fitted(objective=MMD("ovo", kernel="precomputed")).fit(numbers, affinity=kernel)
    assert adjusted_rand_score(Y, model.labels_) == 1
    expected = gemini_score(numbers, model.probabilities_, model.objective, affinity=kernel)
    assert model.objective_value_ == pytest.approx(expected)


@pytest.mark.parametrize("objective", ["mi", "tv_ovo", "chi2_ova"])
@pytest.mark.parametrize("given", [{}, {"n_clusters": 3, "n_units": 20}], ids=str)
def test_units_that_nothing_places_are_refused(objective, given):
    with pytest.raises(ValueError, match="do not see where samples lie"):
        GeminiClustering(model="categorical", objective=objective, **given).fit(X)
    GeminiClustering(3, model="categorical", objective=objective, random_state=0).fit(X)


def test_the_tree_is_cut_for_the_training_samples():
    model = fitted("auto", max_clusters=2).fit(X)
    labels, proba = model.cut(X, n_clusters=2)
    np.testing.assert_array_equal(labels, model.labels_)
    np.testing.assert_array_equal(proba, model.probabilities_)
    labels, proba = model.cut(X, n_clusters=3)
    assert proba.shape == (len(X), 3)
    assert adjusted_rand_score(Y, labels) == 1
    with pytest.raises(ValueError, match="labels_ and probabilities_"):
        model.cut(X[:50], n_clusters=2)
