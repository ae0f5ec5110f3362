"""Numbers that the documentation states are those of the code."""

import csv
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from gemclust import (
    GeminiClustering,
    automatic,
    canonical,
    evaluation,
    geometry,
    gradients,
    levels,
    problem,
    progress,
    projections,
    rounding,
    selection,
    thresholds,
    training,
    units,
    valleys,
    views,
)
from gemclust.metrics import scorers
from gemclust.objectives import SlicedWasserstein

DOCS = Path(__file__).parents[1] / "docs"
KEPT = np.log2(problem.KEPT_MATRICES)
LOOKED_AT = selection.POINTS_PER_UNIT * automatic.UNITS
DIRECTIONS = projections.PLANE, projections.SPACE
FEWEST = 3 * automatic.UNIT_SAMPLES  # fewer samples have two units

STATED = [
    ("limits", "Fewer than {} distinct samples are given two units", FEWEST),
    ("limits", "There are at most {} units", automatic.MOST_UNITS),
    ("limits", "an exact kernel or distance matrix | {} GiB", geometry.MAX_MATRIX_BYTES / 2**30),
    ("number_of_clusters", "Fewer than {} samples have two units", FEWEST),
    ("number_of_clusters", "There are at most {} units", automatic.MOST_UNITS),
    ("number_of_clusters", "at most {}; up to", automatic.UNITS),
    ("number_of_clusters", "up to {} where a third", automatic.MOST_UNITS),
    ("geometry", "`SlicedWasserstein(n_projections={})`", SlicedWasserstein().n_projections),
    ("geometry", "N x N up to {} samples", geometry.EXACT_KERNEL_SAMPLES),
    ("geometry", "`n_components` ({} by default)", geometry.AUTO_COMPONENTS),
    ("training", "L-BFGS on up to {} samples at once", automatic.FULL_BATCH_SAMPLES),
    ("training", "transport between more than {} samples", automatic.TRANSPORT_SAMPLES),
    ("training", "Up to {} samples are sorted", canonical.MERGE_SAMPLES),
    ("progress", "after every {} seconds", progress.PAUSE),
    ("scale", "Above {} samples no second copy", canonical.MERGE_SAMPLES),
    ("scale", "and above {} samples:", automatic.FULL_BATCH_SAMPLES),
    ("scale", "Some of them ({} at random", canonical.MERGE_SAMPLES),
    ("scale", "All restarts are trained on {} of them", automatic.FIRST_SAMPLES),
    ("scale", "above {} samples distances are computed for", geometry.EXACT_TRANSPORT_SAMPLES),
    ("scale", "random parts of {} samples", evaluation.TRANSPORT_PART),
    ("scale", "- Up to {} samples in total", canonical.MERGE_SAMPLES),
    ("scale", "dropped after {}, {}, {} and {} iterations", tuple(training.KEPT_AFTER)),
    ("scale", "at most {} times as many samples", automatic.GROWTH),
    ("scale", "after at most {} iterations in a row without", levels.PATIENCE[0]),
    ("scale", "later after {}, whatever", levels.PATIENCE[1]),
    ("scale", "between the two visits (up to 2^{} numbers", np.log2(gradients.KEPT_LOG_PROBA)),
    ("scale", "along each direction (12 or 16 bytes for each, up to 2^{} numbers", KEPT),
    ("scale", "one batch at a time (and kept up to 2^{} numbers)", KEPT),
    ("scale", "kept up to 2^{} numbers and computed anew", np.log2(geometry.KEPT_FEATURES)),
    ("scale", "mean over parts of {}.", SlicedWasserstein.value_samples),
    ("number_of_clusters", "\\frac{{}}{d} +", valleys.NO_WAY_ROUND),
    ("number_of_clusters", "{d} + {} \\sqrt d", valleys.EACH_DIRECTION),
    ("number_of_clusters", "rank of the nearest neighbour across})^{1/{}}", 1 / valleys.GAP_POWER),
    ("number_of_clusters", "mean of the {} largest", valleys.DEEPEST),
    ("number_of_clusters", "and to {} (where there are", views.SCALES[-1]),
    ("number_of_clusters", "several views, at most {})", views.LARGEST_OF_VIEWS),
    ("number_of_clusters", "$z_k$ is divided by {}.", valleys.ON_A_LINE),
    ("number_of_clusters", "in views of more than {} dimensions", valleys.PLANE),
    ("number_of_clusters", "scaling from {} points", views.LANDMARKS),
    ("number_of_clusters", "in their first {} principal components", views.MOST_FEATURES),
    ("number_of_clusters", "in the first {} of these", projections.SPACE),
    ("number_of_clusters", "and in the first {} or", projections.PLANE),
    ("number_of_clusters", "at least {} points for each feature", projections.POINTS_PER_FEATURE),
    ("number_of_clusters", "in {} and {} directions w", DIRECTIONS),
    ("number_of_clusters", "\\text{ among the nearest {} of } i", views.EDGES),
    ("number_of_clusters", "... up to n / {} or 8, to half", valleys.SCALE_PARTS),
    ("number_of_clusters", "k = {}, {}, {}, {}, ... up to", tuple(views.SCALES[:4])),
    ("number_of_clusters", "its own count for no more than {}", valleys.JOINED_FIRST),
    ("number_of_clusters", "where n is {} times its number", valleys.PART),
    ("number_of_clusters", "points, of at least {} (at most all", valleys.SIMULATED),
    ("number_of_clusters", "Where a valley of {} or more", thresholds.CLEAR_LEVEL),
    ("number_of_clusters", "at most {} of its significance", thresholds.CLEAR_GAP),
    ("number_of_clusters", "significance is divided by {}", thresholds.CLEAR_LEVEL),
    ("number_of_clusters", "fewer than {} merges of groups", thresholds.MERGES),
    ("number_of_clusters", "reach 1 - c ln(j / {})", thresholds.FEW),
    ("number_of_clusters", "and {} at least). c", thresholds.LEAST),
    ("number_of_clusters", "c is {} where, in up to three features", thresholds.MANY_SURROUNDED),
    ("number_of_clusters", "a unit touches {} others or more", thresholds.SURROUNDED),
    ("number_of_clusters", "and {} where it touches fewer", thresholds.MANY),
    ("number_of_clusters", "by {} ln(n / ({} j))", (thresholds.PARTS, thresholds.FEW)),
    ("number_of_clusters", "one for every {} distinct samples", automatic.UNIT_SAMPLES),
    ("number_of_clusters", "(the nearest {}, of which two", selection.STRAY_NEIGHBOURS),
    ("number_of_clusters", "looked for between {} for each unit", selection.POINTS_PER_UNIT),
    ("number_of_clusters", "20 units: {} by default", LOOKED_AT),
    ("number_of_clusters", "saddles higher by {} standard deviations", views.DOUBT),
    ("limits", "of more than {} samples, that many are looked at", LOOKED_AT),
    ("number_of_clusters", "no more than {} iterations", units.UNIT_ITERATIONS),
    ("searching", "is {} / √n times one minus", scorers.DISAGREEMENT),
    ("searching", "ARI(a, b) - 1 + \\frac{{}}{\\sqrt n}", scorers.DISAGREEMENT),
    ("../coming_from", '`n_init="auto"`: {}, trained side by side', automatic.RESTARTS),
]

