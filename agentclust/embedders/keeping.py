"""Filling an embedding store: what is known is taken over, the rest is embedded in batches."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentclust.embedders import Embedder, normalized
from agentclust.embedders.store import (
    CHUNK,
    Kept,
    Made,
    Number,
    Store,
    Writer,
    fingerprint,
    made_of,
)
from agentclust.errors import InputError
from agentclust.files.blocks import side_by_side

BATCH = 32  # items a call of the embedder

Row = NDArray[np.float32]


def place(
    root: Path, name: str, embedder: Embedder, keys: Sequence[str], dtype: Number = "float16"
) -> Path:
    """The folder below `root` for the vectors of these keys."""
    word = re.sub(r"\W+", "-", name).strip("-")[-40:]
    return root / f"{word}-{fingerprint(embedder.identity, dtype, keys)[:16]}"


def kept(
    folder: Path,
    name: str,
    embedder: Embedder,
    ids: Sequence[str],
    keys: Sequence[str],
    items: Sequence[Any],
    *,
    dtype: Number = "float16",
    advance: Callable[[], None] = lambda: None,
) -> Store:
    """The store of these items: opened where it is whole, else made or gone on with.

    Vectors that another store beside it holds for the same embedder and key are taken over.

    Args:
        folder: Where it lies or shall lie.
        name: The embedder's name.
        embedder: Embeds what is not known; it must not be one that is fitted.
        ids: The sample of each row, shape (n,).
        keys: What tells items apart, shape (n,): equal ones are embedded once.
        items: Texts, or paths of images, shape (n,).
        dtype: Number format of the vectors.
        advance: Called once for each item.

    Raises:
        InputError: There is nothing to embed, the folder holds something else, or a vector is not
            finite.
        ImageProblem: An image cannot be read; what is embedded is kept.
        RunError: Another process writes it, or the disk is full.
    """
    if embedder.fitted:
        why = "learns from the very texts it is given, so that its vectors cannot be kept"
        raise InputError(name, why, "choose another --embedder")
    if not ids:
        raise InputError(name, "has nothing to embed", f"give samples with {embedder.of}s")
    about = Made(
        name,
        embedder.identity,
        embedder.of,
        dtype,
        fingerprint(embedder.identity, dtype, keys),
        len(keys),
    )
    with Writer(folder, about, ids, keys) as writer:
        for _ in range(writer.done):
            advance()
        if writer.done < len(keys):
            _fill(writer, embedder, keys, items, advance)
    return Store(folder)


def _fill(
    writer: Writer,
    embedder: Embedder,
    keys: Sequence[str],
    items: Sequence[Any],
    advance: Callable[[], None],
) -> None:
    known = _known_elsewhere(writer, set(keys[writer.done :]))
    first = {key: index for index, key in reversed(list(enumerate(keys)))}
    again = {key for key, count in Counter(keys).items() if count > 1}
    fresh = [
        items[i]
        for i in range(writer.done, len(keys))
        if first[keys[i]] == i and keys[i] not in known
    ]
    new = (row for vectors in vectors_of(embedder, fresh) for row in normalized(vectors))
    repeated: dict[str, Row] = {}
    chunk: list[Row] = []
    start = writer.done
    for index in range(start, len(keys)):
        key = keys[index]
        if key in known:
            vectors, place = known[key]
            row = np.asarray(vectors[place], dtype=np.float32)
        elif first[key] == index:
            row = next(new)
        else:
            row = repeated[key] if key in repeated else writer.row(first[key])
        if key in again:
            repeated[key] = row
        chunk.append(row)
        advance()
        if len(chunk) == CHUNK or index == len(keys) - 1:
            writer.append(np.stack(chunk))
            chunk.clear()


def _known_elsewhere(writer: Writer, wanted: set[str]) -> Mapping[str, tuple[Kept, int]]:
    """For each wanted key that a whole store beside this one holds, the vectors and the row."""
    found: dict[str, tuple[Kept, int]] = {}
    for file in sorted(writer.folder.parent.glob("*/store.json")):
        try:
            about = made_of(file.parent)
            same = (about.identity, about.dtype) == (writer.made.identity, writer.made.dtype)
            store = Store(file.parent) if same and file.parent != writer.folder else None
        except InputError:  # unfinished or damaged: of no use here
            continue
        if store:
            rows = ((key, row) for row, key in enumerate(store.keys()) if key in wanted)
            found |= {key: (store.vectors, row) for key, row in rows}
    return found


def vectors_of(embedder: Embedder, items: Sequence[Any]) -> Iterator[NDArray[np.float32]]:
    """The vectors of the items, batch by batch.

    An embedder that says how many calls it can bear `side_by_side` gets so many threads: decoding
    a picture and PyTorch's arithmetic leave Python's lock alone.

    Args:
        embedder: Any.
        items: What it embeds.

    Yields:
        Shape (m, d), in the order of the items.
    """
    batches = (items[start : start + BATCH] for start in range(0, len(items), BATCH))
    yield from side_by_side(embedder.embed, batches, getattr(embedder, "side_by_side", 1))
