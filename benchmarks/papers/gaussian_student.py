"""Three Gaussians and a Student-t in the plane, with as many clusters as there are and with eight.

Data, network and training: `gaussian_student_mixture.py` and the configurations of the authors.
The samples are theirs, one by one. `PUBLISHED` is aggregated from their result files, 20 runs each.
"""

from functools import cache, partial

import harness
import numpy as np
from scipy.stats import multivariate_normal, multivariate_t
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

from papers.fits import (
    CHI2,
    COLUMNS,
    F_DIVERGENCES,
    GEMINIS,
    MMDS,
    TRANSPORT,
    InParts,
    SeeingRawInput,
    Verdict,
    agreement,
    as_published,
    fit_row,
    groups,
    method_of,
    setting_of,
    standard_error,
    tanh_network,
)

__all__ = ["COLUMNS", "cells", "measure", "verdicts"]

SEEDS = 20
PAPER, DEFAULT, BLENDED = "paper", "default", "paper, running means"
AGAIN = "paper, other seeds"
SAME = "our training of the paper's network"
NETWORK = partial(tanh_network, hidden=(20, 20))
# The same functions: its second hidden layer is linear.
NETWORK_HERE = {"hidden_layer_sizes": (20,), "activation": "tanh"}
TRAINING = as_published(epochs=100, learning_rate=1e-3, batch_size=100)
BASELINES = ("kmeans", "mixture, full", "mixture, diagonal")
ORACLE = "oracle"
DATASETS = {"gstm_df2": 2, "gstm_df1": 1}
# Mean ARI, its standard deviation (n - 1), mean number of clusters; the largest number is 4 or 8.
CONDITIONS = [("gstm_df2", 4), ("gstm_df2", 8), ("gstm_df1", 4), ("gstm_df1", 8)]
_PUBLISHED = {
    "kl_ova": [
        (0.883, 0.182, 4.00), (0.761, 0.101, 5.85), (0.939, 0.006, 4.00), (0.742, 0.092, 5.70),
    ],
    "kl_ovo": [
        (0.731, 0.140, 3.20), (0.891, 0.129, 3.80), (0.723, 0.114, 3.20), (0.755, 0.163, 3.40),
    ],
    "tv_ova": [
        (0.940, 0.097, 3.90), (0.973, 0.004, 4.00), (0.904, 0.104, 3.90), (0.925, 0.031, 4.20),
    ],
    "tv_ovo": [
        (0.971, 0.005, 4.00), (0.620, 0.053, 6.60), (0.938, 0.005, 4.00), (0.595, 0.055, 6.85),
    ],
    "hellinger_ova": [
        (0.923, 0.125, 3.90), (0.959, 0.043, 4.10), (0.906, 0.103, 3.90), (0.868, 0.087, 4.55),
    ],
    "hellinger_ovo": [
        (0.926, 0.112, 3.85), (0.951, 0.059, 4.15), (0.858, 0.143, 3.75), (0.887, 0.074, 4.35),
    ],
    "mmd_ova": [
        (0.953, 0.060, 3.95), (0.940, 0.033, 4.50), (0.922, 0.004, 4.00), (0.908, 0.016, 4.85),
    ],
    "mmd_ovo": [
        (0.968, 0.001, 4.00), (0.771, 0.071, 6.35), (0.921, 0.007, 4.00), (0.849, 0.048, 6.85),
    ],
    "wasserstein_ova": [
        (0.915, 0.131, 4.00), (0.889, 0.051, 5.10), (0.897, 0.096, 3.95), (0.896, 0.021, 4.80),
    ],
    "wasserstein_ovo": [
        (0.970, 0.002, 4.00), (0.803, 0.067, 6.05), (0.922, 0.006, 4.00), (0.817, 0.042, 6.85),
    ],
}  # fmt: skip
PUBLISHED = {
    (dataset, n_clusters, objective): numbers
    for objective, line in _PUBLISHED.items()
    for (dataset, n_clusters), numbers in zip(CONDITIONS, line, strict=True)
}
OFF = [
    ("gstm_df2", 4, "kl_ova"),
    ("gstm_df2", 8, "tv_ovo"),
    ("gstm_df2", 8, "mmd_ova"),
    ("gstm_df1", 8, "tv_ovo"),
]
"""Cells whose 20 fits miss the published mean: run again with as many other seeds, twice."""
ROUNDING = 0.0005  # of the published numbers
AT_LEAST, SLACK = 36, 0.02  # cells in which our defaults are no worse, and by how much in the rest


