"""Profiles and importances of features are what their formulas say."""

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from gemclust import GeminiClustering
from gemclust.explain import cluster_profiles, feature_importances, standardised_differences


def make_data(n_samples=150):
    """Clusters differ in "height" and "width", not in "noise" nor in "constant"."""
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0, 5, 2], [9, 0, 5, 2], [9, 9, 5, 2]])
    labels = rng.integers(3, size=n_samples)
    X = centres[labels] + rng.normal(size=(n_samples, 4)) * [1, 1, 1, 0]
    return pd.DataFrame(X, columns=["height", "width", "noise", "constant"])


X = make_data()
ARRAY = X.to_numpy()


@pytest.fixture(scope="module")
def model():
    return GeminiClustering(3, alpha=0.01, n_init=2, random_state=0).fit(X)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "bool"])
def test_sparse_whole_numbers_are_as_good_as_floats(dtype):
    whole = np.clip(10 * (ARRAY - ARRAY.min(0)), 0, 127)
    whole = whole > 60 if dtype == "bool" else whole.astype(dtype)
    model = GeminiClustering(2, model="linear", n_init=1, random_state=0).fit(whole.astype(float))
    expected = cluster_profiles(model, whole.astype(float))
    assert np.abs(expected["x0"]).max() > 0.1
    for make in (np.asarray, sp.csr_matrix, sp.csr_array):
        found = cluster_profiles(model, make(whole))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", ["Float64", "Float32", "object"])
