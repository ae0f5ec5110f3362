"""What onnxruntime computes from an exported graph is what the estimator predicts."""

import re
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.datasets import load_wine, make_moons
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
)
from torch import nn

from gemclust import GeminiClustering
from gemclust.export import to_onnx
from gemclust.metrics import heldout_scorer

WINE = load_wine().data
SCALED = StandardScaler().fit_transform(WINE)
MOONS = make_moons(300, noise=0.05, random_state=0)[0]


def network(n_features, n_clusters):
    return nn.Sequential(
        nn.Linear(n_features, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, n_clusters, bias=False)
    )


MODELS = {
    "auto": GeminiClustering(random_state=0),
    "local": GeminiClustering(3, n_units=15, random_state=0),
    "mlp": GeminiClustering(3, n_init=2, random_state=0),
    "deep": GeminiClustering(
        3, hidden_layer_sizes=(8, 8), activation="logistic", n_init=2, random_state=0
    ),
    "tanh": GeminiClustering(3, activation="tanh", n_init=2, random_state=0),
    "identity": GeminiClustering(3, activation="identity", n_init=2, random_state=0),
    "linear": GeminiClustering(3, model="linear", n_init=2, random_state=0),
    "merged": GeminiClustering(3, model="linear", n_units=9, random_state=0),
    "dropped": GeminiClustering(20, objective="tv_ova", model="linear", n_init=1, random_state=0),
    "module": GeminiClustering(3, model=network, max_iter=20, random_state=0),
}


def run(graph, X):
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    return session.run(["label", "probabilities"], {"X": X})


def agrees(graph, estimator, X, atol=1e-5):
    label, proba = run(graph, X)
    expected = estimator.predict_proba(X)
    assert label.dtype == np.int64
    assert proba.dtype == expected.dtype
    np.testing.assert_allclose(proba, expected, atol=atol)
    np.testing.assert_array_equal(label, expected.argmax(1))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", MODELS)
def test_runtime_computes_the_same_probabilities(name, dtype):
    train, new = SCALED[::2].astype(dtype), SCALED[1::2].astype(dtype)
    model = MODELS[name].fit(train)
    agrees(to_onnx(model), model, new, 1e-12 if dtype == np.float64 else 1e-5)


def test_units_that_win_nothing_are_left_out():
    model = MODELS["dropped"].fit(SCALED)
    assert model.n_clusters_ < 20
    assert run(to_onnx(model), SCALED)[1].shape == (178, model.n_clusters_)


def test_curved_clusters():
    model = GeminiClustering(random_state=0).fit(MOONS)
    assert model.n_clusters_ == 2
    agrees(to_onnx(model), model, MOONS, 1e-10)


def test_far_from_the_origin_single_precision_is_enough():
    model = GeminiClustering(random_state=0).fit(SCALED + 50)
    label, proba = run(to_onnx(model, dtype="float32"), (SCALED + 50).astype(np.float32))
    np.testing.assert_allclose(proba, model.predict_proba(SCALED + 50), atol=1e-5)
    np.testing.assert_array_equal(label, model.labels_)


def test_model_of_sparse_samples_takes_dense_ones():
    X = np.maximum(SCALED, 0)
    model = GeminiClustering(random_state=0).fit(sp.csr_array(X))
    agrees(to_onnx(model), model, X, 1e-10)


@pytest.mark.parametrize("dtype", [int, "float16", "flaot32", 3, {"a": 1}])
def test_other_types_are_refused(dtype):
    model = GeminiClustering(3, model="linear", n_init=1, random_state=0).fit(WINE)
    hint = re.escape(" Did you mean 'float32'?") if dtype == "flaot32" else ""
    with pytest.raises(ValueError, match=f"dtype=.* must be one of float64, float32, or.*{hint}"):
        to_onnx(model, dtype=dtype)


