"""Fitted models outlive the process: pickle, joblib, skops, and a module's state."""

import io
import pickle
from functools import cache
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import scipy.sparse as sp
import skops.io
import torch
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, StandardScaler
from torch import nn

from gemclust import GeminiClustering
from gemclust.export import ClusterLogits
from gemclust.objectives import MMD, Wasserstein

FIXTURES = Path(__file__).parent / "fixtures"
GUIDE = Path(__file__).parents[1] / "docs" / "user_guide" / "persistence.md"
X = make_blobs(60, centers=[[0, 0, 0], [8, 0, 0], [0, 8, 0]], random_state=0)[0]

BUILT_IN = {
    "auto": GeminiClustering(random_state=0),
    "local": GeminiClustering(3, model="local", n_units=12, random_state=0),
    "mlp": GeminiClustering(3, n_init=2, random_state=0),
    "linear": GeminiClustering(3, model="linear", random_state=0),
    "merged": GeminiClustering(3, model="linear", n_units=9, random_state=0),
    "categorical": GeminiClustering(3, model="categorical", random_state=0),
    "kernel": GeminiClustering(
        3, objective=MMD("ovo", "rbf", n_components=20), n_init=2, random_state=0
    ),
    "metric": GeminiClustering(3, objective=Wasserstein(), n_init=1, random_state=0),
    "pipeline": make_pipeline(StandardScaler(), GeminiClustering(random_state=0)),
}


@cache
def fitted(name):
    return BUILT_IN[name].fit(X)


every_model = pytest.mark.parametrize("name", BUILT_IN)


def through_pickle(model):
    return pickle.loads(pickle.dumps(model))


def through_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


def trusted(data):
    """Untrusted types in the data, all of which are ours."""
    names = skops.io.get_untrusted_types(data=data)
    assert names
    assert {name.split(".")[0] for name in names} == {"gemclust"}
    return names


def through_skops(model):
    data = skops.io.dumps(model)
    return skops.io.loads(data, trusted=trusted(data))


WAYS = [through_pickle, through_joblib, through_skops]


def last(model):
    return model[-1] if hasattr(model, "steps") else model


def same(loaded, model, X):
    np.testing.assert_array_equal(last(loaded).labels_, last(model).labels_)
    if last(model).model == "categorical":
        np.testing.assert_array_equal(loaded.probabilities_, model.probabilities_)
        return
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert loaded.score(X) == pytest.approx(last(model).objective_value_, rel=1e-9)


@every_model
@pytest.mark.parametrize("way", WAYS)
def test_loaded_model_is_the_same(name, way):
    model = fitted(name)
    same(way(model), model, X)


@pytest.mark.parametrize("way", WAYS)
def test_evidence_and_cuts_come_along(way):
    model = fitted("auto")
    loaded = way(model)
    np.testing.assert_array_equal(loaded.selection_.linkage, model.selection_.linkage)
    assert loaded.selection_.counts == model.selection_.counts
    np.testing.assert_array_equal(loaded.cut(X, n_clusters=2)[1], model.cut(X, n_clusters=2)[1])


@pytest.mark.parametrize("way", WAYS)
def test_model_of_sparse_samples(way):
    sparse = sp.csr_matrix(np.maximum(X, 0))
    model = GeminiClustering(random_state=0).fit(sparse)
    same(way(model), model, sparse)


@pytest.mark.parametrize("way", WAYS)
def test_loaded_model_learns_on(way):
    model = through_pickle(fitted("mlp"))
    loaded = way(model)
    model.partial_fit(X)
    loaded.partial_fit(X)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


