"""GeminiClustering behaves as scikit-learn's own estimators do."""

import copy
import io
import logging
import pickle
import random
import subprocess
import sys
import warnings
from typing import ClassVar

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
import torch
from sklearn.base import clone
from sklearn.datasets import load_wine, make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.pairwise import pairwise_kernels, rbf_kernel
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from gemclust import GeminiClustering
from gemclust import threads as threads_module
from gemclust.metrics import gemini_score
from gemclust.objectives import MMD, OBJECTIVES, Objective, Wasserstein

CENTRES = [(0, 0), (6, 0), (0, 6)]
X, TRUTH = make_blobs(90, centers=CENTRES, cluster_std=1.0, random_state=0)
OVERLAPPING, _ = make_blobs(80, centers=CENTRES, cluster_std=2.5, random_state=1)
LINE = np.random.RandomState(0).normal(np.repeat([-5.0, 0.0, 5.0], 20), 0.5)[:, None]


def make(n_clusters=3, **parameters):
    return GeminiClustering(n_clusters, **{"n_init": 1, "random_state": 0} | parameters)


def perceptron(n_features, n_clusters):
    return nn.Sequential(nn.Linear(n_features, 8), nn.Tanh(), nn.Linear(8, n_clusters))


def noisy_perceptron(n_features=2, n_clusters=3):
    return nn.Sequential(
        nn.Linear(n_features, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.Linear(16, n_clusters)
    )


VARIANTS = {
    "default": {"n_init": "auto"},
    "linear": {"model": "linear"},
    "restarts": {"n_init": 3},
    "deep": {"hidden_layer_sizes": (8, 6), "activation": "tanh"},
    "auto": {"n_clusters": "auto", "max_clusters": 5},
    "auto, sensitive": {"n_clusters": "auto", "sensitivity": 3.0, "n_init": 2},
    "units": {"n_clusters": 3, "n_units": 12},
    "units of a perceptron": {"n_clusters": 3, "n_units": 8, "model": "mlp"},
    "units of a module": {"n_clusters": 2, "n_units": 6, "model": perceptron, "max_iter": 60},
    "units, transport": {"n_clusters": 2, "n_units": 5, "objective": "wasserstein_ovo"},
    "units, minibatch": {"n_clusters": 3, "n_units": 9, "batch_size": 20, "max_iter": 30},
    "adam": {"solver": "adam", "max_iter": 60},
    "sgd": {"solver": "sgd", "max_iter": 60},
    "minibatch": {"batch_size": 20, "max_iter": 30},
    "mi": {"objective": "mi", "model": "linear", "alpha": 0.01},
    "tv": {"objective": "tv_ovo"},
    "wasserstein": {"objective": "wasserstein_ova"},
    "geodesic": {"objective": Wasserstein("ovo", metric="geodesic", n_neighbors=40)},
    "rbf": {"objective": MMD("ovo", kernel="rbf")},
    "nystroem": {"objective": MMD("ovo", kernel="rbf", n_components=15)},
    "module": {"model": perceptron, "max_iter": 60},
    "batchnorm": {"model": noisy_perceptron, "max_iter": 60},
}
every_variant = pytest.mark.parametrize("parameters", VARIANTS.values(), ids=VARIANTS)
FEW = ["default", "linear", "minibatch", "wasserstein", "rbf", "module"]
FEW += ["auto, sensitive", "units", "units of a module", "units, minibatch"]
few_variants = pytest.mark.parametrize("parameters", [VARIANTS[v] for v in FEW], ids=FEW)


def penalty(estimator):
    """Sum of squared weights (not biases)."""
    weights = (p.detach() for p in estimator.module_.parameters() if p.ndim > 1)
    return sum(float(w.square().sum()) for w in weights)


def module_proba(estimator, X):
    with torch.no_grad():
        return estimator.module_(torch.as_tensor(X)).softmax(1)


def state(estimator):
    """All that a failed call must leave alone."""
    return {name: id(value) for name, value in vars(estimator).items()}


# Labels, probabilities and scores


@every_variant
def test_one_clustering_whichever_way_it_is_asked_for(parameters):
    estimator = make(**parameters)
    labels = estimator.fit_predict(OVERLAPPING)
    assert labels.dtype.kind == "i"
    np.testing.assert_array_equal(labels, estimator.labels_)
    np.testing.assert_array_equal(labels, estimator.predict(OVERLAPPING))
    np.testing.assert_array_equal(np.unique(labels), np.arange(estimator.n_clusters_))
    proba = estimator.predict_proba(OVERLAPPING)
    assert proba.shape == (len(OVERLAPPING), estimator.n_clusters_)
    np.testing.assert_array_equal(proba.argmax(1), labels)
    np.testing.assert_allclose(proba.sum(1), 1, rtol=1e-12)
    np.testing.assert_array_equal(estimator.transform(OVERLAPPING), proba)
    np.testing.assert_array_equal(np.exp(estimator.predict_log_proba(OVERLAPPING)), proba)
    np.testing.assert_allclose(estimator.cluster_proportions_, proba.mean(0), rtol=1e-10)
    assert isinstance(estimator.module_, nn.Module)
    np.testing.assert_allclose(module_proba(estimator, OVERLAPPING), proba, atol=1e-9)


def test_fit_predict_takes_what_fit_takes():
    weight = np.linspace(0.1, 2, len(OVERLAPPING))
    given = {"sample_weight": weight, "affinity": rbf_kernel(OVERLAPPING)}
    labels = make(objective="mmd_ova").fit_predict(OVERLAPPING, **given)
    np.testing.assert_array_equal(
        labels, make(objective="mmd_ova").fit(OVERLAPPING, **given).labels_
    )
    for left_out in given:
        others = {name: value for name, value in given.items() if name != left_out}
        other = make(objective="mmd_ova").fit_predict(OVERLAPPING, **others)
        assert (other != labels).any()


def test_defaults_cluster_wine():
    wine, truth = load_wine(return_X_y=True)
    wine = StandardScaler().fit_transform(wine)
    labels = GeminiClustering(n_clusters=3, random_state=0).fit_predict(wine)
    assert adjusted_rand_score(truth, labels) > 0.8


def test_no_warning_where_training_ends_by_itself():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator = make(n_init="auto").fit(X)
    assert adjusted_rand_score(TRUTH, estimator.labels_) == 1
    assert estimator.n_iter_ < estimator.max_iter


@pytest.mark.parametrize(
    ("data", "parameters"),
    [
        (LINE, {"objective": "mmd_ova", "alpha": 0.003}),
        (LINE, {"objective": "tv_ova", "alpha": 0.01}),
        (OVERLAPPING, {"objective": "mmd_ovo", "alpha": 0.03}),
        (OVERLAPPING, {"objective": "mi", "alpha": 0.03}),
    ],
    ids=["mmd", "tv", "penalised-mmd", "penalised-mi"],
)
def test_units_that_win_nothing_are_dropped(data, parameters):
    estimator = make(12, model="linear", **parameters).fit(data)
    assert 1 < estimator.n_clusters_ < 12
    assert sorted(set(estimator.labels_)) == list(range(estimator.n_clusters_))
    np.testing.assert_array_equal(estimator.predict(data), estimator.labels_)
    proba = estimator.predict_proba(data)
    assert proba.shape[1] == estimator.n_clusters_ == len(estimator.cluster_proportions_)
    np.testing.assert_allclose(proba.sum(1), 1)
    np.testing.assert_allclose(proba.mean(0), estimator.cluster_proportions_)
    np.testing.assert_allclose(module_proba(estimator, data), proba, atol=1e-9)
    expected = gemini_score(data, proba, parameters["objective"])
    assert estimator.objective_value_ == pytest.approx(expected, rel=1e-8)
    assert len(estimator.get_feature_names_out()) == estimator.n_clusters_


def test_curve_ends_at_the_objective_in_the_units_of_x():
    estimator = make().fit(1000 * OVERLAPPING)
    assert estimator.n_clusters_ == 3
    assert estimator.objective_curve_[-1] == pytest.approx(estimator.objective_value_, rel=1e-9)
    assert estimator.objective_curve_[0] < estimator.objective_curve_[-1]


def test_partial_fit_trains_the_clusters_that_were_kept():
    estimator = make(12, model="linear", objective="mmd_ovo", alpha=0.03).fit(OVERLAPPING)
    kept = np.concatenate(estimator._clusters)
    dropped = np.setdiff1d(np.arange(12), kept)
    weights = estimator._parameters[:-12].reshape(-1, 12).copy()
    estimator.set_params(alpha=0.0).partial_fit(OVERLAPPING)
    after = estimator._parameters[:-12].reshape(-1, 12)
    assert len(dropped)
    np.testing.assert_array_equal(after[:, dropped], weights[:, dropped])
    assert (after[:, kept] != weights[:, kept]).any()


def test_automatic_number_of_clusters_is_bounded():
    for most in (1, 2, 3, 4, 1000, None):
        estimator = make("auto", max_clusters=most).fit(X)
        assert estimator.n_clusters_ == min(most or 3, 3)
    assert make("auto", n_units=2).fit(X).n_clusters_ <= 2


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_score_is_the_gemini_of_the_clustering(objective):
    estimator = make(4, objective=objective, max_iter=30).fit(OVERLAPPING)
    proba = estimator.predict_proba(OVERLAPPING)
    assert estimator.score(OVERLAPPING) == pytest.approx(estimator.objective_value_, rel=1e-9)
    expected = gemini_score(OVERLAPPING, proba, objective=estimator.objective)
    assert expected == pytest.approx(estimator.objective_value_, rel=1e-7)
    new = X[:40]
    expected = gemini_score(new, estimator.predict_proba(new), objective=estimator.objective)
    assert estimator.score(new) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize(
    "objective",
    [
        MMD("ovo", kernel="rbf", gamma=0.05),
        MMD("ova", kernel="laplacian", gamma=0.05),
        MMD("ovo", kernel="poly", degree=2, gamma=0.1, coef0=1),
        MMD("ovo", kernel="cosine"),
        MMD("ova", kernel="cosine"),
        MMD("ovo", kernel="rbf", gamma=0.05, n_components=80),  # as many as samples: exact
    ],
    ids=["rbf", "laplacian", "poly", "cosine", "cosine-ova", "nystroem"],
)
def test_score_with_other_kernels(objective):
    estimator = make(objective=objective).fit(OVERLAPPING)
    assert estimator.score(OVERLAPPING) == pytest.approx(estimator.objective_value_, rel=1e-8)
    proba = estimator.predict_proba(OVERLAPPING)
    expected = gemini_score(OVERLAPPING, proba, objective)
    assert estimator.objective_value_ == pytest.approx(expected, rel=1e-7)
    names = {"rbf": ["gamma"], "laplacian": ["gamma"], "poly": ["gamma", "degree", "coef0"]}
    given = {name: getattr(objective, name) for name in names.get(objective.kernel, ())}
    kernel = pairwise_kernels(OVERLAPPING, metric=objective.kernel, **given)
    expected = gemini_score(OVERLAPPING, proba, f"mmd_{objective.mode}", affinity=kernel)
    assert estimator.objective_value_ == pytest.approx(expected, rel=1e-6)


def test_bandwidth_belongs_to_the_training_data():
    estimator = make(objective=MMD("ovo", kernel="rbf", gamma="median")).fit(X)
    distances = np.linalg.norm(X[:, None] - X[None], axis=2)
    gamma = 0.5 / np.median(distances[np.triu_indices(len(X), 1)]) ** 2
    half = X[TRUTH == 0]
    fixed = MMD("ovo", kernel="rbf", gamma=gamma)
    expected = gemini_score(half, estimator.predict_proba(half), fixed)
    assert estimator.score(half) == pytest.approx(expected, rel=1e-3)
    assert expected != pytest.approx(
        gemini_score(half, estimator.predict_proba(half), estimator.objective), rel=0.1
    )


def test_precomputed_affinity():
    kernel = OVERLAPPING @ OVERLAPPING.T
    estimator = make().fit(OVERLAPPING, affinity=kernel)
    plain = make().fit(OVERLAPPING)
    np.testing.assert_array_equal(estimator.labels_, plain.labels_)
    assert estimator.objective_value_ == pytest.approx(plain.objective_value_, rel=1e-6)
    score = estimator.score(OVERLAPPING, affinity=kernel)
    assert score == pytest.approx(estimator.objective_value_, rel=1e-8)
    order = np.random.RandomState(0).permutation(len(X) - 10)
    shuffled = make().fit(OVERLAPPING[order], affinity=kernel[np.ix_(order, order)])
    np.testing.assert_array_equal(shuffled.labels_, estimator.labels_[order])


# Data types


@few_variants
def test_float32_stays_float32(parameters):
    single = OVERLAPPING.astype(np.float32)
    estimator = make(**parameters).fit(single)
    for method in (estimator.predict_proba, estimator.predict_log_proba, estimator.transform):
        assert method(single).dtype == np.float32
        assert method(OVERLAPPING).dtype == np.float64
    assert {p.dtype for p in estimator.module_.parameters()} == {torch.float32}
    np.testing.assert_array_equal(estimator.predict(single), estimator.labels_)
    np.testing.assert_allclose(estimator.predict_proba(single).sum(1), 1, rtol=1e-5)
    assert estimator.score(single) == pytest.approx(estimator.objective_value_, rel=1e-4)
    double = make(**parameters).fit(OVERLAPPING)
    assert {p.dtype for p in double.module_.parameters()} == {torch.float64}
    assert double.transform(single).dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_runs_in_the_dtype_of_the_data(dtype):
    seen = set()

    class Witness(nn.Linear):
        def forward(self, x):
            seen.update({x.dtype, self.weight.dtype})
            return super().forward(x)

    class WitnessingMMD(MMD):
        def evaluate(self, batch):
            seen.update({batch.log_proba.dtype, batch.weight.dtype, batch.features.dtype})
            return super().evaluate(batch)

    make(model=Witness, objective=WitnessingMMD("ovo"), max_iter=5).fit(OVERLAPPING.astype(dtype))
    assert seen == {torch.float32 if dtype == np.float32 else torch.float64}


def test_lists_and_other_orders_of_memory():
    expected = make().fit(X)
    frozen = X.copy()
    frozen.setflags(write=False)
    for given in (X.tolist(), np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2], frozen):
        np.testing.assert_array_equal(make().fit(given).labels_, expected.labels_)
        np.testing.assert_array_equal(expected.predict(given), expected.labels_)