@pytest.mark.parametrize("offset", [0, 1e4])
@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler()], ids=repr)
@pytest.mark.parametrize("n_clusters", ["auto", 3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_pipeline(dtype, n_clusters, scaler, offset):
    pipeline = make_pipeline(scaler, GeminiClustering(n_clusters, n_init=1, random_state=0))
    single = (WINE + offset).astype(np.float32)
    X = single.astype(np.float64)  # the same numbers
    pipeline.fit((WINE + offset).astype(dtype))
    _, proba = run(to_onnx(pipeline, dtype=np.float32), single)
    assert proba.dtype == np.float32
    np.testing.assert_allclose(proba, pipeline.predict_proba(X), atol=1e-5)
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    agrees(to_onnx(pipeline, dtype=np.float64), pipeline, X, tolerance)


@pytest.mark.parametrize("step", [SimpleImputer(), PolynomialFeatures()], ids=repr)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_step_that_exists_in_single_precision_only(dtype, step):
    pipeline = make_pipeline(step, StandardScaler(), GeminiClustering(3, n_init=1, random_state=0))
    X = WINE[:, :5].astype(dtype)
    agrees(to_onnx(pipeline.fit(X)), pipeline, X)


@pytest.mark.parametrize(
    "steps", [["passthrough", StandardScaler()], [StandardScaler(), "passthrough"], ["passthrough"]]
)
def test_steps_that_do_nothing_are_left_out(steps):
    model = make_pipeline(*steps, GeminiClustering(3, n_init=1, random_state=0)).fit(WINE)
    agrees(to_onnx(model), model, WINE)


def test_texts_are_refused():
    texts = [f"{word} {word}er" for word in ("high", "low", "near", "far") for _ in range(5)]
    model = make_pipeline(TfidfVectorizer(), GeminiClustering(2, n_init=1, random_state=0))
    with pytest.raises(ValueError, match="TfidfVectorizer, the first step, takes no matrix"):
        to_onnx(model.fit(texts))


def test_pipeline_of_two_steps_before():
    columns = ColumnTransformer([("some", MinMaxScaler(), [0, 3, 4]), ("all", "passthrough", [6])])
    model = make_pipeline(columns, StandardScaler(), GeminiClustering(3, n_init=1, random_state=0))
    model.fit(WINE)
    agrees(to_onnx(model), model, WINE)


@pytest.mark.parametrize("categories", [[], ["site"]], ids=["numbers", "categories"])
def test_columns_by_name_are_refused_with_the_remedy(categories):
    table = pd.DataFrame(WINE[:, :2], columns=["alcohol", "acid"]).assign(site=["x", "y"] * 89)
    columns = make_column_transformer(
        (StandardScaler(), ["alcohol", "acid"]), (OneHotEncoder(sparse_output=False), categories)
    )
    model = make_pipeline(columns, GeminiClustering(2, n_init=1, random_state=0)).fit(table)
    with pytest.raises(ValueError, match=r"(?s)column name 'alcohol'.*merge_models"):
        to_onnx(model)


def test_best_of_a_search():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), GeminiClustering(model="linear", n_init=1, random_state=0)),
        {"geminiclustering__n_clusters": [2, 3]},
        scoring=heldout_scorer,
        cv=ShuffleSplit(1, test_size=0.5, random_state=0),
    ).fit(WINE)
    agrees(to_onnx(search), search, WINE)


def test_file_holds_the_graph(tmp_path):
    model = MODELS["mlp"].fit(SCALED)
    graph = to_onnx(model, tmp_path / "model.onnx")
    assert onnx.load(tmp_path / "model.onnx") == graph
    agrees(onnx.load(tmp_path / "model.onnx"), model, SCALED)


def test_unknown_layer_is_named_with_the_remedy():
    def make(n_features, n_clusters):
        return nn.Sequential(nn.Linear(n_features, n_clusters), nn.Softplus())

    model = GeminiClustering(2, model=make, max_iter=2, random_state=0).fit(SCALED)
    with pytest.raises(ValueError, match=r"Softplus is no layer.*torch\.onnx\.export"):
        to_onnx(model)


def test_model_without_prediction_says_so():
    model = GeminiClustering(2, model="categorical", random_state=0).fit(SCALED)
    with pytest.raises(ValueError, match="cannot tell the cluster of any other"):
        to_onnx(model)


def test_unfitted_model_is_refused():
    with pytest.raises(NotFittedError):
        to_onnx(GeminiClustering())


def test_without_onnx_the_error_says_what_to_install():
    code = (
        "import sys; sys.modules['onnx'] = None\n"
        "from gemclust import GeminiClustering\n"
        "from gemclust.export import to_onnx\n"
        "model = GeminiClustering(2, model='linear', random_state=0).fit([[0.0], [1.0]])\n"
        "try: to_onnx(model)\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    assert "pip install onnx skl2onnx" in done.stdout
