"""What users expect without reading: hints, silence, warnings at their line, tensors, help."""

import ast
import inspect
import logging
import re
import warnings
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
import torch
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array
from sklearn.utils.fixes import parse_version

from gemclust import GeminiClustering, select_n_clusters
from gemclust.messages import did_you_mean
from gemclust.metrics import gemini_score, heldout_scorer
from gemclust.objectives import MMD, Wasserstein

X = make_blobs(90, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)[0]

MISSPELT = [
    ({"model": "lineer"}, "linear"),
    ({"model": "MLP"}, "mlp"),
    ({"model": "categorial"}, "categorical"),
    ({"solver": "l-bfgs"}, "lbfgs"),
    ({"solver": "Adam"}, "adam"),
    ({"activation": "logistics"}, "logistic"),
    ({"init": "kmeans++"}, "k-means++"),
    *(({name: "Auto"}, "auto") for name in ("n_clusters", "n_units", "n_init", "learning_rate")),
    ({"vat_radius": "Auto"}, "auto"),
    ({"batch_size": "atuo"}, "auto"),
    ({"device": "CPU"}, "cpu"),
    ({"device": "cuda:99"}, "cuda"),
    ({"device": "gpu"}, "cuda"),
    ({"activation": "sigmoid"}, "logistic"),
    ({"objective": "mmd-ovo"}, "mmd_ovo"),
    ({"objective": "Wasserstein_ova"}, "wasserstein_ova"),
    ({"objective": MMD("OVO")}, "ovo"),
    ({"objective": MMD(kernel="RBF")}, "rbf"),
    ({"objective": MMD(kernel="lapacian")}, "laplacian"),
    ({"objective": MMD(kernel="gaussian")}, "rbf"),
    ({"objective": MMD(kernel="rbf", gamma="medain")}, "median"),
    ({"objective": Wasserstein(metric="manhatan")}, "manhattan"),
    ({"objective": Wasserstein(metric="geodesics")}, "geodesic"),
]


STRINGS = {
    name for name, value in GeminiClustering().get_params().items() if isinstance(value, str)
}


def test_each_parameter_with_names_is_among_the_misspelt():
    assert {name for parameters, _ in MISSPELT for name in parameters} == STRINGS | {"batch_size"}


@pytest.mark.parametrize(("parameters", "meant"), MISSPELT)
def test_misspelt_name_is_answered_with_the_nearest(parameters, meant):
    model = GeminiClustering(**{"n_clusters": 2} | parameters)
    with pytest.raises(ValueError, match=re.escape(f"Did you mean {meant!r}?")):
        model.fit(X)


NAMELESS = [
    lambda: GeminiClustering().set_params(max_iter=7, n_cluster=3),
    lambda: make_pipeline(GeminiClustering()).set_params(geminiclustering__n_cluster=3),
    lambda: GridSearchCV(GeminiClustering(), {"n_cluster": [2]}, scoring=heldout_scorer).fit(X),
]


@pytest.mark.parametrize("call", NAMELESS, ids=["estimator", "pipeline", "search"])
def test_misspelt_parameter_is_answered_with_the_nearest(call):
    with pytest.raises(ValueError, match=r"no parameter .*Did you mean 'n_clusters'\? Its param"):
        call()


def test_misspelt_parameter_of_the_number_alone():
    with pytest.raises(TypeError, match=r"of select_n_clusters\. Did you mean 'sensitivity'\?"):
        select_n_clusters(X, sensitvity=2)


def test_misspelt_parameter_of_the_objective():
    model = GeminiClustering(objective=MMD("ovo", kernel="rbf"))
    with pytest.raises(ValueError, match=r"no parameter of MMD\. Did you mean 'gamma'\?"):
        model.set_params(objective__gama=1.0)
    assert model.set_params(objective__gamma=2.0).objective.gamma == 2.0


def test_name_of_an_objective_has_no_parameters():
    with pytest.raises(ValueError, match=r"objective='auto' has no parameter 'gamma': set"):
        GeminiClustering().set_params(objective__gamma=1.0)
    model = GeminiClustering().set_params(objective=MMD(kernel="rbf"), objective__gamma=1.0)
    assert model.objective.gamma == 1.0


def test_parameters_are_set_all_or_none():
    model = GeminiClustering()
    with pytest.raises(ValueError, match=r"'colour' is no parameter of GeminiClustering\. Its"):
        model.set_params(max_iter=7, colour="red")
    assert model.max_iter == GeminiClustering().max_iter
    assert model.set_params(max_iter=7, n_clusters=3) is model
    assert (model.max_iter, model.n_clusters) == (7, 3)