def cells():
    """Baselines first, then what takes seconds, transport last."""
    for dataset in DATASETS:
        yield harness.Cell(dataset, ORACLE, "", 0)
    for n_clusters in (4, 8):
        for dataset in DATASETS:
            for baseline in BASELINES:
                for seed in range(SEEDS):
                    yield harness.Cell(dataset, method_of(baseline, n_clusters), "", seed)
    blind, quick = (*F_DIVERGENCES, *CHI2), (*F_DIVERGENCES, *CHI2, *MMDS)
    for setting, numbers, objectives in (
        (DEFAULT, (4, "auto"), ("auto",)),
        (DEFAULT, (4,), quick),
        (PAPER, (4, 8), blind),
        (PAPER, (4, 8), MMDS),
        (DEFAULT, ("auto",), quick),
        (DEFAULT, (8,), quick),
        (SAME, (4, 8), (*F_DIVERGENCES, *MMDS)),
        (BLENDED, (4, 8), MMDS),
        (PAPER, (4,), TRANSPORT),
        (DEFAULT, (4,), TRANSPORT),
        (PAPER, (8,), TRANSPORT),
        (DEFAULT, ("auto", 8), TRANSPORT),
    ):
        for seed in range(SEEDS):
            for n_clusters in numbers:
                for dataset in DATASETS:
                    for objective in objectives:
                        yield harness.Cell(dataset, method_of(setting, n_clusters), objective, seed)
    for dataset, n_clusters, objective in OFF:
        for seed in range(SEEDS, 3 * SEEDS):
            yield harness.Cell(dataset, method_of(AGAIN, n_clusters), objective, seed)


@cache
def data(dataset):
    from gemclust.datasets import make_gaussian_student

    return make_gaussian_student(df=DATASETS[dataset])


def measure(cell):
    _, y = data(cell.dataset)
    if cell.method == ORACLE:
        return dict.fromkeys(COLUMNS[4:], "") | agreement(y, bayes_labels(cell)) | {"seconds": 0.0}
    setting, n_clusters = setting_of(cell.method)
    if setting in BASELINES:
        return measure_baseline(cell, setting, n_clusters)
    if setting in (DEFAULT, SAME):
        return measure_default(cell, n_clusters, NETWORK_HERE if setting == SAME else {})
    return measure_published(cell, setting, n_clusters)


def bayes_labels(cell):
    """The component that is most probable, all being known and of equal weight."""
    X, _ = data(cell.dataset)
    centres = 5.0 * np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    components = [multivariate_normal(centre) for centre in centres[:3]]
    components.append(multivariate_t(centres[3], df=DATASETS[cell.dataset]))
    return np.argmax([component.logpdf(X) for component in components], axis=0)


def measure_baseline(cell, baseline, n_clusters):
    X, y = data(cell.dataset)
    if baseline == "kmeans":
        model = KMeans(n_clusters, n_init=10, random_state=cell.seed)
    else:
        covariance = {"full": "full", "diagonal": "diag"}[baseline.split(", ")[1]]
        model = GaussianMixture(
            n_clusters, covariance_type=covariance, reg_covar=1e-4, random_state=cell.seed
        )
    seconds, warned = harness.timed(lambda: model.fit(X))
    row = dict.fromkeys(COLUMNS[4:], "") | agreement(y, model.predict(X))
    return row | {"seconds": seconds, "n_iter": model.n_iter_, "note": "; ".join(warned)}


