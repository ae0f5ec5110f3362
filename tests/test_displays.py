"""What the pictures show is what the estimator found."""

import subprocess
import sys
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.cluster.hierarchy import is_valid_linkage
from sklearn import config_context
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.manifold import TSNE
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from gemclust import GeminiClustering
from gemclust.displays import (
    ClustersDisplay,
    ConfidenceDisplay,
    DecisionMapDisplay,
    ObjectiveCurvesDisplay,
    ProfileDisplay,
    SelectionDisplay,
)
from gemclust.displays.selection import HIGHEST, LOWEST
from gemclust.explain import cluster_profiles
from gemclust.metrics import silhouette_scorer

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.colors import same_color, to_rgba

CENTERS = np.array([[0, 0], [8, 0], [0, 8]])


def blobs(centers=CENTERS, n_samples=300):
    return make_blobs(n_samples, centers=centers, random_state=0)[0]


@pytest.fixture(scope="module")
def model():
    return GeminiClustering(random_state=0).fit(blobs())


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def drawn(display):
    """All there is must survive being drawn."""
    display.figure_.canvas.draw()
    return display


def test_figure_has_tree_numbers_and_valleys(model):
    display = drawn(SelectionDisplay.from_estimator(model))
    assert len(display.axes_) == len(display.figure_.axes) == 3
    assert display.ax_ is display.axes_[0]
    assert display.ax_.get_title() == "3 clusters"
    assert [text.get_text() for text in display.ax_.get_xticklabels()] != []
    assert {text.get_text() for text in display.ax_.get_xticklabels()} == {"0", "1", "2"}


def test_linkage_is_one_of_scipy(model):
    assert is_valid_linkage(model.selection_.linkage, throw=True)


def test_tree_has_the_last_merges_at_their_heights(model):
    display = SelectionDisplay.from_estimator(model, max_leaves=12)
    tops = [path.vertices[:, 1].max() for path in display.tree_.get_paths()]
    expected = np.clip(model.selection_.heights[:11], LOWEST, HIGHEST)
    np.testing.assert_allclose(np.sort(tops)[::-1], expected)


def test_merges_inside_clusters_have_their_colours_and_those_between_are_grey(model):
    display = SelectionDisplay.from_estimator(model)
    grey = [same_color(c, "0.45") for c in display.tree_.get_colors()]
    tops = np.array([path.vertices[:, 1].max() for path in display.tree_.get_paths()])
    assert sum(grey) == model.n_clusters_ - 1
    assert tops[grey].min() >= 1 > tops[np.logical_not(grey)].max()
    others = {tuple(c) for c, is_grey in zip(display.tree_.get_colors(), grey, strict=True)}
    assert others - {to_rgba("0.45")} == {to_rgba(f"C{i}") for i in range(3)}


def test_each_leaf_stands_above_the_name_of_its_cluster(model):
    display = SelectionDisplay.from_estimator(model, max_leaves=1000)
    dots = [line for line in display.ax_.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in dots] == display.ax_.get_xticks().tolist()
    rows = [line for line in display.ax_.lines if line.get_marker() == "None"]
    counted = [len(line.get_xdata()) for line in rows if len(line.get_xdata()) > 2]
    np.testing.assert_array_equal(counted, np.bincount(display.leaf_clusters))


def test_clusters_are_numbered_as_the_labels(model):
    display = SelectionDisplay.from_estimator(model)
    X = blobs()
    leaves, _ = model.cut(X, n_clusters=len(display.leaf_clusters))
    # The most probable unit may be of another cluster than the most probable cluster.
    assert (display.leaf_clusters[leaves] == model.labels_).mean() > 0.97


@pytest.mark.parametrize("sensitivity", [0.3, 0.7, 1.5, 3.0, 8.0])
def test_numbers_are_those_of_other_sensitivities(model, sensitivity):
    display = SelectionDisplay.from_estimator(model, max_leaves=1000)
    number, level = display.numbers_.get_data()
    at = number[level >= 1 / sensitivity].max()
    assert at == model.selection_.n_clusters(sensitivity)