def test_what_is_like_no_name_gets_no_hint():
    with pytest.raises(ValueError, match="must be one of") as error:
        GeminiClustering(solver="newton").fit(X)
    assert "Did you mean" not in str(error.value)
    assert did_you_mean(3, ["linear"]) == ""


@pytest.mark.parametrize("name", ["sensitivity", "min_cluster_size", "max_clusters", "alpha"])
def test_auto_is_no_hint_where_it_is_not_possible(name):
    with pytest.raises(ValueError, match=f"{name}='auto' is not possible") as error:
        GeminiClustering(**{name: "auto"}).fit(X)
    assert "Did you mean" not in str(error.value)


def test_device_that_holds_no_values_is_refused():
    with pytest.raises(ValueError, match="device='meta' cannot be used; try 'auto' or 'cpu'"):
        GeminiClustering(2, device="meta").fit(X)


def table(kind, changes):
    """Three columns of which some values are changed, as a DataFrame of this kind."""
    columns = {"age": X[:, 0].tolist(), "town": X[:, 1].tolist(), "income": X[:, 0].tolist()}
    for name, value in changes.items():
        columns[name][3] = value
        if isinstance(value, str):
            columns[name] = list(map(str, columns[name]))
    return pytest.importorskip(kind).DataFrame(columns)


FAULTS = {
    "nan": ({"income": np.nan}, "NaN in column 'income'. "),
    "two": ({"age": np.nan, "income": np.nan}, "NaN in columns 'age', 'income'. "),
    "infinity": ({"age": np.inf}, "Infinity in column 'age'. "),
    "text": ({"town": "York"}, "Values that are no numbers"),
    "both": ({"town": "York", "age": -np.inf}, "Infinity in column 'age'. Values that are no"),
}


@pytest.mark.parametrize("kind", ["pandas", "polars"])
@pytest.mark.parametrize("fault", FAULTS)
def test_columns_at_fault_are_named(fault, kind):
    changes, message = FAULTS[fault]
    bad, good = table(kind, changes), table(kind, {})
    model = GeminiClustering(2, n_init=1, random_state=0)
    with pytest.raises((TypeError, ValueError)) as error:
        model.fit(bad)
    assert str(error.value).startswith(message)
    assert "'town'" in str(error.value) or "town" not in changes
    model.fit(good)
    with pytest.raises((TypeError, ValueError)) as error:
        model.predict(bad)
    assert str(error.value).startswith(message)
    with pytest.raises((TypeError, ValueError)) as error:
        gemini_score(bad, model.labels_)
    assert str(error.value).startswith(message)


def test_columns_without_names_are_numbered():
    bad = X.copy()
    bad[5, 1] = np.nan
    for given in (bad, bad.tolist(), torch.from_numpy(bad), sp.csr_array(bad)):
        with pytest.raises(ValueError, match=r"^NaN in column 1\. Input X contains NaN"):
            GeminiClustering(2).fit(given)
    with pytest.raises(ValueError, match=r"^Values that are no numbers .* in columns 0, 1\. "):
        GeminiClustering(2).fit([["a", "b"], ["c", "d"]])


def test_of_many_columns_at_fault_some_are_named():
    with pytest.raises(ValueError, match=r"^NaN in columns 0, 1, 2, 3, 4 and 35 more\. "):
        GeminiClustering(2).fit(np.full((9, 40), np.nan))


DAYS = np.datetime64("2026-01-01", "ms") + 86_400_000 * np.arange(len(X))
DATES = {
    "array": DAYS[:, None],
    "durations": (DAYS - DAYS[0])[:, None],
    "pandas": pd.DataFrame({"when": DAYS}),
    "pandas, zoned": pd.DataFrame({"when": pd.Series(DAYS).dt.tz_localize("UTC")}),
    "pandas, mixed": pd.DataFrame({"when": DAYS, "x": X[:, 0]}),
    "pandas, durations": pd.DataFrame({"when": DAYS - DAYS[0]}),
    "polars": pl.DataFrame({"when": DAYS}),
    "polars, days": pl.DataFrame({"when": DAYS}).cast(pl.Date),
    "polars, mixed": pl.DataFrame({"when": DAYS, "x": X[:, 0]}),
    "polars, durations": pl.DataFrame({"when": DAYS - DAYS[0]}),
}


@pytest.mark.parametrize("kind", DATES)
def test_dates_are_no_numbers(kind):
    named = "'when'" if kind.startswith("p") else "0"
    message = f"^Dates or durations, which are no numbers, in column {named}"
    model = GeminiClustering(2)
    with pytest.raises(TypeError, match=message):
        model.fit(DATES[kind])
    assert not hasattr(model, "n_features_in_")
    with pytest.raises(TypeError, match=message):
        gemini_score(DATES[kind], np.arange(len(X)) % 2)


