"""Checks of the estimator's parameters and what "auto" means."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from gemclust.distributed import ALONE, Processes
from gemclust.geometry import EXACT_TRANSPORT_SAMPLES
from gemclust.messages import did_you_mean, warn
from gemclust.models import ACTIVATIONS, Model, ModuleModel
from gemclust.objectives import Objective, get_objective
from gemclust.penalties import Penalties
from gemclust.samples import MERGE_SAMPLES, as_array, to_tensor, working_dtype
from gemclust.selection import MergeTree, Selection
from gemclust.training import Settings

if TYPE_CHECKING:
    from gemclust.estimator import GeminiClustering

MODELS = ("auto", "local", "mlp", "linear", "categorical")
_DTYPES = {np.float32: torch.float32, np.float64: torch.float64}
INITS = ("k-means++", "random")
SOLVERS = ("auto", "lbfgs", "adam", "sgd")
FULL_BATCH_SAMPLES = 10_000
TRANSPORT_SAMPLES = 500
TRANSPORT_BATCH = 200
RESTARTS = 10
UNITS = 100
UNIT_SAMPLES = 8
MOST_UNITS = 400
FIRST_SAMPLES = 2_500
GROWTH = 8
TRANSPORT_RESTARTS = 3

BATCH = 10
"""Samples in a batch, times the square root of their number. Measured, training comes near the
optimum in about as many steps whatever the batch, if it is not small: larger ones take more epochs
to it, but less time for each, and for those without improvement that end training."""

CLUSTER_BATCH = 25
"""Least samples in a batch for each cluster: with a quarter of it, steps are mostly noise."""

RUNNING_BATCH = 200
"""Up to so many samples in a batch, the means of an objective with a kernel run over batches.
Measured, that gains in small batches, delays training in large ones, and does not help objectives
that see probabilities only."""

VAT_RADIUS = 0.4
"""Length of adversarial perturbations, in typical distances of samples from their centre."""

RUNNING_SHARE = 0.5
"""Weight of the newest batch in running means."""

# Parameters in which processes that fit together may differ.
_OWN = ("device", "random_state", "verbose")

Rule = Callable[[Any], bool]


def _integer(least: int) -> Rule:
    def good(value: Any) -> bool:
        if not isinstance(value, int | np.integer) or isinstance(value, bool):
            return False
        return bool(value >= least)

    return good


def _number(positive: bool) -> Rule:
    def good(value: Any) -> bool:
        if not isinstance(value, int | float | np.number) or isinstance(value, bool):
            return False
        return bool(np.isfinite(value) and (value > 0 if positive else value >= 0))

    return good


def _one_of(*names: str | None) -> Rule:
    return lambda value: isinstance(value, str | None) and value in names


def _either(first: Rule, second: Rule) -> Rule:
    return lambda value: first(value) or second(value)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


_RULES: dict[str, tuple[Rule, str]] = {
    "n_clusters": (_either(_one_of("auto"), _integer(1)), "'auto' or an integer of at least 1"),
    "max_clusters": (_either(_one_of(None), _integer(1)), "None or an integer of at least 1"),
    "n_units": (_either(_one_of("auto"), _integer(1)), "'auto' or an integer of at least 1"),
    "min_cluster_size": (
        _either(_one_of(None), _number(positive=True)),
        "None or a positive number",
    ),
    "sensitivity": (_number(positive=True), "a positive number"),
    "model": (
        _either(_one_of(*MODELS), callable),
        f"one of {_listed(MODELS)}, a torch.nn.Module or a function that makes one",
    ),
    "hidden_layer_sizes": (
        lambda v: all(map(_integer(1), v if isinstance(v, list | tuple | np.ndarray) else [v])),
        "an integer of at least 1, or a sequence of such",
    ),
    "activation": (_one_of(*ACTIVATIONS), f"one of {_listed(ACTIVATIONS)}"),
    "init": (_one_of(*INITS), f"one of {_listed(INITS)}"),
    "n_init": (_either(_one_of("auto"), _integer(1)), "'auto' or an integer of at least 1"),
    "solver": (_one_of(*SOLVERS), f"one of {_listed(SOLVERS)}"),
    "learning_rate": (
        _either(_one_of("auto"), _number(positive=True)),
        "'auto' or a positive number",
    ),
    "batch_size": (
        _either(_one_of("auto", None), _integer(1)),
        "'auto', None or an integer of at least 1",
    ),
    "max_iter": (_integer(1), "an integer of at least 1"),
    "tol": (_number(positive=False), "a number of at least 0"),
    "n_iter_no_change": (_integer(1), "an integer of at least 1"),
    "alpha": (_number(positive=False), "a number of at least 0"),
    "entropy": (_number(positive=False), "a number of at least 0"),
    "vat": (_number(positive=False), "a number of at least 0"),
    "vat_radius": (
        _either(_one_of("auto"), _number(positive=True)),
        "'auto' or a positive number",
    ),
    "device": (lambda v: isinstance(v, str | torch.device), "'auto' or a device of torch"),
    "verbose": (_either(lambda v: isinstance(v, bool), _integer(0)), "an integer of at least 0"),
}

_NAMES = {"model": MODELS, "activation": ACTIVATIONS, "init": INITS, "solver": SOLVERS}


def check_parameters(estimator: GeminiClustering) -> Objective:
    """Raise a ValueError that names the first parameter that is wrong; return the objective."""
    for name, (good, expected) in _RULES.items():
        value = getattr(estimator, name)
        if not good(value):
            hint = did_you_mean(value, _NAMES.get(name, ("auto",)))
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
        raise ValueError(
            f"{given} model={estimator.model!r}, which has no gradient with respect to X. Use "
            "'mlp', 'linear' or a module."
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
    if estimator.n_clusters == "auto" and X.shape[0] > MERGE_SAMPLES:
        raise ValueError(
            f"model='categorical' finds the number of clusters among at most {MERGE_SAMPLES} "
            f"samples, but X has {X.shape[0]}: set n_clusters, or take another model."
        )


def resolve_penalties(estimator: GeminiClustering, scale: float, n_features: int) -> Penalties:
    """What is added to the objective, in the units of the model's input."""
    radius = estimator.vat_radius
    radius = VAT_RADIUS * math.sqrt(n_features) if radius == "auto" else float(radius) / scale
    alpha, entropy, vat = float(estimator.alpha), float(estimator.entropy), float(estimator.vat)
    return Penalties(alpha, entropy, vat, radius)


