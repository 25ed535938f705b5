"""Embedding a dataset into a store, without any run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agentclust import datasets
from agentclust.embedders import default_embedder
from agentclust.embedders.keeping import kept, place
from agentclust.embedders.store import Number, Store
from agentclust.engines import Engine, Place, opened
from agentclust.errors import InputError
from agentclust.ictc import embedding
from agentclust.progress import Reporter


def embed(
    source: str,
    name: str | None = None,
    out: Path | None = None,
    dtype: Number = "float16",
    reporter: Reporter | None = None,
    place: Place | None = None,
) -> Store:
    """Embed the images or captions of a dataset, or go on where a process before was stopped.

    Args:
        source: A dataset, as `agentclust.datasets.load` knows it.
        name: The embedder; by default the best one installed, of images where there are any.
        out: The folder of the store; by default one below the person's own, where runs look.
        dtype: Number format of the vectors.
        reporter: Where progress goes.
        place: Where the embedder works; by default in this process.

    Raises:
        AgentclustError: As its message says. What is embedded is kept.
    """
    reporter = reporter or Reporter()
    with opened(place or Place(), reporter) as engine:
        return _embed(source, name, out, dtype, reporter, engine)


def _embed(
    source: str,
    name: str | None,
    out: Path | None,
    dtype: Number,
    reporter: Reporter,
    engine: Engine,
) -> Store:
    with reporter.counted("read") as progress:
        dataset = datasets.load(source, progress)
    for problem in dataset.left_out[:3]:
        reporter.say(f"left out {problem.file}: {problem.reason}")
    images = [s for s in dataset.samples if s.file is not None]
    captions = [(s, s.caption) for s in dataset.samples if s.caption is not None]
    name = name or default_embedder("image" if images else "text")
    embedder = engine.embedder(name)
    items: list[Any]
    if embedder.of == "image":
        samples, items = images, [s.file for s in images]
        keys = embedding.keys_of(samples)
    else:
        samples, items = [s for s, _ in captions], [text for _, text in captions]
        keys = embedding.keys_of(samples, [text for _, text in captions])
    if not samples:
        kinds = embedding.WORDS[embedder.of]
        raise InputError(source, f"has no {kinds} for {name}", "choose another --embedder")
    folder = out or place(embedding.root(), name, embedder, keys, dtype)
    reporter.say(f"store: {folder}")
    ids = [s.id for s in samples]
    with reporter.step("embed", len(samples)) as advance:
        return kept(folder, name, embedder, ids, keys, items, dtype=dtype, advance=advance)
