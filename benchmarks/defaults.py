"""How the defaults were chosen: hidden units, restarts, penalties and the linear model.

    python benchmarks/defaults.py [--only PATTERN ...] [--seeds 3] [--redo]

Rows go to results/defaults.csv as they are done; running again continues.
"""

import harness  # isort: skip  (limits the threads before numpy is imported)

import sys

import numpy as np
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
# Virtual adversarial training; radii in median distances of the samples from their centre.
SMOOTH = {"vat 0": {"solver": "adam"}} | {
    f"vat 1, radius {radius:g}": {"vat": 1.0, "vat_radius": radius}
    for radius in (0.05, 0.1, 0.2, 0.4, 0.8)
}
CHOSEN = {
    "mmd_ova": VARIANTS,
    "mmd_ovo": VARIANTS | SMOOTH,
    "mi": BLIND | SMOOTH,
    "hellinger_ova": SMOOTH,
}
REAL = [name for name, dataset in DATASETS.items() if not dataset.generated]


def cells(n_seeds):
    """The cross product."""
    for seed in range(n_seeds):
        for dataset in REAL:
            for objective, variants in CHOSEN.items():
                for variant in variants:
                    yield harness.Cell(dataset, variant, objective, seed)


def measure(cell):
    """Fit one variant and evaluate it as every method is."""
    from gemclust import GeminiClustering

    X, _, n_clusters = data(cell.dataset)
    options = dict(CHOSEN[cell.objective][cell.method])
    if "vat_radius" in options:
        options["vat_radius"] *= float(np.median(np.linalg.norm(X - X.mean(0), axis=1)))
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
