"""Numbers that the documentation states are those of the code."""

import re
from pathlib import Path

import pytest

from gemclust import GeminiClustering, automatic, canonical, evaluation, geometry
from gemclust.metrics import scorers

GUIDE = Path(__file__).parents[1] / "docs" / "user_guide"
FEWEST = 3 * automatic.UNIT_SAMPLES  # fewer samples have two units

STATED = [
    ("limits", "Fewer than {} distinct samples are given two units", FEWEST),
    ("limits", "There are at most {} units", automatic.MOST_UNITS),
    ("limits", "an exact kernel or distance matrix | {} GiB", geometry.MAX_MATRIX_BYTES / 2**30),
    ("number_of_clusters", "Fewer than {} samples have two units", FEWEST),
    ("number_of_clusters", "There are at most {} units", automatic.MOST_UNITS),
    ("number_of_clusters", "at most {}; up to", automatic.UNITS),
    ("number_of_clusters", "up to {} where a third", automatic.MOST_UNITS),
    ("geometry", "N x N up to {} samples", geometry.EXACT_KERNEL_SAMPLES),
    ("geometry", "`n_components` ({} by default)", geometry.AUTO_COMPONENTS),
    ("training", "L-BFGS on up to {} samples at once", automatic.FULL_BATCH_SAMPLES),
    ("training", "transport between more than {} samples", automatic.TRANSPORT_SAMPLES),
    ("training", "Up to {} samples are sorted", canonical.MERGE_SAMPLES),
    ("scale", "Above {} samples no second copy", canonical.MERGE_SAMPLES),
    ("scale", "and above {} samples:", automatic.FULL_BATCH_SAMPLES),
    ("scale", "Some of them ({} at random", canonical.MERGE_SAMPLES),
    ("scale", "All restarts are trained on {} of them", automatic.FIRST_SAMPLES),
    ("scale", "above {} samples distances are computed for", geometry.EXACT_TRANSPORT_SAMPLES),
    ("scale", "random parts of {} samples", evaluation.TRANSPORT_PART),
    ("scale", "- Up to {} samples in total", canonical.MERGE_SAMPLES),
    ("searching", "a little below {} / √n", scorers.DISAGREEMENT),
]

DESCRIBED = [
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


def says(text, template, number):
    """Whether the sentence stands there, with this number."""
    words = re.escape(template).replace(r"\{\}", re.escape(f"{number:,g}"))
    return re.search(words.replace(r"\ ", r"\s+"), text) is not None


@pytest.mark.parametrize(("page", "template", "number"), STATED)
def test_number_in_the_guide(page, template, number):
    text = (GUIDE / f"{page}.md").read_text()
    assert says(text, template, number), template.format(f"{number:,g}")


@pytest.mark.parametrize(("template", "number"), DESCRIBED)
def test_number_in_the_description_of_a_parameter(template, number):
    assert says(GeminiClustering.__doc__, template, number), template.format(f"{number:,g}")


def test_another_number_is_noticed():
    text = (GUIDE / "limits.md").read_text()
    assert not says(text, "There are at most {} units", automatic.MOST_UNITS + 1)
