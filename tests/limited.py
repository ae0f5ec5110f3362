"""Fits a model in a process that may take only so much memory beyond what it has."""

import resource
import sys

import numpy as np
import scipy.sparse as sp
import torch

from gemclust import GeminiClustering
from gemclust.objectives import MMD


def features(n_samples, n_features=32):
    """Float32 samples around two places, made without float64 ones in between."""
    X = np.random.default_rng(0).random((n_samples, n_features), dtype=np.float32)
    X[::3] += 1
    return X


def sparse(n_samples, per_row=16):
    data = features(n_samples, per_row).ravel()
    columns = np.tile(np.arange(per_row, dtype=np.int32), n_samples)
    starts = np.arange(0, len(data) + 1, per_row, dtype=np.int32)
    return sp.csr_array((data, columns, starts), shape=(n_samples, 4 * per_row))


LARGE = 3_000_000  # 366 MiB of float32
SQUARE = 30_000  # of which a matrix of all pairs, of one byte each, takes 858 MiB
CASES = {
    "array": (lambda: features(LARGE), {}, 300),
    "tensor": (lambda: torch.from_numpy(features(LARGE)), {}, 300),
    "csr": (lambda: sparse(LARGE), {}, 340),
    "mmd": (lambda: features(SQUARE, 3), {}, 500),
    "rbf": (lambda: features(SQUARE, 3), {"objective": MMD("ovo", kernel="rbf")}, 500),
    "tv_ovo": (lambda: features(SQUARE, 3), {"objective": "tv_ovo"}, 500),
    "sliced": (lambda: features(SQUARE, 3), {"objective": "sliced_wasserstein_ova"}, 500),
    "auto": (lambda: features(SQUARE, 3), {"n_clusters": "auto"}, 500),
    # To see that the limit is one.
    "copy": (lambda: features(LARGE), {"copy": True}, 300),
    "pairs": (lambda: features(SQUARE, 3), {"pairs": True}, 500),
}


def size_of_process():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def main(case):
    make, parameters, megabytes = CASES[case]
    torch.set_num_threads(1)
    X = make()
    model = GeminiClustering(2, model="linear", n_init=1, max_iter=3, random_state=0)
    if "n_clusters" in parameters:
        model.set_params(model="auto")
    model.set_params(**{k: v for k, v in parameters.items() if k not in ("copy", "pairs")})
    model.fit(X[:1_000])  # what is loaded on the way takes memory, too
    limit = size_of_process() + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    if "copy" in parameters:
        X = X.copy()
    if "pairs" in parameters:
        torch.zeros(len(X), len(X), dtype=torch.bool)
    model.fit(X)
    model.predict(X)
    print("fitted")


if __name__ == "__main__":
    main(sys.argv[1])