def test_line_is_the_level_of_the_sensitivity():
    model = GeminiClustering(sensitivity=2.0, random_state=0).fit(blobs())
    display = SelectionDisplay.from_estimator(model)
    for axis in display.axes_[:2]:
        (line,) = [line for line in axis.lines if line.get_label() == "level"]
        assert line.get_ydata()[0] == 0.5


def test_given_number_has_no_level():
    model = GeminiClustering(2, n_units=20, random_state=0).fit(blobs())
    display = drawn(SelectionDisplay.from_estimator(model))
    assert display.ax_.get_title() == "2 clusters"
    assert not [line for line in display.ax_.lines if line.get_label() == "level"]


def test_matrix_holds_the_valleys(model):
    display = SelectionDisplay.from_estimator(model)
    shown = display.image_.get_array()
    assert shown.mask.diagonal().all()
    valleys = model.selection_.valleys
    apart = ~np.eye(3, dtype=bool)
    expected = np.clip(valleys[apart], LOWEST, HIGHEST)
    np.testing.assert_allclose(np.asarray(shown)[apart], expected)
    texts = {text.get_position(): text.get_text() for text in display.axes_[2].texts}
    assert len(texts) == 6
    for (column, row), text in texts.items():
        value = valleys[int(row), int(column)]
        assert text == ">100" if value > 100 else float(text) == pytest.approx(value, abs=0.5)


def test_one_axes_holds_the_tree_and_three_hold_all(model):
    _, axis = plt.subplots()
    display = SelectionDisplay.from_estimator(model, ax=axis)
    assert display.ax_ is axis
    assert display.figure_ is axis.figure
    assert not hasattr(display, "image_")
    _, axes = plt.subplots(1, 3)
    display.plot(axes)
    assert display.ax_ is axes[0]
    assert display.image_.axes is axes[2]


def test_one_cluster_has_no_matrix():
    X = np.random.default_rng(0).normal(size=(200, 2))
    display = drawn(SelectionDisplay.from_estimator(GeminiClustering(random_state=0).fit(X)))
    assert display.ax_.get_title() == "1 cluster"
    assert len(display.axes_) == 2
    _, axes = plt.subplots(1, 3)
    drawn(display.plot(axes))


def test_many_clusters_have_all_their_leaves_and_no_matrix():
    grid = np.stack(np.meshgrid(range(6), range(6)), -1).reshape(-1, 2) * 10
    model = GeminiClustering(random_state=0).fit(blobs(grid, 1800))
    assert model.n_clusters_ > 30
    display = drawn(SelectionDisplay.from_estimator(model))
    assert len(display.tree_.get_paths()) == model.n_clusters_ - 1
    assert len(display.axes_) == 2
    display.figure_.canvas.draw()
    boxes = [label.get_window_extent() for label in display.ax_.get_xticklabels()]
    assert len(boxes) >= model.n_clusters_ // 2
    assert all(left.x1 < right.x0 for left, right in pairwise(sorted(boxes, key=lambda b: b.x0)))
    _, axes = plt.subplots(1, 3)
    drawn(display.plot(axes))


@pytest.mark.parametrize("n_samples", [4, 12])
def test_few_samples(n_samples):
    X = np.arange(n_samples, dtype=float)[:, None]
    drawn(SelectionDisplay.from_estimator(GeminiClustering(random_state=0).fit(X)))


def test_tree_of_a_single_unit():
    display = SelectionDisplay(
        linkage=np.empty((0, 4)),
        leaf_clusters=np.zeros(1, dtype=int),
        valleys=np.full((1, 1), np.nan),
    )
    assert drawn(display.plot()).ax_.get_title() == "1 cluster"


