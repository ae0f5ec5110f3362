"""How the defaults were chosen: hidden units, restarts and the linear model, side by side.

    python benchmarks/defaults.py [--only PATTERN ...] [--seeds 3] [--redo]

Rows go to results/defaults.csv as they are done; running again continues.
"""

import harness  # isort: skip  (limits the threads before numpy is imported)

import sys
from itertools import product

from datasets import DATASETS
from quality import COLUMNS, RESULTS, data, evaluate

VARIANTS = {
    "linear": {"model": "linear"},
    **{f"hidden {size}": {"hidden_layer_sizes": (size,)} for size in (16, 32, 64, 128)},
    "hidden 32, 32": {"hidden_layer_sizes": (32, 32)},
    **{f"restarts {n}": {"n_init": n} for n in (1, 3, 5, 20)},
    "alpha 0.0001": {"alpha": 1e-4},
    "alpha 0.001": {"alpha": 1e-3},
    "alpha 0.01": {"alpha": 1e-2},
}
# With these the objective sees probabilities only, and the model is what keeps it sane.
BLIND = {
    "linear": {"model": "linear"},
    "linear, alpha 0.01": {"model": "linear", "alpha": 1e-2},
}
REAL = [name for name, dataset in DATASETS.items() if not dataset.generated]


def cells(n_seeds):
    """The cross product."""
    for seed in range(n_seeds):
        for dataset in REAL:
            for objectives, variants in ((("mmd_ova", "mmd_ovo"), VARIANTS), (("mi",), BLIND)):
                for variant, objective in product(variants, objectives):
                    yield harness.Cell(dataset, variant, objective, seed)


def measure(cell):
    """Fit one variant and evaluate it as every method is."""
    from gemclust import GeminiClustering

    X, _, n_clusters = data(cell.dataset)
    options = (BLIND if cell.objective == "mi" else VARIANTS)[cell.method]
    model = GeminiClustering(
        n_clusters, objective=cell.objective, random_state=cell.seed, **options
    )
    seconds, warned = harness.timed(lambda: model.fit(X))
    proba = model.predict_proba(X)
    note = f"mean confidence {proba.max(axis=1).mean():.4f}"
    fitted = {"assignment": proba, "seconds": seconds, "n_iter": model.n_iter_}
    return evaluate(cell, note="; ".join([note, *warned]), **fitted)


if __name__ == "__main__":
    sys.exit(harness.main(__doc__, cells, measure, RESULTS / "defaults.csv", COLUMNS, seeds=3))
