"""The clusters that come next for a sample: what its row of assignments tells beside its own."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

LIKELIEST = 5  # clusters that a row tells the probability of


def likeliest(
    cluster: int, confidence: float, candidates: Iterable[tuple[int, float]]
) -> list[tuple[int, float]]:
    """A sample's own cluster, and those that come next: each with its probability, likeliest first.

    Args:
        cluster: Its own.
        confidence: The probability of that, where the candidates do not tell it.
        candidates: Clusters with their probabilities; those of 0 have no order and are left out.

    Returns:
        At most five; none where nothing but its own cluster is known.
    """
    known = dict(candidates)
    others = [(c, p) for c, p in known.items() if c != cluster and p > 0]
    others.sort(key=lambda pair: (-pair[1], pair[0]))
    told = [(cluster, known.get(cluster, confidence)), *others[: LIKELIEST - 1]]
    return [(int(c), round(float(p), 4)) for c, p in told] if others else []


def highest(shares: NDArray[np.floating]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The largest shares of each row: as many as `likeliest` needs.

    Args:
        shares: The probability of each cluster, shape (n, k).

    Returns:
        The clusters, shape (n, at most 6), in no order, and their shares.
    """
    most = LIKELIEST + 1  # its own may not be among the five largest, or be the last of six
    if shares.shape[1] <= most:
        places = np.broadcast_to(np.arange(shares.shape[1]), shares.shape)
    else:
        places = np.argpartition(-shares, most - 1, axis=1)[:, :most]
    return places.astype(np.int32), np.take_along_axis(shares, places, axis=1).astype(np.float32)