def test_pipeline_ends_in_the_estimator():
    pipeline = make_pipeline(StandardScaler(), GeminiClustering(random_state=0)).fit(blobs())
    assert SelectionDisplay.from_estimator(pipeline).ax_.get_title() == "3 clusters"


def test_without_a_tree_the_error_says_what_to_do():
    with pytest.raises(ValueError, match="n_clusters='auto'"):
        SelectionDisplay.from_estimator(GeminiClustering(2, random_state=0).fit(blobs()))
    with pytest.raises(NotFittedError):
        SelectionDisplay.from_estimator(GeminiClustering())


def test_without_matplotlib_the_error_says_what_to_install():
    code = (
        "import sys; sys.modules['matplotlib'] = None; sys.modules['matplotlib.pyplot'] = None\n"
        "import numpy as np\n"
        "from gemclust import displays\n"
        "display = displays.SelectionDisplay(linkage=np.empty((0, 4)),\n"
        "    leaf_clusters=np.zeros(1, dtype=int), valleys=np.full((1, 1), np.nan))\n"
        "try: display.plot()\n"
        "except ImportError as error: print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert "pip install matplotlib" in run.stdout


# Curves, clusters, maps, confidence, profiles


@pytest.fixture(scope="module")
def given():
    return GeminiClustering(3, alpha=0.01, n_init=4, random_state=0).fit(blobs())


def test_curves_of_all_restarts_are_drawn(given):
    display = drawn(ObjectiveCurvesDisplay.from_estimator(given))
    assert len(display.lines_) == 4
    for line, curve in zip(display.lines_, given.objective_curves_, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), curve)
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, len(curve) + 1))
    kept = display.lines_[display.kept]
    assert list(kept.get_ydata()) == given.objective_curve_
    assert kept.get_linewidth() > max(
        line.get_linewidth() for line in display.lines_ if line is not kept
    )
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert sorted(texts) == ["kept", "other restarts"]


def test_curve_of_a_single_restart_needs_no_legend():
    model = GeminiClustering(3, n_init=1, random_state=0).fit(blobs())
    display = drawn(ObjectiveCurvesDisplay.from_estimator(model))
    assert display.ax_.get_legend() is None


def test_clusters_in_the_plane_of_two_features(given):
    X = blobs()
    display = drawn(ClustersDisplay.from_estimator(given, X))
    np.testing.assert_array_equal(display.embedding, X)
    np.testing.assert_array_equal(display.proba, given.predict_proba(X))
    order = np.argsort(-display.proba.max(1), kind="stable")
    np.testing.assert_allclose(np.asarray(display.scatter_.get_offsets()), X[order])
    edges = display.scatter_.get_edgecolors()
    np.testing.assert_allclose(edges, [to_rgba(f"C{k}") for k in given.labels_[order]])
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("x0", "x1")


def test_unsure_samples_are_paler_and_on_top(given):
    display = ClustersDisplay.from_estimator(given, blobs())
    paleness = display.scatter_.get_facecolors()[:, :3].sum(1)
    labels = display.proba.argmax(1)[np.argsort(-display.proba.max(1), kind="stable")]
    for k in range(3):
        assert (np.diff(paleness[labels == k]) >= -1e-12).all()


def test_many_features_are_drawn_in_principal_components():
    X = np.random.default_rng(0).normal(size=(90, 5)) * [9, 5, 1, 1, 1]
    model = GeminiClustering(2, n_init=1, random_state=0).fit(X)
    display = drawn(ClustersDisplay.from_estimator(model, X))
    expected = PCA(2).fit(X)
    np.testing.assert_allclose(np.abs(display.embedding), np.abs(expected.transform(X)), atol=1e-6)
    share = f"{expected.explained_variance_ratio_[0]:.0%}"
    assert display.ax_.get_xlabel() == f"component 1, {share} of the variance"


