"""Bad input: each case is refused before work starts, by a message with the value and the remedy.

And input that looks bad but is fine.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import cross_val_score
from torch import nn

from gemclust import GeminiClustering
from gemclust.metrics import gemini_score
from gemclust.objectives import MMD, OBJECTIVES, Wasserstein

X, TRUTH = make_blobs(60, centers=[(4, 4), (11, 4), (4, 11)], random_state=0)


def make(n_clusters=3, **parameters):
    return GeminiClustering(n_clusters, **{"n_init": 1, "random_state": 0} | parameters)


def fitted_attributes(estimator):
    return {name for name in vars(estimator) if name not in estimator.get_params()}


def refuses(estimator, error, match, X=X, **fit_params):
    """The estimator raises this and is as before."""
    with pytest.raises(error, match=match):
        estimator.fit(X, **fit_params)
    assert not fitted_attributes(estimator)


def replaced(value):
    """X with one entry replaced."""
    changed = X.copy()
    changed[7, 1] = value
    return changed


BAD_X = {
    "nan": (replaced(np.nan), r"contains NaN.*impute"),
    "infinity": (replaced(np.inf), r"contains infinity or a value too large"),
    "minus-infinity": (replaced(-np.inf), r"contains infinity or a value too large"),
    "strings": ([["a", "b"], ["c", "d"], ["e", "f"]], r"with arrays of bytes/strings"),
    "complex": (X + 1j, r"[Cc]omplex data not supported"),
    "empty": (np.empty((0, 2)), r"0 sample\(s\).*minimum of 2 is required"),
    "no-features": (np.empty((9, 0)), r"0 feature\(s\).*minimum of 1 is required"),
    "one-sample": (X[:1], r"1 sample.*minimum of 2 is required"),
    "1-d": (X[:, 0], r"Expected 2D array, got 1D array.*Reshape"),
    "3-d": (X[None], r"dim 3"),
    "scalar": (3.0, r"Expected 2D array, got scalar array"),
    "none": (None, r"Expected 2D array|requires|None"),
    "sparse-nan": (sp.csr_array(replaced(np.nan)), r"contains NaN"),
}


@pytest.mark.parametrize("case", BAD_X)
def test_bad_samples(case):
    bad, match = BAD_X[case]
    refuses(make(), ValueError, rf"(?s){match}", X=bad)


@pytest.mark.parametrize("case", [c for c in BAD_X if c not in ("empty", "one-sample", "none")])
def test_bad_samples_at_predict(case):
    estimator = make().fit(X)
    bad, match = BAD_X[case]
    for method in (estimator.predict, estimator.predict_proba, estimator.score):
        with pytest.raises(ValueError, match=rf"(?s){match}|is expecting 2 features"):
            method(bad)


def test_fewer_samples_than_clusters():
    refuses(make(8), ValueError, r"n_samples=5 should be >= n_clusters=8", X=X[:5])


def test_automatic_number_is_capped_not_refused():
    estimator = make("auto", max_clusters=50, n_units=50).fit(X[:9])
    assert 1 <= estimator.n_clusters_ <= 9
    assert estimator.module_.inner[-1][-1].out_features == 9


def test_units_are_capped_not_refused():
    rows = np.repeat(X[:9], 2, axis=0)
    assert make(3, n_units=50).fit(rows).module_.inner[-1][-1].out_features == 9


def test_fewer_units_than_clusters():
    refuses(make(4, n_units=3), ValueError, r"n_units=3 is fewer than n_clusters=4.*needs a unit")


def test_wrong_number_of_features():
    estimator = make().fit(X)
    wide = np.c_[X, X[:, 0]]
    message = r"X has 3 features, but GeminiClustering is expecting 2 features"
    for method in ("predict", "predict_proba", "transform", "score", "partial_fit"):
        with pytest.raises(ValueError, match=message):
            getattr(estimator, method)(wide)
    assert estimator.predict(X).tolist() == estimator.labels_.tolist()


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_log_proba", "transform", "score"]
)
def test_not_fitted(method):
    with pytest.raises(NotFittedError, match=r"not fitted yet.*fit"):
        getattr(make(), method)(X)


BAD_CUTS = [
    ({}, r"Give either n_clusters or sensitivity"),
    ({"n_clusters": 2, "sensitivity": 1.0}, r"Give either n_clusters or sensitivity"),
    ({"n_clusters": 0}, r"n_clusters=0 .*an integer from 1 to \d+"),
    ({"n_clusters": 10_000}, r"n_clusters=10000 .*an integer from 1 to \d+"),
    ({"n_clusters": 2.0}, r"n_clusters=2.0 .*an integer from 1 to \d+"),
    ({"n_clusters": "auto"}, r"n_clusters='auto' .*an integer from 1 to \d+"),
    ({"sensitivity": 0}, r"sensitivity=0 .*a positive number"),
    ({"sensitivity": -1.0}, r"sensitivity=-1.0 .*a positive number"),
    ({"sensitivity": np.nan}, r"sensitivity=nan .*a positive number"),
]


@pytest.mark.parametrize(("arguments", "match"), BAD_CUTS, ids=str)
def test_bad_cut(arguments, match):
    with pytest.raises(ValueError, match=match):
        make("auto").fit(X).cut(X, **arguments)


@pytest.mark.parametrize(("arguments", "match"), BAD_CUTS[2:], ids=str)
def test_the_tree_refuses_what_a_cut_does(arguments, match):
    selection = make("auto").fit(X).selection_
    ask = selection.clusters if "n_clusters" in arguments else selection.n_clusters
    with pytest.raises(ValueError, match=match):
        ask(**arguments)


def test_cut_without_a_tree():
    with pytest.raises(NotFittedError):
        make("auto").cut(X, n_clusters=2)
    with pytest.raises(ValueError, match=r"no tree to cut.*n_clusters='auto' or .*n_units"):
        make(3).fit(X).cut(X, n_clusters=2)
    # A later fit without a tree takes that of an earlier one away.
    estimator = make("auto").fit(X)
    with pytest.raises(ValueError, match="no tree to cut"):
        estimator.set_params(n_clusters=3).fit(X).cut(X, n_clusters=2)
    with pytest.raises(ValueError, match="X has 1 features"):
        make("auto").fit(X).cut(X[:, :1], n_clusters=2)


# Parameters


def test_unknown_objective_lists_the_names():
    with pytest.raises(ValueError, match=r"objective='mmd' is unknown") as error:
        make(objective="mmd").fit(X)
    assert all(name in str(error.value) for name in OBJECTIVES)
    assert "'mmd_ov" in str(error.value).split("Use one of")[0]  # the nearest is suggested


@pytest.mark.parametrize("objective", [None, 3, MMD, ["mmd_ova"]])
def test_objective_of_a_wrong_type(objective):
    refuses(make(objective=objective), ValueError, r"(?s)objective=.*is unknown.*an instance of")


BAD_PARAMETERS = [
    ({"n_clusters": 0}, r"n_clusters=0 .*at least 1"),
    ({"n_clusters": -2}, r"n_clusters=-2 .*at least 1"),
    ({"n_clusters": 2.5}, r"n_clusters=2\.5 .*integer"),
    ({"n_clusters": True}, r"n_clusters=True .*integer"),
    ({"n_clusters": None}, r"n_clusters=None .*'auto' or an integer"),
    ({"n_clusters": "many"}, r"n_clusters='many' .*'auto' or an integer"),
    ({"n_clusters": "auto", "max_clusters": 0}, r"max_clusters=0 .*at least 1"),
    ({"n_clusters": "auto", "max_clusters": -1}, r"max_clusters=-1 .*at least 1"),
    ({"n_clusters": "auto", "max_clusters": "auto"}, r"max_clusters='auto' .*None or an integer"),
    ({"n_units": 0}, r"n_units=0 .*'auto' or an integer of at least 1"),
    ({"n_units": None}, r"n_units=None .*'auto' or an integer of at least 1"),
    ({"n_units": 2.5}, r"n_units=2.5 .*'auto' or an integer of at least 1"),
    ({"min_cluster_size": 0}, r"min_cluster_size=0 .*None or a positive number"),
    ({"min_cluster_size": "5"}, r"min_cluster_size='5' .*None or a positive number"),
    ({"sensitivity": 0}, r"sensitivity=0 .*a positive number"),
    ({"sensitivity": -1.0}, r"sensitivity=-1.0 .*a positive number"),
    ({"sensitivity": np.nan}, r"sensitivity=nan .*a positive number"),
    ({"sensitivity": np.inf}, r"sensitivity=inf .*a positive number"),
    ({"hidden_layer_sizes": (8, 0)}, r"hidden_layer_sizes=\(8, 0\) .*at least 1"),
    ({"hidden_layer_sizes": (-3,)}, r"hidden_layer_sizes=\(-3,\) .*at least 1"),
    ({"hidden_layer_sizes": "wide"}, r"hidden_layer_sizes='wide' .*sequence"),
    ({"activation": "sine"}, r"activation='sine' .*relu"),
    ({"model": "forest"}, r"model='forest' .*'mlp', 'linear'"),
    ({"model": 3}, r"model=3 .*'mlp', 'linear'"),
    ({"n_init": 0}, r"n_init=0 .*at least 1"),
    ({"n_init": -1}, r"n_init=-1 .*at least 1"),
    ({"solver": "newton"}, r"solver='newton' .*'lbfgs', 'adam', 'sgd'"),
    ({"learning_rate": 0.0}, r"learning_rate=0\.0 .*positive"),
    ({"learning_rate": -0.1}, r"learning_rate=-0\.1 .*positive"),
    ({"learning_rate": np.nan}, r"learning_rate=nan .*positive"),
    ({"batch_size": 0}, r"batch_size=0 .*at least 1"),
    ({"batch_size": -5}, r"batch_size=-5 .*at least 1"),
    ({"batch_size": 10, "solver": "lbfgs"}, r"batch_size=10 .*solver='adam' or 'sgd'"),
    ({"max_iter": 0}, r"max_iter=0 .*at least 1"),
    ({"tol": -1e-3}, r"tol=-0\.001 .*at least 0"),
    ({"tol": np.inf}, r"tol=inf .*at least 0"),
    ({"n_iter_no_change": 0}, r"n_iter_no_change=0 .*at least 1"),
    ({"alpha": -1.0}, r"alpha=-1\.0 .*at least 0"),
    ({"verbose": -1}, r"verbose=-1 .*at least 0"),
    ({"device": 7}, r"device=7 .*'auto' or a device"),
    ({"random_state": "now"}, r"'now' cannot be used to seed"),
    ({"objective": MMD("ovr")}, r"mode='ovr' .*'ova' or 'ovo'"),
    ({"objective": MMD(kernel="rfb")}, r"kernel='rfb' is unknown.*rbf"),
    ({"objective": MMD(kernel="rbf", gamma=-1.0)}, r"gamma=-1\.0 must be a positive number"),
    ({"objective": MMD(kernel="rbf", gamma=0)}, r"gamma=0 must be a positive number"),
    ({"objective": MMD(kernel="rbf", gamma="mean")}, r"gamma='mean' must be .*median"),
    ({"objective": MMD(kernel="rbf", n_components=0)}, r"n_components=0 must be .*at least 1"),
    ({"objective": MMD(kernel="rbf", n_components=-4)}, r"n_components=-4 must be .*at least 1"),
    ({"objective": Wasserstein(metric="euclid")}, r"(?s)metric='euclid'.*euclidean"),
    ({"objective": Wasserstein(metric="geodesic", n_neighbors=0)}, r"n_neighbors=0 .*at least 1"),
    ({"objective": Wasserstein(metric="geodesic", n_neighbors=-3)}, r"n_neighbors=-3 .*at least"),
]


@pytest.mark.parametrize(("parameters", "match"), BAD_PARAMETERS, ids=lambda p: str(p)[:60])
def test_bad_parameters(parameters, match):
    refuses(make(**parameters), ValueError, match)


def test_unknown_device_is_named():
    refuses(make(device="abacus"), (ValueError, RuntimeError), "abacus")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_absent_device_is_named():
    refuses(make(device="cuda"), (ValueError, RuntimeError), r"device='cuda'")


# Sample weights


BAD_WEIGHTS = {
    "negative": (np.r_[-0.5, np.ones(59)], r"sample_weight contains -0\.5.*not negative"),
    "nan": (np.r_[np.nan, np.ones(59)], r"sample_weight contains nan.*finite"),
    "infinite": (np.r_[np.ones(59), np.inf], r"sample_weight contains inf.*finite"),
    "zero": (np.zeros(60), r"[Aa]ll sample weights are zero.*at least one"),
    "too-few": (np.ones(59), r"sample_weight has shape \(59,\).*60 samples.*\(60,\)"),
    "matrix": (np.ones((60, 1)), r"sample_weight has shape \(60, 1\).*\(60,\)"),
    "strings": (["heavy"] * 60, r"heavy"),
}


@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_bad_sample_weights(case):
    weight, match = BAD_WEIGHTS[case]
    refuses(make(), ValueError, match, sample_weight=weight)
    with pytest.raises(ValueError, match=match):
        gemini_score(X, TRUTH, sample_weight=weight)
    estimator = make().fit(X)
    before = estimator.predict_proba(X)
    for method in (estimator.score, estimator.partial_fit):
        with pytest.raises(ValueError, match=match):
            method(X, sample_weight=weight)
    np.testing.assert_array_equal(estimator.predict_proba(X), before)


# Kernels and distances


KERNEL = X @ X.T
DISTANCES = np.abs(X[:, None] - X[None]).sum(2)


def changed(matrix, value):
    matrix = matrix.copy()
    matrix[3, 5] = value
    return matrix


BAD_AFFINITIES = {
    "not-symmetric": ("mmd_ova", changed(KERNEL, 1e3), r"not symmetric.*differ by.*A \+ A\.T"),
    "distances-not-symmetric": ("wasserstein_ova", changed(DISTANCES, 1e3), r"not symmetric"),
    "nan": ("mmd_ova", changed(KERNEL, np.nan), r"NaN or infinity.*finite"),
    "infinite": ("wasserstein_ovo", changed(DISTANCES, np.inf), r"NaN or infinity.*finite"),
    "negative-distance": (
        "wasserstein_ova",
        np.minimum(changed(DISTANCES, -2), changed(DISTANCES, -2).T),
        r"contain -2, but no distance is negative.*MMD",
    ),
    "too-small": ("mmd_ovo", KERNEL[:50, :50], r"shape \(50, 50\).*60 samples.*\(60, 60\)"),
    "1-d": ("mmd_ovo", KERNEL[0], r"shape \(60,\).*60 samples.*\(60, 60\)"),
    "not-square": (
        "mmd_ovo",
        KERNEL[:, :50],
        r"(?s)shape \(60, 50\).*\(60, 60\).*cross-validation.*function as its kernel",
    ),
    "useless": ("kl_ova", KERNEL, r"probabilities only and cannot use an affinity.*MMD"),
    "with-kernel": (
        MMD(kernel="rbf"),
        KERNEL,
        r"together with kernel='rbf'.*Leave `affinity` out, or set kernel='precomputed'",
    ),
    "with-cosine": (MMD(kernel="cosine"), KERNEL, r"together with kernel='cosine'"),
    "with-features": (MMD(kernel="rbf", n_components=9), KERNEL, r"together with kernel='rbf'"),
    "with-metric": (
        Wasserstein(metric="geodesic"),
        DISTANCES,
        r"together with metric='geodesic'.*metric='precomputed'",
    ),
    "missing-kernel": (MMD(kernel="precomputed"), None, r"kernel='precomputed'.*pass `affinity`"),
    "missing-distance": (
        Wasserstein(metric="precomputed"),
        None,
        r"metric='precomputed'.*pass `affinity`",
    ),
}


@pytest.mark.parametrize("matrix", ["distances", "adjacency"])
@pytest.mark.parametrize("numbers", [{}, {"n_clusters": 2, "n_units": 6}])
def test_units_are_not_joined_by_a_matrix_without_distances(matrix, numbers):
    affinity = DISTANCES if matrix == "distances" else (DISTANCES < 2) * (DISTANCES > 0) * 1.0
    estimator = make(**{"n_clusters": "auto"} | numbers)
    refuses(estimator, ValueError, r"no kernel: of samples.*Wasserstein.*expm", affinity=affinity)


@pytest.mark.parametrize("case", BAD_AFFINITIES)
def test_bad_affinity(case):
    objective, affinity, match = BAD_AFFINITIES[case]
    refuses(make(objective=objective), ValueError, match, affinity=affinity)
    with pytest.raises(ValueError, match=match):
        gemini_score(X, TRUTH, objective, affinity=affinity)


@pytest.mark.parametrize("case", ["not-symmetric", "nan", "too-small", "not-square"])
def test_bad_affinity_at_score(case):
    objective, affinity, match = BAD_AFFINITIES[case]
    estimator = make(objective=objective).fit(X, affinity=KERNEL)
    with pytest.raises(ValueError, match=match):
        estimator.score(X, affinity=affinity)


@pytest.mark.parametrize("objective", ["mmd_ovo", MMD(kernel="precomputed"), "wasserstein_ova"])
@pytest.mark.parametrize("method", ["score", "partial_fit"])
def test_affinity_missing_after_a_fit_with_one(method, objective):
    affinity = DISTANCES if objective == "wasserstein_ova" else KERNEL
    estimator = make(objective=objective).fit(X, affinity=affinity)
    before = estimator.predict_proba(X)
    match = "affinity" if method == "score" else "function"  # partial_fit takes no affinity
    with pytest.raises(ValueError, match=match):
        getattr(estimator, method)(X)
    np.testing.assert_array_equal(estimator.predict_proba(X), before)


def test_partial_fit_with_another_objective():
    estimator = make(objective="mmd_ovo").fit(X).set_params(objective="wasserstein_ova")
    with pytest.raises(ValueError, match=r"objective.*fit"):
        estimator.partial_fit(X)


def test_affinity_in_cross_validation_names_the_function_as_remedy():
    model = make(objective=MMD("ovo", kernel="precomputed"))
    with pytest.raises(ValueError, match=r"(?s)cross-validation.*function as its kernel"):
        cross_val_score(model, X, cv=2, params={"affinity": KERNEL}, error_score="raise")
    remedy = make(objective=MMD("ovo", kernel=lambda a, b: float(a @ b)))
    assert np.isfinite(cross_val_score(remedy, X, cv=2, error_score="raise")).all()


def lopsided_rows(a, b):
    return float(a[0] * b[0] + 2 * a[1] * b[0])


def lopsided_matrices(a, b):
    return a[:, :1] @ b[:, :1].T + 2 * a[:, 1:] @ b[:, :1].T


@pytest.mark.parametrize("kernel", [lopsided_rows, lopsided_matrices])
def test_kernel_function_that_is_not_symmetric(kernel):
    refuses(make(objective=MMD(kernel=kernel)), ValueError, r"not symmetric.*differ by")


@pytest.mark.parametrize("metric", [lopsided_rows, lopsided_matrices])
def test_metric_function_that_is_not_symmetric(metric):
    def positive(a, b):
        return np.abs(metric(a, b))

    refuses(make(objective=Wasserstein(metric=positive)), ValueError, r"not symmetric.*differ by")


def test_metric_function_that_is_negative():
    objective = Wasserstein(metric=lambda a, b: float(-np.abs(a - b).sum()))
    refuses(make(objective=objective), ValueError, r"contain -.*no distance is negative")


@pytest.mark.parametrize(
    ("objective", "remedy"),
    [
        (Wasserstein(metric="geodesic"), "another metric"),
        (MMD(kernel="rbf", n_components=None), "n_components=500"),
        (MMD(kernel=lambda a, b: float(a @ b), n_components=None), "n_components=500"),
    ],
    ids=["geodesic", "rbf", "function"],
)
def test_matrix_beyond_the_bound(objective, remedy):
    many = np.arange(17_000.0)[:, None]
    match = rf"17000 x 17000 .*would take 2\.2 GiB.*bound of 2 GiB.*[Uu]se .*{remedy}"
    refuses(make(objective=objective), ValueError, match, X=many)
    with pytest.raises(ValueError, match=match):
        gemini_score(many, many[:, 0] > 5, objective)


# Models


class Sized(nn.Module):
    """Returns whatever shape is asked for, and counts its calls."""

    def __init__(self, n_features, n_clusters, form):
        super().__init__()
        self.linear = nn.Linear(n_features, n_clusters)
        self.form = form
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.form(self.linear(x))


WRONG_SHAPES = {
    "one-more": (lambda z: torch.cat([z, z[:, :1]], 1), r"shape \(2, 4\)"),
    "transposed": (lambda z: z.T, r"shape \(3, 2\)"),
    "flat": (lambda z: z[:, 0], r"shape \(2,\)"),
    "scalar": (lambda z: z.sum(), r"shape \(\)"),
    "fewer-rows": (lambda z: z[:-1], r"shape \(1, 3\)"),
    "3-d": (lambda z: z[:, None], r"shape \(2, 1, 3\)"),
}


@pytest.mark.parametrize("case", WRONG_SHAPES)
@pytest.mark.parametrize("n_init", [1, 2])
def test_module_of_a_wrong_shape(case, n_init):
    form, shape = WRONG_SHAPES[case]
    made = []

    def factory(n_features, n_clusters):
        made.append(Sized(n_features, n_clusters, form))
        return made[-1]

    match = rf"{shape} for 2 samples.*one logit for each of 3 clusters.*\(2, 3\)"
    refuses(make(model=factory, n_init=n_init), ValueError, match)
    assert sum(module.calls for module in made) == 1  # before work starts


class Recurrent(nn.Module):
    def __init__(self, n_features, n_units):
        super().__init__()
        self.recurrent = nn.LSTM(1, 4, batch_first=True)
        self.last = nn.Linear(4, n_units)

    def forward(self, x):
        return self.last(self.recurrent(x[:, :, None])[0][:, -1])


def test_module_that_torch_cannot_run_for_several_restarts():
    refuses(make(model=Recurrent, n_init=2), ValueError, "n_init=2 is not.*Use n_init=1")
    for solver in ("adam", "lbfgs"):  # "auto" is several restarts in the latter
        fitted = make(model=Recurrent, max_iter=1, solver=solver).fit(X)
        assert fitted.labels_.shape == (len(X),)


@pytest.mark.parametrize("n_init", [1, 2])
def test_module_that_returns_no_tensor(n_init):
    class Pair(nn.Linear):
        def forward(self, x):
            return super().forward(x), x

    refuses(make(model=Pair, n_init=n_init), (TypeError, ValueError), r"returned.*tuple.*\(2, 3\)")


def test_module_instance_of_a_wrong_size():
    match = r"shape \(2, 5\) for 2 samples.*3 clusters"
    refuses(make(model=nn.Linear(2, 5)), ValueError, match)


def test_factory_that_makes_no_module():
    refuses(make(model=lambda n, k: "perceptron"), TypeError, r"returned str.*torch\.nn\.Module")


def test_module_without_parameters():
    refuses(make(2, model=nn.ReLU()), ValueError, r"model=ReLU\(\) has no parameters to train")


# gemini_score


BAD_CLUSTERINGS = {
    "sums": (np.full((60, 3), 0.5), r"sum to 1.*1\.5"),
    "negative": (np.tile([1.5, -0.5, 0.0], (60, 1)), r"not negative.*-0\.5"),
    "nan": (np.tile([np.nan, 0.5, 0.5], (60, 1)), r"finite"),
    "too-few": (TRUTH[:50], r"shape \(50,\).*60 samples"),
    "3-d": (np.ones((60, 1, 1)), r"shape \(60, 1, 1\).*60 samples"),
}


@pytest.mark.parametrize("case", BAD_CLUSTERINGS)
def test_bad_clustering_to_score(case):
    clustering, match = BAD_CLUSTERINGS[case]
    with pytest.raises(ValueError, match=match):
        gemini_score(X, clustering)


def test_score_of_unknown_objective():
    with pytest.raises(ValueError, match=r"objective='gini' is unknown.*mmd_ova"):
        gemini_score(X, TRUTH, "gini")


# What looks bad and is fine


FINE_OBJECTIVES = {
    "mmd_ovo": "mmd_ovo",
    "mmd_ova": "mmd_ova",
    "mi": "mi",
    "wasserstein": "wasserstein_ovo",
    "rbf": MMD(kernel="rbf"),
    "laplacian": MMD(kernel="laplacian"),
    "scale": MMD(kernel="rbf", gamma="scale"),
    "cosine": MMD(kernel="cosine"),
    "nystroem": MMD(kernel="rbf", n_components=20),
    "geodesic": Wasserstein(metric="geodesic", n_neighbors=50),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("factor", [1e30, 1e-30])
@pytest.mark.parametrize("objective", FINE_OBJECTIVES)
def test_very_large_and_very_small_values(objective, factor, dtype):
    given = X.astype(dtype)
    scaled = given * dtype(factor)
    estimator = make(objective=FINE_OBJECTIVES[objective])
    expected = estimator.fit(given).labels_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator.fit(scaled)
    np.testing.assert_array_equal(estimator.labels_, expected)
    np.testing.assert_array_equal(estimator.predict(scaled), expected)
    assert np.isfinite(estimator.predict_proba(scaled)).all()
    assert np.isfinite(estimator.objective_value_)
    assert estimator.score(scaled) == pytest.approx(estimator.objective_value_, rel=1e-4)


@pytest.mark.parametrize("factor", [1e30, 1e-30])
def test_very_large_and_very_small_sparse_values(factor):
    estimator = make(model="linear")
    expected = estimator.fit(sp.csr_array(X)).labels_
    np.testing.assert_array_equal(estimator.fit(sp.csr_array(X * factor)).labels_, expected)


@pytest.mark.parametrize("objective", ["mmd_ovo", "mi", "wasserstein_ova", MMD(kernel="rbf")])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_constant_columns(objective, dtype):
    padded = np.c_[np.full(60, 3.0), X, np.zeros(60)].astype(dtype)
    estimator = make(objective=objective).fit(padded)
    assert adjusted_rand_score(TRUTH, estimator.labels_) == 1
    assert np.isfinite(estimator.predict_proba(padded)).all()


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint8, np.uint64])
def test_integers(dtype):
    whole = np.round(10 * (X - X.min(0))).astype(dtype)
    estimator = make().fit(whole)
    assert adjusted_rand_score(TRUTH, estimator.labels_) == 1
    np.testing.assert_array_equal(estimator.labels_, make().fit(whole.astype(float)).labels_)
    assert estimator.predict_proba(whole).dtype == np.float64


@pytest.mark.parametrize("objective", ["mmd_ovo", "mi", "wasserstein_ova", MMD(kernel="rbf")])
def test_booleans(objective):
    flags = np.repeat([[True, True, False, False], [False, False, True, True]], 10, axis=0)
    estimator = make(2, objective=objective).fit(flags)
    assert adjusted_rand_score(np.repeat([0, 1], 10), estimator.labels_) == 1


@pytest.mark.parametrize("objective", ["mmd_ovo", "mi", "wasserstein_ova", MMD(kernel="rbf")])
@pytest.mark.parametrize("model", ["mlp", "linear"])
@pytest.mark.parametrize("value", [0.0, -4.0])
def test_all_rows_equal(objective, model, value):
    same = np.full((20, 3), value)
    estimator = make(3, objective=objective, model=model)
    with pytest.warns(ConvergenceWarning, match=r"Only 1 distinct .*n_clusters=3"):
        estimator.fit(same)
    assert estimator.n_clusters_ == 1
    assert estimator.labels_.tolist() == [0] * 20
    np.testing.assert_array_equal(estimator.predict_proba(same), np.ones((20, 1)))
    assert estimator.objective_value_ == pytest.approx(0, abs=1e-12)


def test_all_rows_equal_with_a_kernel_of_their_own():
    with pytest.warns(ConvergenceWarning, match=r"Only 1 distinct .*n_clusters=3"):
        estimator = make(3).fit(np.zeros((20, 3)), affinity=np.eye(20))
    assert estimator.n_clusters_ == 1


def test_all_rows_equal_need_no_warning_where_the_number_is_free():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator = make("auto").fit(np.ones((20, 3)))
    assert estimator.n_clusters_ == 1


def test_fewer_distinct_rows_than_clusters():
    few = np.repeat([[0.0, 0.0], [5.0, 5.0]], 10, axis=0)
    with pytest.warns(ConvergenceWarning, match=r"Only 2 distinct .*n_clusters=4"):
        estimator = make(4).fit(few)
    assert estimator.n_clusters_ == 2


def test_one_sample_with_weight():
    weight = np.r_[1.0, np.zeros(59)]
    with pytest.warns(ConvergenceWarning, match=r"Only 1 distinct sample has positive weight"):
        estimator = make(3).fit(X, sample_weight=weight)
    assert estimator.n_clusters_ == 1
    assert len(estimator.labels_) == 60


def test_one_column_and_one_cluster():
    estimator = make(1).fit(X[:, :1])
    assert estimator.n_clusters_ == 1
    assert estimator.predict([[1e9]]).tolist() == [0]


def test_series_is_answered_by_what_scikit_learn_says_of_it():
    table = pd.DataFrame(X, columns=[f"x{j}" for j in range(np.shape(X)[1])])
    with pytest.raises(ValueError, match="2-dimensional container"):
        GeminiClustering(2).fit(table["x0"])