DESCRIBED = [
    ("trained for at most {}.", units.UNIT_ITERATIONS),
    ("and at most {} of them", selection.MOST_REQUIRED),
    ("(at most {} for each unit", selection.POINTS_PER_UNIT),
    ("and at most {}, or up to", automatic.UNITS),
    ("or up to {} where these", automatic.MOST_UNITS),
    ('with the solver "lbfgs" {}, or', automatic.RESTARTS),
    ("or {} for Wasserstein objectives; else 1", automatic.TRANSPORT_RESTARTS),
    ("there are more than {} (Wasserstein:", automatic.FULL_BATCH_SAMPLES),
    ("all restarts on {} of them", automatic.FIRST_SAMPLES),
    ("all up to {} (Wasserstein:", automatic.FULL_BATCH_SAMPLES),
    ("else {} times the square root", automatic.BATCH),
    ("at least {} for each cluster", automatic.CLUSTER_BATCH),
    ("each cluster (Wasserstein: {})", automatic.TRANSPORT_BATCH),
    ("In batches of up to {} samples", automatic.RUNNING_BATCH),
    ('"auto": {} times the median distance', automatic.VAT_RADIUS),
]


def filled(template, numbers):
    """The sentence with this number, or these."""
    for number in np.atleast_1d(numbers):
        template = template.replace("{}", f"{number:,g}", 1)
    return template


def says(text, template, numbers):
    """Whether the sentence stands there, with this number, or these."""
    words = re.escape(filled(template, numbers))
    return re.search(rf"(?<![\d.,]){words}".replace(r"\ ", r"\s+") + r"(?!\d)", text) is not None


@pytest.mark.parametrize(("page", "template", "number"), STATED)
def test_number_in_the_guide(page, template, number):
    text = (DOCS / "user_guide" / f"{page}.md").read_text()
    assert says(text, template, number), filled(template, number)


