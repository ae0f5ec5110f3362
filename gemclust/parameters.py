"""Checks of the estimator's parameters and what "auto" means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from gemclust import automatic
from gemclust.distributed import ALONE, Processes
from gemclust.messages import did_you_mean
from gemclust.models import ACTIVATIONS, Model
from gemclust.modules import ModuleModel
from gemclust.objectives import Objective, get_objective
from gemclust.rules import Rule, either, integer, listed, number, one_of
from gemclust.samples import as_array, working_dtype
from gemclust.selection import Selection

if TYPE_CHECKING:
    from gemclust.estimator import GeminiClustering

MODELS = ("auto", "local", "mlp", "linear", "categorical")
INITS = ("k-means++", "random")
SOLVERS = ("auto", "lbfgs", "adam", "sgd")


# Parameters in which processes that fit together may differ.
_OWN = ("device", "random_state", "verbose")

_RULES: dict[str, tuple[Rule, str]] = {
    "n_clusters": (either(one_of("auto"), integer(1)), "'auto' or an integer of at least 1"),
    "max_clusters": (either(one_of(None), integer(1)), "None or an integer of at least 1"),
    "n_units": (either(one_of("auto"), integer(1)), "'auto' or an integer of at least 1"),
    "min_cluster_size": (
        either(one_of(None), number(positive=True)),
        "None or a positive number",
    ),
    "sensitivity": (number(positive=True), "a positive number"),
    "model": (
        either(one_of(*MODELS), callable),
        f"one of {listed(MODELS)}, a torch.nn.Module or a function that makes one",
    ),
    "hidden_layer_sizes": (
        lambda v: all(map(integer(1), v if isinstance(v, list | tuple | np.ndarray) else [v])),
        "an integer of at least 1, or a sequence of such",
    ),
    "activation": (one_of(*ACTIVATIONS), f"one of {listed(ACTIVATIONS)}"),
    "init": (one_of(*INITS), f"one of {listed(INITS)}"),
    "n_init": (either(one_of("auto"), integer(1)), "'auto' or an integer of at least 1"),
    "solver": (one_of(*SOLVERS), f"one of {listed(SOLVERS)}"),
    "learning_rate": (
        either(one_of("auto"), number(positive=True)),
        "'auto' or a positive number",
    ),
    "batch_size": (
        either(one_of("auto", None), integer(1)),
        "'auto', None or an integer of at least 1",
    ),
    "max_iter": (integer(1), "an integer of at least 1"),
    "tol": (number(positive=False), "a number of at least 0"),
    "n_iter_no_change": (integer(1), "an integer of at least 1"),
    "alpha": (number(positive=False), "a number of at least 0"),
    "entropy": (number(positive=False), "a number of at least 0"),
    "vat": (number(positive=False), "a number of at least 0"),
    "vat_radius": (
        either(one_of("auto"), number(positive=True)),
        "'auto' or a positive number",
    ),
    "device": (lambda v: isinstance(v, str | torch.device), "'auto' or a device of torch"),
    "verbose": (either(lambda v: isinstance(v, bool), integer(0)), "an integer of at least 0"),
}

_NAMES = {"model": MODELS, "activation": ACTIVATIONS, "init": INITS, "solver": SOLVERS}


def check_parameters(estimator: GeminiClustering) -> Objective:
    """Raise a ValueError that names the first parameter that is wrong; return the objective."""
    for name, (good, expected) in _RULES.items():
        value = getattr(estimator, name)
        if not good(value):
            hint = did_you_mean(value, _NAMES.get(name, ("auto",) if good("auto") else ()))
            raise ValueError(f"{name}={value!r} is not possible; it must be {expected}.{hint}")
    if estimator.solver == "lbfgs" and isinstance(estimator.batch_size, int | np.integer):
        raise ValueError(
            f"solver='lbfgs' takes all samples at once; batch_size={estimator.batch_size} needs "
            "solver='adam' or 'sgd'."
        )
    few = "auto" not in (estimator.n_clusters, estimator.n_units)
    if few and int(estimator.n_units) < int(estimator.n_clusters):
        raise ValueError(
            f"n_units={estimator.n_units} is fewer than n_clusters={estimator.n_clusters}: each "
            "cluster needs a unit."
        )
    objective = get_objective(estimator.objective)
    free = isinstance(estimator.model, str) and estimator.model == "categorical"
    if free and automatic.resolve_joining(estimator) and objective.affinity is None:
        raise ValueError(
            f"model='categorical' and {objective} both do not see where samples lie, so that no "
            "units can be joined to clusters: take MMD or Wasserstein, or give n_clusters alone."
        )
    if estimator.vat:
        _check_vat(estimator)
    if estimator.solver == "lbfgs" and getattr(objective, "n_pairs", None) is not None:
        raise ValueError(
            f"solver='lbfgs' needs the exact objective; n_pairs={objective.n_pairs} needs "
            "solver='adam' or 'sgd'."
        )
    return objective


def _check_vat(estimator: GeminiClustering) -> None:
    given = f"vat={estimator.vat} is not possible with"
    if estimator.solver == "lbfgs":
        raise ValueError(
            f"{given} solver='lbfgs': its gradient is that of no function. Use 'adam' or 'sgd'."
        )
    if isinstance(estimator.model, str) and estimator.model in ("local", "categorical"):
        sees = {"local": "features that are computed from X before", "categorical": "no X at all"}
        raise ValueError(
            f"{given} model={estimator.model!r}: it moves samples where the model sees them, and "
            f"this one sees {sees[estimator.model]}. Use 'mlp', 'linear' or a module."
        )


def check_kind_of_data(
    estimator: GeminiClustering, X: Any, weight: NDArray[Any], processes: Processes
) -> None:
    """What some parameters ask of the data."""
    if estimator.vat and sp.issparse(X):
        raise ValueError(
            f"vat={estimator.vat} moves samples in all directions, so that X has to be dense: use "
            "X.toarray(), or vat=0."
        )
    if not (isinstance(estimator.model, str) and estimator.model == "categorical"):
        return
    if processes.several:
        raise ValueError("model='categorical' is not possible in a process group.")
    if not weight.all():
        raise ValueError(
            "model='categorical' has no p(y|x) for samples of weight 0; leave them out of X."
        )


def resolve_cut(selection: Selection, n_clusters: Any, sensitivity: Any) -> Any:
    """How many clusters a tree is cut into, of which one of the two tells."""
    if (n_clusters is None) == (sensitivity is None):
        raise ValueError("Give either n_clusters or sensitivity.")
    return selection.n_clusters(sensitivity) if n_clusters is None else n_clusters


def check_sample_weight(sample_weight: Any, X: Any, processes: Processes = ALONE) -> NDArray[Any]:
    """Sample weights as an array in the dtype of X; ones for None."""
    n_samples = X.shape[0]
    if sample_weight is None:
        return np.broadcast_to(np.ones(1, dtype=working_dtype(X)), n_samples)
    weight = np.asarray(as_array(sample_weight), dtype=working_dtype(X))
    if weight.ndim == 0:
        weight = np.full(n_samples, weight)
    if weight.shape != (n_samples,):
        raise ValueError(
            f"sample_weight has shape {weight.shape}, but X has {n_samples} samples: it must have "
            f"shape ({n_samples},)."
        )
    if not np.isfinite(weight).all() or (weight < 0).any():
        bad = weight[~(np.isfinite(weight) & (weight >= 0))][0]
        raise ValueError(f"sample_weight contains {bad}; weights must be finite and not negative.")
    if not (processes.several or weight.any()):
        raise ValueError("All sample weights are zero; at least one sample must count.")
    return weight


def check_distributed(
    objective: Objective, affinity: NDArray[Any] | None, processes: Processes
) -> None:
    """Several processes compute means over their shards; an objective must be made of them."""
    if not processes.several:
        return
    if objective.n_stages == 0:
        raise ValueError(
            f"{objective} compares all samples with one another and cannot be computed from "
            "shards; in a process group use an MMD objective or an f-divergence."
        )
    nonlinear = getattr(objective, "kernel", "linear") not in ("linear", "cosine")
    exact = nonlinear and getattr(objective, "n_components", "auto") is None
    if affinity is not None or exact:
        raise ValueError(
            "A matrix of all samples is not possible in a process group: each process has only "
            "its shard. Use n_components='auto' or an integer, and no `affinity`."
        )


def check_same_everywhere(
    estimator: GeminiClustering, X: Any, processes: Processes, goes_on: bool
) -> None:
    """All processes must fit the same model to data of one kind."""
    given = {name: v for name, v in estimator.get_params().items() if name not in _OWN}
    form = "sparse" if sp.issparse(X) else "dense"
    seen = f"{X.shape[1]} {form} features of {working_dtype(X).__name__}, {given}"
    seen += ", fitted" if goes_on else ", to be fitted"
    # A function's or module's repr may end with its place in memory.
    seen = re.sub(r" at 0x[0-9a-f]+", "", seen)
    for rank, other in enumerate(processes.gather(seen)):
        if other != seen:
            raise ValueError(
                f"Process {rank} has {other}, but process {processes.rank} has {seen}."
            )


def check_same_model(last: Model, model: Model) -> None:
    """A warm start needs parameters of the same names and shapes; a module's buffers go along."""
    before, now = last.architecture, model.architecture
    if before != now:
        raise ValueError(
            f"warm_start=True, but the last fit had the model {before} and this one has {now}. "
            "Set warm_start=False after a change of the model or of n_clusters."
        )
    if isinstance(model, ModuleModel) and isinstance(last, ModuleModel):
        model.template.load_state_dict(last.template.state_dict())
