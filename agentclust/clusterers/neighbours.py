"""The nearest rows of each row: what clusterers that are trained on pairs learn from.

It knows nothing of networks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 1024  # rows compared with all others at a time: 4 bytes a pair


def neighbours(rows: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """The rows of the largest cosine to each row, itself left out.

    Args:
        rows: Unit vectors, shape (n, d), n over 1.
        count: How many neighbours, at most n - 1.

    Returns:
        Their indices, the nearest first, shape (n, count).
    """
    count = min(count, len(rows) - 1)
    found = np.empty((len(rows), count), dtype=np.int64)
    for start in range(0, len(rows), BLOCK):
        alike = rows[start : start + BLOCK] @ rows.T
        own = np.arange(len(alike))
        alike[own, start + own] = -np.inf
        nearest = np.argpartition(alike, -count, axis=1)[:, -count:]
        order = np.argsort(-np.take_along_axis(alike, nearest, 1), axis=1, kind="stable")
        found[start : start + BLOCK] = np.take_along_axis(nearest, order, 1)
    return found