@pytest.mark.parametrize(("template", "number"), DESCRIBED)
def test_number_in_the_description_of_a_parameter(template, number):
    assert says(GeminiClustering.__doc__, template, number), filled(template, number)


def numbers_in(text, pattern):
    """The numbers that the groups of a pattern find."""
    return [float(number) for number in re.search(pattern, re.sub(r"\s+", " ", text)).groups()]


GUIDE = (DOCS / "user_guide" / "number_of_clusters.md").read_text()


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        (GUIDE, r"([\d.]+) % of the points looked at, at least (\d+) and at most (\d+)"),
        (
            GeminiClustering.__doc__,
            r"([\d.]+) % of those looked at \(.*?\), at least (\d+) and at most (\d+) of them",
        ),
    ],
    ids=["guide", "docstring"],
)
def test_smallest_cluster_is_as_stated(text, pattern):
    per_cent, least, most = numbers_in(text, pattern)
    for n_points in (100, 300, 700, 1500, 3000, 10_000):
        points = selection.TestPoints(np.empty(n_points), lambda n_neighbours: [], None)
        assert points.smallest == max(least, min(per_cent / 100 * n_points, most))


def test_number_of_points_looked_at_is_as_stated():
    (each, fewest) = numbers_in(
        GeminiClustering.__doc__, r"\(at most (\d+) for each unit, of at least (\d+) units\)"
    )
    for n_units in (2, 19, 21, 100):
        assert selection.n_points_to_test(n_units) == each * max(n_units, fewest)


@pytest.mark.parametrize("dimension", [1, 2, 4, 5, 8, 20])
def test_level_of_a_valley_is_the_formula_of_the_guide(dimension):
    line, each, plus = numbers_in(
        GUIDE,
        r"\\frac\{([\d.]+)\}\{d\} \+ ([\d.]+) \\sqrt d \\Bigr\) "
        r"\\Bigl\( \\ln \\frac\{n\}\{k\} \+ ([\d.]+) \\Bigr\)",
    )
    for n_points, scale in ((100, 3), (2000, 21)):
        expected = (line / dimension + each * dimension**0.5) * (np.log(n_points / scale) + plus)
        assert valleys.level(n_points, scale, dimension) == pytest.approx(expected)


def test_rounded_samples_are_as_stated():
    text = re.sub(r"\s+", " ", (DOCS / "user_guide" / "limits.md").read_text())
    assert (
        "more than a tenth of the samples equal others, and most have others in the cells" in text
    )
    assert pytest.approx(1 / 10) == 1 - rounding.DISTINCT
    places = np.arange(60.0)[:, None]
    lonely = np.arange(100.0, 220.0, 3)[:, None]  # nothing is one step away
    for alone, most_have in ((lonely, True), (np.concatenate([lonely, lonely + 500]), False)):
        X = np.concatenate([places, alone])
        assert (rounding.cell_of(X, np.arange(len(X))) is not None) == most_have


@pytest.mark.parametrize("page", ["README.md", "docs/getting_started.md"])
def test_versions_of_python_are_those_of_the_package(page):
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]
    marks = [mark.rpartition(":: ")[2] for mark in project["classifiers"]]
    minors = [int(mark[2:]) for mark in marks if re.fullmatch(r"3\.\d+", mark)]
    assert f"3.{min(minors)} to 3.{max(minors)}" in (DOCS.parent / page).read_text()


def test_rim_agrees_with_classes_as_well_as_anything_measured():
    text = (DOCS / "quality.md").read_text()
    on_real = re.search(r"## ARI on real data\n(.*?)\n## ", text, re.DOTALL)[1]
    others = [float(line.split("|")[-2]) for line in on_real.splitlines()[3:]]
    variants = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([\d.]+) \|", text, re.MULTILINE)
    ari = {(objective, variant): float(mean) for objective, variant, mean in variants}
    rim = ari["mi", "linear, alpha 0.01"]
    assert rim > max(others)
    assert rim >= max(ari.values()) - 0.005  # a difference smaller than the spread over seeds