TABLE = pd.DataFrame(X, columns=["a", "b", "c"]).assign(d=["x", "y"] * 30)
SCALED_AND_CODED = make_column_transformer(
    (StandardScaler(), ["a", "b"]), (OneHotEncoder(), ["d"]), sparse_threshold=0
)
STEPS = [
    (StandardScaler(), X),
    (PCA(2), X),
    (OneHotEncoder(), TABLE[["d"]]),
    (SCALED_AND_CODED, TABLE),
    (TfidfVectorizer(), [f"word{i % 5} other{i % 3}" for i in range(60)]),
    (SimpleImputer(), X),
    (KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"), X),
]


@pytest.mark.parametrize(("step", "given"), STEPS, ids=[type(step).__name__ for step, _ in STEPS])
def test_what_a_step_asks_to_trust_is_what_the_guide_says(step, given):
    model = make_pipeline(step, GeminiClustering(2, model="linear", n_init=1, random_state=0))
    model.fit(given)
    data = skops.io.dumps(model)
    names = skops.io.get_untrusted_types(data=data)
    lines = GUIDE.read_text().splitlines()
    (line,) = [
        line for line in lines if line.startswith("|") and f"`{type(step).__name__}`" in line
    ]
    stated = line.split("|")[2].strip().strip("`")
    others = [name for name in names if not name.startswith("gemclust.")]
    assert others == ([] if stated == "nothing" else [stated])
    loaded = skops.io.loads(data, trusted=names)
    np.testing.assert_array_equal(loaded.predict_proba(given), model.predict_proba(given))


OF_PARAMETERS = [
    ({"device": torch.device("cpu")}, "torch.device"),
    ({"objective": MMD(kernel=rbf_kernel)}, "sklearn.metrics.pairwise.rbf_kernel"),
    ({"objective": MMD(kernel=np.dot)}, "numpy.dot"),
]


@pytest.mark.parametrize(("parameters", "name"), OF_PARAMETERS, ids=[n for _, n in OF_PARAMETERS])
def test_what_a_parameter_asks_to_trust(parameters, name):
    data = skops.io.dumps(GeminiClustering(2, **parameters))
    names = skops.io.get_untrusted_types(data=data)
    assert [other for other in names if not other.startswith("gemclust.")] == [name]


def test_network_of_ones_own_is_not_written_by_skops():
    model = GeminiClustering(2, model=nn.Linear(3, 2), max_iter=2, random_state=0).fit(X)
    with pytest.raises(RuntimeError, match="TensorBase"):
        skops.io.dumps(model)


def test_unfitted_model():
    loaded = through_skops(GeminiClustering(3, objective=MMD("ovo", "rbf")))
    assert loaded.n_clusters == 3
    assert loaded.objective.kernel == "rbf"


# A user's own module


def network(n_features, n_clusters):
    return nn.Sequential(nn.Linear(n_features, 6), nn.BatchNorm1d(6), nn.Linear(6, n_clusters))


@pytest.fixture(scope="module", params=[np.float32, np.float64])
def own(request):
    samples = X.astype(request.param)
    model = GeminiClustering(4, model=network, max_iter=40, learning_rate=0.02, random_state=0)
    return model.fit(samples), samples


def check_restored(state, model, samples):
    module = ClusterLogits.from_state_dict(network(3, model.module_.inner[-1].out_features), state)
    with torch.no_grad():
        proba = module(torch.from_numpy(samples)).softmax(1).numpy()
    np.testing.assert_allclose(proba, model.predict_proba(samples), atol=1e-6)


def test_module_from_its_state_by_torch(own, tmp_path):
    model, samples = own
    torch.save(model.module_.state_dict(), tmp_path / "model.pt")
    state = torch.load(tmp_path / "model.pt", weights_only=True)
    check_restored(state, model, samples)


@pytest.mark.parametrize("model", ["auto", "linear", "mlp"])
def test_state_of_a_built_in_model_is_written_by_safetensors(model, tmp_path):
    fitted = GeminiClustering(model=model, random_state=0).fit(X)
    state = fitted.module_.state_dict()
    safetensors.torch.save_file(state, tmp_path / "model.safetensors")
    for name, tensor in safetensors.torch.load_file(tmp_path / "model.safetensors").items():
        torch.testing.assert_close(tensor, state[name], rtol=0, atol=0)


def test_module_from_its_state_by_safetensors(own, tmp_path):
    model, samples = own
    safetensors.torch.save_file(model.module_.state_dict(), tmp_path / "model.safetensors")
    state = safetensors.torch.load_file(tmp_path / "model.safetensors")
    check_restored(state, model, samples)


def test_state_of_the_inner_module_is_refused(own):
    model, _ = own
    with pytest.raises(ValueError, match="no centre, cluster, scale"):
        ClusterLogits.from_state_dict(network(3, 4), model.module_.inner.state_dict())


def test_state_knows_units_that_are_merged_or_dropped():
    inner = nn.Linear(2, 5)
    module = ClusterLogits(inner, torch.tensor([1.0, -2.0]), 3.0, [[4, 0], [2]])
    again = ClusterLogits.from_state_dict(nn.Linear(2, 5), module.state_dict())
    x = torch.randn(7, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = torch.stack(
            [
                inner((x - module.centre) / 3)[:, [4, 0]].logsumexp(1),
                inner((x - module.centre) / 3)[:, 2],
            ],
            1,
        )
        torch.testing.assert_close(again(x), expected)


# Models of earlier versions


@pytest.mark.parametrize("file", sorted(FIXTURES.glob("*.skops")), ids=lambda file: file.stem)
def test_model_of_an_earlier_version_predicts_as_it_did(file):
    version, name = file.stem.split("_", 1)
    with np.load(FIXTURES / f"{version}.npz") as expected:
        model = skops.io.loads(file.read_bytes(), trusted=trusted(file.read_bytes()))
        proba = model.predict_proba(expected["X"])
        np.testing.assert_allclose(proba, expected[name], atol=1e-6)
        np.testing.assert_array_equal(last(model).labels_, expected[name].argmax(1))


def test_there_are_models_of_earlier_versions():
    assert len(list(FIXTURES.glob("*.skops"))) >= 4