def test_automatic_objective_is_that_of_the_estimator():
    model = GeminiClustering(3, n_init=1, random_state=0).fit(X)
    assert gemini_score(X, model.predict_proba(X)) == pytest.approx(model.objective_value_)
    assert gemini_score(X, model.labels_) == gemini_score(X, model.labels_, "auto")
    assert gemini_score(X, model.labels_) == gemini_score(X, model.labels_, "mmd_ovo")


# Silence and progress


@pytest.mark.parametrize("n_clusters", ["auto", 3])
def test_nothing_is_printed_by_default(n_clusters, capfd, caplog):
    with caplog.at_level(logging.DEBUG):
        GeminiClustering(n_clusters, random_state=0).fit(X)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_stages_of_the_selection_are_logged(caplog):
    model = GeminiClustering(verbose=1, random_state=0).fit(X)
    messages = [record.getMessage() for record in caplog.records]
    assert all(record.name == "gemclust" for record in caplog.records)
    assert messages[:3] == ["preparing 11 units", "seeding 11 units", "training 11 units"]
    assert messages[3].startswith("iteration 1: objective ")
    assert messages[-4:] == [
        "joining 11 units",
        f"11 units form {model.n_clusters_} clusters",
        "evaluating",
        "labelling",
    ]


def test_the_number_alone_takes_what_the_estimator_takes():
    distances = np.abs(np.subtract.outer(X[:, 1], X[:, 1]))
    given = {"objective": Wasserstein("ova"), "random_state": 0}
    expected = GeminiClustering(**given).fit(X, affinity=distances).n_clusters_
    assert select_n_clusters(X, affinity=distances, **given) == expected
    with pytest.raises(TypeError, match="max_clusters for a bound"):
        select_n_clusters(X, n_clusters=3)


def test_the_evidence_says_what_it_holds():
    text = repr(GeminiClustering(random_state=0).fit(X).selection_)
    assert text.startswith("Selection(")
    assert "clusters by sensitivity: 0.7: " in text


@pytest.fixture
def bars(capfd, monkeypatch):
    """Fits with scikit-learn's progress bars; returns the line of each bar."""
    monkeypatch.setenv("COLUMNS", "200")  # no line is cut
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has no callbacks")
    pytest.importorskip("rich")

    def fitted(estimator, X=X):
        with warnings.catch_warnings():
            # The scaler, which is not iterative, knows no callbacks.
            warnings.filterwarnings("ignore", message=".* does not support callbacks")
            warnings.simplefilter("ignore", ConvergenceWarning)
            estimator.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(X)
        out, err = capfd.readouterr()
        assert err == ""
        return [line.strip() for line in out.splitlines()]

    return fitted


def test_progress_bars_of_the_stages(bars):
    lines = bars(GeminiClustering(random_state=0))
    stages = ["fit", "seeding 11 units #0", "training 11 units #1", "joining 11 units #2"]
    assert len(lines) == len(stages)
    for line, stage in zip(lines, stages, strict=True):
        assert line.startswith(f"GeminiClustering - {stage} ")
        assert "100%" in line


def test_progress_bars_of_a_fit_that_begins_anew(bars):
    many = make_blobs(1700, centers=70, center_box=(-100, 100), random_state=0)[0]
    lines = bars(GeminiClustering(max_iter=2, random_state=0), many)
    each = ("seeding", "training", "joining")
    stages = ["fit", *(f"{stage} {n} units" for n in (100, 200) for stage in each)]
    assert [line.split("#")[0].split(" - ")[1].split("  ")[0].strip() for line in lines] == stages


def test_progress_bars_in_a_pipeline(bars):
    lines = bars(make_pipeline(StandardScaler(), GeminiClustering(3, n_init=1, random_state=0)))
    assert lines[0].startswith("Pipeline - fit ")
    assert lines[-1].startswith("GeminiClustering - training 3 units ")


def test_progress_bars_in_a_search(bars):
    model = make_pipeline(StandardScaler(), GeminiClustering(n_init=1, random_state=0))
    numbers = {"geminiclustering__n_clusters": [2, 3]}
    halves = ShuffleSplit(2, test_size=0.5, random_state=0)
    lines = bars(GridSearchCV(model, numbers, scoring=heldout_scorer, cv=halves))
    trained = [line for line in lines if line.startswith("GeminiClustering - training ")]
    units = [line.split(" - training ")[1].split()[0] for line in trained]
    assert units == ["2", "2", "3", "3", "3"]  # the last is the best, on all samples


# Warnings


def line_of(function):
    return function.__code__.co_firstlineno


def fit_alone():
    return GeminiClustering(3, max_iter=1, random_state=0).fit(X)


def fit_in_a_pipeline():
    return make_pipeline(StandardScaler(), GeminiClustering(3, max_iter=1)).fit_predict(X)


