"""One thread for small work: torch's pool costs more than it gives there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

SMALL_PRODUCT = 2**28
"""Multiplications a step below which one thread beats a pool of them."""

_threads = threading.Lock()


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
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        yield
    finally:
        torch.set_num_threads(before)
        _threads.release()