def resolve_n_units(
    estimator: GeminiClustering, n_given: int, n_samples: int, n_distinct: int
) -> int:
    """Number of outputs of the model: at least one for each cluster, at most one for each row."""
    n_clusters, n_units = estimator.n_clusters, estimator.n_units
    if n_clusters == "auto":
        wanted = max(2, min(UNITS, n_samples // UNIT_SAMPLES)) if n_units == "auto" else n_units
        return min(int(wanted), n_distinct)
    if n_given < int(n_clusters):
        raise ValueError(
            f"n_samples={n_given} should be >= n_clusters={n_clusters}: each cluster needs a "
            "sample."
        )
    if n_distinct < int(n_clusters):
        warn(
            f"Only {n_distinct} distinct samples have positive weight: "
            f"n_clusters={n_clusters} clusters cannot be found among them.",
            ConvergenceWarning,
        )
    return min(int(n_clusters if n_units == "auto" else n_units), n_distinct)


def more_units(
    estimator: GeminiClustering, n_units: int, found: int, n_samples: int, n_distinct: int
) -> int:
    """Units to begin anew with where there were few for the clusters found, or 0."""
    if estimator.n_clusters != "auto" or estimator.n_units != "auto" or estimator.warm_start:
        return 0
    most = min(MOST_UNITS, n_samples // UNIT_SAMPLES, n_distinct)
    few = n_units >= UNITS and 3 * found > n_units
    return 2 * n_units if few and 2 * n_units <= most else 0


def resolve_number(estimator: GeminiClustering, tree: MergeTree) -> int:
    """Where to cut the tree of units."""
    if estimator.n_clusters != "auto":
        return int(estimator.n_clusters)
    found = tree.n_clusters(float(estimator.sensitivity))
    return found if estimator.max_clusters is None else min(found, int(estimator.max_clusters))


def resolve_cut(selection: Selection, n_clusters: Any, sensitivity: Any) -> int:
    """How many clusters a tree is cut into, of which one of the two tells."""
    if (n_clusters is None) == (sensitivity is None):
        raise ValueError("Give either n_clusters or sensitivity.")
    if n_clusters is None:
        good, expected = _RULES["sensitivity"]
        if not good(sensitivity):
            raise ValueError(f"{sensitivity=} is not possible; it must be {expected}.")
        return selection.n_clusters(float(sensitivity))
    most = len(selection.leaves)
    if not _integer(1)(n_clusters) or n_clusters > most:
        raise ValueError(
            f"{n_clusters=} is not possible; it must be an integer from 1 to {most}, the number of "
            "units."
        )
    return int(n_clusters)


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


def resolve_device(device: str) -> torch.device:
    """The device of that name; "auto" is CUDA if present."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=device).device
    except (AssertionError, RuntimeError) as error:
        raise ValueError(f"device={device!r} cannot be used; try 'auto' or 'cpu'.") from error


def resolve_settings(
    estimator: GeminiClustering, objective: Objective, n_samples: int, n_units: int
) -> Settings:
    """What the solver and the batch size are on this many samples, for so many clusters."""
    transport = objective.affinity == "distance"
    few = n_samples <= (TRANSPORT_SAMPLES if transport else FULL_BATCH_SAMPLES)
    solver, batch_size = estimator.solver, estimator.batch_size
    if solver == "auto":
        built_in = isinstance(estimator.model, str)
        all_at_once = few or objective.n_stages > 0
        given = isinstance(batch_size, int | np.integer)
        exact = getattr(objective, "n_pairs", None) is None
        fixed = all_at_once and exact and not given and not estimator.vat
        solver = "lbfgs" if fixed and built_in else "adam"
    if batch_size == "auto":
        enough = max(BATCH * math.isqrt(n_samples), CLUSTER_BATCH * n_units)
        batch_size = None if few else TRANSPORT_BATCH if transport else enough
    batch_size = None if solver == "lbfgs" or batch_size is None else int(batch_size)
    small = objective.affinity == "kernel" and (batch_size or np.inf) <= RUNNING_BATCH
    learning_rate = estimator.learning_rate
    if learning_rate == "auto":
        learning_rate = 1e-2 if isinstance(estimator.model, str) else 1e-3
    return Settings(
        solver=solver,
        batch_size=batch_size,
        learning_rate=float(learning_rate),
        max_iter=int(estimator.max_iter),
        tol=float(estimator.tol),
        n_iter_no_change=int(estimator.n_iter_no_change),
        running_means=RUNNING_SHARE if small else None,
    )


def level_sizes(n_samples: int, objective: Objective) -> list[int]:
    """On how many samples to train, one after the other; each at most `GROWTH` times the last."""
    transport = objective.affinity == "distance"
    if n_samples <= (EXACT_TRANSPORT_SAMPLES if transport else FULL_BATCH_SAMPLES):
        return [n_samples]
    first = TRANSPORT_SAMPLES if transport else FIRST_SAMPLES
    steps = math.ceil(math.log(n_samples / first) / math.log(GROWTH))
    return [round(first * (n_samples / first) ** (step / steps)) for step in range(steps + 1)]


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


def resolve_n_init(
    estimator: GeminiClustering,
    model: Model,
    objective: Objective,
    settings: Settings,
    X: Any,
    merging: bool,
) -> int:
    """The number of restarts; a user's module is tried on two samples first."""
    if isinstance(model, ModuleModel) and not sp.issparse(X):
        model.logits(model.initialise([0], _DTYPES[X.dtype.type]), to_tensor(X[:2]))
    if isinstance(model, ModuleModel) and sp.issparse(X) and estimator.n_init not in ("auto", 1):
        raise ValueError(
            f"n_init={estimator.n_init} is not possible with sparse X and a module: restarts of a "
            "module are run side by side on dense samples only. Use n_init=1 or X.toarray()."
        )
    if isinstance(model, ModuleModel) and not model.restartable:
        if estimator.n_init not in ("auto", 1):
            reason = (
                "it is an instance and has one initialisation; pass a function that makes it"
                if isinstance(estimator.model, nn.Module)
                else "it has buffers, which restarts would share"
            )
            raise ValueError(
                f"n_init={estimator.n_init} is not possible with this model: {reason}."
            )
        return 1
    if estimator.n_init != "auto":
        return int(estimator.n_init)
    if settings.solver != "lbfgs" or merging:
        return 1
    return RESTARTS if objective.n_stages else TRANSPORT_RESTARTS


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
