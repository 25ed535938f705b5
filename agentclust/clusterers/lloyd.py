"""One turn of k-means over rows that come block by block. It knows nothing of where they lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.preprocessing import normalize

from agentclust.files.blocks import side_by_side

Block = NDArray[np.float32]
Source = Iterator[tuple[int, Block]]  # the first index of a block, and its rows


def scores_of(rows: Block, centers: Block) -> Block:
    """The larger the nearer: x·c - |c|²/2, shape (m, k)."""
    found = rows @ centers.T
    found -= squares(centers) / 2
    return np.asarray(found)


def moved(source: Source, centers: Block, spherical: bool, threads: int) -> tuple[Block, float]:
    """Lloyd's update (IEEE Trans. Inf. Theory 28(2), 1982).

    A centre that is nearest to no row goes to one of the last block that is far from its own.

    Args:
        source: The rows, shape (n, d) in all.
        centers: Shape (k, d).
        spherical: Whether centres have length 1.
        threads: How many work at it.

    Returns:
        The new centres, shape (k, d), and the inertia with the old ones.
    """

    def part(block: tuple[int, Block]) -> tuple[Block, NDArray[np.int64], Block, Block]:
        rows = block[1]
        scores = scores_of(rows, centers)
        labels = scores.argmax(axis=1)
        distances = squares(rows) - 2 * scores[np.arange(len(rows)), labels]
        each = (np.ones(len(rows), dtype=np.float32), (labels, np.arange(len(rows))))
        sums = csr_array(each, shape=(len(centers), len(rows))) @ rows
        return sums, np.bincount(labels, minlength=len(centers)), distances, rows

    total = np.zeros(centers.shape, dtype=np.float64)
    counts = np.zeros(len(centers), dtype=np.int64)
    inertia, far = 0.0, centers[:0]
    for sums, members, distances, rows in side_by_side(part, source, threads):
        total += sums
        counts += members
        inertia += float(distances.sum(dtype=np.float64))
        far = rows[np.argsort(-distances, kind="stable")[: len(centers)]]
    means = total / np.maximum(counts, 1)[:, None]
    empty = np.flatnonzero(counts == 0)[: len(far)]
    means[empty] = far[: len(empty)]
    return _centers(means, spherical), max(inertia, 0.0)


def squares(rows: Block) -> Block:
    """The squared length of each row, shape (m,)."""
    return np.asarray(np.einsum("ij,ij->i", rows, rows))


def _centers(means: NDArray[Any], spherical: bool) -> Block:
    return np.asarray(normalize(means) if spherical else means, dtype=np.float32)
