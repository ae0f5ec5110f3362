"""The gallery: each example ends in a picture, and each display is in one."""

from pathlib import Path

import pytest

from gemclust import displays

EXAMPLES = sorted((Path(__file__).parents[1] / "docs" / "examples").glob("plot_*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_ends_in_a_picture(path):
    assert path.read_text(encoding="utf-8").endswith("\nplt.show()\n")


@pytest.mark.parametrize("name", displays.__all__)
def test_display_is_pictured(name):
    drawn = [path for path in EXAMPLES if f"{name}.from_estimator(" in path.read_text("utf-8")]
    assert drawn


def test_there_are_examples_enough():
    assert len(EXAMPLES) >= 12
