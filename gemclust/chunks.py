"""Samples a chunk at a time, several chunks at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from gemclust.models import Model
from gemclust.threads import in_threads, one_thread_if_small

WHOLE = 2**22
"""Samples for which the model holds at most so many numbers are taken all at once."""

CHUNK = 2**20
"""More samples are taken in chunks, for each of which the model holds so many numbers."""

Watch = Callable[[str], object]
"""Is told the name of each step that is done."""


def unwatched(step: str) -> None:
    """Nobody looks on."""


Rows = NDArray[Any] | slice | None


def chunk_size(n_samples: int, width: int) -> int:
    """How many samples of that width make a chunk; as many as there are if all fit in one."""
    return n_samples if n_samples * width <= WHOLE else max(1, CHUNK // width)


def chunks(n_samples: int, size: int) -> list[Rows]:
    """Slices of at most that size; None, which is all, if one is enough."""
    if n_samples <= size:
        return [None]
    return [slice(i, min(i + size, n_samples)) for i in range(0, n_samples, size)]


def map_chunks(
    function: Callable[[Any], Any], items: Sequence[Any], model: Model | None = None
) -> Iterator[Any]:
    """The function of each chunk, in order: each on one thread, several at a time."""
    if len(items) < 2 or not (model is None or model.parallel):
        yield from map(function, items)
        return
    with one_thread_if_small(0):
        yield from in_threads(function, items)


def sum_chunks(
    function: Callable[[Any], Sequence[Tensor]],
    items: Sequence[Any],
    model: Model | None = None,
    watch: Watch = unwatched,
) -> list[Tensor]:
    """Sums, in float64, of the tensors that the function makes of each chunk.

    They are added as they come: small tensors that live on among the large ones of chunks split
    the freed memory that the next chunks need, and the process grows by a chunk for each.
    """
    sums: list[Tensor] = []
    for parts in map_chunks(function, items, model):
        if not sums:
            sums = [part.to(torch.float64, copy=True) for part in parts]
        else:
            sums = [total.add_(part) for total, part in zip(sums, parts, strict=True)]
        if len(items) > 1:
            watch("part")
    return sums