# Sample weights


@few_variants
def test_integer_weights_are_repetitions(parameters):
    weight = np.random.RandomState(0).randint(1, 4, len(OVERLAPPING))
    rows = np.repeat(np.arange(len(OVERLAPPING)), weight)
    weighted = make(**parameters).fit(OVERLAPPING, sample_weight=weight)
    repeated = make(**parameters).fit(OVERLAPPING[rows])
    np.testing.assert_array_equal(weighted.labels_[rows], repeated.labels_)
    np.testing.assert_allclose(
        weighted.predict_proba(OVERLAPPING), repeated.predict_proba(OVERLAPPING), atol=1e-6
    )
    assert weighted.objective_value_ == pytest.approx(repeated.objective_value_, rel=1e-9)
    proportions = np.average(weighted.predict_proba(OVERLAPPING), axis=0, weights=weight)
    np.testing.assert_allclose(weighted.cluster_proportions_, proportions, rtol=1e-9)
    score = weighted.score(OVERLAPPING, sample_weight=weight)
    assert score == pytest.approx(weighted.objective_value_, rel=1e-9)
    unweighted = make(**parameters).fit(OVERLAPPING)
    proba = unweighted.predict_proba(X), weighted.predict_proba(X)
    assert proba[0].shape != proba[1].shape or np.abs(proba[0] - proba[1]).max() > 1e-3


def test_integer_weights_are_repetitions_with_an_affinity():
    weight = np.random.RandomState(0).randint(1, 4, len(X))
    rows = np.repeat(np.arange(len(X)), weight)
    kernel = np.exp(-0.1 * ((X[:, None] - X[None]) ** 2).sum(2))
    weighted = make(model="linear").fit(X, sample_weight=weight, affinity=kernel)
    repeated = make(model="linear").fit(X[rows], affinity=kernel[np.ix_(rows, rows)])
    np.testing.assert_array_equal(weighted.labels_[rows], repeated.labels_)
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-6)


