"""One turn of k-means over rows that come block by block. It knows nothing of where they lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.cluster import kmeans_plusplus
from sklearn.preprocessing import normalize

from agentclust.clusterers.nearest import Block, nearest, ready, squares
from agentclust.files.blocks import side_by_side

ONE_BY_ONE = 64  # centres that are drawn one after another, and rounds in which more are drawn
Source = Iterator[tuple[int, Block]]  # the first index of a block, and its rows


def seeds(rows: Block, k: int, random: np.random.RandomState) -> Block:
    """Rows to begin with: far from each other, and where many are.

    Up to `ONE_BY_ONE` centres by k-means++ (Arthur and Vassilvitskii, SODA 2007); of more, some are
    drawn at once in each of as many rounds, as in k-means|| (Bahmani et al., VLDB 2012, algorithm
    2): every row with a probability in proportion to its squared distance from those drawn before.

    Args:
        rows: Shape (n, d).
        k: How many, at most n.
        random: Decides.

    Returns:
        Shape (k, d).
    """
    if k <= ONE_BY_ONE:
        first, _ = kmeans_plusplus(rows, k, random_state=random)
        return np.asarray(first, dtype=np.float32)
    lengths = squares(rows)
    chosen = np.array([random.randint(len(rows))])
    apart = np.full(len(rows), np.inf)
    new = chosen
    while True:
        to_new = lengths[:, None] - 2 * (rows @ rows[new].T) + lengths[new]
        apart = np.maximum(np.minimum(apart, to_new.min(axis=1)), 0)
        apart[chosen] = 0
        left = min(k - len(chosen), -(-k // ONE_BY_ONE))
        if not left:
            return np.asarray(rows[chosen])
        far = np.flatnonzero(apart)
        if len(far) <= left:  # nearly all rows are alike: any others will do
            others = np.setdiff1d(np.arange(len(rows)), chosen)
            new = np.union1d(far, random.permutation(others)[: left - len(far)])[:left]
        else:
            new = random.choice(far, left, replace=False, p=apart[far] / apart[far].sum())
        chosen = np.concatenate([chosen, new])


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
    known = ready(centers)

    def part(block: tuple[int, Block]) -> tuple[Block, NDArray[np.int64], Block, Block]:
        rows = block[1]
        labels, distances, _ = nearest(rows, known)
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
    return _centers(means, spherical), inertia


def _centers(means: NDArray[Any], spherical: bool) -> Block:
    return np.asarray(normalize(means) if spherical else means, dtype=np.float32)
