"""Scorers in searches that have no classes."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.metrics import (
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    silhouette_score,
)
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    ShuffleSplit,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gemclust import GeminiClustering
from gemclust.metrics import (
    GeminiScorer,
    LabelScorer,
    calinski_harabasz_scorer,
    davies_bouldin_scorer,
    gemini_score,
    heldout_scorer,
    silhouette_scorer,
    stability_scorer,
)
from gemclust.metrics.scorers import DISAGREEMENT, found_again
from gemclust.objectives import MMD

X, Y = make_blobs(240, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
HALVES = ShuffleSplit(2, test_size=0.5, random_state=0)
FAST = GeminiClustering(3, model="linear", n_init=1, random_state=0)

SCORERS = {
    "heldout": heldout_scorer,
    "stability": stability_scorer,
    "silhouette": silhouette_scorer,
    "calinski_harabasz": calinski_harabasz_scorer,
    "davies_bouldin": davies_bouldin_scorer,
    "gemini": GeminiScorer(),
}
every_scorer = pytest.mark.parametrize("name", SCORERS)


class Fixed(KMeans):
    """Predicts by a function of the first feature; what is fitted to held-out data by another."""

    def __init__(self, first=None, second=None):
        super().__init__()
        self.first = first
        self.second = second

    def fit(self, X, y=None, sample_weight=None):
        self.held_out_ = hasattr(self, "held_out_") or len(X) < len(globals()["X"])
        return self

    def predict(self, X):
        return (self.second if self.held_out_ else self.first)(X)


def scored(first, second, scorer=heldout_scorer):
    """The score where two given functions label the held-out samples."""
    return scorer(Fixed(first, second).fit(X), X[:100])


# Values


def quadrant(X):
    return (X[:, 0] > 4) + 2 * (X[:, 1] > 4)


def test_agreement_and_resolution_make_the_score():
    a, b = quadrant(X[:100]), (X[:100, 0] > 4).astype(int)
    apart = 1 - np.square(np.bincount(a) / 100).sum()
    least = 1 - DISAGREEMENT / 10  # of 100 samples
    expected = (adjusted_rand_score(a, b) - least) * apart
    assert scored(quadrant, lambda X: X[:, 0] > 4) == pytest.approx(expected)
    assert scored(quadrant, lambda X: X[:, 0] > 4, stability_scorer) == pytest.approx(
        adjusted_rand_score(a, b)
    )


def test_one_cluster_scores_nothing_and_chance_scores_less():
    def one(X):
        return np.zeros(len(X), dtype=int)

    rng = np.random.default_rng(0)
    assert scored(one, one) == 0
    assert scored(one, one, stability_scorer) == 0
    for n_clusters in (2, 5, 20):
        assert scored(*2 * [lambda X, k=n_clusters: rng.integers(k, size=len(X))]) < -0.1


def test_more_clusters_score_more_only_if_they_are_found_again():
    def halves(X):
        return X[:, 0] > 4

    def split(X, at):
        return quadrant(X) + 10 * ((X[:, 0] > 4) & (X[:, 1] > at))

    assert scored(quadrant, quadrant) > scored(halves, halves) > 0
    assert scored(lambda X: split(X, -1), lambda X: split(X, 1)) < scored(quadrant, quadrant)


@pytest.mark.parametrize("n_samples", [60, 240, 960])
def test_scores_lie_between_their_bounds(n_samples):
    labels = np.arange(n_samples) % 30
    most = DISAGREEMENT / np.sqrt(n_samples)
    assert 0.9 * most < found_again(labels, labels) < most
    chance = np.random.default_rng(0).permutation(labels)
    assert -1 < found_again(labels, chance) < -0.5


def test_of_more_samples_more_agreement_is_asked():
    """Two models that disagree about the same share of the samples."""

    def score(n_samples):
        ours = np.arange(n_samples) < n_samples / 2
        theirs = np.arange(n_samples) < n_samples * 0.52
        return found_again(ours, theirs)

    assert score(100) > 0 > score(10_000)


def test_names_of_labels_do_not_matter():
    expected = scored(quadrant, quadrant)
    assert scored(quadrant, lambda X: -quadrant(X)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("scorer", "measure"),
    [
        (silhouette_scorer, silhouette_score),
        (calinski_harabasz_scorer, calinski_harabasz_score),
        (davies_bouldin_scorer, lambda X, labels: 1 / (1 + davies_bouldin_score(X, labels))),
        (GeminiScorer("tv_ova"), lambda X, labels: gemini_score(X, labels, "tv_ova")),
    ],
)
def test_measures_are_those_of_the_labels(scorer, measure):
    model = KMeans(3, n_init=1, random_state=0).fit(X[:100])
    assert scorer(model, X[100:]) == pytest.approx(measure(X[100:], model.predict(X[100:])))


def test_gemini_scorer_takes_probabilities_where_there_are_some():
    model = FAST.fit(X[:100])
    expected = gemini_score(X[100:], model.predict_proba(X[100:]), "mmd_ovo")
    assert GeminiScorer()(model, X[100:]) == pytest.approx(expected)


def test_bad_objective_of_a_scorer_is_named_at_once():
    with pytest.raises(ValueError, match="Did you mean 'mmd_ovo'"):
        GeminiScorer("mmd_ov")


# Safe where scikit-learn's own fail


@every_scorer
def test_one_cluster_is_no_error(name):
    assert SCORERS[name](KMeans(1).fit(X), X) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", [*SCORERS][2:5])
def test_as_many_clusters_as_samples_are_no_error(name):
    assert SCORERS[name](KMeans(5, n_init=1, random_state=0).fit(X[:5]), X[:5]) == 0


def test_the_user_says_what_one_cluster_is_worth():
    assert LabelScorer(silhouette_score, one_cluster=0.25)(KMeans(1).fit(X), X) == 0.25


@every_scorer
@pytest.mark.parametrize(
    "model",
    [
        GaussianMixture(3, random_state=0),
        make_pipeline(StandardScaler(), KMeans(3, n_init=1, random_state=0)),
        make_pipeline(StandardScaler(), FAST),
    ],
    ids=["mixture", "k-means behind a scaler", "ours behind a scaler"],
)
def test_peers_and_pipelines(name, model):
    assert np.isfinite(SCORERS[name](model.fit(X[:120]), X[120:]))


def test_distances_are_those_that_the_last_step_sees():
    pipeline = make_pipeline(StandardScaler(), KMeans(3, n_init=1, random_state=0)).fit(X)
    scaled = StandardScaler().fit_transform(X)
    expected = silhouette_score(scaled, pipeline.predict(X))
    assert silhouette_scorer(pipeline, X) == pytest.approx(expected)


@every_scorer
def test_sparse_samples(name):
    sparse = sp.csr_matrix(np.maximum(X, 0))
    model = FAST.fit(sparse[:120])
    assert len(np.unique(model.predict(sparse[120:]))) > 1
    score = SCORERS[name](model, sparse[120:])
    assert score == pytest.approx(SCORERS[name](model, sparse[120:].toarray()), rel=1e-6)


@every_scorer
def test_scorers_can_be_pickled(name):
    model = FAST.fit(X)
    again = pickle.loads(pickle.dumps(SCORERS[name]))
    assert again(model, X) == SCORERS[name](model, X)


# In searches


NUMBERS = {"n_clusters": [1, 2, 3, 6]}
SEARCHES = {
    "grid": lambda scorer: GridSearchCV(FAST, NUMBERS, scoring=scorer, cv=HALVES),
    "random": lambda scorer: RandomizedSearchCV(
        FAST, NUMBERS, n_iter=4, scoring=scorer, cv=HALVES, random_state=0
    ),
    "halving": lambda scorer: HalvingGridSearchCV(
        FAST, NUMBERS, scoring=scorer, cv=HALVES, min_resources=80, random_state=0
    ),
    "random halving": lambda scorer: HalvingRandomSearchCV(
        FAST, NUMBERS, n_candidates=4, scoring=scorer, cv=HALVES, min_resources=80, random_state=0
    ),
}


@pytest.mark.parametrize("kind", SEARCHES)
def test_search_finds_the_number_without_classes(kind):
    search = SEARCHES[kind](heldout_scorer).fit(X)
    assert search.best_params_ == {"n_clusters": 3}
    assert adjusted_rand_score(Y, search.predict(X)) > 0.99


@every_scorer
def test_every_scorer_fits_a_search(name):
    search = GridSearchCV(FAST, {"n_clusters": [1, 3]}, scoring=SCORERS[name], cv=HALVES).fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_params_ == {"n_clusters": 3}


def test_several_scorers_at_once():
    search = GridSearchCV(FAST, NUMBERS, scoring=SCORERS, refit="heldout", cv=HALVES).fit(X)
    assert search.best_params_ == {"n_clusters": 3}
    drifting = search.cv_results_["mean_test_gemini"]
    assert drifting.argmax() == len(drifting) - 1


def test_number_kernel_and_objective_in_one_search():
    candidates = {"n_clusters": [2, 3, 6], "objective": ["tv_ova", MMD("ovo", "rbf"), "mmd_ovo"]}
    search = GridSearchCV(FAST, candidates, scoring=heldout_scorer, cv=HALVES).fit(X)
    assert search.best_params_["n_clusters"] == 3
    assert adjusted_rand_score(Y, search.predict(X)) > 0.99


def test_number_and_kernel_width_in_one_search():
    model = clone(FAST).set_params(objective=MMD("ovo", kernel="rbf"))
    candidates = {"n_clusters": [2, 3, 6], "objective__gamma": [0.02, 0.1, "median"]}
    search = GridSearchCV(model, candidates, scoring=heldout_scorer, cv=HALVES).fit(X)
    assert search.best_params_["n_clusters"] == 3
    assert adjusted_rand_score(Y, search.predict(X)) > 0.99


def test_no_clusters_are_found_again_where_there_are_none():
    rng = np.random.default_rng(0)
    search = GridSearchCV(FAST, NUMBERS, scoring=heldout_scorer, cv=HALVES)
    assert search.fit(rng.normal(size=(300, 2))).best_params_ == {"n_clusters": 1}