def objective_of(cell):
    return InParts(cell.objective[-3:]) if cell.objective in TRANSPORT else cell.objective


def measure_default(cell, n_clusters, network):
    from gemclust import GeminiClustering

    X, y = data(cell.dataset)
    number = {"max_clusters": 8} if n_clusters == "auto" else {"n_clusters": n_clusters}
    objective = objective_of(cell)
    model = GeminiClustering(**number, objective=objective, random_state=cell.seed, **network)
    return fit_row(model, X, y)


def measure_published(cell, setting, n_clusters):
    """The network of the paper and its training, in float32.

    The matrices of all pairs are sliced in each batch, as the authors do; given X alone, MMD in
    small batches would take running means (the setting that says so).
    """
    from gemclust import GeminiClustering

    X, y = data(cell.dataset)
    affinity = None
    if cell.objective in MMDS and setting != BLENDED:
        affinity = X @ X.T
    X = X.astype(np.float32)
    model = GeminiClustering(
        n_clusters,
        objective=objective_of(cell),
        model=SeeingRawInput(NETWORK, X),
        random_state=cell.seed,
        **TRAINING,
    )
    return fit_row(model, X, y, affinity=affinity)


def against_published(rows):
    """For each published cell and ours: our ARIs under the paper's settings and under defaults."""
    ari = groups(rows, "ari")
    for (dataset, n_clusters, objective), numbers in PUBLISHED.items():
        paper = ari.get((dataset, method_of(PAPER, n_clusters), objective), np.array([]))
        number = 4 if n_clusters == 4 else "auto"
        default = ari.get((dataset, method_of(DEFAULT, number), objective), np.array([]))
        yield (dataset, n_clusters, objective), numbers, paper, default


def within_two_errors(numbers, found):
    """Whether the difference of the means is at most two of its standard errors."""
    mean, deviation, _ = numbers
    error = np.hypot(deviation / np.sqrt(SEEDS), standard_error(found))
    return abs(found.mean() - mean) <= 2 * error + ROUNDING


def verdicts(rows):
    cells = list(against_published(rows))
    done = [(key, numbers, paper) for key, numbers, paper, _ in cells if len(paper) >= SEEDS]
    holds = [within_two_errors(numbers, paper) for _, numbers, paper in done]
    yield Verdict(
        "the paper's settings: mean ARI within two standard errors (of the difference) of the "
        "published one",
        f"{sum(holds)} of {len(done)} cells"
        + (f", of {len(cells)}" if len(done) < len(cells) else ""),
        all(holds) if len(done) == len(cells) or not all(holds) else None,
    )
    done = [(numbers, found) for _, numbers, _, found in cells if len(found) >= SEEDS]
    gains = np.array([found.mean() - numbers[0] for numbers, found in done])
    above, worst = int((gains >= -ROUNDING).sum()), gains.min(initial=0)
    failed = len(gains) - above > len(cells) - AT_LEAST or worst < -SLACK
    yield Verdict(
        f"our defaults: mean ARI at least the published one in {AT_LEAST} of {len(cells)} cells, "
        f"no more than {SLACK} below in the rest",
        f"{above} of {len(done)} cells, {worst:+.3f} at worst",
        False if failed else True if len(done) == len(cells) else None,
    )
    counts = groups(rows, "n_found")
    methods = [method_of(DEFAULT, number) for number in (4, "auto")]
    mine = [
        counts.get((dataset, method, objective), np.array([]))
        for dataset in DATASETS
        for method in methods
        for objective in GEMINIS
    ]
    found = np.concatenate(mine) if mine else np.array([])
    stuck = int((found < 4).sum())
    complete = len(found) >= SEEDS * len(mine)
    yield Verdict(
        "our defaults: no fit is stuck with fewer than four clusters",
        f"{stuck} of {len(found)} fits",
        False if stuck else True if complete else None,
    )
