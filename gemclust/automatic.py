"""What the estimator's parameters come to on the data at hand: "auto", and what depends on it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from gemclust.geometry import EXACT_TRANSPORT_SAMPLES
from gemclust.messages import did_you_mean, warn
from gemclust.models import Model
from gemclust.modules import ModuleModel
from gemclust.objectives import Objective
from gemclust.penalties import Penalties
from gemclust.samples import to_tensor
from gemclust.selection import MergeTree
from gemclust.training import Settings

if TYPE_CHECKING:
    from gemclust.estimator import GeminiClustering
    from gemclust.shards import Shard


_DTYPES = {np.float32: torch.float32, np.float64: torch.float64}

DEVICES = ("auto", "cpu", "cuda", "mps", "xpu")
FULL_BATCH_SAMPLES = 10_000

TRANSPORT_SAMPLES = 500

TRANSPORT_BATCH = 200

RESTARTS = 10

UNITS = 100

UNIT_SAMPLES = 8

MOST_UNITS = 400

LEFT_UNITS = 4
JOINED_UNITS = 2
"""Where less than one unit in four wins, and at most two for each cluster, these are no evidence
of how many clusters there are."""

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


def resolve_penalties(estimator: GeminiClustering, scale: float, n_features: int) -> Penalties:
    """What is added to the objective, in the units of the model's input."""
    radius = estimator.vat_radius
    radius = VAT_RADIUS * math.sqrt(n_features) if radius == "auto" else float(radius) / scale
    alpha, entropy, vat = float(estimator.alpha), float(estimator.entropy), float(estimator.vat)
    return Penalties(alpha, entropy, vat, radius)


def resolve_joining(estimator: GeminiClustering) -> bool:
    """Whether there may be more units than clusters, so that they are joined."""
    return estimator.n_clusters == "auto" or estimator.n_units not in ("auto", estimator.n_clusters)


def resolve_spread(estimator: GeminiClustering) -> bool:
    """Whether units are joined, of a model that may be given other values than those of X."""
    named = isinstance(estimator.model, str) and estimator.model != "categorical"
    return named and resolve_joining(estimator)


def _n_distinct(estimator: GeminiClustering, shard: Shard) -> int:
    """How many samples the model can tell apart: free logits, all of which an affinity is known."""
    free = isinstance(estimator.model, str) and estimator.model == "categorical"
    return shard.n_total if free and shard.data.affinity is not None else shard.n_distinct


def _spread_sizes(estimator: GeminiClustering, shard: Shard) -> tuple[int, int]:
    """Number of samples that are there for units, and of distinct ones among them."""
    if shard.spread is shard.pilot:
        return shard.n_total, _n_distinct(estimator, shard)
    return len(shard.spread), len(shard.spread)


def resolve_n_units(estimator: GeminiClustering, shard: Shard) -> int:
    """Number of outputs of the model: at least one for each cluster, at most one for each row."""
    n_clusters, n_units = estimator.n_clusters, estimator.n_units
    n_distinct = _n_distinct(estimator, shard)
    if n_clusters == "auto":
        n_samples, n_distinct = _spread_sizes(estimator, shard)
        wanted = max(2, min(UNITS, n_samples // UNIT_SAMPLES)) if n_units == "auto" else n_units
        return min(int(wanted), n_distinct)
    if shard.n_given < int(n_clusters):
        raise ValueError(
            f"n_samples={shard.n_given} should be >= n_clusters={n_clusters}: each cluster needs a "
            "sample."
        )
    if n_distinct < int(n_clusters):
        warn(
            f"Only {n_distinct} distinct sample{'s have' if n_distinct > 1 else ' has'} positive "
            f"weight: n_clusters={n_clusters} clusters cannot be found.",
            ConvergenceWarning,
        )
    return min(int(n_clusters if n_units == "auto" else n_units), n_distinct)


def more_units(estimator: GeminiClustering, n_units: int, found: int, shard: Shard) -> int:
    """Units to begin anew with where there were few for the clusters found, or 0."""
    if estimator.n_clusters != "auto" or estimator.n_units != "auto" or estimator.warm_start:
        return 0
    n_samples, n_distinct = _spread_sizes(estimator, shard)
    most = min(MOST_UNITS, n_samples // UNIT_SAMPLES, n_distinct)
    if n_units < UNITS:
        return 0
    more = n_units
    while 3 * found > more and 2 * more <= most:
        more *= 2
    return more if more > n_units else 0


def resolve_number(estimator: GeminiClustering, tree: MergeTree) -> int:
    """Where to cut the tree of units."""
    if estimator.n_clusters != "auto":
        return min(int(estimator.n_clusters), tree.n_leaves)
    found = tree.n_clusters(float(estimator.sensitivity))
    return found if estimator.max_clusters is None else min(found, int(estimator.max_clusters))


def warn_of_lost_units(
    estimator: GeminiClustering, n_units: int, n_winning: int, found: int
) -> None:
    """Say so where few units are left and hardly any are joined: clusters were lost with others."""
    if LEFT_UNITS * n_winning >= n_units or n_winning > JOINED_UNITS * found:
        return
    remedy = "Leave n_units, model and objective at 'auto'."
    if (estimator.n_units, estimator.model, estimator.objective) == ("auto", "auto", "auto"):
        remedy = "With many features, reduce them first, as by PCA."
    if estimator.alpha:
        remedy = f"alpha={estimator.alpha} is too large for so many units: take less of it, or 0."
    warn(
        f"Only {n_winning} of {n_units} units win a sample, so that there may be more clusters "
        f"than the {found} that {'they form' if n_winning > 1 else 'it forms'}. {remedy}",
        ConvergenceWarning,
    )


def resolve_device(device: str | torch.device) -> torch.device:
    """The device of that name; "auto" is CUDA if present."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        number = torch.zeros((), device=device)
        number.item()  # a device that holds no values raises
    except (AssertionError, RuntimeError) as error:
        # Less similar is "gpu" to "cpu".
        hint = did_you_mean(device, DEVICES, cutoff=0.7)
        message = f"device={device!r} cannot be used; try 'auto' or 'cpu'.{hint}"
        raise ValueError(message) from error
    return number.device


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
    n_init = RESTARTS if objective.n_stages else TRANSPORT_RESTARTS
    if settings.solver != "lbfgs" or merging:
        n_init = 1
    if estimator.n_init != "auto":
        n_init = int(estimator.n_init)
    if n_init > 1 and isinstance(model, ModuleModel):
        if sp.issparse(X):
            return 1
        error = _side_by_side_error(model, to_tensor(X[:2]))
        if error and estimator.n_init == "auto":
            return 1
        if error:
            raise ValueError(
                f"n_init={n_init} is not possible with this model: torch cannot run one of its "
                f"layers for several restarts side by side ({error}). Use n_init=1, and choose "
                "among several random_state."
            ) from error
    return n_init


def _side_by_side_error(model: ModuleModel, X: torch.Tensor) -> RuntimeError | None:
    """What torch says if a module that runs alone has a layer without a batched form."""
    try:
        model.logits(model.initialise([0, 1], X.dtype), X)
    except RuntimeError as error:
        return error
    return None
