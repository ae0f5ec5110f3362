"""The GEMINI of any clustering: labels, probabilities, a peer's, and bad input."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from references import gemini_by_name
from scipy.spatial.distance import cdist
from sklearn.cluster import DBSCAN, KMeans
from sklearn.datasets import make_blobs
from sklearn.mixture import GaussianMixture

from gemclust import GeminiClustering
from gemclust.metrics import gemini_score
from gemclust.objectives import MMD, OBJECTIVES

every_objective = pytest.mark.parametrize("objective", OBJECTIVES)


def make_data(n_samples=14, n_clusters=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 2)) + 5
    return X, rng.dirichlet(np.ones(n_clusters), n_samples), rng.permutation(n_samples) % n_clusters


def by_definition(objective, X, proba, weight=None):
    weight = np.ones(len(X)) if weight is None else weight
    affinity = X @ X.T if objective.startswith("mmd") else cdist(X, X)
    affinity = X if objective.startswith("sliced") else affinity
    return gemini_by_name(objective, proba, weight / weight.sum(), affinity)


# Values


@every_objective
def test_score_of_probabilities_equals_the_definition(objective):
    X, proba, _ = make_data()
    weight = np.random.default_rng(1).uniform(0.2, 2, 14)
    score = gemini_score(X, proba, objective, sample_weight=weight)
    assert isinstance(score, float)
    assert score == pytest.approx(by_definition(objective, X, proba, weight), rel=1e-9)


@every_objective
def test_score_of_labels_is_that_of_one_hot_probabilities(objective):
    X, _, labels = make_data()
    score = gemini_score(X, labels, objective)
    assert score == pytest.approx(gemini_score(X, np.eye(3)[labels], objective), rel=1e-12)
    if objective not in ("kl_ovo", "chi2_ovo"):  # these are bounded by the floor on p only
        assert score == pytest.approx(by_definition(objective, X, np.eye(3)[labels]), rel=1e-9)


NAMES = np.array(["b", "noise", "a"])


@pytest.mark.parametrize(
    "rename",
    [
        lambda labels: NAMES[labels],
        lambda labels: NAMES[labels].astype(object).tolist(),
        lambda labels: pd.Series(NAMES[labels], dtype="category"),
        lambda labels: 10 * labels - 1,
        lambda labels: labels / 2,
        lambda labels: labels.astype(np.int8).tolist(),
    ],
    ids=["strings", "list of objects", "categories", "gaps and -1", "numbers", "list"],
)
def test_names_of_labels_do_not_matter(rename):
    X, _, labels = make_data()
    expected = gemini_score(X, labels, "wasserstein_ovo")
    assert gemini_score(X, rename(labels), "wasserstein_ovo") == pytest.approx(expected, rel=1e-12)


def test_boolean_labels_are_two_clusters():
    X, _, labels = make_data(n_clusters=2)
    assert gemini_score(X, labels == 1) == pytest.approx(gemini_score(X, labels), rel=1e-12)


@every_objective
def test_integer_weights_are_repetition(objective):
    X, proba, labels = make_data()
    counts = np.array([1, 3, 2, 1, 0, 4, 1, 2, 1, 1, 0, 2, 3, 1])
    for clustering in (proba, labels):
        weighted = gemini_score(X, clustering, objective, sample_weight=counts)
        repeated = gemini_score(X.repeat(counts, 0), clustering.repeat(counts, 0), objective)
        assert weighted == pytest.approx(repeated, rel=1e-9)


@every_objective
def test_order_of_samples_does_not_matter(objective):
    X, proba, _ = make_data()
    order = np.random.default_rng(1).permutation(14)
    expected = gemini_score(X, proba, objective)
    assert gemini_score(X[order], proba[order], objective) == pytest.approx(expected, rel=1e-9)


@every_objective
def test_one_cluster_and_one_sample_score_zero(objective):
    X, _, _ = make_data()
    assert gemini_score(X, np.zeros(14), objective) == pytest.approx(0, abs=1e-12)
    assert gemini_score(X[:1], ["a"], objective) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("objective", ["mi", "mmd_ovo", "wasserstein_ova"])
def test_kind_of_container_does_not_matter(objective):
    X, proba, _ = make_data()
    expected = gemini_score(X, proba, objective)
    columns = ["a", "b"]
    for same in (
        X.tolist(),
        pd.DataFrame(X, columns=columns),
        sp.csr_array(X),
        np.asfortranarray(X),
    ):
        assert gemini_score(same, proba, objective) == pytest.approx(expected, rel=1e-9)
    for same in (proba.tolist(), pd.DataFrame(proba), np.asfortranarray(proba)):
        assert gemini_score(X, same, objective) == pytest.approx(expected, rel=1e-9)
    single = gemini_score(X.astype(np.float32), proba.astype(np.float32), objective)
    assert single == pytest.approx(expected, rel=1e-4)
    assert gemini_score(X, proba.astype(np.float32), objective) == pytest.approx(expected, rel=1e-5)


@pytest.fixture
def every_torch_warning():
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


@pytest.mark.usefixtures("every_torch_warning")
@pytest.mark.parametrize("objective", ["mi", "mmd_ovo", MMD(kernel="rbf"), "wasserstein_ova"])
def test_read_only_input_is_welcome_and_unchanged(objective):
    X, proba, _ = make_data()
    weight = np.linspace(1, 2, 14)
    kept = X.copy(), proba.copy(), weight.copy()
    for array in (X, proba, weight):
        array.setflags(write=False)
    score = gemini_score(X, proba, objective, sample_weight=weight)
    assert score == pytest.approx(gemini_score(*kept[:2], objective, sample_weight=kept[2]))


def test_precomputed_affinity_is_used():
    X, proba, _ = make_data()
    distances = cdist(X, X, "cityblock")
    score = gemini_score(X, proba, "wasserstein_ova", affinity=distances)
    weight = np.full(14, 1 / 14)
    assert score == pytest.approx(gemini_by_name("wasserstein_ova", proba, weight, distances))


# A peer's clustering


@pytest.fixture(scope="module")
def blobs():
    return make_blobs(200, centers=4, cluster_std=1.5, random_state=0)


def test_k_means_scores_the_distances_of_its_centres(blobs):
    X, _ = blobs
    peer = KMeans(4, n_init=3, random_state=0).fit(X)
    shares = np.bincount(peer.labels_) / len(X)
    between = cdist(peer.cluster_centers_, peer.cluster_centers_)
    to_mean = np.linalg.norm(peer.cluster_centers_ - X.mean(0), axis=1)
    # Its centres are the means of its clusters up to its tolerance.
    assert gemini_score(X, peer.labels_, "mmd_ova") == pytest.approx(shares @ to_mean, rel=1e-3)
    assert gemini_score(X, peer.labels_, "mmd_ovo") == pytest.approx(
        shares @ between @ shares, rel=1e-3
    )


@pytest.mark.parametrize("objective", ["mmd_ovo", "wasserstein_ova", MMD(kernel="rbf")], ids=str)
def test_k_means_scores_more_than_chance(blobs, objective):
    X, _ = blobs
    labels = KMeans(4, n_init=3, random_state=0).fit_predict(X)
    chance = np.random.default_rng(0).permutation(labels)
    assert gemini_score(X, labels, objective) > 3 * gemini_score(X, chance, objective)


def test_gaussian_mixture_scores_its_mutual_information(blobs):
    X, _ = blobs
    proba = GaussianMixture(4, random_state=0).fit(X).predict_proba(X)
    shares = proba.mean(0)
    terms = np.where(proba > 0, proba * np.log(np.where(proba > 0, proba, 1) / shares), 0)
    assert gemini_score(X, proba, "mi") == pytest.approx(terms.sum(1).mean(), rel=1e-9)
    assert gemini_score(X, proba, "mi") <= np.log(4)


def test_noise_is_a_cluster_like_any_other(blobs):
    X, _ = blobs
    labels = DBSCAN(0.7).fit_predict(X)
    assert -1 in labels
    renamed = np.where(labels == -1, labels.max() + 1, labels)
    assert gemini_score(X, labels) == pytest.approx(gemini_score(X, renamed), rel=1e-12)


@pytest.mark.parametrize("objective", ["mmd_ovo", "mi", "wasserstein_ova"])
def test_score_of_an_estimator_is_that_of_its_probabilities(blobs, objective):
    X, _ = blobs
    model = GeminiClustering(3, objective=objective, model="linear", n_init=1, random_state=0)
    model.fit(X[:60])
    new = X[60:120]
    expected = gemini_score(new, model.predict_proba(new), objective)
    assert model.score(new) == pytest.approx(expected, rel=1e-9)
    own = gemini_score(X[:60], model.predict_proba(X[:60]), objective)
    assert model.objective_value_ == pytest.approx(own, rel=1e-9)


# Bad input


@pytest.mark.parametrize(
    "clustering",
    [np.zeros(13), np.full((13, 2), 0.5), np.zeros((14, 2, 2)), 3, "abc", []],
    ids=["labels", "probabilities", "three axes", "number", "string", "empty"],
)
def test_clustering_of_a_wrong_shape_is_named(clustering):
    X, _, _ = make_data()
    with pytest.raises(ValueError, match="14 samples: give a label or a row of probabilities") as e:
        gemini_score(X, clustering)
    assert str(np.shape(clustering)) in str(e.value)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA], ids=["None", "NaN", "NA"])
def test_missing_labels_are_counted(missing):
    X, _, labels = make_data()
    given = pd.Series([missing, *labels[1:-1], missing], dtype="object")
    with pytest.raises(ValueError, match="2 of the labels are missing"):
        gemini_score(X, given)


def test_missing_numbers_are_no_cluster():
    X, _, labels = make_data()
    with pytest.raises(ValueError, match="1 of the labels are missing"):
        gemini_score(X, np.r_[np.nan, labels[1:]])


def test_labels_without_an_order_are_refused():
    X, _, labels = make_data()
    with pytest.raises(ValueError, match=r"several types \(int, str\)"):
        gemini_score(X, np.array(["a", *labels[1:].tolist()], dtype=object))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.5, 0.6, 0.0], "between 1 and 1.1"),
        ([0.0, 0.0, 0.0], "between 0 and 1"),
        ([1.5, -0.5, 0.0], "least probability is -0.5"),
        ([np.nan, 0.5, 0.5], "must be finite"),
        ([np.inf, 0.5, 0.5], "must be finite"),
    ],
)
def test_row_that_is_no_distribution_is_named(row, message):
    X, proba, _ = make_data()
    proba[3] = row
    with pytest.raises(ValueError, match=message):
        gemini_score(X, proba)


def test_probabilities_may_be_rounded():
    X, proba, _ = make_data()
    rounded = proba.round(4)
    assert (rounded.sum(1) != 1).any()
    assert gemini_score(X, rounded) == pytest.approx(gemini_score(X, proba), rel=1e-2)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(13), r"\(13,\).*14 samples"),
        (np.ones((14, 1)), r"\(14, 1\).*14 samples"),
        (np.r_[-0.5, np.ones(13)], "contains -0.5"),
        (np.r_[np.nan, np.ones(13)], "contains nan"),
        (np.zeros(14), "All sample weights are zero"),
    ],
)
def test_bad_weights_are_named(weight, message):
    X, proba, _ = make_data()
    with pytest.raises(ValueError, match=message):
        gemini_score(X, proba, sample_weight=weight)


def test_bad_samples_are_named():
    X, proba, _ = make_data()
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        gemini_score(X[:, 0], proba)
    with pytest.raises(ValueError, match="NaN"):
        gemini_score(np.where(X.min() < X, X, np.nan), proba)
    with pytest.raises(ValueError, match="0 sample"):
        gemini_score(X[:0], proba[:0])


def test_unknown_objective_is_named_with_a_hint():
    X, proba, _ = make_data()
    with pytest.raises(ValueError, match=r"'mmd_ovaa' is unknown\. Did you mean 'mmd_ova'\?"):
        gemini_score(X, proba, "mmd_ovaa")
