"""The number of clusters that each method finds: ours, its peers, and an oracle that is told.

    python benchmarks/selection.py [--only PATTERN ...] [--seeds 5] [--redo]
    python benchmarks/selection.py --summary

Rows go to results/selection.csv as they are done; running again continues. A PATTERN is matched
with SET/METHOD/MAX_SAMPLES, for example 'fcps/*' or '*/hdbscan_15/2000'.
"""

import harness  # isort: skip  (limits the threads before numpy is imported)

import signal
import sys
from contextlib import contextmanager
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import suite
from datasets import Unavailable
from selection_methods import METHODS, UNSEEDED, Problem

RESULTS = Path(__file__).parent / "results"
COLUMNS = [*harness.Cell._fields, "n_samples", "true", "found", "exact", "within_one", "ari"]
COLUMNS += ["seconds", "note"]
# At most that many samples of a set; only generated ones have more than ALL.
FEW, ALL, WHOLE, MOST = "2000", "10000", "20000", "200000"
REAL = ("fcps", "wut", "uci", "sklearn")
TIME_LIMIT = 120  # seconds of the processor for each fit
SINGLE_SEED = 500  # samples above which gemclus is run with one seed
# Methods that run on further sets as well, and those that run on unimodal samples.
FURTHER = ["gemclust", *UNSEEDED[:4], "g_means", "dip_means", "mixture_bic", "kmeans_oracle"]
ALONE = ["gemclust", "hdbscan_15_reassigned", "dip_means"]
CROWDING = [*ALONE[:2], "hdbscan_5_reassigned", "kmeans_oracle", "gemclust_tree_oracle"]
SPLITTING = [*FURTHER, "x_means", "kmeans_gap", "bayesian_mixture", "mean_shift"]


@cache
def n_samples(name):
    try:
        return len(suite.fetch(name)[0])
    except Unavailable:
        return 0  # one cell of it is left, which will say why


def cells(n_seeds):
    """Seed 0 of all methods first; further seeds only where the data or the method differ."""
    wanted = [(name, FEW) for name in suite.NAMES]
    wanted += [
        (name, ALL)
        for name in suite.NAMES
        if suite.kind(name) in REAL and n_samples(name) > int(FEW)
    ]
    more = [*suite.BLOBS_MANY, *suite.DENSE_CURVES, *suite.TOUCHING]
    wanted += [(name, ALL) for name in suite.OUTSIDE]
    further = [(method, name) for method in FURTHER for name in more]
    further += [(method, name) for method in ALONE for name in (*suite.ONE_FEATURE, *suite.PAIRS)]
    further += [
        (method, name)
        for method in CROWDING
        for name in (*suite.CROWDED, *suite.FAR, *suite.IMITATIONS)
    ]
    one = [*suite.UNIMODAL, *suite.WIDER, *suite.CURVES]
    further += [(method, name) for method in SPLITTING for name in one]
    further = [(method, name, ALL) for method, name in further]
    further += [(m, name, ALL) for m in ALONE[:2] for name in suite.MANY_FEATURES]
    further += [(ALONE[0], name, MOST) for name in suite.MANY_SAMPLES]
    for seed in range(n_seeds):
        for method, (name, most) in product(METHODS, wanted):
            size = n_samples(name)
            seeded = method not in UNSEEDED or size > int(most)
            if method.startswith("gemclus_") and size > SINGLE_SEED:
                seeded = False
            if seeded or seed == 0:
                yield harness.Cell(name, method, most, seed)
        if seed == 0:
            for method, name, most in further:
                yield harness.Cell(name, method, most, seed)


class TimeLimit(Exception):
    """A fit took longer than ``TIME_LIMIT``."""


