"""Finding a part by name: the built-ins and third parties load through one table, lazily."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from agentclust.errors import InputError, MissingExtra

# group -> name -> (module:attribute, the extra it needs or "")
BUILT_IN: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "models": {
        "fake": ("agentclust.models.fake:build", ""),
        "openai": ("agentclust.models.openai:build", ""),
        "llama-cpp": ("agentclust.models.llama_cpp:build", "llama-cpp"),
        "transformers": ("agentclust.models.transformers:build", "transformers"),
    },
    "captioners": {
        "builtin": ("agentclust.captioners.builtin:build", "builtin"),
    },
    "datasets": {
        "clevr4-mini": ("agentclust.datasets.clevr4_mini:prepare", ""),
    },
}


def names(group: str) -> list[str]:
    """Every known name of a group, built-in or installed."""
    installed = (entry.name for entry in entry_points(group=f"agentclust.{group}"))
    return sorted({*BUILT_IN.get(group, {}), *installed})


def find(group: str, name: str) -> Any:
    """The object behind `name`: a built-in, an entry point, or ``package.module:Class``.

    Raises:
        InputError: No such name.
        MissingExtra: The part needs an optional dependency that is not installed.
    """
    target, extra = BUILT_IN.get(group, {}).get(name, ("", ""))
    if not target:
        for entry in entry_points(group=f"agentclust.{group}"):
            if entry.name == name:
                return entry.load()
    if not target and ":" in name and name.replace(":", ".").replace(".", "").isidentifier():
        target = name
    if not target:
        raise unknown(group.removesuffix("s"), name, names(group))
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        if extra and isinstance(error, ImportError):
            raise MissingExtra(name, extra) from error
        raise InputError(name, f"cannot be loaded ({error})", "check the module and name") from None


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name nobody knows, with the nearest known ones."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return InputError(name, f"unknown {kind}", f"{hint}available: {', '.join(known)}")
