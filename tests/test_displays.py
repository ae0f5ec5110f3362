"""What the pictures show is what the estimator found."""

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from scipy.cluster.hierarchy import is_valid_linkage
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gemclust import GeminiClustering
from gemclust.displays import HIGHEST, LOWEST, SelectionDisplay

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
    assert "pip install 'gemclust[plot]'" in run.stdout
