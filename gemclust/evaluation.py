"""The GEMINI of all samples, and p(y|x) of all samples, a chunk at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gemclust.chunks import Rows, Watch, chunk_size, chunks, map_chunks, sum_chunks, unwatched
from gemclust.distributed import ALONE, Processes
from gemclust.geometry import Geometry
from gemclust.means import stages
from gemclust.models import Model, log_probabilities_of
from gemclust.objectives import Batch, Objective
from gemclust.samples import Samples
from gemclust.threads import one_thread_if_small

TRANSPORT_PART = 2_000


def gemini(
    objective: Objective,
    geometry: Geometry,
    weight: Tensor,
    log_proba: Callable[[Rows], Tensor],
    size: int,
    processes: Processes = ALONE,
    model: Model | None = None,
    watch: Watch = unwatched,
) -> NDArray[Any]:
    """The GEMINI of each restart in the units of X, from log p(y|x) of at most `size` rows a time.

    Of an objective that compares all samples, and of more than a matrix of all distances is made
    for, it is the mean over random parts of `TRANSPORT_PART` samples; or of as many as it wants.
    """

    def batch(rows: Rows, mass: float | Tensor = 1.0, known: Tensor | None = None) -> Batch:
        share = (weight if rows is None else weight[rows]) / mass
        known = log_proba(rows) if known is None else known
        return Batch(known, share, **geometry.take(rows), unit=geometry.unit, watch=watch)

    with torch.no_grad():
        parts = chunks(len(weight), size)
        n_parts = n_transport_parts(objective, geometry, len(weight))
        if n_parts > 1:
            order = np.random.RandomState(0).permutation(len(weight))
            total = torch.zeros((), device=weight.device)
            for rows in np.array_split(order, n_parts):
                mass = weight[rows].sum()
                total = total + mass * objective.evaluate(batch(np.sort(rows), mass))
                watch("part")
        elif not objective.n_stages or geometry.matrix is not None:
            whole = torch.cat([log_proba(part) for part in parts], dim=1)
            total = objective.evaluate(batch(None, known=whole))
        elif len(parts) == 1 and not processes.several:
            total = objective.evaluate(batch(None))
        else:
            means = stages(
                objective,
                lambda function: sum_chunks(
                    lambda part: function(batch(part)), parts, model, watch
                ),
                processes,
            )
            flat = [mean for stage in means for mean in stage]
            total = geometry.unit**objective.homogeneity * objective.value(*flat)
        return total.cpu().numpy()


def n_transport_parts(objective: Objective, geometry: Geometry, n_samples: int) -> int:
    """Over how many random parts of the samples `gemini` takes the mean."""
    most = objective.value_samples
    if most is None and geometry.distances is not None:
        most = TRANSPORT_PART
    return 1 if most is None else -(-n_samples // most)


def n_parts(
    objective: Objective,
    geometry: Geometry,
    n_samples: int,
    size: int,
    n_restarts: int,
    n_clusters: int,
) -> int:
    """How many parts `gemini` tells of."""
    within = objective.n_told(n_restarts, n_clusters)
    if (parts := n_transport_parts(objective, geometry, n_samples)) > 1:
        return parts * (within + 1)
    if within:
        return within
    by_means = objective.n_stages and geometry.matrix is None
    return objective.n_stages * -(-n_samples // size) if by_means and n_samples > size else 0


def evaluate(
    objective: Objective, log_proba: Tensor, weight: Tensor, geometry: Geometry
) -> NDArray[Any]:
    """The GEMINI in the units of X of log p(y|x) that is at hand for all samples."""
    width = 0 if geometry.features is None else geometry.features.width
    size = chunk_size(len(weight), log_proba[:, :1].numel() + width)
    return gemini(
        objective,
        geometry,
        weight / weight.sum(),
        lambda rows: log_proba if rows is None else log_proba[:, rows],
        size,
    )


def log_probabilities(
    model: Model,
    parameters: Tensor,
    inputs: Samples,
    clusters: Sequence[Sequence[int]] | None = None,
    then: Callable[[Tensor], Tensor] = lambda log_proba: log_proba,
    watch: Watch = unwatched,
) -> Tensor:
    """log p(y|x), of shape (n_restarts, n_samples, n_clusters), or what `then` makes of a chunk."""

    def of_chunk(part: Rows) -> Tensor:
        with torch.no_grad():
            logits = model.logits(parameters, inputs.take(part))
            return then(log_probabilities_of(logits, clusters))

    first, *others = parts_of(model, len(parameters), inputs)
    with one_thread_if_small(len(inputs) * parameters.numel()):
        result = of_chunk(first)
        if not others:
            return result
        whole = result.new_empty(len(result), len(inputs), *result.shape[2:])
        whole[:, first] = result
        watch("part")

        def write(part: Rows) -> None:
            whole[:, part] = of_chunk(part)

        for _ in map_chunks(write, others, model):
            watch("part")
        return whole


def parts_of(model: Model, n_restarts: int, inputs: Samples) -> list[Rows]:
    """The chunks in which `log_probabilities` takes the samples."""
    return chunks(len(inputs), chunk_size(len(inputs), n_restarts * model.width + inputs.width))