@few_variants
def test_zero_weights_are_removal(parameters):
    weight = np.ones(len(OVERLAPPING))
    weight[::5] = 0
    polluted = OVERLAPPING.copy()
    polluted[::5] *= 100
    weighted = make(**parameters).fit(polluted, sample_weight=weight)
    removed = make(**parameters).fit(OVERLAPPING[weight > 0])
    np.testing.assert_array_equal(
        weighted.predict_proba(OVERLAPPING), removed.predict_proba(OVERLAPPING)
    )
    np.testing.assert_array_equal(weighted.labels_, removed.predict(polluted))
    assert weighted.objective_value_ == removed.objective_value_


@few_variants
def test_order_of_samples_does_not_matter(parameters):
    order = np.random.RandomState(0).permutation(len(OVERLAPPING))
    weight = np.random.RandomState(1).uniform(0.5, 2, len(OVERLAPPING))
    straight = make(**parameters).fit(OVERLAPPING, sample_weight=weight)
    shuffled = make(**parameters).fit(OVERLAPPING[order], sample_weight=weight[order])
    np.testing.assert_array_equal(straight.labels_[order], shuffled.labels_)
    np.testing.assert_allclose(
        straight.predict_proba(OVERLAPPING), shuffled.predict_proba(OVERLAPPING), atol=1e-6
    )


def test_weights_have_no_scale():
    weight = np.random.RandomState(1).uniform(0.5, 2, len(X))
    one = make().fit(OVERLAPPING, sample_weight=weight[:80])
    many = make().fit(OVERLAPPING, sample_weight=1024 * weight[:80])
    np.testing.assert_array_equal(one.labels_, many.labels_)


def test_weights_through_a_pipeline():
    weight = np.random.RandomState(2).uniform(0.1, 3, len(OVERLAPPING))
    with sklearn.config_context(enable_metadata_routing=True):
        model = make().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=True)
        pipeline = Pipeline([("scale", scaler), ("cluster", model)])
        pipeline.fit(OVERLAPPING, sample_weight=weight)
        score = pipeline.score(OVERLAPPING, sample_weight=weight)
    scaled = StandardScaler().fit(OVERLAPPING, sample_weight=weight).transform(OVERLAPPING)
    direct = make().fit(scaled, sample_weight=weight)
    np.testing.assert_array_equal(pipeline.predict_proba(OVERLAPPING), direct.predict_proba(scaled))
    assert score == pytest.approx(direct.objective_value_, rel=1e-9)