def test_recommended_scorer_does_not_drift_to_the_largest_number():
    with (DOCS.parent / "benchmarks" / "results" / "search.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] != "auto"]
    largest = dict.fromkeys(("own", f"heldout_{scorers.DISAGREEMENT}"), 0)
    for row in rows:
        if row["method"] in largest:
            largest[row["method"]] += int(row["most"])
    n_searches = len({(row["dataset"], row["objective"], row["seed"]) for row in rows})
    drifting, recommended = largest.values()
    assert recommended == 0
    assert drifting > n_searches / 2


def test_what_noise_features_still_hide_is_as_measured():
    with (DOCS.parent / "benchmarks" / "results" / "selection.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] == "noise_features/k5_d5"]
    found = {int(row["found"]) for row in rows if row["method"] == "gemclust"}
    assert {row["true"] for row in rows} == {"5"}
    assert f"{min(found)} or {max(found)} are found" in GUIDE


def rows_of(prefix):
    """The rows of sets whose names begin so, by method."""
    with (DOCS.parent / "benchmarks" / "results" / "selection.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"].startswith(prefix)]
    return {m: [row for row in rows if row["method"] == m] for m in {r["method"] for r in rows}}


def test_how_many_single_features_are_split_is_as_measured():
    split = {}
    for row in rows_of("single/")["gemclust"]:
        shape = row["dataset"].removeprefix("single/").rsplit("_", 2)[0]
        split.setdefault(shape, []).append(int(row["found"]) > 1)
    shares = {shape: 100 * np.mean(found) for shape, found in split.items()}
    text = (DOCS / "user_guide" / "limits.md").read_text()
    stated = "{:.0f} % of such samples are split, of whole numbers from 1 to 10 {:.0f} %"
    assert stated.format(shares["uniform"], shares["steps of 10"]) in text
    peaked = "of [Gaussian, Student-t and exponential ones](../selection.md#false-splits)"
    assert f"{peaked} 1 % or fewer" in text
    assert max(shares[shape] for shape in ("gaussian", "student", "exponential")) <= 1


def test_how_many_small_groups_are_found_is_as_measured():
    with (DOCS.parent / "benchmarks" / "results" / "valleys.csv").open(newline="") as file:
        chosen = [row for row in csv.DictReader(file) if row["method"] == "chosen"]
    text = (DOCS / "user_guide" / "limits.md").read_text()
    for kind, stated in (
        ("small/", "it is found in {:.0f} %; of 32 with one of 200 or 400"),
        ("rare/", "among 200,000, in {:.0f} %"),
    ):
        exact = [int(row["exact"]) for row in chosen if row["dataset"].startswith(kind)]
        assert len(exact) == 32
        assert stated.format(100 * np.mean(exact)) in text


def test_touching_clusters_are_found_as_often_as_stated():
    rows = rows_of("touching/")
    methods = ("gemclust", "hdbscan_15_reassigned", "g_means", "mixture_bic")
    shares = [100 * np.mean([int(row["exact"]) for row in rows[m]]) for m in methods]
    assert {len(rows[method]) for method in methods} == {144}
    text = (DOCS / "user_guide" / "limits.md").read_text()
    assert (
        "Of 144 sets of such](../selection.md#clusters-that-touch), the right number is found on "
        "{:.0f} %; by HDBSCAN on {:.0f} %, by G-means on {:.0f} %, by a Gaussian mixture with the "
        "least BIC on {:.0f} %"
    ).format(*shares) in text


def test_many_touching_clusters_are_found_as_well_as_stated():
    rows = rows_of("crowded/")
    errors = [
        100 * np.mean([abs(int(r["found"]) / int(r["true"]) - 1) for r in rows[method]])
        for method in ("gemclust", "hdbscan_15_reassigned")
    ]
    assert {len(found) for found in rows.values()} == {36}
    text = (DOCS / "user_guide" / "limits.md").read_text()
    stated = "the number is wrong by {:.0f} % in the mean, that of HDBSCAN by {:.0f} %"
    assert stated.format(*errors) in text


def test_every_other_method_splits_more_thick_curves():
    split = {
        m: {r["dataset"]: int(r["found"]) > 1 for r in rows}
        for m, rows in rows_of("curved/").items()
    }
    ours = split.pop("gemclust")
    assert len(split) > 10
    for method, found in split.items():
        if not method.endswith("oracle"):
            assert sum(found.values()) > sum(ours[name] for name in found), method


def test_another_number_is_noticed():
    text = (DOCS / "user_guide" / "limits.md").read_text()
    assert not says(text, "There are at most {} units", automatic.MOST_UNITS + 1)


def test_one_of_several_numbers_is_noticed():
    assert says("after 4, 8, 12 tries", "after {}, {}, {} tries", (4, 8, 12))
    assert not says("after 4, 8, 12 tries", "after {}, {}, {} tries", (4, 8, 16))


def test_number_is_not_the_end_or_beginning_of_another():
    assert not says("up to 2^240 numbers", "up to 2^{}", 24)
    assert not says("on 12,500 of them", "{} of them", 500)
