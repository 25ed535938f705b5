"""Principal components of many vectors, in one pass over them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentclust.errors import InputError
from agentclust.files.blocks import blocks


class Projection:
    """Centres vectors and takes their principal components; call it with rows.

    Attributes:
        mean_: Shape (d,).
        components_: Unit rows, of most variance first, shape (n_components, d).
        explained_variance_ratio_: Share of the variance along each, shape (n_components,).
    """

    def __init__(
        self, mean: NDArray[np.float32], components: NDArray[np.float32], shares: NDArray[Any]
    ) -> None:
        self.mean_, self.components_, self.explained_variance_ratio_ = mean, components, shares

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The components of rows, shape (n, n_components)."""
        return np.asarray((rows - self.mean_) @ self.components_.T)


def fitted_projection(vectors: NDArray[Any], n_components: int) -> Projection:
    """The projection onto the components of most variance.

    The sums of the rows and of their products are gathered block by block: the eigenvectors of
    the covariance are those of all rows at once (Jolliffe, Principal Component Analysis, 2002,
    section 3.1), and memory does not grow with them.

    Args:
        vectors: Shape (n, d), best a mapped file.
        n_components: How many.

    Raises:
        InputError: That is no number from 1 to the smaller of n and d.
    """
    count, width = vectors.shape
    most = min(count, width)
    if not isinstance(n_components, int | np.integer) or not 1 <= n_components <= most:
        why = f"is no number from 1 to {most}"
        raise InputError(f"n_components={n_components!r}", why, "give fewer than the vectors have")
    # about the first row, so that what all rows have in common does not drown the variance
    origin = np.asarray(vectors[0], dtype=np.float32)
    total, products = np.zeros(width), np.zeros((width, width))
    for _, rows in blocks(vectors):
        centred = rows - origin
        total += centred.sum(axis=0, dtype=np.float64)
        products += centred.T @ centred
    mean = total / count
    values, axes = np.linalg.eigh(products / count - np.outer(mean, mean))
    chosen = np.argsort(-values)[:n_components]
    return Projection(
        (mean + origin).astype(np.float32),
        np.ascontiguousarray(axes[:, chosen].T, dtype=np.float32),
        values[chosen] / max(values.sum(), np.finfo(float).tiny),
    )
