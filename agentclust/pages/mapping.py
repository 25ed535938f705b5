"""The map of a run: where its samples lie by the embeddings that the run has, and their pictures.

It is made once, when the run ends, as ``map.npz`` (places, and vectors for what is central) and
``map.jpg`` (a sheet of thumbnails); edits change the groups and not the places.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentclust import embedded, report
from agentclust.attempts import judging
from agentclust.clusterers.flattening import FEW, Places, Way, flattened, usual
from agentclust.embedders import Vectors
from agentclust.errors import InputError
from agentclust.files.arrays import read_arrays, write_arrays
from agentclust.files.blocks import taken
from agentclust.files.journal import write_whole
from agentclust.ictc import embedding
from agentclust.ictc.embedding import Embedded
from agentclust.report.thumbnails import TILE, sheet
from agentclust.types import Clustering
from agentclust.work import Work

MOST = 2000  # samples on a map: more make the page heavy and no picture clearer
KEPT = 128  # principal components that what is central is measured by
FORMAT = 1
WAYS = {"umap": "UMAP", "pca": "two principal components"}
ADVICE = " (UMAP keeps neighbours together: pip install 'agentclust[maps]')"
PLACES, PICTURES = "map.npz", "map.jpg"


@dataclass(frozen=True)
class Map:
    """The samples of a map.

    Attributes:
        rows: Their indices among the run's samples, ascending, shape (m,).
        places: Shape (m, 2).
        vectors: Principal components of their embeddings, shape (m, d).
        about: What was embedded (``of``), ``by`` what, and the ``way`` of laying out.
    """

    rows: NDArray[np.int64]
    places: NDArray[np.float32]
    vectors: NDArray[np.float32]
    about: dict[str, Any]


def keep(work: Work) -> None:
    """Make the map of a run, where it has none and embeddings are at hand.

    They are those that were clustered, else those of the captions that the scores compared: a run
    that has embedded nothing gets no map. Of more than 2,000 samples a random 2,000 are on it.

    Raises:
        DiskError: It cannot be written.
    """
    folder = work.run.folder
    if (folder / PLACES).exists():
        return
    found = _at_hand(work)
    if found is None:
        return
    with work.reporter.step("map", 1) as advance:
        way, places = _laid_out(work, found.vectors)
        files = [str(sample.file or "") for sample in found.samples]
        if any(files):
            write_whole(folder / PICTURES, sheet(files))
        chosen = {sample.id for sample in found.samples}
        rows = [i for i, sample in enumerate(work.samples) if sample.id in chosen]
        parts = min(KEPT, *found.vectors.shape)
        arrays: dict[str, NDArray[Any]] = {
            "rows": np.array(rows, dtype=np.int64),
            "places": places,
            "vectors": flattened(found.vectors, "pca", parts).astype(np.float16),
        }
        by = "fine-tuned" if embedding.tuned(work) else found.by
        about = {"format": FORMAT, "way": way, "of": found.of, "by": by}
        write_arrays(folder / PLACES, about, arrays)
        advance()


def _at_hand(work: Work) -> Embedded | None:
    """The samples on the map and their vectors; None where the run has embedded nothing."""
    known = work.run.read("clusters.json") or {}
    captions = work.run.step_rows("captions").known
    if "of" not in known and sum(s.id in captions for s in work.samples) < judging.ENOUGH:
        return None
    found = embedding.embed(work, known.get("of", "text"), embedding.tuned(work))
    chosen = np.arange(len(found.samples))
    if len(chosen) > MOST:
        random = np.random.default_rng(work.run.config.seed)
        chosen = np.sort(random.permutation(len(chosen))[:MOST])
    vectors = np.asarray(taken(found.vectors, chosen), dtype=np.float32)
    found = replace(found, samples=tuple(found.samples[i] for i in chosen), vectors=vectors)
    return replace(found, vectors=embedded.focused(work, found)) if "of" in known else found


def _laid_out(work: Work, vectors: Vectors) -> tuple[Way, Places]:
    """The vectors in two dimensions, and by what."""
    way, seed = usual(len(vectors)), work.run.config.seed
    try:
        return way, flattened(vectors, way, seed=seed)
    except Exception as error:  # a compiler works for UMAP, which raises anything
        why = f"{type(error).__name__}: {error}"
        work.reporter.say(f"UMAP fails ({why}): the map shows principal components")
        return "pca", flattened(vectors, "pca", seed=seed)


def read(folder: Path) -> Map | None:
    """The map of a run, None where it has none or a damaged one."""
    try:
        about, arrays = read_arrays(folder / PLACES)
        if about.get("format") != FORMAT:
            return None
        vectors = arrays["vectors"].astype(np.float32)
        return Map(arrays["rows"], arrays["places"], vectors, about)
    except (InputError, KeyError):
        return None


def shown(folder: Path, found: Map) -> report.Map:
    """The map as a page shows it."""
    try:
        pictures = (folder / PICTURES).read_bytes()
    except OSError:
        pictures = b""
    way = WAYS[found.about["way"]]
    if found.about["way"] == "pca" and len(found.rows) >= FEW and not find_spec("umap"):
        way += ADVICE
    what = f"{found.about['by']} embeddings of {embedding.WORDS[found.about['of']]}"
    return report.Map(found.rows, found.places, f"by {way}, from {what}", pictures, TILE)


def central(clustering: Clustering, found: Map) -> dict[int, tuple[int, ...]]:
    """The samples on the map by their nearness to the mean of their cluster, nearest first.

    Returns:
        Cluster -> indices of its members on the map.
    """
    labels = clustering.labels_[found.rows]
    order: dict[int, tuple[int, ...]] = {}
    for cluster in range(clustering.n_clusters):
        members = np.flatnonzero(labels == cluster)
        if len(members):
            own = found.vectors[members]
            apart = np.linalg.norm(own - own.mean(axis=0), axis=1)
            order[cluster] = tuple(found.rows[members[np.argsort(apart, kind="stable")]].tolist())
    return order
