"""What stands behind the number of clusters: how pure the units are, and other sensitivities.

    python benchmarks/units.py [--only PATTERN ...] [--redo]

One fit for each set, model and objective, seed 0. Rows go to results/units.csv as they are done;
running again continues. A PATTERN is matched with SET/MODEL/OBJECTIVE, for example 'fcps/*',
'*/mlp/*' or '*/auto/auto'. benchmarks/pages_selection.py writes the tables.
"""

import harness  # isort: skip  (limits the threads before numpy is imported)

import sys
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import numpy as np
import suite
from selection import ALL, FEW, REAL, TIME_LIMIT, TimeLimit, n_samples, time_limit

RESULTS = Path(__file__).parent / "results" / "units.csv"
STOPPED = "stopped"
COLUMNS = [*harness.Cell._fields, "n_samples", "true", "units", "purity", "found", "tree_ari"]
COLUMNS += ["numbers", "seconds", "note"]
SENSITIVITIES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4, 1.6, 1.8, 2.0)
TUNED = [name for name in suite.NAMES if suite.tuned(name)]
DEFAULT = "auto", "auto"
WHOLE = "auto, all points", "auto"
CELLS_OF_KMEANS = "kmeans", "none"  # as many cells as there are units by default
DIVERGENCES = ("kl", "tv", "hellinger", "chi2")
BLIND = tuple(f"{name}_{against}" for name in DIVERGENCES for against in ("ova", "ovo"))
# Transport between each two of a hundred units takes minutes.
TRANSPORT = ("wasserstein_ova", "sliced_wasserstein_ova")
OBJECTIVES = ("mmd_ova", "mmd_ovo", *BLIND, *TRANSPORT)
VARIANTS = [(model, objective) for model in ("local", "mlp", "linear") for objective in OBJECTIVES]
# Free logits need an objective that sees where points lie.
VARIANTS += [("categorical", objective) for objective in ("mmd_ova", "mmd_ovo", *TRANSPORT)]
# Method -> the model, and names of constants in the library with other values.
CONSTANTS = {
    f"{model}, {text}": (model, {name: value})
    for model, text, name, value in (
        ("local", "500 iterations", "fitting.UNIT_ITERATIONS", 500),
        ("mlp", "500 iterations", "fitting.UNIT_ITERATIONS", 500),
        ("mlp", "start of 5 iterations", "seeding.UNIT_IMITATION", {"lbfgs": 5}),
        ("mlp", "start of 100 iterations", "seeding.UNIT_IMITATION", {"lbfgs": 100}),
    )
}
CHANGED = [(method, objective) for method in CONSTANTS for objective in ("mmd_ova", "kl_ova")]
MODELS = {WHOLE[0]: ("auto", {})} | CONSTANTS


def cells():
    """The default on all sets, for the frontier; the variants on the tuned half."""
    for name in (*suite.NAMES, *suite.UNIMODAL):
        yield harness.Cell(name, *DEFAULT, 0)
    for name in suite.NAMES:
        if suite.kind(name) in REAL and n_samples(name) > int(FEW):
            yield harness.Cell(name, *WHOLE, 0)
    for variant in (CELLS_OF_KMEANS, *VARIANTS, *CHANGED):
        for name in TUNED:
            yield harness.Cell(name, *variant, 0)


def purity(labels, labelings):
    """The share of samples that are of the commonest class of their unit, noise left out."""
    shares = []
    for y in labelings:
        counts = np.zeros((labels.max() + 1, y.max() + 1), dtype=int)
        np.add.at(counts, (labels, y), 1)
        shares.append(counts[:, 1:].max(axis=1).sum() / (y > 0).sum())
    return float(max(shares))


def of_kmeans(X, seed):
    from sklearn.cluster import KMeans

    from gemclust.automatic import UNIT_SAMPLES, UNITS

    return KMeans(min(UNITS, len(X) // UNIT_SAMPLES), n_init=1, random_state=seed).fit_predict(X)


def judge(model, X, labelings, bound):
    """What one fit says: its units, the number at its own and at other sensitivities, its tree."""
    evidence = model.selection_
    units, _ = model.cut(X, n_clusters=len(evidence.leaves))
    true = {min(number, len(evidence.leaves)) for number in suite.true_numbers(labelings)}
    aris = [suite.ari(model.cut(X, n_clusters=k)[0], labelings) for k in true]
    numbers = [min(evidence.n_clusters(s), bound) for s in SENSITIVITIES]
    return {
        "units": len(np.unique(units)),
        "purity": purity(units, labelings),
        "found": model.n_clusters_,
        "tree_ari": max(aris),
        "numbers": "|".join(map(str, numbers)),
    }


def measure(cell):
    """One row; of a fit that is stopped there is nothing but that."""
    from gemclust import GeminiClustering

    whole = cell.dataset in suite.UNIMODAL or (cell.method, cell.objective) == WHOLE
    X, labelings = suite.load(cell.dataset, int(ALL if whole else FEW), cell.seed)
    bound = suite.upper_bound(cell.dataset)
    row = {"n_samples": len(X), "true": "|".join(map(str, sorted(suite.true_numbers(labelings))))}
    model = GeminiClustering(max_clusters=bound, random_state=cell.seed)
    found = []

    def fit():
        with time_limit(TIME_LIMIT):
            if (cell.method, cell.objective) == CELLS_OF_KMEANS:
                found.append(of_kmeans(X, cell.seed))
                return
            name, constants = MODELS.get(cell.method, (cell.method, {}))
            model.set_params(model=name, objective=cell.objective)
            with ExitStack() as stack:
                for constant, value in constants.items():
                    stack.enter_context(patch(f"gemclust.{constant}", value))
                found.append(model.fit(X))

    try:
        seconds, warned = harness.timed(fit)
    except TimeLimit:
        return row | {"seconds": float(TIME_LIMIT), "note": STOPPED}
    row |= {"seconds": seconds, "note": "; ".join(warned)}
    if found[0] is not model:
        pure = purity(found[0], labelings)
        return row | {"units": len(np.unique(found[0])), "purity": pure}
    return row | judge(model, X, labelings, bound)


if __name__ == "__main__":
    sys.exit(harness.main(__doc__, cells, measure, RESULTS, COLUMNS))