@contextmanager
def time_limit(seconds):
    def stop(*_):
        raise TimeLimit

    # Time of the processor: what else the machine does must not decide. Then again each second:
    # code that swallows the first one must not go on for ever.
    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def measure(cell):
    """One row; a fit that is stopped is a miss with ARI 0."""
    X, labelings = suite.load(cell.dataset, int(cell.objective), cell.seed)
    true = suite.true_numbers(labelings)
    problem = Problem(X, suite.upper_bound(cell.dataset), cell.seed, labelings)
    labels = []

    def fit():
        with time_limit(TIME_LIMIT):
            labels.append(METHODS[cell.method](problem))

    row = {"n_samples": len(X), "true": "|".join(map(str, sorted(true)))}
    try:
        seconds, warned = harness.timed(fit)
    except TimeLimit:
        missed = {"found": "", "exact": 0, "within_one": 0, "ari": 0.0}
        return row | missed | {"seconds": float(TIME_LIMIT), "note": "stopped"}
    found = len(np.unique(labels[0][labels[0] >= 0]))
    distance = min(abs(found - number) for number in true)
    return row | {
        "found": found,
        "exact": int(distance == 0),
        "within_one": int(distance <= 1),
        "ari": suite.ari(labels[0], labelings),
        "seconds": seconds,
        "note": "; ".join(warned),
    }


SCORES = ("exact", "within_one", "ari")


class Results:
    """The rows of results/selection.csv, averaged over the seeds of each set."""

    def __init__(self, path=RESULTS / "selection.csv"):
        self.rows = {}
        for row in harness.read(path):
            key = row["method"], row["dataset"], row["objective"]
            self.rows.setdefault(key, []).append(row)

    def of(self, method, name, most):
        """The rows of one set; what has no more than FEW samples is not run twice."""
        rows = self.rows.get((method, name, most), [])
        return rows or (self.rows.get((method, name, FEW), []) if n_samples(name) <= 2000 else [])

    def mean(self, method, names, most=FEW):
        """Shares of exact and within one, and mean ARI; None unless every set has a row."""
        groups = [self.of(method, name, most) for name in names]
        if not groups or not all(groups):
            return None
        return [
            float(np.mean([np.mean([float(row[score]) for row in rows]) for rows in groups]))
            for score in SCORES
        ]


def groups():
    """Name -> sets of the suite, as the columns of the study's table."""
    kinds = {name: suite.kind(name) for name in suite.NAMES}
    titles = {"fcps": ["fcps"], "wut": ["wut"], "uci, iris, digits": ["uci", "sklearn"]}
    titles |= {"one cluster": ["one"], "generated, K > 1": ["generated"]}
    return {f"all {len(kinds)}": list(kinds)} | {
        title: [name for name in kinds if kinds[name] in wanted] for title, wanted in titles.items()
    }


def summarise():
    """Print the table of the study: share exact / share within one / mean ARI."""
    results = Results()
    columns = groups()
    print(f"{'at most 2,000 samples':24}", *(f"{name:>17}" for name in columns))
    for method in METHODS:
        means = [results.mean(method, names) for names in columns.values()]
        if any(means):
            print(f"{method:24}", *(f"{text(mean):>17}" for mean in means))
    real = [name for name in suite.NAMES if suite.kind(name) in REAL]
    print(f"\n{'all points':24} {f'{len(real)} real':>17}")
    for method in METHODS:
        if mean := results.mean(method, real, ALL):
            print(f"{method:24} {text(mean):>17}")


def text(mean):
    return "/".join(f"{value:.2f}" for value in mean) if mean else "not run"


def main():
    parser = harness.parser(__doc__, seeds=5)
    parser.add_argument("--summary", action="store_true", help="summarise the rows, run nothing")
    options = parser.parse_args()
    if options.summary:
        return summarise()
    harness.limit_torch()
    print(harness.environment())
    chosen = [cell for cell in cells(options.seeds) if cell.matches(options.only)]
    path = RESULTS / "selection.csv"
    return harness.run(chosen, measure, path, COLUMNS, options.redo) > 0


if __name__ == "__main__":
    sys.exit(main())
