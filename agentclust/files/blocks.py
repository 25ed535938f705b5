"""Arrays too large for memory, block by block. It knows nothing of what the numbers mean."""

from __future__ import annotations

import mmap
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

BLOCK = 8192  # rows

T = TypeVar("T")
R = TypeVar("R")


def blocks(
    array: NDArray[Any], size: int = BLOCK, start: int = 0
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The rows from `start` on, `size` at a time in single precision, each with its first index."""
    for first in range(start, len(array), size):
        yield first, _single(array[first : first + size])
        release(array)


def _single(rows: NDArray[Any]) -> NDArray[np.float32]:
    """The rows in single precision."""
    # PyTorch, where it is loaded, makes them of half three times as fast as NumPy, and the same
    torch = sys.modules.get("torch")
    if torch is not None and rows.dtype == np.float16 and rows.flags.aligned:
        found: NDArray[np.float32] = torch.from_numpy(np.array(rows)).float().numpy()
        return found
    return np.asarray(rows, dtype=np.float32)


def taken(array: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """The rows at these indices, in the array's own number format, shape (len(rows), d)."""
    found = np.empty((len(rows), *array.shape[1:]), dtype=array.dtype)
    for first in range(0, len(rows), BLOCK):
        found[first : first + BLOCK] = array[rows[first : first + BLOCK]]
        release(array)
    return found


def release(array: NDArray[Any]) -> None:
    """Give back the memory of what was read of a mapped file; it can be read again.

    Not where writing to the array changes a copy (mode "c"), which would be lost.
    """
    mapped = getattr(array, "_mmap", None)
    if isinstance(mapped, mmap.mmap) and getattr(array, "mode", "c") in ("r", "r+"):
        mapped.madvise(mmap.MADV_DONTNEED)


def side_by_side(work: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """What `work` makes of each item, in order, by several threads, a few items ahead.

    It pays where the work leaves Python's lock alone: NumPy, PyTorch, decoding of pictures.
    """
    left = iter(items)
    pool = ThreadPoolExecutor(threads)
    try:
        waiting = deque(pool.submit(work, item) for item in islice(left, 2 * threads))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(work, item) for item in islice(left, 1))
    finally:  # who interrupts does not wait for the other items
        pool.shutdown(cancel_futures=True)
