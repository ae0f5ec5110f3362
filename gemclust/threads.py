"""One thread for small tensors, where torch's pool costs more than it gives; or a pool of ours."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

SMALL_PRODUCT = 2**28
"""Multiplications a step below which one thread beats a pool of them."""

_threads = threading.Lock()
_before: int | None = None


@contextmanager
def one_thread_if_small(multiplications: float) -> Iterator[None]:
    """Run small tensor operations on one thread and restore the user's setting after it.

    The setting belongs to the process, so it is changed from the main thread only.
    """
    if (
        multiplications > SMALL_PRODUCT
        or torch.get_num_threads() == 1
        or threading.current_thread() is not threading.main_thread()
        or not _threads.acquire(blocking=False)
    ):
        yield
        return
    global _before
    before = _before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        yield
    finally:
        torch.set_num_threads(before)
        _before = None
        _threads.release()


def n_workers() -> int:
    """How many threads a pool may have: torch's, as the user set them; 1 outside the main thread.

    Examples
    --------
    >>> before = torch.get_num_threads()
    >>> torch.set_num_threads(2)
    >>> with one_thread_if_small(1):
    ...     torch.get_num_threads(), n_workers()
    (1, 2)
    >>> torch.set_num_threads(before)
    """
    if threading.current_thread() is not threading.main_thread():
        return 1
    return _before or torch.get_num_threads()


def in_threads(call: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """The result of a call that releases the GIL for each item, in order.

    Examples
    --------
    >>> list(in_threads(abs, [-1, 2]))
    [1, 2]
    """
    workers = min(n_workers(), len(items))
    if workers < 2:
        yield from map(call, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(call, items)
