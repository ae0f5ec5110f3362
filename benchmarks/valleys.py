"""What the constants of finding the number of clusters rest on: each with other values.

    python benchmarks/valleys.py [--only PATTERN ...] [--redo]

Rows go to results/valleys.csv as they are done; running again continues. A PATTERN is matched with
SET/METHOD/MAX_SAMPLES, for example 'fcps/*' or '*/width 2/*'; METHOD names the constant of the
library that has another value. Of the suite, nothing but its tuned half is used.

On the unimodal samples, rows of the library's own values hold the deepest valley of the tree at
each scale, relative to the level.
"""

import harness  # isort: skip  (limits the threads before numpy is imported)

import sys
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from unittest.mock import patch

import numpy as np
import selection
import suite

from gemclust.fitting import Fit

RESULTS = Path(__file__).parent / "results" / "valleys.csv"
COLUMNS = [*selection.COLUMNS, "depths"]
CHOSEN, SEEDS = "chosen", 2
TUNED = [name for name in suite.NAMES if suite.tuned(name)]
# Of the unimodal samples, those on which every value is tried.
FEWER = [name for name in suite.UNIMODAL_TUNED if name.endswith(("_d2_n500_0", "_d8_n500_0"))]
# Sets of many clusters, of which few points each are drawn: what the library does about parts.
MANY = [name for name in suite.BLOBS_MANY if name[5:8] in ("k30", "k50") and name[-1] in "01"]
CROWDED = [name for name in suite.CROWDED if "/k100_" not in name]
SCALES_SEEN = [name for name in suite.UNIMODAL_TUNED if name.endswith("_0")]


def level_with(**fixed):
    """The level of valleys, but of this number of points, scale or dimension whatever it is."""
    from gemclust.valleys import level

    def changed(n_points, scale, dimension):
        given = {"n_points": n_points, "scale": scale, "dimension": dimension} | fixed
        return level(**given) * np.ones_like(scale * dimension)

    return changed


def tabled(inverse_dimensions, factors):
    """A level whose factor is linear in 1 / dimension between those of a table."""

    def level(n_points, scale, dimension):
        factor = np.interp(1 / np.asarray(dimension), inverse_dimensions, factors)
        factor = factor * np.sqrt(np.maximum(dimension, 5) / 5)
        return factor * (np.log(n_points / scale) + 0.5)

    return level


def rates(fit, original=Fit._rates):
    return original(fit)


# Method -> names of constants in the library and their values.
UNITS = {f"width {width}": {"units.WIDTH": float(width)} for width in (1, 2, 8)}
UNITS |= {"iterations 1": {"fitting.UNIT_ITERATIONS": 1}}
UNITS |= {"samples 10": {"fitting.SAMPLES_PER_UNIT": 10}}
UNITS |= {"landmarks 64": {"units.LANDMARKS": 64}}
POINTS = {"points 10": {"selection.POINTS_PER_UNIT": 10}}
STRAYS = {"strays stay": {"selection.TestPoints.settled": lambda points, units: units}}
EVENLY = {"drawn evenly": {"fitting.Fit._rates": lambda fit: np.ones(fit.shard.n_total)}}
DRAWS = {"drawn halfway": {"fitting.Fit._rates": lambda fit: np.sqrt(rates(fit))}}
DRAWS |= {f"doubt {value}": {"views.DOUBT": value} for value in (0, 4)}
VIEWS = {"principal components only": {"projections.POINTS_PER_FEATURE": np.inf}}
VIEWS |= {"scales to 86 in all views": {"views.LARGEST_OF_VIEWS": 86}}
RULE = {"small groups in turn": {"valleys.JOINED_FIRST": np.inf}}
CLEAR = {"no clear gap": {"thresholds.CLEAR_LEVEL": np.inf}}
EXTENT = {"extent ignored": {"valleys.PLANE": np.inf}}
SEVERAL = {"one level": {"thresholds.MANY": 0.0, "thresholds.MANY_SURROUNDED": 0.0}}
SEVERAL |= {f"several {value}": {"thresholds.MANY_SURROUNDED": value} for value in (0.1, 0.15, 0.3)}
CURVES = {"several 0.2 along curves": {"thresholds.SURROUNDED": 0.0}}
FAR = {f"clear parts {value:g}": {"thresholds.PARTS": value} for value in (0.0, 0.5)}
RULE |= CLEAR | SEVERAL | CURVES | FAR | EXTENT
RULE |= {"gap power 0": {"valleys.GAP_POWER": 0.0}, "deepest 1": {"valleys.DEEPEST": 1}}
RULE |= {"level 1.1 at 1": {"valleys.NO_WAY_ROUND": 0.99}}
# Five numbers instead of two, with a fall between 2 and 2.5 dimensions.
TABLE = (0, 1 / 5, 1 / 2.5, 1 / 2, 1), (0.23, 0.38, 0.42, 0.60, 0.98)
SPACE = {
    "level lower in space": {"valleys.EACH_DIRECTION": 0.09},
    "level higher in space": {"valleys.EACH_DIRECTION": 0.13},
    "level of a table": {"valleys.level": tabled(*TABLE)},
}
RULE |= SPACE
# What is hardly ever passed between 1.2 and 2 dimensions in samples with one mode.
SIMULATED = (0, 1 / 5, 1 / 2.5, 1 / 2, 1 / 1.2, 1), (0.23, 0.38, 0.42, 0.50, 0.50, 0.98)
RULE |= {"level as simulated": {"valleys.level": tabled(*SIMULATED)}}
PARTS = {f"part {value}": {"valleys.PART": value} for value in (1, 1_000_000)}
FIXED = {
    f"level of {name} {value}": {"valleys.level": {name: value}}
    for name, value in (("n_points", 500), ("scale", 8), ("dimension", 2))
}
CONSTANTS = {CHOSEN: {}} | UNITS | POINTS | STRAYS | EVENLY | DRAWS | VIEWS | RULE | PARTS | FIXED