@pytest.mark.parametrize("n_features", [1, 2, 4])
def test_sparse_samples_and_few_features(n_features):
    X = sp.csr_matrix(np.abs(np.random.default_rng(0).normal(size=(60, n_features))))
    model = GeminiClustering(2, n_init=1, random_state=0).fit(X)
    assert drawn(ClustersDisplay.from_estimator(model, X)).embedding.shape == (60, 2)
    drawn(ConfidenceDisplay.from_estimator(model, X))
    drawn(ProfileDisplay.from_estimator(model, X))


def test_embedding_is_the_users(given):
    X = blobs()
    own = np.random.default_rng(0).normal(size=(300, 2))
    by_array = ClustersDisplay.from_estimator(given, X, embedding=own)
    np.testing.assert_array_equal(by_array.embedding, own)
    by_transformer = ClustersDisplay.from_estimator(given, X, embedding=StandardScaler())
    np.testing.assert_allclose(by_transformer.embedding, StandardScaler().fit_transform(X))
    with pytest.raises(ValueError, match=r"shape \(300, 3\); it must have shape \(300, 2\)"):
        ClustersDisplay.from_estimator(given, X, embedding=np.ones((300, 3)))


@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame])
def test_fitted_transformer_is_used_as_it_is(given, kind):
    X = kind(blobs())
    if hasattr(X, "columns"):
        X.columns = ["a", "b"]
        given = GeminiClustering(3, n_init=1, random_state=0).fit(X)
    elsewhere = StandardScaler().fit(10 * X)
    mean = elsewhere.mean_.copy()
    display = ClustersDisplay.from_estimator(given, X, embedding=elsewhere)
    np.testing.assert_allclose(display.embedding, elsewhere.transform(X))
    np.testing.assert_array_equal(elsewhere.mean_, mean)
    part = ClustersDisplay.from_estimator(given, X[:40], embedding=elsewhere)
    np.testing.assert_allclose(part.embedding, display.embedding[:40])


def test_new_transformer_stays_new(given):
    new = StandardScaler()
    ClustersDisplay.from_estimator(given, blobs(), embedding=new)
    with pytest.raises(NotFittedError):
        check_is_fitted(new)


def test_transformer_that_places_no_new_samples_is_fitted_again(given):
    X = blobs(n_samples=60)
    tsne = TSNE(perplexity=5, max_iter=250, random_state=0).fit(X[:50])
    display = ClustersDisplay.from_estimator(given, X, embedding=tsne)
    assert display.embedding.shape == (60, 2)
    assert tsne.embedding_.shape == (50, 2)


def test_map_holds_the_probabilities_of_the_plane(given):
    X = blobs()
    display = drawn(DecisionMapDisplay.from_estimator(given, X, resolution=40))
    assert display.proba.shape == (40, 40, 3)
    point = [[display.xs[30], display.ys[7]]]
    np.testing.assert_allclose(display.proba[7, 30], given.predict_proba(point)[0])
    left, right, bottom, top = display.image_.get_extent()
    assert left < X[:, 0].min() < X[:, 0].max() < right
    assert bottom < X[:, 1].min() < X[:, 1].max() < top
    np.testing.assert_allclose(np.asarray(display.scatter_.get_offsets()), X)
    np.testing.assert_allclose(
        display.scatter_.get_facecolors(), [to_rgba(f"C{k}") for k in given.labels_]
    )


def test_map_is_pale_where_the_model_is_not_sure(given):
    display = DecisionMapDisplay.from_estimator(given, blobs(), resolution=40)
    image, sure = display.image_.get_array(), display.proba.max(-1)
    least, most = (np.unravel_index(at, sure.shape) for at in (sure.argmin(), sure.argmax()))
    assert image[least][:3].sum() > image[most][:3].sum()


