"""The simulation behind the level of valleys: how deep they are in samples with one mode.

    python benchmarks/unimodal.py [--only PATTERN ...] [--redo]

Rows go to results/unimodal.csv as they are done; running again continues. A PATTERN is matched with
SAMPLE/gemclust/auto, for example 'student_*' or '*_d2_n500/*'. No other benchmark uses these
samples. benchmarks/pages_valleys.py writes the tables.
"""

import harness  # isort: skip  (limits the threads before numpy is imported)

import sys
import zlib
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import suite
from sklearn.preprocessing import StandardScaler
from valleys import recorded

RESULTS = Path(__file__).parent / "results" / "unimodal.csv"
COLUMNS = [*harness.Cell._fields, "n_samples", "found", "depths", "seconds", "note"]
SHAPES = ("gaussian", "uniform", "student", "exponential")
DIMENSIONS = (1, 2, 3, 5, 8, 30)
DRAWS = {50: 20, 150: 20, 500: 10, 1500: 10, 5000: 5}  # of so many points
MAX_CLUSTERS = 20
# Of the data around a valley, which is not that of the space: from each to the next.
EDGES = (1, 1.2, 1.5, 2, 2.5, 3.5, 5, 8, np.inf)


def cells():
    """The number of a draw is its seed."""
    for n_samples, draws in DRAWS.items():
        for draw, d, shape in product(range(draws), DIMENSIONS, SHAPES):
            yield harness.Cell(f"{shape}_d{d}_n{n_samples}", "gemclust", "auto", draw)


def sample(cell):
    shape, d, n_samples = cell.dataset.split("_")
    name = f"level/{cell.dataset}_{cell.seed}"
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    X, _ = suite.one(rng, shape, int(d[1:]), int(n_samples[1:]))
    return StandardScaler().fit_transform(X)


def depths(n_points, valleys):
    """Dimension -> depth of the deepest valley in data of about this dimension.

    The depth is what c(d) in the level would have to be for the valley to be judged as just real.
    """
    from gemclust.valleys import factor, level

    relative = valleys.depth / level(n_points, valleys.scale, valleys.dimension)
    deepest = relative.argmax(axis=0), np.arange(relative.shape[1])
    dimension = valleys.dimension[deepest]
    needed = valleys.significance(n_points) * factor(dimension)
    found = {}
    for low, high in pairwise(EDGES):
        inside = np.flatnonzero((low <= dimension) & (dimension < high))
        if len(inside):
            top = inside[needed[inside].argmax()]
            found[dimension[top]] = needed[top]
    return found


def measure(cell):
    from gemclust import GeminiClustering
    from gemclust.valleys import Depths

    X = sample(cell)
    model = GeminiClustering(max_clusters=MAX_CLUSTERS, random_state=cell.seed)
    with recorded() as taken:
        seconds, warned = harness.timed(lambda: model.fit(X))
    found = {}
    if taken and taken[-1][1]:
        _, valleys, size, counts = taken[-1]
        found = depths(size[-1], Depths.stack(valleys)[counts])
    return {
        "n_samples": len(X),
        "found": model.n_clusters_,
        "depths": "|".join(f"{dimension:.4g}:{depth:.4g}" for dimension, depth in found.items()),
        "seconds": seconds,
        "note": "; ".join(warned),
    }


if __name__ == "__main__":
    sys.exit(harness.main(__doc__, cells, measure, RESULTS, COLUMNS))
