"""What the experiments share: fits as rows, rows as groups, and networks as in the papers."""

from itertools import pairwise
from typing import NamedTuple

import harness
import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import contingency_matrix
from torch import nn

from gemclust.distributed import ALONE
from gemclust.objectives import Wasserstein
from gemclust.samples import Scaling
from gemclust.shards import Shard

COLUMNS = [*harness.Cell._fields, "n_found", "ari", "accuracy", "objective_value"]
COLUMNS += ["seconds", "n_iter", "note"]

F_DIVERGENCES = ("kl_ova", "kl_ovo", "tv_ova", "tv_ovo", "hellinger_ova", "hellinger_ovo")
CHI2 = ("chi2_ova", "chi2_ovo")  # in no experiment of the papers
MMDS = ("mmd_ova", "mmd_ovo")
TRANSPORT = ("wasserstein_ova", "wasserstein_ovo")
GEMINIS = (*F_DIVERGENCES, *MMDS, *TRANSPORT)


class Verdict(NamedTuple):
    """One line that an experiment has to pass; `holds` is None where rows are missing."""

    claim: str
    found: str
    holds: bool | None


def as_published(epochs, learning_rate, batch_size):
    """Adam for so many epochs from one random start, with nothing that ends it earlier."""
    return {
        "init": "random",
        "n_init": 1,
        "solver": "adam",
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "max_iter": epochs,
        "n_iter_no_change": epochs,
        "tol": 0.0,
    }


def method_of(setting, n_clusters):
    return f"{setting} K={n_clusters}"


def setting_of(method):
    """The setting, and the number of clusters or "auto", of which a method's name is made."""
    setting, _, number = method.rpartition(" K=")
    return setting, number if number == "auto" else int(number)


def fit_row(model, X, y, note="", **options):
    """Fit and describe the outcome as a row."""
    seconds, warned = harness.timed(lambda: model.fit(X, **options))
    return agreement(y, model.labels_) | {
        "objective_value": model.objective_value_,
        "seconds": seconds,
        "n_iter": model.n_iter_,
        "note": "; ".join(filter(None, [note, *warned])),
    }


def agreement(y, labels):
    """Clusters used, adjusted Rand index, and accuracy under the best matching to the classes."""
    counts = contingency_matrix(y, labels)
    return {
        "n_found": len(np.unique(labels)),
        "ari": adjusted_rand_score(y, labels),
        "accuracy": counts[linear_sum_assignment(-counts)].sum() / len(y),
    }


def groups(rows, column):
    """The values of a column over the seeds, by (data set, method, objective)."""
    found = {}
    for row in rows:
        if row[column] != "":
            key = row["dataset"], row["method"], row["objective"]
            found.setdefault(key, []).append(float(row[column]))
    return {key: np.array(values) for key, values in found.items()}


def standard_error(values):
    return values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.inf


class InParts(Wasserstein):
    """Wasserstein, whose value on many samples is the mean over random parts of 250.

    The exact value of thousands of samples takes minutes and says nothing about labels.
    """

    value_samples = 250


class Unscaled(nn.Module):
    """A network on X as it is, where it is given X centred and divided by one number."""

    def __init__(self, network, scaling):
        super().__init__()
        self.network = network
        self.scale = scaling.scale
        self.register_buffer("centre", torch.as_tensor(scaling.centre))

    def forward(self, x):
        return self.network(x * self.scale + self.centre)


class SeeingRawInput:
    """A model for the estimator: the network of ``make(n_features, n_clusters)`` on X as it is."""

    def __init__(self, make, X):
        pilot = Shard(X, np.ones(len(X), dtype=X.dtype), None, ALONE).pilot
        self.make = make
        self.scaling = Scaling(pilot.X, pilot.weight)

    def __call__(self, n_features, n_clusters):
        return Unscaled(self.make(n_features, n_clusters), self.scaling)


def tanh_network(n_features, n_clusters, hidden=()):
    """Linear layers of these sizes; tanh follows the first one only, as in the authors' code."""
    sizes = (n_features, *hidden, n_clusters)
    first, *others = (nn.Linear(a, b) for a, b in pairwise(sizes))
    return nn.Sequential(first, nn.Tanh(), *others)