def test_columns_of_other_kinds_of_numbers(dtype):
    table = X.astype(dtype)
    model = GeminiClustering(2, n_init=1, random_state=0).fit(table)
    expected = cluster_profiles(model, table.astype("float64"))
    pd.testing.assert_frame_equal(cluster_profiles(model, table), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("features", [[], 3])
@pytest.mark.parametrize("look", [cluster_profiles, feature_importances])
def test_features_to_look_at_are_a_list(model, look, features):
    with pytest.raises(ValueError, match=r"features is empty|give a list"):
        look(model, X, features=features)


def test_feature_may_have_the_name_of_a_column(model):
    renamed = X.rename(columns={"height": "size"})
    table = cluster_profiles(GeminiClustering(3, n_init=2, random_state=0).fit(renamed), renamed)
    assert list(table) == ["size", "share", "confidence", "size (feature)", *X.columns[1:]]
    assert table["size"].sum() == len(X)


def test_table_is_what_its_formulas_say(model):
    table = cluster_profiles(model, X)
    proba = model.predict_proba(X)
    assert list(table) == ["size", "share", "confidence", *X.columns]
    np.testing.assert_array_equal(table["size"], np.bincount(model.labels_))
    np.testing.assert_allclose(table["share"], proba.mean(0))
    own = [proba[model.labels_ == k, k].mean() for k in range(3)]
    np.testing.assert_allclose(table["confidence"], own)
    for name in ("height", "width", "noise"):
        inside = [np.average(X[name], weights=proba[:, k]) for k in range(3)]
        expected = (np.array(inside) - X[name].mean()) / X[name].std(ddof=0)
        np.testing.assert_allclose(table[name], expected)
    assert (table["constant"] == 0).all()


def test_hard_profile_is_that_of_the_labels(model):
    table = cluster_profiles(model, X, soft=False)
    means = X.groupby(model.labels_).mean()
    expected = (means["height"] - X["height"].mean()) / X["height"].std(ddof=0)
    np.testing.assert_allclose(table["height"], expected)


def test_weights_are_repetition(model):
    counts = np.random.default_rng(1).integers(1, 4, len(X))
    weighted = cluster_profiles(model, X, sample_weight=counts)
    repeated = cluster_profiles(model, X.loc[X.index.repeat(counts)])
    np.testing.assert_allclose(weighted, repeated, atol=1e-12)


def test_sparse_samples_have_the_same_profile(model):
    clusterer = GeminiClustering(3, n_init=1, random_state=0).fit(ARRAY)
    dense = cluster_profiles(clusterer, ARRAY)
    sparse = cluster_profiles(clusterer, sp.csr_matrix(ARRAY))
    np.testing.assert_allclose(sparse, dense, atol=1e-9)
    assert list(sparse)[3:] == ["x0", "x1", "x2", "x3"]


def test_differences_survive_large_means():
    far = standardised_differences(ARRAY[:, :1] + 1e8, np.eye(3)[make_labels()])
    near = standardised_differences(ARRAY[:, :1], np.eye(3)[make_labels()])
    np.testing.assert_allclose(far, near, rtol=1e-5)


def make_labels():
    return np.arange(len(X)) % 3


def test_many_sparse_features_are_cut_to_those_that_differ_most():
    rng = np.random.default_rng(0)
    wide = np.c_[rng.poisson(0.2, (len(X), 300)), np.maximum(ARRAY[:, :2], 0)]
    clusterer = GeminiClustering(3, n_init=1, random_state=0).fit(sp.csr_array(wide))
    table = cluster_profiles(clusterer, sp.csr_array(wide))
    assert table.shape == (3, 103)
    assert {"x300", "x301"} <= set(table)
    importances = feature_importances(clusterer, sp.csr_array(wide), n_repeats=1, random_state=0)
    assert len(importances) == 100
    assert set(importances["feature"][:2]) == {"x300", "x301"}


def test_chosen_features_by_name_or_number(model):
    assert list(cluster_profiles(model, X, features=["noise", 0]))[3:] == ["noise", "height"]
    found = feature_importances(model, X, features=["noise", "height"], random_state=0)
    assert list(found["feature"]) == ["height", "noise"]


@pytest.mark.parametrize("explain", [cluster_profiles, feature_importances])
@pytest.mark.parametrize(
    ("features", "message"),
    [
        (["heigth"], "contains 'heigth'. Did you mean 'height'? It must contain numbers from 0"),
        (["pq"], "contains 'pq'. It must contain numbers from 0 to 3, or names: 'height', 'width'"),
        ([0, 7], "contains 7. It must contain numbers from 0 to 3"),
        ([-1], "contains -1. It must contain"),
        ([1.5], "contains 1.5. It must contain"),
        ([True], "contains True. It must contain"),
        ("height", "features='height' is a name alone: give a list, ['height']"),
    ],
)
def test_what_is_no_feature_is_refused(model, explain, features, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        explain(model, X, features=features)


def test_many_features_are_not_all_listed():
    wide = np.tile(ARRAY, 50)
    clusterer = GeminiClustering(3, n_init=1, random_state=0).fit(wide)
    with pytest.raises(ValueError, match=r"from 0 to 199, or names: .*'x4', \.\.\.\.$"):
        cluster_profiles(clusterer, wide, features=["y7"])


# Importances


def change_by_hand(model, samples, column, soft):
    """Mean change of the memberships over all cyclic permutations of a column."""

    def memberships(samples):
        proba = model.predict_proba(samples)
        return proba if soft else np.eye(proba.shape[1])[proba.argmax(1)]

    before, changes = memberships(samples), []
    for shift in range(0, len(samples), 5):
        permuted = samples.copy()
        permuted[column] = np.roll(samples[column], shift)
        changes.append(np.abs(memberships(permuted) - before).sum(1).mean() / 2)
    return np.mean(changes)


@pytest.mark.parametrize("soft", [True, False])
def test_importance_is_the_share_that_changes(model, soft):
    found = feature_importances(model, X, soft=soft, n_repeats=20, random_state=0)
    found = found.set_index("feature")["importance"]
    for name in X.columns:
        assert found[name] == pytest.approx(change_by_hand(model, X, name, soft), abs=0.04)
    assert found["constant"] == 0
    assert min(found["height"], found["width"]) > 0.2 > 10 * found["noise"]


def test_importances_are_sorted_and_repeat(model):
    first, second = (feature_importances(model, X, random_state=0) for _ in range(2))
    assert first.equals(second)
    assert (np.diff(first["importance"]) <= 0).all()
    assert list(first) == ["feature", "importance", "deviation"]


def test_sparse_and_dense_importances_are_alike():
    clusterer = GeminiClustering(3, n_init=1, random_state=0).fit(ARRAY)
    dense = feature_importances(clusterer, ARRAY, random_state=0)
    sparse = feature_importances(clusterer, sp.csr_matrix(ARRAY), random_state=0)
    assert list(dense["feature"]) == list(sparse["feature"])
    np.testing.assert_allclose(dense["importance"], sparse["importance"], atol=1e-9)


def test_arguments_are_not_changed(model):
    kept = X.copy()
    feature_importances(model, X, features=["noise"], random_state=0)
    cluster_profiles(model, X)
    pd.testing.assert_frame_equal(X, kept)


@pytest.mark.parametrize("features", [None, ["width", "kind"]])
def test_polars_and_pandas_have_the_same_importances(features):
    polars = pytest.importorskip("polars")
    table = X.assign(kind=np.where(X["height"] > 4, "red", "blue"))
    columns = ColumnTransformer(
        [("scaled", StandardScaler(), ["height", "width"]), ("kinds", OneHotEncoder(), ["kind"])]
    )
    pipeline = make_pipeline(columns, GeminiClustering(3, n_init=1, random_state=0)).fit(table)
    given = {"features": features, "n_repeats": 2, "random_state": 0}
    expected = feature_importances(pipeline, table, **given)
    found = feature_importances(pipeline, polars.DataFrame(table.to_dict("list")), **given)
    pd.testing.assert_frame_equal(found, expected)


TEXTS = ["red green", "green red red", "green green red", "one two", "two two one", "one one two"]


@pytest.mark.parametrize("kind", [list, np.array, pd.Series])
def test_importances_of_texts_are_refused_with_a_remedy_that_works(kind):
    texts = kind(TEXTS)
    pipeline = make_pipeline(CountVectorizer(), GeminiClustering(2, random_state=0)).fit(texts)
    with pytest.raises(ValueError, match=r"^X has shape \(6,\).*pipeline\[:-1\]\.transform\(X\)"):
        feature_importances(pipeline, texts)
    found = feature_importances(pipeline[-1], pipeline[:-1].transform(texts), random_state=0)
    words = pipeline[:-1].get_feature_names_out()
    assert len(found) == len(words) == cluster_profiles(pipeline, texts).shape[1] - 3


# Pipelines and peers


def test_pipeline_is_explained_in_what_its_last_step_sees():
    table = X.assign(colour=np.where(X["height"] > 4, "red", "blue"))
    columns = ColumnTransformer(
        [("scaled", StandardScaler(), ["height", "width"]), ("kinds", OneHotEncoder(), ["colour"])],
        verbose_feature_names_out=False,
    )
    pipeline = make_pipeline(columns, GeminiClustering(3, n_init=1, random_state=0)).fit(table)
    profile = cluster_profiles(pipeline, table)
    assert list(profile)[3:] == ["height", "width", "colour_blue", "colour_red"]
    importances = feature_importances(pipeline, table, n_repeats=2, random_state=0)
    assert set(importances["feature"]) == set(table.columns)
    assert importances["feature"][0] in ("height", "width", "colour")


def test_pipeline_with_pandas_output():
    pipeline = make_pipeline(StandardScaler(), GeminiClustering(3, n_init=1, random_state=0))
    pipeline.set_output(transform="pandas").fit(X)
    assert list(cluster_profiles(pipeline, X))[3:] == list(X.columns)


def test_a_mixture_is_explained_too():
    mixture = GaussianMixture(3, random_state=0).fit(ARRAY[:, :3])
    assert cluster_profiles(mixture, ARRAY[:, :3]).shape == (3, 6)


def test_without_pandas_there_are_arrays():
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        "from gemclust import GeminiClustering\n"
        "from gemclust.explain import cluster_profiles, feature_importances\n"
        "X = [[0.0, 1.0], [0.2, 0.0], [5.0, 1.0], [5.2, 0.0]]\n"
        "model = GeminiClustering(2, model='linear', n_init=1, random_state=0).fit(X)\n"
        "table = cluster_profiles(model, X)\n"
        "print(type(table).__name__, sorted(table['size'].tolist()), list(table))\n"
        "print(feature_importances(model, X, random_state=0)['feature'].tolist())\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    first, second = done.stdout.splitlines()
    assert first == "dict [2.0, 2.0] ['size', 'share', 'confidence', 'x0', 'x1']"
    assert second == "['x0', 'x1']"
