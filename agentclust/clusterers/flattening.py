"""Vectors in two dimensions, or a few: by UMAP where it is installed, else by principal components.

It knows nothing of where the vectors come from.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.preprocessing import normalize

from agentclust.clusterers.neighbours import neighbours

NEIGHBOURS = 15  # what UMAP takes for near: its own default
FEW = 100  # rows: fewer are not worth the seconds that UMAP takes to compile itself

Way = Literal["umap", "pca"]
Places = NDArray[np.float32]


def usual(n_rows: int) -> Way:
    """How so many rows are laid out."""
    return "umap" if n_rows >= FEW and find_spec("umap") else "pca"


def flattened(rows: NDArray[np.floating], way: Way, n_components: int = 2, seed: int = 0) -> Places:
    """Rows in few dimensions, so that near ones stay near.

    UMAP (McInnes, Healy and Melville, 2018, section 3) begins from the principal components and
    finds near rows by their cosine. It is the same for the same rows and seed on one machine.

    Args:
        rows: Vectors, shape (n, d); rows of zeros say nothing and lie together.
        way: "umap" takes over 15 rows and the extra "maps".
        n_components: How many dimensions.
        seed: Of UMAP's random choices.

    Returns:
        Shape (n, n_components); zeros where the rows do not differ.
    """
    unit = np.asarray(normalize(rows), dtype=np.float32)
    found = np.zeros((len(unit), n_components), dtype=np.float32)
    if len(unit) < 2 or not np.ptp(unit, axis=0).any():
        return found
    if way == "umap":
        return _by_umap(unit, n_components, seed)
    parts = min(n_components, *unit.shape)
    found[:, :parts] = PCA(parts, svd_solver="full").fit_transform(unit)
    return found


def _by_umap(unit: NDArray[np.float32], n_components: int, seed: int) -> Places:
    near = neighbours(unit, NEIGHBOURS - 1)
    near = np.hstack([np.arange(len(unit))[:, None], near])
    apart = np.clip(1 - np.einsum("nd,nkd->nk", unit, unit[near]), 0, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that neither TensorFlow nor an index of its own is there
        from umap import UMAP

        model = UMAP(
            NEIGHBOURS,
            n_components,
            metric="cosine",
            init="pca",
            precomputed_knn=(near, apart.astype(np.float32)),
            random_state=seed,
            n_jobs=1,
        )
        return np.asarray(model.fit_transform(unit), dtype=np.float32)
