"""The vectors of a run's captions, images and words.

Images are embedded into a store, which the next run over the same images finds. So are captions by
`agentclust embed`; without that they are kept one by one in the answer store, as other words are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentclust.cache import home
from agentclust.config import RunConfig
from agentclust.embedders import (
    Embedder,
    Kind,
    Vectors,
    default_embedder,
    embed_cached,
    load_embedder,
    normalized,
)
from agentclust.embedders.keeping import kept, place
from agentclust.embedders.store import Store, made_of
from agentclust.embedders.tuned import FILE, named
from agentclust.errors import InputError, RunError
from agentclust.files.blocks import taken
from agentclust.ictc import focusing
from agentclust.types import Sample
from agentclust.work import Work

WORDS = {"text": "captions", "image": "images"}
IN_MEMORY = 1 << 28  # bytes of vectors that a run holds; of more, what is mapped is used as it is


@dataclass(frozen=True)
class Embedded:
    """Vectors of samples.

    Attributes:
        samples: Those that could be embedded, shape (n,).
        vectors: Unit rows, shape (n, d); where they are many in half precision, mapped.
        of: What was embedded: "text" for captions, "image" for images.
        by: The embedder's name.
    """

    samples: tuple[Sample, ...]
    vectors: Vectors
    of: Kind
    by: str


def embed(work: Work, first: Kind = "text", name: str = "") -> Embedded:
    """The vectors of the samples' captions or images.

    Args:
        work: The run.
        first: What to embed where there are both and no embedder decides it.
        name: The embedder; by default what the settings name, or the vectors that they name.

    Raises:
        RunError: There are neither captions nor images.
        InputError, MissingExtra: The embedder cannot be used.
    """
    if work.run.config.embeddings and not name:
        return _given(work, work.run.config.embeddings)
    captions = work.run.step_rows("captions").known
    texts = [s for s in work.samples if s.id in captions]
    images = [s for s in work.samples if s.file is not None]
    there: dict[Kind, list[Sample]] = {"text": texts, "image": images}
    kinds = sorted(
        there, key=lambda kind: (len(there[kind]) < len(work.samples) / 2, kind != first)
    )
    if not there[kinds[0]]:
        raise RunError("the dataset", "has neither captions nor images to embed", "name a --vlm")
    name = name or work.run.config.embedder or default_embedder(kinds[0])
    embedder = work.engine.embedder(name)
    samples = there[embedder.of]
    if not samples:
        why = f"embeds {embedder.of}s, and the samples have none"
        raise InputError(name, why, "leave the setting embedder away")
    with work.reporter.step("embed", len(samples)) as advance:
        if embedder.of == "text":
            items = [captions[s.id]["caption"] for s in samples]
            vectors = _of_captions(work, name, embedder, samples, items, advance)
        else:
            samples = [s for s in samples if s.file is not None and s.file.is_file()]
            vectors = of_images(work, name, samples, advance)
    return Embedded(tuple(samples), vectors, embedder.of, name)


def tuned(work: Work) -> str:
    """The embedder that the current attempt ended with, where it trained one; else empty."""
    file = work.run.attempt / FILE
    return named(file) if file.exists() else ""


def keys_of(samples: Sequence[Sample], texts: Sequence[str] | None = None) -> list[str]:
    """What tells items apart in a store: the digest of a caption, else that of the image's file."""
    if texts is None:
        return [s.sha256 for s in samples]
    return [hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest() for text in texts]


def root(run: Path | None = None) -> Path:
    """Where stores lie: the person's own folder, or that of a run which shares nothing."""
    return (run or home()) / "embeddings"


def of_images(
    work: Work, name: str, samples: Sequence[Sample], advance: Callable[[], None] = lambda: None
) -> Vectors:
    """The vectors of samples with images, shape (n, d), by the embedder of that name."""
    embedder, keys, files = work.engine.embedder(name), keys_of(samples), [s.file for s in samples]
    if embedder.fitted:
        return embed_cached(embedder, keys, files, work.answers, advance)
    where = place(_root(work), name, embedder, keys)
    ids = [s.id for s in samples]
    return _held(kept(where, name, embedder, ids, keys, files, advance=advance).vectors)


