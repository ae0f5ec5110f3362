"""The processes that fit one model together, each on its own shard of the data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor


class Processes:
    """Those that compute together; in one alone, every method returns what it is given.

    Parameters
    ----------
    rank : int
        Number of this process.
    size : int
        How many there are.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size

    @property
    def several(self) -> bool:
        """Whether there are others."""
        return self.size > 1

    def sum(self, tensors: list[Tensor]) -> list[Tensor]:
        """Each tensor's sum over the processes, by one collective for all of them."""
        if not self.several or not tensors:
            return tensors
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in tensors])
        return [part.reshape(t.shape) for part, t in zip(parts, tensors, strict=True)]

    def any(self, flag: bool) -> bool:
        """Whether it is true in any process."""
        return True in self.gather(flag)

    def gather(self, value: Any) -> list[Any]:
        """The value of each process, in the order of their ranks."""
        if not self.several:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def first(self, value: Any) -> Any:
        """The value of the first process, for all."""
        return self.gather(value if self.rank == 0 else None)[0]

    def concatenate(self, array: Any) -> Any:
        """The rows of all processes in the order of their ranks."""
        if not self.several:
            return array
        arrays = self.gather(array)
        return sp.vstack(arrays, format="csr") if sp.issparse(array) else np.concatenate(arrays)

    @contextmanager
    def failing_together(self) -> Iterator[None]:
        """Raise in all processes what one of them raises; no collective may stand in the block."""
        error = None
        try:
            yield
        except Exception as raised:
            error = raised
        if self.several:
            reports = self.gather(None if error is None else f"{type(error).__name__}: {error}")
            for rank, report in enumerate(reports):
                if report is not None and error is None:
                    raise RuntimeError(f"Process {rank} failed: {report}")
        if error is not None:
            raise error


ALONE = Processes()


def current_processes() -> Processes:
    """Those of the default process group of torch.distributed, if it is initialised."""
    if dist.is_available() and dist.is_initialized():
        return Processes(dist.get_rank(), dist.get_world_size())
    return ALONE


def split(rows: NDArray[Any], sizes: list[int], rank: int) -> NDArray[Any]:
    """Which of the rows, numbered through all shards, lie in one shard, numbered within it."""
    start = sum(sizes[:rank])
    return rows[(rows >= start) & (rows < start + sizes[rank])] - start
