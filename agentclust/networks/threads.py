"""How many threads PyTorch uses while a small network infers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_lock = threading.Lock()
_inside = 0  # calls at work
_before = 0


@contextmanager
def one_thread() -> Iterator[None]:
    """A small network gains little from threads, and loses tenfold where cores are busy.

    Several calls may be at work side by side: the last one to end sets back what the first found.
    """
    global _inside, _before
    with _lock:
        if not _inside:
            _before = torch.get_num_threads()
        _inside += 1
        torch.set_num_threads(1)  # each thread of Python has a number of its own
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                torch.set_num_threads(_before)