def test_weights_through_a_grid_search():
    weight = np.random.RandomState(2).uniform(0.1, 3, len(OVERLAPPING))
    folds = KFold(2, shuffle=True, random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        model = make().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = GridSearchCV(model, {"n_clusters": [2, 3]}, cv=folds, error_score="raise")
        search.fit(OVERLAPPING, sample_weight=weight)
    for row, n_clusters in enumerate([2, 3]):
        scores = [
            make(n_clusters)
            .fit(OVERLAPPING[train], sample_weight=weight[train])
            .score(OVERLAPPING[test], sample_weight=weight[test])
            for train, test in folds.split(OVERLAPPING)
        ]
        assert search.cv_results_["mean_test_score"][row] == pytest.approx(np.mean(scores))
    best = make(search.best_params_["n_clusters"]).fit(OVERLAPPING, sample_weight=weight)
    np.testing.assert_array_equal(
        search.best_estimator_.predict_proba(OVERLAPPING), best.predict_proba(OVERLAPPING)
    )


def test_affinity_is_routed():
    with sklearn.config_context(enable_metadata_routing=True):
        model = make(2, objective=MMD("ovo", kernel="precomputed")).set_fit_request(affinity=True)
        pipeline = make_pipeline(StandardScaler(), model).fit(X, affinity=X @ X.T)
    assert pipeline[-1].n_clusters_ == 2


# Frames, names and sparse matrices


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_frames_in_and_out(library):
    frame = library.DataFrame({"width": OVERLAPPING[:, 0], "height": OVERLAPPING[:, 1]})
    name = library.__name__
    estimator = make().set_output(transform=name).fit(frame)
    assert estimator.feature_names_in_.tolist() == ["width", "height"]
    names = ["geminiclustering0", "geminiclustering1", "geminiclustering2"]
    assert estimator.get_feature_names_out().tolist() == names
    out = estimator.transform(frame)
    assert isinstance(out, library.DataFrame)
    assert list(out.columns) == names
    plain = make().fit(OVERLAPPING)
    np.testing.assert_array_equal(out.to_numpy(), plain.predict_proba(OVERLAPPING))
    np.testing.assert_array_equal(estimator.labels_, plain.labels_)
    np.testing.assert_array_equal(estimator.predict(frame), plain.labels_)
    assert isinstance(estimator.predict_proba(frame), np.ndarray)
    assert isinstance(estimator.fit_transform(frame), library.DataFrame)
    with pytest.raises(ValueError, match="feature names should match"):
        estimator.predict(frame[["height", "width"]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        estimator.predict(OVERLAPPING)


def test_pandas_index_dtype_and_weights():
    frame = pd.DataFrame(OVERLAPPING.astype(np.float32), columns=["a", "b"]).iloc[::-1]
    weight = pd.Series(np.linspace(1, 2, len(frame)), index=frame.index)
    estimator = make().set_output(transform="pandas").fit(frame, sample_weight=weight)
    out = estimator.transform(frame)
    assert out.index.equals(frame.index)
    assert set(out.dtypes) == {np.dtype(np.float32)}
    plain = make().fit(frame.to_numpy(), sample_weight=weight.to_numpy())
    np.testing.assert_array_equal(plain.labels_, estimator.labels_)


def test_refit_forgets_the_names():
    estimator = make().fit(pd.DataFrame(X, columns=["a", "b"]))
    estimator.fit(X)
    assert not hasattr(estimator, "feature_names_in_")
    estimator.fit(LINE)
    assert estimator.n_features_in_ == 1


def make_documents(n_samples=90, n_words=40):
    """Word counts of three topics: mostly zeros, and no topic on the mean of the others."""
    rng = np.random.RandomState(0)
    topics = rng.gamma(0.2, size=(3, n_words)) + 0.01
    truth = np.arange(n_samples) % 3
    counts = rng.poisson(12 * topics[truth] / topics[truth].sum(1, keepdims=True))
    return counts.astype(float), truth


@pytest.mark.parametrize("container", [sp.csr_array, sp.csc_matrix])
@pytest.mark.parametrize("model", ["linear", "mlp"])
@pytest.mark.parametrize("kernel", ["linear", "cosine"])
def test_sparse_equals_dense(kernel, model, container):
    counts, truth = make_documents()
    parameters = {"objective": MMD("ovo", kernel=kernel), "model": model, "n_init": 3}
    dense = make(**parameters).fit(counts)
    sparse = make(**parameters).fit(container(counts))
    assert adjusted_rand_score(dense.labels_, truth) > 0.9
    assert adjusted_rand_score(dense.labels_, sparse.labels_) == 1
    assert sparse.objective_value_ == pytest.approx(dense.objective_value_, rel=1e-2)
    assert sparse.score(counts) == pytest.approx(sparse.objective_value_, rel=1e-8)
    np.testing.assert_array_equal(sparse.predict(container(counts)), sparse.labels_)
    assert (sparse.predict_proba(container(counts)).sum(1) == pytest.approx(1)) is True


@pytest.mark.parametrize("model", ["linear", "mlp"])
@pytest.mark.parametrize("trained_on", [np.asarray, sp.csr_array])
def test_sparse_and_dense_predictions_of_one_model_agree(trained_on, model):
    counts, _ = make_documents()
    estimator = make(model=model).fit(trained_on(counts))
    np.testing.assert_allclose(
        estimator.predict_proba(sp.csr_array(counts)), estimator.predict_proba(counts), atol=1e-9
    )
    dense, sparse = copy.deepcopy(estimator), copy.deepcopy(estimator)
    dense.partial_fit(counts)
    sparse.partial_fit(sp.csr_array(counts))
    np.testing.assert_allclose(dense.predict_proba(counts), sparse.predict_proba(counts), atol=1e-9)


@pytest.mark.parametrize("objective", ["mi", "tv_ovo", "wasserstein_ova", MMD(kernel="rbf")])
def test_sparse_with_other_objectives(objective):
    blobs = sp.csr_array(np.c_[X, np.zeros((len(X), 3))])
    estimator = make(objective=objective, n_init=3).fit(blobs)
    assert adjusted_rand_score(TRUTH, estimator.labels_) == 1
    assert estimator.score(blobs) == pytest.approx(estimator.objective_value_, rel=1e-8)


def test_sparse_input_is_not_changed():
    counts = sp.csr_array(make_documents()[0])
    counts.data[::7] = 0  # stored zeros
    before = counts.copy()
    make().fit(counts)
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(counts, name), getattr(before, name))


SPARSE_IN_LITTLE_MEMORY = """
import resource
import numpy as np, scipy.sparse as sp
from gemclust import GeminiClustering
from gemclust.objectives import MMD

rng = np.random.RandomState(0)
truth = np.arange(2000) % 2
columns = rng.randint(0, 100_000, (2000, 40)) + 100_000 * truth[:, None]
rows = np.repeat(np.arange(2000), 40)
X = sp.csr_array((np.ones(80_000), (rows, columns.ravel())), shape=(2000, 200_000))
with open("/proc/self/statm") as file:
    now = int(file.read().split()[0]) * resource.getpagesize()
_, hard = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (now + 2**30, hard))
try:
    X.toarray()
except MemoryError:
    print("dense does not fit")
for kernel in ("linear", "cosine"):
    model = GeminiClustering(
        2, objective=MMD("ovo", kernel=kernel), model="linear", n_init=1, random_state=0, max_iter=3
    )
    model.fit(X)
    model.partial_fit(X[:500])
    print(model.n_clusters_, len(model.predict_proba(X)), bool(np.isfinite(model.score(X))))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")
def test_sparse_never_becomes_dense():
    """3.2 GB of zeros, in a process that may take 1 GiB more."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SPARSE_IN_LITTLE_MEMORY],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == ["dense does not fit", "2 2000 True", "2 2000 True"]


# Copies and persistence


def through_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


COPIES = {
    "pickle": lambda estimator: pickle.loads(pickle.dumps(estimator)),
    "joblib": through_joblib,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "clone": lambda estimator: clone(estimator).fit(OVERLAPPING),
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize(
    "parameters",
    [
        *(VARIANTS[v] for v in ("restarts", "minibatch", "wasserstein", "rbf", "nystroem")),
        {"model": noisy_perceptron(), "max_iter": 40},
        VARIANTS["batchnorm"],
    ],
    ids=["restarts", "minibatch", "wasserstein", "rbf", "nystroem", "instance", "batchnorm"],
)
def test_copies_predict_alike(parameters, way):
    torch.manual_seed(0)
    estimator = make(**parameters).fit(OVERLAPPING)
    copied = COPIES[way](estimator)
    np.testing.assert_array_equal(
        copied.predict_proba(OVERLAPPING), estimator.predict_proba(OVERLAPPING)
    )
    np.testing.assert_array_equal(copied.labels_, estimator.labels_)
    assert copied.score(OVERLAPPING) == estimator.score(OVERLAPPING)
    assert str(copied.get_params()) == str(estimator.get_params())


def test_copies_share_nothing():
    estimator = make().fit(OVERLAPPING)
    before = estimator.predict_proba(OVERLAPPING)
    copy.deepcopy(estimator).partial_fit(OVERLAPPING + 1)
    copy.copy(estimator).partial_fit(OVERLAPPING + 1)
    np.testing.assert_array_equal(estimator.predict_proba(OVERLAPPING), before)


def test_clone_is_not_fitted():
    estimator = make(objective=MMD("ovo", kernel="rbf", gamma=0.3)).fit(X)
    fresh = clone(estimator)
    assert set(vars(fresh)) == set(estimator.get_params(deep=False))
    assert fresh.objective is not estimator.objective
    assert fresh.get_params()["objective__gamma"] == 0.3


def test_pickles_hold_no_optimiser_moments():
    estimator = make(hidden_layer_sizes=(64,)).fit(OVERLAPPING)
    before = len(pickle.dumps(estimator))
    estimator.partial_fit(OVERLAPPING)
    n_parameters = sum(p.numel() for p in estimator.module_.parameters())
    assert len(pickle.dumps(estimator)) < before + 8 * n_parameters
    restored = pickle.loads(pickle.dumps(estimator))
    restored.partial_fit(OVERLAPPING)
    assert restored.n_clusters_ == estimator.n_clusters_


@pytest.mark.parametrize("model", ["linear", "mlp"])
def test_pickles_of_built_in_models_hold_no_torch(model):
    estimator = make(model=model).fit(OVERLAPPING).partial_fit(OVERLAPPING)
    assert b"torch" not in pickle.dumps(estimator)


# Chance, threads and state of the process


def numpy_state():
    return str(np.random.get_state(legacy=False))  # noqa: NPY002


def test_one_seed_one_clustering():
    first, second = make(n_init=3).fit(OVERLAPPING), make(n_init=3).fit(OVERLAPPING)
    np.testing.assert_array_equal(first.labels_, second.labels_)
    np.testing.assert_array_equal(
        first.predict_proba(OVERLAPPING), second.predict_proba(OVERLAPPING)
    )
    np.testing.assert_array_equal(first.fit(OVERLAPPING).labels_, second.labels_)


def test_random_state_instance():
    generator = np.random.RandomState(0)
    estimator = make(random_state=generator).fit(OVERLAPPING)
    assert estimator.random_state is generator
    by_number = make(random_state=0).fit(OVERLAPPING)
    np.testing.assert_array_equal(
        estimator.predict_proba(OVERLAPPING), by_number.predict_proba(OVERLAPPING)
    )
    again = estimator.fit(OVERLAPPING).predict_proba(OVERLAPPING)
    assert np.abs(again - by_number.predict_proba(OVERLAPPING)).max() > 1e-6  # it has moved on


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_init": 3},
        {"batch_size": 20, "max_iter": 20},
        {"model": perceptron, "n_init": 3, "max_iter": 20},
        {"model": noisy_perceptron, "max_iter": 20},
        {"objective": MMD(kernel="rbf", n_components=10)},
    ],
    ids=["default", "minibatch", "factory", "dropout", "nystroem"],
)
def test_global_random_state_is_neither_used_nor_changed(parameters):
    results = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        before = random.getstate(), numpy_state(), torch.get_rng_state()
        estimator = make(**parameters).fit(OVERLAPPING).partial_fit(OVERLAPPING)
        results.append(estimator.predict_proba(OVERLAPPING))
        assert random.getstate() == before[0]
        assert numpy_state() == before[1]
        assert torch.equal(torch.get_rng_state(), before[2])
    np.testing.assert_array_equal(*results)


@pytest.fixture
def threads():
    """torch's own setter of its number of threads; the number before comes back at the end."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


class ThreadsMMD(MMD):
    """Remembers on how many threads it was evaluated, in the class: fit works on a copy."""

    seen: ClassVar[set] = set()

    def means(self, batch, *earlier):
        self.seen.add(torch.get_num_threads())
        return super().means(batch, *earlier)


@pytest.mark.parametrize("size", ["small", "large"])
def test_same_labels_on_one_and_two_threads(threads, size, monkeypatch):
    large = size == "large"
    monkeypatch.setattr(threads_module, "SMALL_PRODUCT", 10_000_000)
    centres = 0.1 * np.random.RandomState(0).normal(size=(6, 500))
    data = make_blobs(6_000 if large else 100, centers=centres, random_state=0)[0]
    results = []
    for n_threads in (1, 2):
        threads(n_threads)
        objective = ThreadsMMD("ovo")
        objective.seen.clear()
        estimator = make(6, objective=objective, model="linear", max_iter=8).fit(data)
        results.append(estimator.labels_)
        assert torch.get_num_threads() == n_threads
        assert n_threads in objective.seen if large else objective.seen == {1}
    assert np.unique(results[0]).size > 1
    np.testing.assert_array_equal(*results)


def test_threads_are_restored_after_an_error(threads):
    threads(2)
    with pytest.raises(FloatingPointError):
        make(solver="sgd", learning_rate=1e30).fit(X)
    assert torch.get_num_threads() == 2


# Invariance


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_init": 3},
        {"model": "linear", "objective": "mi", "alpha": 0.01},
        {"alpha": 0.01},
        {"objective": "wasserstein_ova", "alpha": 0.01},
        {"objective": MMD("ovo", kernel="rbf")},
        {"solver": "adam", "max_iter": 50},
    ],
    ids=["default", "rim", "alpha", "wasserstein", "rbf", "adam"],
)
@pytest.mark.parametrize("factor", [1e-4, 3e5])
def test_translation_and_scale_do_not_matter(parameters, factor):
    reference = make(**parameters).fit(OVERLAPPING)
    moved = factor * (OVERLAPPING + np.array([40, -70]))
    estimator = make(**parameters).fit(moved)
    np.testing.assert_array_equal(estimator.labels_, reference.labels_)
    np.testing.assert_allclose(
        estimator.predict_proba(moved), reference.predict_proba(OVERLAPPING), atol=1e-4
    )


# Pipelines and searches


def test_pipeline_with_a_scaler():
    skewed = OVERLAPPING * [1, 1000]
    pipeline = make_pipeline(StandardScaler(), make())
    labels = pipeline.fit_predict(skewed)
    direct = make().fit(StandardScaler().fit_transform(skewed))
    np.testing.assert_array_equal(labels, direct.labels_)
    np.testing.assert_array_equal(pipeline.predict(skewed), labels)
    assert pipeline.score(skewed) == pytest.approx(direct.objective_value_)
    assert pipeline.transform(skewed).shape == (len(skewed), 3)
    assert pipeline.get_feature_names_out().tolist() == [f"geminiclustering{k}" for k in range(3)]


def test_grid_search():
    objective = MMD("ovo", kernel="rbf")
    grid = {"n_clusters": [2, 3], "objective__gamma": [0.02, 0.1, "median"]}
    search = GridSearchCV(make(objective=objective), grid, cv=2, error_score="raise")
    search.fit(X)
    assert len(search.cv_results_["mean_test_score"]) == 6
    assert len(set(search.cv_results_["mean_test_score"])) == 6  # each gamma does something
    assert search.best_estimator_.objective.gamma == search.best_params_["objective__gamma"]
    assert objective.gamma is None
    np.testing.assert_array_equal(search.predict(X), search.best_estimator_.labels_)


def test_grid_search_in_threads():
    pipeline = make_pipeline(StandardScaler(), make())
    grid = {"geminiclustering__n_clusters": [2, 3]}
    alone = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X)
    with joblib.parallel_config("threading", n_jobs=2):
        search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X)
    # Outside the main thread products may take several threads, and round in another order.
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"],
        alone.cv_results_["mean_test_score"],
        rtol=1e-10,
    )


def test_fit_changes_no_parameter():
    estimator = make("auto", objective=MMD(kernel="rbf"), model=perceptron, max_iter=20)
    before = estimator.get_params(deep=True)
    text = str(before)
    estimator.fit(X).partial_fit(X)
    after = estimator.get_params(deep=True)
    assert str(after) == text
    assert all(after[name] is before[name] for name in before)


def test_html_repr_shows_the_parameters():
    estimator = make(objective=MMD(kernel="rbf"), alpha=0.125)
    for page in (estimator._repr_html_(), estimator.fit(X)._repr_html_()):
        assert "GeminiClustering" in page
        assert "alpha" in page
        assert "0.125" in page
    assert repr(make()) == "GeminiClustering(n_clusters=3, n_init=1, random_state=0)"


# Training that goes on


@pytest.mark.parametrize("model", ["mlp", "linear", "local"])
def test_warm_start_goes_on(model):
    estimator = make(model=model, warm_start=True).fit(OVERLAPPING)
    cold, value = estimator.n_iter_, estimator.objective_value_
    estimator.fit(OVERLAPPING)
    assert estimator.n_iter_ < cold
    assert estimator.objective_value_ >= value * (1 - 1e-12)


@pytest.mark.parametrize("n_units", [4, 9])
def test_warm_start_goes_on_with_the_units(n_units):
    # What climbs is the objective of the units, not that of the clusters they form.
    estimator = make(n_units=n_units, warm_start=True).fit(OVERLAPPING)
    cold, reached = estimator.n_iter_, estimator.objective_curve_[-1]
    estimator.fit(OVERLAPPING)
    assert estimator.n_iter_ <= cold
    assert estimator.objective_curve_[-1] >= reached * (1 - 1e-12)


def test_warm_start_from_an_unfinished_fit():
    estimator = make(warm_start=True, max_iter=3).fit(OVERLAPPING)
    values = [estimator.objective_value_]
    for _ in range(5):
        values.append(estimator.fit(OVERLAPPING).objective_value_)
        assert estimator.n_iter_ == 3
    assert np.all(np.diff(values) > -1e-12 * values[0])
    assert values[-1] > values[0]


def test_without_warm_start_fit_forgets():
    estimator = make().fit(X * [3, 1]).partial_fit(X)
    fresh = make().fit(OVERLAPPING)
    np.testing.assert_array_equal(
        estimator.fit(OVERLAPPING).predict_proba(X), fresh.predict_proba(X)
    )


@pytest.mark.parametrize(
    ("before", "after", "n_features"),
    [
        ({"n_clusters": 3}, {"n_clusters": 4}, 2),
        ({"hidden_layer_sizes": (8,)}, {"hidden_layer_sizes": (9,)}, 2),
        ({"model": "mlp"}, {"model": "linear"}, 2),
        ({"n_clusters": "auto"}, {"n_units": 12}, 2),
        ({"n_clusters": "auto"}, {"n_clusters": 11}, 2),
        ({"model": "local"}, {"model": "linear"}, 2),
        ({}, {}, 3),
        # 4 * (2 + 1) = 3 * (3 + 1): another size with as many parameters.
        ({"n_clusters": 4, "model": "linear"}, {"n_clusters": 3}, 3),
    ],
    ids=["n_clusters", "hidden", "model", "n_units", "auto", "local", "n_features", "same-number"],
)
def test_warm_start_refuses_another_size(before, after, n_features):
    estimator = make(warm_start=True, **before).fit(X)
    estimator.set_params(**after)
    fitted, proba = state(estimator), estimator.predict_proba(X)
    with pytest.raises(ValueError, match=r"warm_start.*Set warm_start=False"):
        estimator.fit(np.c_[X, X][:, :n_features])
    assert state(estimator) == fitted
    np.testing.assert_array_equal(estimator.predict_proba(X), proba)


def test_first_partial_fit_is_a_fit():
    estimator, fitted = make().partial_fit(OVERLAPPING), make().fit(OVERLAPPING)
    np.testing.assert_array_equal(estimator.labels_, fitted.labels_)
    np.testing.assert_array_equal(
        estimator.predict_proba(OVERLAPPING), fitted.predict_proba(OVERLAPPING)
    )


@pytest.mark.parametrize(
    "parameters",
    [{}, {"solver": "sgd"}, {"objective": "wasserstein_ova"}, {"model": perceptron}],
    ids=["default", "sgd", "wasserstein", "factory"],
)
def test_partial_fit_follows_a_drift(parameters):
    drifted = X @ [[0.8, 0.6], [-0.6, 0.8]] + [2, -1]
    estimator = make(**parameters).fit(X)
    names, before = estimator.get_feature_names_out(), estimator.score(drifted)
    old = estimator.predict_proba(drifted)
    for _ in range(20):
        assert estimator.partial_fit(drifted[:60]) is estimator
        np.testing.assert_array_equal(estimator.labels_, estimator.predict(drifted[:60]))
        estimator.partial_fit(drifted[60:])
        assert estimator.labels_.shape == (30,)
    assert estimator.score(drifted) > before
    assert np.abs(estimator.predict_proba(drifted) - old).max() > 1e-3
    np.testing.assert_array_equal(estimator.get_feature_names_out(), names)


def test_partial_fit_keeps_dropped_units_out():
    estimator = make(12, model="linear", alpha=0.01).fit(LINE)
    n_clusters = estimator.n_clusters_
    estimator.partial_fit(LINE)
    assert 1 < estimator.n_clusters_ == n_clusters < 12
    assert estimator.predict_proba(LINE).shape == (len(LINE), n_clusters)


def test_partial_fit_takes_weights():
    weight = np.random.RandomState(0).randint(0, 3, len(X))
    fitted = make().fit(OVERLAPPING)
    weighted = copy.deepcopy(fitted).partial_fit(X, sample_weight=weight)
    repeated = copy.deepcopy(fitted).partial_fit(np.repeat(X, weight, axis=0))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-9)
    assert len(weighted.labels_) == len(X)


def test_partial_fit_of_one_sample():
    estimator = make().fit(X)
    estimator.partial_fit(X[:1])
    assert len(estimator.labels_) == 1
    assert np.isfinite(estimator.predict_proba(X)).all()


# Training that ends early


class InterruptedMMD(MMD):
    """Ctrl-C at the n-th evaluation, counted in the class: fit works on a copy."""

    calls: ClassVar[list] = []

    def evaluate(self, batch):
        if batch.log_proba.requires_grad:  # in training, where there is something to keep
            self.calls.append(1)
            if len(self.calls) == self.last_:
                raise KeyboardInterrupt
        return super().evaluate(batch)


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@pytest.mark.parametrize("last", [1, 2, 10, 20])
def test_interrupt_keeps_the_best_so_far(solver, last):
    objective = InterruptedMMD("ovo")
    objective.calls.clear()
    objective.last_ = last
    estimator = make(objective=objective, solver=solver, n_init=2)
    with pytest.warns(UserWarning, match=r"interrupted.*best so far is kept"):
        estimator.fit(OVERLAPPING)
    assert last <= len(objective.calls) <= last + 4
    np.testing.assert_array_equal(estimator.predict(OVERLAPPING), estimator.labels_)
    proba = estimator.predict_proba(OVERLAPPING)
    np.testing.assert_allclose(proba.sum(1), 1)
    expected = gemini_score(OVERLAPPING, proba, "mmd_ovo")
    assert estimator.objective_value_ == pytest.approx(expected, rel=1e-8)
    if last > 2:
        reached = max(estimator.objective_curve_)
        assert estimator.objective_value_ >= reached * (1 - 1e-8)


class CtrlC(logging.Handler):
    """Comes when a stage of this name begins, so many times."""

    def __init__(self, stage, times):
        super().__init__()
        self.stage, self.left = stage, times

    def emit(self, record):
        if record.getMessage().startswith(self.stage) and self.left:
            self.left -= 1
            raise KeyboardInterrupt


@pytest.fixture
def interrupting():
    handlers = []

    def interrupt(stage, times=1):
        handlers.append(CtrlC(stage, times))
        logging.getLogger("gemclust").addHandler(handlers[-1])
        return handlers[-1]

    yield interrupt
    for handler in handlers:
        logging.getLogger("gemclust").removeHandler(handler)


STAGES_AFTER = [("auto", "joining"), ("auto", "evaluating"), (3, "evaluating"), (3, "labelling")]


@pytest.mark.parametrize(("n_clusters", "stage"), STAGES_AFTER)
def test_first_interrupt_after_training_keeps_what_was_trained(interrupting, n_clusters, stage):
    expected = make(n_clusters=n_clusters).fit(OVERLAPPING)
    ctrl_c = interrupting(stage)
    with pytest.warns(UserWarning, match=f"Interrupted while {stage}.*begins anew") as record:
        estimator = make(n_clusters=n_clusters, verbose=1).fit(OVERLAPPING)
    assert ctrl_c.left == 0
    assert record[0].filename == __file__
    np.testing.assert_array_equal(estimator.labels_, expected.labels_)
    assert estimator.objective_value_ == expected.objective_value_
    assert hasattr(estimator, "selection_") == (n_clusters == "auto")


@pytest.mark.parametrize(("n_clusters", "stage"), STAGES_AFTER)
def test_second_interrupt_gives_up_and_changes_nothing(interrupting, n_clusters, stage):
    estimator = make(n_clusters=2).fit(OVERLAPPING)
    before = estimator.labels_
    interrupting(stage, 2)
    with pytest.warns(UserWarning, match="begins anew"), pytest.raises(KeyboardInterrupt):
        estimator.set_params(n_clusters=n_clusters, verbose=1).fit(OVERLAPPING)
    assert estimator.labels_ is before
    assert estimator.n_clusters_ == 2


@pytest.mark.parametrize("n_clusters", ["auto", 3])
def test_interrupt_after_that_of_training_gives_up(interrupting, n_clusters):
    interrupting("iteration 2")
    interrupting("evaluating")
    with pytest.raises(KeyboardInterrupt):
        make(n_clusters=n_clusters, verbose=1).fit(OVERLAPPING)


def test_interrupts_of_two_stages_are_a_first_and_a_second(interrupting):
    interrupting("evaluating")
    interrupting("labelling")
    with pytest.warns(UserWarning, match="evaluating"), pytest.raises(KeyboardInterrupt):
        make(verbose=1).fit(OVERLAPPING)


def test_interrupted_stage_is_a_task_that_ends(recorder, interrupting):
    callback = recorder()
    interrupting("evaluating")
    with pytest.warns(UserWarning, match="begins anew"):
        make(verbose=1).set_callbacks(callback).fit(OVERLAPPING)
    assert sorted(callback.begun) == sorted(callback.ended)


class InterruptedLinear(nn.Linear):
    """Ctrl-C at the n-th call."""

    calls = 0
    last = 0

    def forward(self, x):
        type(self).calls += 1
        if self.calls == self.last:
            raise KeyboardInterrupt
        return super().forward(x)


# The first call only tries the shape of what the module returns, before there is anything to keep.
@pytest.mark.parametrize("last", [2, 4, 40])
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_interrupt_in_a_module_ends_training_wherever_it_comes(solver, last):
    class Model(InterruptedLinear):
        pass

    Model.last = last
    estimator = make(model=Model, solver=solver, max_iter=200, tol=0, n_iter_no_change=200)
    with pytest.warns(UserWarning, match=r"interrupted.*best so far is kept"):
        estimator.fit(OVERLAPPING)
    assert last <= Model.calls <= last + 6
    np.testing.assert_array_equal(estimator.predict(OVERLAPPING), estimator.labels_)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize(("learning_rate", "max_iter"), [(30.0, 1), (30.0, 15), (1e200, 1)])
def test_best_epoch_is_kept(solver, learning_rate, max_iter):
    estimator = make(
        model="linear", solver=solver, learning_rate=learning_rate, max_iter=max_iter
    ).fit(OVERLAPPING)
    assert estimator.n_clusters_ == 3
    assert estimator.objective_value_ >= max(estimator.objective_curve_) * (1 - 1e-9)


@pytest.mark.parametrize("solver", ["lbfgs", "adam", "sgd"])
def test_too_few_iterations_give_a_warning(solver):
    with pytest.warns(ConvergenceWarning, match=r"max_iter=1 .*Raise max_iter or tol") as record:
        estimator = make(solver=solver, max_iter=1).fit(OVERLAPPING)
    assert estimator.n_iter_ == len(estimator.objective_curve_) == 1
    assert record[0].filename == __file__
    with pytest.warns(ConvergenceWarning, match=r"max_iter=1 ") as record:
        make_pipeline(StandardScaler(), make(solver=solver, max_iter=1)).fit_predict(OVERLAPPING)
    assert record[0].filename == __file__


class Poisoned(nn.Linear):
    def forward(self, x):
        return super().forward(x) * float("nan")


DIVERGING = {
    "module": ({"model": Poisoned}, "model returns NaN"),
    "module-restarts": ({"model": Poisoned, "n_init": 2}, "model returns NaN"),
    "sgd": ({"solver": "sgd", "learning_rate": 1e30}, r"learning_rate=1e\+30 is too large"),
    "adam": ({"solver": "adam", "learning_rate": 1e200}, r"learning_rate=1e\+200 is too large"),
    "first-epoch": (
        {"solver": "sgd", "learning_rate": 1e200, "batch_size": 10},
        r"learning_rate=1e\+200 is too large",
    ),
}


@pytest.mark.parametrize("case", DIVERGING)
def test_loss_that_is_not_finite(case):
    parameters, match = DIVERGING[case]
    estimator = make(**parameters)
    before = state(estimator)
    with pytest.raises(FloatingPointError, match=match):
        estimator.fit(OVERLAPPING)
    assert state(estimator) == before


@pytest.mark.parametrize("case", DIVERGING)
def test_refit_that_fails_keeps_the_old_fit(case):
    parameters, match = DIVERGING[case]
    estimator = make().fit(OVERLAPPING)
    proba, labels = estimator.predict_proba(X), estimator.labels_
    estimator.set_params(**parameters)
    before = state(estimator)
    with pytest.raises(FloatingPointError, match=match):
        estimator.fit(np.c_[LINE, LINE, LINE])
    assert state(estimator) == before
    assert estimator.n_features_in_ == 2
    assert estimator.labels_ is labels
    np.testing.assert_array_equal(estimator.predict_proba(X), proba)


@pytest.mark.parametrize("batch_size", [10, 20])
def test_partial_fit_that_fails_keeps_the_old_fit(batch_size):
    estimator = make(activation="identity", alpha=0.01).fit(OVERLAPPING)
    proba = estimator.predict_proba(X)
    estimator.set_params(solver="sgd", learning_rate=1e200, batch_size=batch_size)
    before = state(estimator)
    with pytest.raises(FloatingPointError, match=r"learning_rate=1e\+200 is too large"):
        estimator.partial_fit(X)
    assert state(estimator) == before
    np.testing.assert_array_equal(estimator.predict_proba(X), proba)


# Modules


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_activations(activation):
    estimator = make(activation=activation, n_init="auto").fit(X)
    assert adjusted_rand_score(TRUTH, estimator.labels_) == 1
    np.testing.assert_allclose(module_proba(estimator, X), estimator.predict_proba(X), atol=1e-9)


def test_changing_module_changes_no_prediction():
    estimator = make().fit(X)
    before = estimator.predict_proba(X)
    with torch.no_grad():
        for parameter in estimator.module_.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(estimator.predict_proba(X), before)


@pytest.mark.parametrize("n_init", [1, 3])
def test_factory(n_init):
    sizes = []

    def factory(n_features, n_clusters):
        sizes.append((n_features, n_clusters))
        return perceptron(n_features, n_clusters)

    estimator = make(model=factory, learning_rate=0.02, n_init=n_init).fit(X)
    assert set(sizes) == {(2, 3)}
    assert adjusted_rand_score(TRUTH, estimator.labels_) == 1


def test_instance_is_copied():
    torch.manual_seed(0)
    module = perceptron(2, 3).train()
    before = copy.deepcopy(module.state_dict())
    estimator = make(model=module, n_init="auto", learning_rate=0.02)
    estimator.fit(X)
    assert adjusted_rand_score(TRUTH, estimator.labels_) == 1
    assert estimator.model is module
    assert module.training
    for name, value in module.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, before[name])
    assert not any(
        torch.equal(p, q) for p, q in zip(*map(_flat, (module, estimator.module_)), strict=True)
    )


def _flat(module):
    return [parameter.double() for parameter in module.parameters()]


def test_instance_has_one_start():
    match = r"n_init=2 is not possible.*instance.*one initialisation.*function"
    with pytest.raises(ValueError, match=match):
        make(model=perceptron(2, 3), n_init=2).fit(X)


def test_module_with_buffers_has_one_start():
    with pytest.raises(ValueError, match=r"n_init=2 is not possible.*buffers"):
        make(model=noisy_perceptron, n_init=2).fit(X)


@pytest.mark.parametrize("model", [noisy_perceptron, noisy_perceptron()], ids=["make", "instance"])
def test_module_with_dropout_and_batch_normalisation(model):
    torch.manual_seed(0)
    estimator = make(model=model, n_init="auto", learning_rate=0.01).fit(X)
    assert adjusted_rand_score(TRUTH, estimator.labels_) == 1
    proba = estimator.predict_proba(X)
    for _ in range(3):
        np.testing.assert_array_equal(estimator.predict_proba(X), proba)
    np.testing.assert_allclose(estimator.predict_proba(X[:7]), proba[:7], atol=1e-12)
    assert estimator.score(X) == pytest.approx(estimator.objective_value_, rel=1e-9)


def test_dropout_with_restarts_follows_the_seed():
    def factory(n_features, n_clusters):
        layers = nn.Linear(n_features, 8), nn.Dropout(0.2), nn.Linear(8, n_clusters)
        return nn.Sequential(*layers)

    first, second = (make(model=factory, n_init=2, max_iter=20).fit(X) for _ in range(2))
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))


def test_module_takes_its_rows_in_any_shape():
    class Picture(nn.Module):
        def __init__(self, n_features, n_clusters):
            super().__init__()
            self.filter = nn.Conv2d(1, 4, 2)
            self.out = nn.Linear(4, n_clusters)

        def forward(self, x):
            return self.out(torch.relu(self.filter(x.reshape(-1, 1, 2, 2))).flatten(1))

    pictures = np.c_[X, X[:, ::-1]]
    estimator = make(model=Picture, learning_rate=0.02, n_init=2).fit(pictures)
    assert adjusted_rand_score(TRUTH, estimator.labels_) > 0.9


# The objective's penalty and the restarts


@pytest.mark.parametrize(
    "parameters",
    [
        {"objective": "mi", "model": "linear"},
        {"objective": "mmd_ovo", "model": "mlp"},
        {"objective": "wasserstein_ova", "model": "linear"},
        {"model": perceptron, "solver": "lbfgs"},
    ],
    ids=["rim", "mlp", "wasserstein", "module"],
)
def test_alpha_shrinks_the_weights(parameters):
    sizes = [penalty(make(alpha=a, **parameters).fit(OVERLAPPING)) for a in (0, 0.003, 0.03)]
    assert sizes[0] > 1.2 * sizes[1] > 1.2**2 * sizes[2]


def test_curve_holds_the_penalised_objective():
    estimator = make(objective="mi", model="linear", alpha=0.01).fit(OVERLAPPING)
    expected = estimator.objective_value_ - 0.01 * penalty(estimator)
    assert estimator.objective_curve_[-1] == pytest.approx(expected, rel=1e-8)
    assert np.all(np.diff(estimator.objective_curve_) > -1e-10)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    "parameters",
    [
        {"n_clusters": 6},
        {"n_clusters": 6, "objective": "mi"},
        {"n_clusters": 5, "model": "linear", "objective": "tv_ovo"},
        {"n_clusters": 4, "objective": "tv_ovo", "alpha": 0.003},
        {"n_clusters": 4, "batch_size": 20, "max_iter": 15},
    ],
    ids=["default", "mi", "tv", "alpha", "minibatch"],
)
def test_more_restarts_are_hardly_worse(parameters, seed):
    def reached(n_init):
        estimator = make(n_init=n_init, random_state=seed, **parameters).fit(OVERLAPPING)
        return estimator.objective_value_ - parameters.get("alpha", 0) * penalty(estimator)

    # One of those that are dropped might have gone a little further than the best.
    assert reached(5) >= reached(1) * (1 - 0.005)


# Reports


@pytest.fixture
def recorder():
    pytest.importorskip("sklearn.callback", reason="scikit-learn has no callbacks")

    class Recorder:
        """Notes each task, and stops after some."""

        max_propagation_depth = None

        def __init__(self, stop_after=np.inf):
            self.stop_after = stop_after
            self.begun, self.ended, self.hooks = [], [], []

        def setup(self, estimator, context):
            self.hooks.append("setup")

        def teardown(self, estimator, context):
            self.hooks.append("teardown")

        def on_fit_task_begin(self, estimator, context):
            self.begun.append((context.task_name, context.task_id))

        def on_fit_task_end(self, estimator, context):
            self.ended.append((context.task_name, context.task_id))
            return len(self.iterations()) >= self.stop_after

        def iterations(self):
            return [task for name, task in self.ended if name == "iteration"]

    return Recorder


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_callback_sees_every_iteration(recorder, solver):
    callback = recorder()
    estimator = make(solver=solver, max_iter=25).set_callbacks(callback).fit(OVERLAPPING)
    assert callback.iterations() == list(range(estimator.n_iter_))
    assert callback.begun[0] == callback.ended[-1] == ("fit", 0)
    assert sorted(callback.begun) == sorted(callback.ended)
    assert callback.hooks == ["setup", "teardown"]
    plain = make(solver=solver, max_iter=25).fit(OVERLAPPING)
    np.testing.assert_array_equal(estimator.labels_, plain.labels_)


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_callback_stops_training(recorder, solver):
    callback = recorder(stop_after=4)
    estimator = make(solver=solver).set_callbacks(callback)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it did not run out of iterations
        estimator.fit(OVERLAPPING)
    assert callback.iterations() == [0, 1, 2, 3]
    assert estimator.n_iter_ == 4
    np.testing.assert_array_equal(estimator.predict(OVERLAPPING), estimator.labels_)


@pytest.mark.parametrize("method", ["fit", "fit_predict", "fit_transform"])
def test_callback_in_a_pipeline(recorder, method):
    callback = recorder(stop_after=4)
    pipeline = make_pipeline(StandardScaler(), make())
    with warnings.catch_warnings():
        # The scaler, which is not iterative, knows no callbacks.
        warnings.filterwarnings("ignore", message=".*StandardScaler does not support callbacks")
        getattr(pipeline.set_callbacks(callback), method)(OVERLAPPING)
    assert callback.iterations() == [0, 1, 2, 3]
    assert pipeline[-1].n_iter_ == 4
    assert callback.hooks == ["setup", "teardown"]
    assert not [name for name in vars(pipeline[-1]) if "callback" in name]


def test_callback_in_a_grid_search(recorder):
    callback = recorder()
    search = GridSearchCV(make(max_iter=5), {"n_clusters": [2, 3]}, cv=2, error_score="raise")
    search.set_callbacks(callback).fit(OVERLAPPING)
    assert len(callback.iterations()) == 5 * (2 * 2 + 1)


def test_callback_is_torn_down_after_an_error(recorder):
    callback = recorder()
    estimator = make(model=Poisoned).set_callbacks(callback)
    with pytest.raises(FloatingPointError):
        estimator.fit(X)
    assert callback.hooks == ["setup", "teardown"]
    assert not hasattr(estimator, "labels_")


def test_nothing_is_printed_by_default(capfd, caplog):
    caplog.set_level(logging.DEBUG)
    make().fit(X).partial_fit(X).predict(X)
    assert tuple(capfd.readouterr()) == ("", "")
    assert not [record for record in caplog.records if record.name.startswith("gemclust")]


def test_verbose_logs(capfd, caplog):
    caplog.set_level(logging.INFO, logger="gemclust")
    estimator = make(verbose=1).fit(X)
    records = [record for record in caplog.records if record.name == "gemclust"]
    messages = [record.getMessage() for record in records]
    begin = ["preparing 3 units", "seeding 3 units", "training 3 units"]
    stages = [*begin, "evaluating", "labelling"]
    assert messages[:3] + messages[-2:] == stages
    assert len(records) == len(stages) + estimator.n_iter_
    assert "1" in messages[3]
    assert all(record.levelno == logging.INFO for record in records)
    reached = float(messages[-3].split()[-1])
    assert np.isfinite(reached)
    caplog.clear()
    make(verbose=5).fit(X)
    assert len(caplog.records) == len(stages) + estimator.n_iter_ // 5
    assert capfd.readouterr().out == ""


def test_verbose_reports_the_objective_of_the_estimator(caplog):
    caplog.set_level(logging.INFO, logger="gemclust")
    estimator = make(verbose=1).fit(1000 * X)
    reached = float(caplog.records[-3].getMessage().split()[-1])
    assert reached == pytest.approx(estimator.objective_value_, rel=1e-4)


def test_verbose_is_seen_without_any_logging_set_up(monkeypatch, capfd):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    make(verbose=1).fit(X)
    make().fit(X)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("iteration 1: objective") == 1
    assert not logging.getLogger("gemclust").handlers


# What a score is taken on


@pytest.mark.parametrize(
    "objective",
    [
        Wasserstein(metric="geodesic", n_neighbors=15),
        Wasserstein(metric="seuclidean"),
        MMD("ovo", kernel="rbf"),
    ],
    ids=["geodesic", "seuclidean", "rbf"],
)
def test_score_knows_repeated_samples_and_zero_weights(objective):
    estimator = make(objective=objective, model="linear").fit(OVERLAPPING)
    proba = estimator.predict_proba(OVERLAPPING)
    for weight in (np.full(80, 3), np.random.RandomState(0).randint(0, 4, size=80)):
        estimator.fit(OVERLAPPING, sample_weight=weight)
        value, proba = estimator.objective_value_, estimator.predict_proba(OVERLAPPING)
        rows = np.repeat(np.arange(80), weight)
        assert estimator.score(OVERLAPPING, sample_weight=weight) == pytest.approx(value)
        assert estimator.score(OVERLAPPING[rows]) == pytest.approx(value)
        for X_, proba_, weight_ in (
            (OVERLAPPING, proba, weight),
            (OVERLAPPING[rows], proba[rows], None),
        ):
            score = gemini_score(X_, proba_, objective, sample_weight=weight_)
            assert score == pytest.approx(value)


class SquaredMMD(Objective):
    """sum_k || S_k - pi_k mean ||^2, as a user would write it."""

    affinity = "kernel"
    homogeneity = 2.0

    def means(self, batch, *earlier):
        joint = batch.weighted_proba.transpose(1, 2) @ batch.features
        return batch.proportions, joint, batch.weight[None] @ batch.features

    def value(self, proportions, joint, overall):
        return (joint - proportions[..., None] * overall[:, None]).square().sum((1, 2))


def test_own_objective_with_an_affinity_has_the_units_of_x():
    estimator = make(objective=SquaredMMD(), model="linear").fit(OVERLAPPING)
    large = make(objective=SquaredMMD(), model="linear").fit(10 * OVERLAPPING)
    proba = estimator.predict_proba(OVERLAPPING)
    centred = OVERLAPPING - OVERLAPPING.mean(0)
    expected = np.square(proba.T @ centred / len(proba)).sum()
    assert estimator.objective_value_ == pytest.approx(expected)
    assert large.objective_value_ == pytest.approx(100 * expected)
    assert large.objective_curve_[-1] == pytest.approx(large.objective_value_)


# A module's buffers


def normalised(n_features, n_clusters):
    return nn.Sequential(nn.BatchNorm1d(n_features), nn.Linear(n_features, n_clusters))


def test_warm_start_keeps_the_buffers_of_a_module():
    estimator = make(model=normalised, warm_start=True, max_iter=50).fit(OVERLAPPING)
    before = estimator.objective_value_
    estimator.set_params(max_iter=1, learning_rate=1e-9).fit(OVERLAPPING)
    assert estimator.objective_value_ == pytest.approx(before, rel=1e-2)


def test_partial_fit_of_a_copy_or_one_that_fails_changes_no_buffer():
    estimator = make(model=normalised, max_iter=50).fit(OVERLAPPING)
    before = estimator.predict_proba(X)
    copy.copy(estimator).partial_fit(X + 10)
    np.testing.assert_array_equal(estimator.predict_proba(X), before)
    estimator.set_params(learning_rate=1e200, batch_size=10)
    with pytest.raises(FloatingPointError):
        estimator.partial_fit(X)
    np.testing.assert_array_equal(estimator.predict_proba(X), before)


def test_partial_fit_with_another_solver_starts_its_moments_afresh():
    estimator = make(solver="sgd").fit(X).partial_fit(X).set_params(solver="adam").partial_fit(X)
    assert adjusted_rand_score(estimator.labels_, TRUTH) == 1


@pytest.mark.parametrize(
    "parameters",
    [{"model": "linear"}, {"model": "local"}, {"n_clusters": "auto", "n_units": 8}],
    ids=["linear", "local", "auto"],
)
def test_warm_start_changes_nothing_before_its_first_step(parameters):
    estimator = make(warm_start=True, **parameters).fit(X)
    estimator.set_params(solver="adam", learning_rate=1e-12, max_iter=1).fit(X[:60])
    np.testing.assert_array_equal(estimator.predict(X[:60]), estimator.labels_)
    fresh = make(**parameters).fit(X)
    np.testing.assert_allclose(estimator.predict_proba(X), fresh.predict_proba(X), atol=1e-6)


def test_later_changes_of_the_objective_do_not_reach_a_fitted_model():
    objective = MMD("ovo")
    estimator = make(objective=objective).fit(OVERLAPPING)
    objective.mode = "ova"
    assert estimator.score(OVERLAPPING) == pytest.approx(estimator.objective_value_)


def test_several_restarts_of_a_module_refuse_sparse_samples():
    estimator = make(model=nn.Linear, n_init=2, max_iter=3)
    with pytest.raises(ValueError, match=r"n_init=2.*sparse.*n_init=1"):
        estimator.fit(sp.csr_array(X))
    # L-BFGS has several by default.
    alone, default = (
        make(model=nn.Linear, n_init=n_init, max_iter=3, solver="lbfgs").fit(sp.csr_array(X))
        for n_init in (1, "auto")
    )
    np.testing.assert_array_equal(alone.labels_, default.labels_)