def _of_captions(
    work: Work,
    name: str,
    embedder: Embedder,
    samples: Sequence[Sample],
    texts: Sequence[str],
    advance: Callable[[], None],
) -> Vectors:
    keys = keys_of(samples, texts)
    where = place(_root(work), name, embedder, keys)
    if embedder.fitted or not (where / "store.json").exists():
        return embed_cached(embedder, texts, texts, work.answers, advance)
    ids = [s.id for s in samples]
    return _held(kept(where, name, embedder, ids, keys, texts, advance=advance).vectors)


def _root(work: Work) -> Path:
    return root(None if work.run.config.cache else work.run.folder)


def _held(vectors: NDArray[Any]) -> Vectors:
    """The vectors as a run uses them: in memory and of length 1 unless they are too many."""
    if vectors.size * np.dtype(np.float32).itemsize > IN_MEMORY:
        return vectors
    return normalized(np.asarray(vectors, dtype=np.float32))


def given_store(config: RunConfig) -> Store | None:
    """The whole store that the setting `embeddings` names, if any.

    Raises:
        InputError: It is none, unfinished, torn, or of another embedder than the settings name.
    """
    if not config.embeddings:
        return None
    made = made_of(config.embeddings)
    if config.embedder and load_embedder(config.embedder).identity != made.identity:
        why = f"holds vectors of another model ({made.embedder}: {made.identity})"
        raise InputError(config.embeddings, why, f"embed by {config.embedder}, or do not name it")
    return Store(config.embeddings)


def _given(work: Work, folder: Path) -> Embedded:
    """The samples' vectors in the store that the settings name."""
    store = given_store(work.run.config)
    assert store is not None
    if store.made.of == "text":
        captions = work.run.step_rows("captions").known
        samples = [s for s in work.samples if s.id in captions]
        keys = keys_of(samples, [captions[s.id]["caption"] for s in samples])
    else:
        samples = [s for s in work.samples if s.file is not None]
        keys = keys_of(samples)
    rows = {key: row for row, key in enumerate(store.keys())}
    lacking = next((s.id for s, key in zip(samples, keys, strict=True) if key not in rows), None)
    if lacking is not None or not samples:
        why = f"has no vector of {lacking or 'any sample'!r}"
        raise InputError(folder, why, "embed this dataset, or leave the setting embeddings away")
    chosen = np.array([rows[key] for key in keys])
    whole = np.array_equal(chosen, np.arange(store.made.rows))
    vectors = store.vectors if whole else taken(store.vectors, chosen)
    return Embedded(tuple(samples), _held(vectors), store.made.of, store.made.embedder)


def wanted(work: Work) -> Kind:
    """What ``--method kmeans`` and the like embed: images where every sample has one.

    The settings `embeddings` and `embedder` decide where they are given.
    """
    config = work.run.config
    if config.embeddings:
        return made_of(config.embeddings).of
    if config.embedder:
        return work.engine.embedder(config.embedder).of
    return "image" if all(s.file for s in work.samples) else "text"


def text_embedder(work: Work) -> Embedder:
    """The run's embedder of texts: the one of its settings, else the best that is installed."""
    name = work.run.config.embedder
    embedder = work.engine.embedder(name) if name else None
    if embedder is None or embedder.of != "text":
        embedder = work.engine.embedder(default_embedder("text"), "text")
    return embedder


def of_texts(work: Work, texts: Sequence[str]) -> Vectors:
    """Unit rows for texts, shape (n, d), by `text_embedder`."""
    embedder = text_embedder(work)
    with work.reporter.step("embed", len(texts)) as advance:
        return embed_cached(embedder, texts, texts, work.answers, advance)


def by_criterion(work: Work, samples: Sequence[Sample], vectors: Vectors) -> Vectors:
    """The vectors of captions focused on the criterion by their words, see `focusing.by_words`."""
    captions = work.run.step_rows("captions").known
    texts = [captions[s.id]["caption"] for s in samples]
    criterion = of_texts(work, [work.run.criterion])[0]
    return focusing.by_words(texts, vectors, criterion, partial(of_texts, work))
