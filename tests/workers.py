"""One of several processes that fit together: `python workers.py scenario rank size folder`.

Each scenario runs many fits and leaves a pickle of their results by name, so that few processes
are started.
"""

import os
import pickle
import signal
import sys
import time
import warnings
from datetime import timedelta
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch
import torch.distributed as dist
from sklearn.base import clone
from sklearn.datasets import make_blobs
from torch import nn

from gemclust import GeminiClustering, automatic, canonical, estimator, shards
from gemclust.objectives import KL, MMD
from gemclust.progress import Progress

TIMEOUT = 60
"""Seconds that a collective waits for the other process."""

SHORT_TIMEOUT = 5
"""The same where the other process is to hang."""

SMALL = {
    (canonical, "MERGE_SAMPLES"): 2_000,
    (shards, "MERGE_SAMPLES"): 2_000,
    (automatic, "FULL_BATCH_SAMPLES"): 1_200,
    (automatic, "FIRST_SAMPLES"): 300,
}
"""So that few samples are many."""

CENTRES = 5 * np.random.RandomState(7).normal(size=(4, 3))
N_SAMPLES = 2_600


def with_dropout(n_features, n_clusters):
    return nn.Sequential(nn.Linear(n_features, 6), nn.Dropout(0.0), nn.Linear(6, n_clusters))


# name -> (parameters, dtype, whether weighted, size of the first shard)
FITS = {
    "mmd_ovo mlp": ({}, np.float32, False, 1_000),
    "mmd_ovo mlp, weights": ({}, np.float64, True, 1_000),
    "mmd_ova linear": ({"objective": "mmd_ova", "model": "linear"}, np.float32, True, 1_300),
    "first shard large": ({"model": "linear", "n_init": 3}, np.float64, False, 2_300),
    "tiny shard": ({"model": "linear"}, np.float32, True, 2_590),
    "kl_ova": ({"objective": "kl_ova", "alpha": 0.01}, np.float64, True, 900),
    "entropy": ({"objective": "mi", "entropy": 0.3}, np.float64, True, 900),
    "tv_ova": ({"objective": "tv_ova", "model": "linear"}, np.float32, True, 900),
    "tv_ovo": ({"objective": "tv_ovo", "model": "linear"}, np.float64, False, 1_700),
    "hellinger_ovo": ({"objective": "hellinger_ovo", "model": "linear"}, np.float32, True, 1_500),
    "chi2_ova": ({"objective": "chi2_ova", "model": "linear"}, np.float32, False, 1_500),
    "rbf": ({"objective": MMD("ovo", kernel="rbf", n_components=20)}, np.float64, True, 1_000),
    "cosine": ({"objective": MMD(kernel="cosine")}, np.float32, False, 1_000),
    "adam": ({"solver": "adam", "batch_size": None, "max_iter": 30}, np.float64, True, 1_000),
    "mini-batches": ({"solver": "adam", "batch_size": 500, "max_iter": 8}, np.float64, True, 1_900),
    "module": ({"model": with_dropout, "solver": "lbfgs"}, np.float64, False, 1_000),
    "auto": ({"n_clusters": "auto", "n_units": 20}, np.float64, True, 1_000),
    "units": ({"n_units": 12}, np.float64, False, 1_600),
    "few iterations": ({"max_iter": 2}, np.float32, False, 1_000),
}


def make_data(dtype, weighted, n_samples=N_SAMPLES):
    X, _ = make_blobs(n_samples, centers=CENTRES, cluster_std=1.5, random_state=0)
    weight = np.random.RandomState(1).uniform(0.2, 2, n_samples) if weighted else np.ones(n_samples)
    if weighted:
        weight[::10] = 0
    return X.astype(dtype), weight.astype(dtype)


def make(**parameters):
    defaults = {"n_clusters": 4, "random_state": 0, "n_init": 2, "max_iter": 40}
    return GeminiClustering(**defaults | parameters)


def summary(model):
    """What two fits of one model to the same data must share."""
    return {
        "labels": model.labels_,
        "value": model.objective_value_,
        "n_iter": model.n_iter_,
        "parameters": model._parameters,
        "proportions": model.cluster_proportions_,
    }


def make_case(given, dtype):
    """In float32 rounding alone leads paths apart, the further the longer they are."""
    return make(**{"tol": 1e-2 if dtype == np.float32 else 1e-4} | given)


def fit_alone(name):
    given, dtype, weighted, _ = FITS[name]
    X, weight = make_data(dtype, weighted)
    return summary(make_case(given, dtype).fit(X, sample_weight=weight))


def own(rank, first, *arrays):
    """The rows of this process."""
    part = slice(first) if rank == 0 else slice(first, None)
    return [array[part] for array in arrays]