def test_map_of_whole_numbers_is_that_of_all_between_them():
    X = blobs().round().astype(int)
    model = GeminiClustering(3, random_state=0).fit(X)
    display = DecisionMapDisplay.from_estimator(model, X, resolution=30)
    grid = np.stack(np.meshgrid(display.xs, display.ys), -1).reshape(-1, 2)
    expected = model.predict_proba(grid)
    np.testing.assert_allclose(np.reshape(display.proba, expected.shape), expected)


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_points_are_an_array_whatever_transformers_return(output):
    X, _ = make_blobs(60, n_features=4, centers=3, random_state=0)
    model = GeminiClustering(3, random_state=0).fit(X)
    with config_context(transform_output=output):
        default = ClustersDisplay.from_estimator(model, X)
        given = ClustersDisplay.from_estimator(model, X, embedding=PCA(2))
    for display in (default, given):
        assert isinstance(display.embedding, np.ndarray)
        expected = np.abs(PCA(2).fit_transform(X))
        np.testing.assert_allclose(np.abs(display.embedding), expected, atol=1e-9)


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("n_rows", [1, 5])
@pytest.mark.parametrize("n_features", [1, 2, 4])
def test_samples_that_are_all_equal(n_features, n_rows, make):
    X = np.random.default_rng(0).normal(size=(60, n_features))
    model = GeminiClustering(2, model="linear", n_init=1, random_state=0).fit(make(X))
    equal = np.repeat(X[:1], n_rows, axis=0)
    display = drawn(ClustersDisplay.from_estimator(model, make(equal)))
    assert display.embedding.shape == (n_rows, 2)
    assert len(np.unique(display.embedding, axis=0)) == 1
    if n_features == 2:
        drawn(DecisionMapDisplay.from_estimator(model, make(equal), resolution=2))


@pytest.mark.parametrize("kind", [bool, np.int8])
@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame, sp.csr_array])
def test_truth_values_and_whole_numbers(kind, make):
    X = make((blobs() > 4).astype(kind))
    model = GeminiClustering(3, model="linear", n_init=1, random_state=0).fit(X)
    for display in (ClustersDisplay, DecisionMapDisplay, ConfidenceDisplay, ProfileDisplay):
        drawn(display.from_estimator(model, X))


def test_bad_requests_are_named(given):
    X = blobs()
    with pytest.raises(ValueError, match="embedding='pca' is a name"):
        ClustersDisplay.from_estimator(given, X, embedding="pca")
    for number in (0, -1, 2.5):
        with pytest.raises(ValueError, match=f"max_features={number} is not possible"):
            ProfileDisplay.from_estimator(given, X, max_features=number)
    _, several = plt.subplots(1, 2)
    with pytest.raises(TypeError, match="one matplotlib Axes, not a ndarray"):
        ClustersDisplay.from_estimator(given, X, ax=several)


def test_map_needs_two_points_along_each_side(given):
    for resolution in (1, 0, 10.5):
        with pytest.raises(ValueError, match=f"resolution={resolution} is not possible"):
            DecisionMapDisplay.from_estimator(given, blobs(), resolution=resolution)


@pytest.mark.parametrize("value", [0.0, -3e8])
def test_map_around_a_feature_without_a_range(given, value):
    X = blobs()
    X[:, 1] = value
    display = drawn(DecisionMapDisplay.from_estimator(given, X, resolution=5))
    assert display.ys[0] < value < display.ys[-1]
    assert display.xs[0] < X[:, 0].min()


def test_map_needs_two_features():
    X = np.random.default_rng(0).normal(size=(60, 3))
    model = GeminiClustering(2, n_init=1, random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"sees 3.*ClustersDisplay"):
        DecisionMapDisplay.from_estimator(model, X)