def cells():
    """The library's own values first, then one seed of each other value."""
    for seed in range(SEEDS):
        for name in TUNED:
            yield harness.Cell(name, CHOSEN, selection.FEW, seed)
    for name in SCALES_SEEN:
        yield harness.Cell(name, CHOSEN, selection.ALL, 0)
    for method in (CHOSEN, *PARTS):
        for name in MANY:
            yield harness.Cell(name, method, selection.FEW, 0)
    groups = (
        (CLEAR, suite.FEW_EACH),
        (SEVERAL | CURVES, suite.CLOSE),
        (SEVERAL | CURVES, CROWDED),
        (FAR | CURVES, suite.FAR),
        (SEVERAL | CURVES, suite.DENSE_CURVES),
        (EXTENT | SPACE, suite.WIDER),
    )
    for methods, names in groups:
        for method, name in product((CHOSEN, *methods), names):
            yield harness.Cell(name, method, selection.WHOLE, 0)
    for method in (CHOSEN, *STRAYS, *EVENLY, *DRAWS):
        for name in suite.SMALL_GROUPS:
            yield harness.Cell(name, method, selection.WHOLE, 0)
    for method in (CHOSEN, *STRAYS, *EVENLY):
        for name in suite.RARE_GROUPS:
            yield harness.Cell(name, method, selection.MOST, 0)
    # With so few samples nothing is drawn.
    for method in [name for name in CONSTANTS if name not in (CHOSEN, *EVENLY, *DRAWS)]:
        for name in TUNED:
            yield harness.Cell(name, method, selection.FEW, 0)
        for name in FEWER:
            yield harness.Cell(name, method, selection.ALL, 0)


@contextmanager
def constants(method):
    """The library with other numbers in it."""
    with ExitStack() as stack:
        for name, value in CONSTANTS[method].items():
            value = level_with(**value) if method in FIXED else value
            stack.enter_context(patch(f"gemclust.{name}", value))
        yield


@contextmanager
def recorded():
    """A list that takes in, of each tree, its pairs, their valleys and sizes, and which count."""
    from gemclust import valleys

    taken, judge = [], valleys.heights_of

    def heights_of(*tree):
        taken.append(tree)
        return judge(*tree)

    with patch.object(valleys, "heights_of", heights_of):
        yield taken


def depths(_, found, size, counts):
    """Scale -> the deepest valley of the tree at this scale, relative to its level."""
    from gemclust.valleys import Depths, level

    valleys = Depths.stack(found)[counts]
    relative = valleys.depth / level(size[-1], valleys.scale, valleys.dimension)
    scales = valleys.scale[:, 0]
    return {k: relative[scales == k].max(initial=0) for k in np.unique(scales)}


def measure(cell):
    with constants(cell.method), recorded() as taken:
        row = selection.measure(cell._replace(method="gemclust"))
    found = {}
    if cell.method == CHOSEN and cell.dataset in suite.UNIMODAL_TUNED:
        found = depths(*taken[-1])
    return row | {"depths": "|".join(f"{scale}:{depth:.4g}" for scale, depth in found.items())}


if __name__ == "__main__":
    sys.exit(harness.main(__doc__, cells, measure, RESULTS, COLUMNS))