def agreement(rank):
    for name, (given, dtype, weighted, first) in FITS.items():
        X, weight = own(rank, first, *make_data(dtype, weighted))
        fit = make_case(given, dtype).fit
        yield name, lambda X=X, weight=weight, fit=fit: summary(fit(X, sample_weight=weight))
    X, weight = make_data(np.float64, True)
    part = own(rank, 1_000, X, weight)
    sparse = np.where(np.abs(X) < 2, 0, X)
    yield (
        "sparse",
        lambda: summary(
            make().fit(sp.csr_array(own(rank, 1_000, sparse)[0]), sample_weight=part[1])
        ),
    )
    few = own(rank, 300, X[:700], weight[:700])
    yield "few", lambda: summary(make().fit(few[0], sample_weight=few[1]))
    yield "no seed", lambda: summary(make(random_state=None, model="linear").fit(part[0]))
    yield "few, no seed", lambda: summary(make(random_state=None).fit(few[0]))
    yield "stopped in one", lambda: stopped_in_one(rank, part[0])


def stopped_in_one(rank, X):
    """Training that a report ends in the second process only, on the first samples."""

    class Impatient(Progress):
        def __call__(self, iteration, loss):
            return rank == 1 and iteration == 2

    estimator.Progress = Impatient
    try:
        return summary(make().fit(X))
    finally:
        estimator.Progress = Progress


class Fragile(KL):
    """Goes wrong in the second process at some evaluation on its shard, as `harm` says."""

    calls = 0
    n_samples = 0

    def __init__(self, mode="ova", harm="nan", at=0):
        super().__init__(mode)
        self.harm = harm
        self.at = at

    def means(self, batch, *earlier):
        found = super().means(batch, *earlier)
        if dist.get_rank() == 0 or batch.log_proba.shape[1] != Fragile.n_samples:
            return found
        Fragile.calls += 1
        if Fragile.calls < self.at:
            return found
        if self.harm == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.harm == "hang":
            time.sleep(10 * TIMEOUT)
        return tuple(mean * torch.nan for mean in found)


def fitted_in_one(rank, X):
    model = make(max_iter=3).fit(X)
    (model if rank == 1 else clone(model)).partial_fit(X)


def failures(rank):
    X, _ = make_data(np.float64, False)
    (part,) = own(rank, 1_000, X)

    def fit(X=part, affinity=None, sample_weight=None, **given):
        Fragile.calls, Fragile.n_samples = 0, len(X)
        make(**given).fit(X, affinity=affinity, sample_weight=sample_weight)

    second = rank == 1
    bad = part.copy()
    bad[3, 1] = np.nan if second else bad[3, 1]
    yield "nan in one shard", lambda: fit(bad)
    yield "another number of features", lambda: fit(part[:, : 2 if second else 3])
    yield "another dtype", lambda: fit(part.astype(np.float32 if second else np.float64))
    yield "another parameter", lambda: fit(alpha=0.1 if second else 0.2)
    yield "another objective", lambda: fit(objective="kl_ova" if second else "tv_ova")
    yield "bad parameter in one", lambda: fit(max_iter=0 if second else 10)
    yield (
        "bad weights in one",
        lambda: fit(sample_weight=-np.ones(len(part)) if second else np.ones(len(part))),
    )
    yield "wasserstein", lambda: fit(objective="wasserstein_ova")
    yield "affinity", lambda: fit(affinity=part @ part.T)
    yield "exact kernel", lambda: fit(objective=MMD(kernel="rbf", n_components=None))
    yield "diverged at once", lambda: fit(objective=Fragile())
    yield "diverged later", lambda: fit(objective=Fragile(at=5), solver="adam", batch_size=None)
    yield "no device in one", lambda: fit(device="nowhere" if second else "cpu")
    yield "fitted in one", lambda: fitted_in_one(rank, part)
    yield "fits after all that", lambda: fit(max_iter=3)
    fragile = Fragile(harm="kill", at=8)
    yield "killed", lambda: fit(objective=fragile, solver="adam", batch_size=None)


def hanging(rank):
    """One fit, in which the second process stops answering."""
    (part,) = own(rank, 1_000, make_data(np.float64, False)[0])
    Fragile.n_samples = len(part)
    fragile = make(objective=Fragile(harm="hang", at=8), solver="adam", batch_size=None)
    yield "hanging", lambda: fragile.fit(part)


SCENARIOS = {"agreement": agreement, "failures": failures, "hanging": hanging}


def main(scenario, rank, size, folder):
    for (module, name), value in SMALL.items():
        setattr(module, name, value)
    warnings.simplefilter("ignore")

    def connect(store, timeout):
        dist.init_process_group(
            "gloo",
            init_method=f"file://{folder}/{store}",
            rank=rank,
            world_size=size,
            timeout=timedelta(seconds=timeout),
        )

    connect("store", TIMEOUT)
    if scenario == "hanging":
        # Processes start seconds apart, which a short timeout would not bear.
        dist.barrier()
        dist.destroy_process_group()
        connect("second store", SHORT_TIMEOUT)
    results = {}
    for name, run in SCENARIOS[scenario](rank):
        try:
            results[name] = run()
        except Exception as error:
            results[name] = error
        Path(folder, f"result{rank}").write_bytes(pickle.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
