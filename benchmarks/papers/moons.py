"""Two moons and distances along the data, with as many clusters as there are and with more.

Data, network and hop distance: `moons.py` and its configurations by the authors, which exist for KL
OvA and Wasserstein OvO; no results are published. "rerun" is our run of their code, ten seeds.
"""

from functools import cache, partial

import harness
import numpy as np
from scipy.sparse.csgraph import shortest_path
from scipy.spatial.distance import cdist

from papers.fits import (
    COLUMNS,
    MMDS,
    TRANSPORT,
    SeeingRawInput,
    Verdict,
    as_published,
    fit_row,
    groups,
    method_of,
    setting_of,
    tanh_network,
)

__all__ = ["COLUMNS", "cells", "measure", "verdicts"]

SEEDS = 20
HOPS, GEODESIC = "moons, hops", "moons, geodesic"
DISTANCES = (HOPS, GEODESIC)
DEFAULT, NARROW, PAPER = "default", "narrow kernel", "paper"
EDGE = 0.05  # the share of all pairs between which there is an edge
AUTO_PAIRS = 50  # of clusters, to which one-vs-one looks in a step where there are many units
NETWORK = partial(tanh_network, hidden=(10,))
TRAINING = as_published(epochs=200, learning_rate=1e-2, batch_size=100)
# Mean ARI and its standard deviation, rerun with hops: objective, K.
RERUN = {
    ("kl_ova", 2): (0.356, 0.150),
    ("kl_ova", 5): (0.258, 0.019),
    ("wasserstein_ovo", 2): (0.963, 0.116),
    ("wasserstein_ovo", 5): (0.485, 0.030),
    ("wasserstein_ova", 2): (0.963, 0.116),
    ("wasserstein_ova", 5): (0.646, 0.210),
}


def cells():
    """With "auto", the most clusters are five."""
    for setting, n_clusters, objectives in (
        (DEFAULT, 2, ("kl_ova", *MMDS, *TRANSPORT)),
        (DEFAULT, "auto", ("auto", "kl_ova", *MMDS)),
        (NARROW, 2, MMDS),
        (PAPER, 2, ("kl_ova", *TRANSPORT)),
        (PAPER, 5, ("kl_ova", *TRANSPORT)),
        (DEFAULT, 5, ("kl_ova", *MMDS, *TRANSPORT)),
        (DEFAULT, "auto", TRANSPORT),
    ):
        for seed in range(SEEDS):
            for distance in (HOPS,) if setting == PAPER else DISTANCES:
                for objective in objectives:
                    if objective not in ("kl_ova", "auto") or distance == HOPS:
                        method = method_of(setting, n_clusters)
                        yield harness.Cell(distance, method, objective, seed)


@cache
def data():
    from gemclust.datasets import make_two_moons

    return make_two_moons()


@cache
def distances(name):
    from gemclust.distances import geodesic_distances

    X, _ = data()
    if name == GEODESIC:
        return geodesic_distances(X)
    straight = cdist(X, X)
    hops = shortest_path(straight < np.quantile(straight, EDGE), unweighted=True)
    return np.where(np.isfinite(hops), hops, 2 * len(X))


def kernel(name, narrow):
    """exp(-(D / s)^2) of the distances D, s its width."""
    return np.exp(-np.square(distances(name) / width(name, narrow)))


def width(name, narrow):
    """The longest distance within the moons, or the median one."""
    lengths = distances(name)
    within = lengths[lengths < lengths.max()]
    return np.median(within) if narrow else within.max()


def measure(cell):
    from gemclust import GeminiClustering
    from gemclust.objectives import Wasserstein

    X, y = data()
    setting, n_clusters = setting_of(cell.method)
    options = {"random_state": cell.seed, "objective": cell.objective}
    auto = n_clusters == "auto"
    options |= {"max_clusters": 5} if auto else {"n_clusters": n_clusters}
    seen = {}
    mode = cell.objective[-3:]
    if cell.objective in TRANSPORT:
        pairs = AUTO_PAIRS if auto and mode == "ovo" else None
        metric = "geodesic" if cell.dataset == GEODESIC else "precomputed"
        options["objective"] = Wasserstein(mode, metric=metric, n_pairs=pairs)
        if metric == "precomputed":
            seen["affinity"] = distances(cell.dataset)
        if pairs:
            options |= {"batch_size": 100, "max_iter": 100}
    elif cell.objective in MMDS:
        seen["affinity"] = kernel(cell.dataset, setting == NARROW)
    if setting == PAPER:
        X = X.astype(np.float32)
        options |= TRAINING | {"model": SeeingRawInput(NETWORK, X)}
    return fit_row(GeminiClustering(**options), X, y, **seen)


def verdicts(rows):
    ari = groups(rows, "ari")
    counts = groups(rows, "n_found")
    for distance in DISTANCES:
        found = [ari.get((distance, method_of(DEFAULT, 2), name), []) for name in TRANSPORT]
        yield _all_ones(f"{distance}: K = 2, ARI 1 in all fits by Wasserstein", found)
    for distance in DISTANCES:
        keys = [(distance, method_of(DEFAULT, "auto"), name) for name in TRANSPORT]
        twos = all((counts.get(key, np.array([])) == 2).all() for key in keys)
        claim = f'{distance}: "auto", two clusters and ARI 1 in all fits by Wasserstein'
        yield _all_ones(claim, [ari.get(key, []) for key in keys], twos)


def _all_ones(claim, found, also=True):
    if any(len(values) < SEEDS for values in found):
        return Verdict(claim, ", ".join(f"{len(values)} fits" for values in found), None)
    ones = [int((values == 1).sum()) for values in found]
    text = ", ".join(f"{one} of {len(v)}" for one, v in zip(ones, found, strict=True))
    return Verdict(claim, text, also and all(one == SEEDS for one in ones))