def test_confidence_bars_are_sorted_probabilities(given):
    display = drawn(ConfidenceDisplay.from_estimator(given, blobs()))
    proba = given.predict_proba(blobs())
    for k, bar in enumerate(display.bars_):
        own = np.sort(proba[given.labels_ == k, k])[::-1]
        corners = bar.get_paths()[0].vertices
        assert corners[:, 0].max() == pytest.approx(own[0])
        assert np.ptp(corners[:, 1]) == pytest.approx(len(own))
    assert display.mean_.get_xdata()[0] == pytest.approx(proba.max(1).mean())
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == ["0", "1", "2"]


def test_confidence_of_an_empty_cluster_is_no_error(given):
    display = drawn(ConfidenceDisplay.from_estimator(given, CENTERS[:1]))
    assert len(display.bars_) == 3
    drawn(ProfileDisplay.from_estimator(given, blobs()[:5]))


def test_profile_has_the_features_that_differ_most_first():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(np.c_[rng.normal(size=(300, 2)), blobs()], columns=["a", "b", "c", "d"])
    model = GeminiClustering(3, n_init=2, random_state=0).fit(X)
    display = drawn(ProfileDisplay.from_estimator(model, X, max_features=3))
    assert set(display.feature_names[:2]) == {"c", "d"}
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == [*display.feature_names]
    table = cluster_profiles(model, X)[list(display.feature_names)]
    np.testing.assert_allclose(display.differences, table)
    np.testing.assert_allclose(display.image_.get_array(), table.T)
    np.testing.assert_array_equal(display.sizes, np.bincount(model.labels_))
    low, high = display.image_.get_clim()
    assert low == -high


def test_pipelines_and_searches_are_drawn_in_what_the_last_step_sees():
    X = pd.DataFrame(blobs() * [1, 100], columns=["near", "far"])
    pipeline = make_pipeline(StandardScaler(), GeminiClustering(3, n_init=1, random_state=0))
    pipeline.set_output(transform="pandas")
    search = GridSearchCV(
        pipeline,
        {"geminiclustering__n_clusters": [3]},
        scoring=silhouette_scorer,
        cv=ShuffleSplit(1, test_size=0.5, random_state=0),
    ).fit(X)
    for estimator in (pipeline.fit(X), search):
        display = drawn(DecisionMapDisplay.from_estimator(estimator, X, resolution=20))
        np.testing.assert_allclose(display.samples, StandardScaler().fit_transform(X))
        assert display.axis_names == ("near", "far")
        drawn(ClustersDisplay.from_estimator(estimator, X))
        drawn(ConfidenceDisplay.from_estimator(estimator, X))
        drawn(ObjectiveCurvesDisplay.from_estimator(estimator))
        assert set(ProfileDisplay.from_estimator(estimator, X).feature_names) == {"near", "far"}


@pytest.mark.parametrize("n_clusters", [1, 25])
def test_one_and_many_clusters(n_clusters):
    grid = np.stack(np.meshgrid(range(5), range(5)), -1).reshape(-1, 2) * 10
    X = blobs(grid, 500)
    model = GeminiClustering(n_clusters, n_units=60, random_state=0).fit(X)
    for kind in (ClustersDisplay, ConfidenceDisplay, ProfileDisplay, DecisionMapDisplay):
        drawn(kind.from_estimator(model, X))


@pytest.mark.parametrize(
    "kind", [ClustersDisplay, ConfidenceDisplay, ProfileDisplay, DecisionMapDisplay]
)
def test_display_draws_where_it_is_told_and_again(given, kind):
    _, axes = plt.subplots(1, 2)
    display = kind.from_estimator(given, blobs(), ax=axes[0])
    assert display.ax_ is axes[0]
    assert display.figure_ is axes[0].figure
    assert display.plot(axes[1]) is display
    assert display.ax_ is axes[1]
    drawn(display)


@pytest.mark.parametrize(
    "kind", [ClustersDisplay, ConfidenceDisplay, ProfileDisplay, DecisionMapDisplay]
)
def test_unfitted_estimator_is_refused(kind):
    with pytest.raises(NotFittedError):
        kind.from_estimator(GeminiClustering(), blobs())