def fit_then_score():
    return GeminiClustering(3, max_iter=1, random_state=0).fit_transform(X)


@pytest.mark.parametrize("call", [fit_alone, fit_in_a_pipeline, fit_then_score])
def test_warning_points_at_the_line_of_the_user(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        call()
    (warning,) = [w for w in caught if w.category is ConvergenceWarning]
    assert warning.filename == __file__
    assert warning.lineno == line_of(call) + 1


# Tensors


def test_tensors_are_taken_without_a_copy():
    tensor = torch.from_numpy(X.copy())
    model = GeminiClustering(3, n_init=1, random_state=0)
    assert np.shares_memory(model._validated(tensor), tensor.numpy())


def test_tensors_are_as_good_as_arrays():
    tensor = torch.from_numpy(X).requires_grad_()
    weight = torch.linspace(1, 2, len(X), dtype=torch.float64)
    kernel = (tensor @ tensor.T).detach()
    by_tensor = GeminiClustering(3, n_init=1, random_state=0)
    by_array = GeminiClustering(3, n_init=1, random_state=0)
    by_tensor.fit(tensor, sample_weight=weight, affinity=kernel)
    by_array.fit(X, sample_weight=weight.numpy(), affinity=kernel.numpy())
    proba = by_array.predict_proba(X)
    np.testing.assert_array_equal(by_tensor.predict_proba(tensor), proba)
    tensors = torch.from_numpy(proba).requires_grad_()
    assert gemini_score(tensor, tensors, "mi") == gemini_score(X, proba, "mi")


def test_bfloat16_is_taken_as_float32():
    coarse = torch.from_numpy(X).bfloat16()
    by_tensor = GeminiClustering(3, n_init=1, random_state=0).fit(coarse)
    by_array = GeminiClustering(3, n_init=1, random_state=0).fit(coarse.float().numpy())
    proba = by_tensor.predict_proba(coarse)
    assert proba.dtype == np.float32
    np.testing.assert_array_equal(proba, by_array.predict_proba(coarse.float().numpy()))
    assert gemini_score(coarse, torch.from_numpy(proba)) == gemini_score(coarse.float(), proba)


def test_half_precision_is_taken_as_scikit_learn_does():
    half = torch.from_numpy(X).half()
    by_tensor = GeminiClustering(3, n_init=1, random_state=0).fit(half)
    by_array = GeminiClustering(3, n_init=1, random_state=0).fit(half.double().numpy())
    proba = by_tensor.predict_proba(half)
    assert proba.dtype == check_array(half.numpy(), dtype=[np.float64, np.float32]).dtype
    np.testing.assert_array_equal(proba, by_array.predict_proba(half.double().numpy()))


UNFIT = {
    "torch.float8_e4m3fn": lambda tensor: tensor.to(torch.float8_e4m3fn),
    "torch.sparse_coo": lambda tensor: tensor.to_sparse(),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_tensor_that_no_array_holds_is_refused(kind):
    given = UNFIT[kind](torch.from_numpy(X))
    with pytest.raises(ValueError, match=rf"^A tensor of .*{kind}.* convert it"):
        GeminiClustering(3).fit(given)


# Help


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"), reason="shows no docstrings"
)
def test_representation_in_a_notebook_documents_the_parameters():
    html = GeminiClustering(n_clusters=3)._repr_html_()
    assert "sensitivity" in html
    assert "valleys more significant than 1 / sensitivity are real: larger" in html.replace(
        "<br>", " "
    )


MODULES = ["", ".datasets", ".displays", ".explain", ".export", ".metrics", ".objectives"]


@pytest.mark.parametrize("suffix", MODULES)
def test_each_public_name_stands_on_the_api_page(suffix):
    """Modules stand there by name, what is in them and has a docstring is listed by Sphinx."""
    page = (Path(__file__).parents[1] / "docs" / "api.md").read_text()
    module = import_module(f"gemclust{suffix}")
    assert re.search(rf"^   {re.escape(module.__name__)}$", page, re.MULTILINE)
    for name in module.__all__:
        thing = getattr(module, name)
        kinds = inspect.isclass, inspect.isfunction, inspect.ismodule
        if not any(kind(thing) for kind in kinds) and name not in described(module):
            assert f"py:data:: {module.__name__}.{name}\n" in page


def described(module):
    """Names that the module itself sets and describes in a string below."""
    body = ast.parse(inspect.getsource(module)).body
    return [
        ast.unparse(line.target if isinstance(line, ast.AnnAssign) else line.targets[0])
        for line, below in pairwise(body)
        if isinstance(line, ast.Assign | ast.AnnAssign) and isinstance(below, ast.Expr)
    ]
