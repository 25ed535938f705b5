"""Finding a part by name: the built-ins and third parties load through one table, lazily."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from agentclust.errors import InputError, MissingExtra

# group -> name -> (module:attribute, the extra it needs or "")
BUILT_IN: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "models": {
        "none": ("agentclust.models.absent:build", ""),
        "fake": ("agentclust.models.fake:build", ""),
        "openai": ("agentclust.models.openai:build", ""),
        "llama-cpp": ("agentclust.models.llama_cpp:build", "llama-cpp"),
        "transformers": ("agentclust.models.transformers:build", "transformers"),
    },
    "captioners": {
        "builtin": ("agentclust.captioners.builtin:build", "builtin"),
    },
    "embedders": {
        "efficientnet": ("agentclust.embedders.efficientnet:build", "builtin"),
        "minilm": ("agentclust.embedders.minilm:build", "embed"),
        "moco-v3": ("agentclust.embedders.moco:build", "transformers"),
        "open_clip": ("agentclust.embedders.open_clip:build", "open-clip"),
        "tfidf": ("agentclust.embedders.tfidf:TfIdf", ""),
        "timm": ("agentclust.embedders.timm:build", "timm"),
        "transformers": ("agentclust.embedders.transformers:build", "transformers"),
        "tuned": ("agentclust.embedders.tuned:build", "builtin"),
    },
    "clusterers": {
        "consensus": ("agentclust.clusterers.consensus:Consensus", ""),
        "agglomerative": ("sklearn.cluster:AgglomerativeClustering", ""),
        "hdbscan": ("sklearn.cluster:HDBSCAN", ""),
        "kmeans": ("agentclust.clusterers.kmeans:KMeans", ""),
        "minibatch-kmeans": ("agentclust.clusterers.minibatch:MiniBatchKMeans", ""),
        "scan": ("agentclust.clusterers.scan:SCAN", "builtin"),
        "spectral": ("sklearn.cluster:SpectralClustering", ""),
        "temi": ("agentclust.clusterers.temi:TEMI", "builtin"),
        "ward": ("agentclust.clusterers.ward:Ward", ""),
    },
    "engines": {
        "local": ("agentclust.engines.local:Local", ""),
        "ray": ("agentclust.engines.remote:Machines", "ray"),
    },
    "exporters": {
        "csv": ("agentclust.export.table:write", ""),
        "parquet": ("agentclust.export.parquet:write", "parquet"),
        "datasets": ("agentclust.export.hub:write", "datasets"),
        "fiftyone": ("agentclust.export.fiftyone:write", ""),
    },
    "datasets": {
        "cifar10": ("agentclust.datasets.cifar:CIFAR10", ""),
        "cifar100": ("agentclust.datasets.cifar:CIFAR100", ""),
        "clevr4-100k": ("agentclust.datasets.clevr4:CLEVR4_100K", ""),
        "clevr4-10k": ("agentclust.datasets.clevr4:CLEVR4_10K", ""),
        "clevr4-mini": ("agentclust.datasets.clevr4_mini:prepare", ""),
        "folder": ("agentclust.datasets.folders:FOLDER", ""),
        "huggingface": ("agentclust.datasets.tables:HUGGINGFACE", ""),
        "imagenet": ("agentclust.datasets.folders:IMAGENET", ""),
        "imagenet-100": ("agentclust.datasets.folders:IMAGENET100", ""),
        "imagenet-200": ("agentclust.datasets.folders:IMAGENET200", ""),
        "imagenet-50": ("agentclust.datasets.folders:IMAGENET50", ""),
        "manifest": ("agentclust.datasets.tables:MANIFEST", ""),
        "mnist": ("agentclust.datasets.mnist:MNIST", ""),
        "ppmi": ("agentclust.datasets.ppmi:PPMI", ""),
        "stanford40": ("agentclust.datasets.stanford40:STANFORD40", ""),
        "stl10": ("agentclust.datasets.stl10:STL10", ""),
    },
}


def names(group: str) -> list[str]:
    """Every known name of a group, built-in or installed."""
    return sorted({*BUILT_IN.get(group, {}), *_installed(group)})


def find(group: str, name: str) -> Any:
    """The object behind `name`: a built-in, an entry point, or ``package.module:Class``.

    Raises:
        InputError: No such name, or what is behind it fails to load.
        MissingExtra: The part needs an optional dependency that is not installed.
    """
    target, extra = BUILT_IN.get(group, {}).get(name, ("", ""))
    target = target or _installed(group).get(name, "")
    target = target or (name if _is_path(name) else "")
    if not target:
        raise unknown(group.removesuffix("s"), name, names(group))
    try:
        return EntryPoint(name, target, group).load()
    except Exception as error:  # the code of others raises anything
        if extra and isinstance(error, ImportError) and not _ours(error):
            raise MissingExtra(name, extra) from error
        why = f"{target} cannot be loaded ({type(error).__name__}: {error})"
        raise InputError(name, why, "check the module and its name") from error


def _installed(group: str) -> dict[str, str]:
    return {entry.name: entry.value for entry in entry_points(group=f"agentclust.{group}")}


def _is_path(name: str) -> bool:
    module, _, attribute = name.partition(":")
    return all(part.isidentifier() for part in (*module.split("."), *attribute.split(".")))


def _ours(error: ImportError) -> bool:
    return (error.name or "").partition(".")[0] == "agentclust"


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name nobody knows, with the nearest known ones."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return InputError(name, f"unknown {kind}", f"{hint}available: {', '.join(known) or 'none'}")
