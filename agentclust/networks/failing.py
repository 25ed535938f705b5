"""Saying in one line what is wrong with a network: its library, its files, its memory.

It knows nothing of what the network is for, and of no library but PyTorch.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch

from agentclust.errors import AgentclustError, InputError, MissingExtra, ModelError

CHATTY = ("accelerate", "bitsandbytes", "huggingface_hub", "timm")
UNREACHED = "is not on this machine, and the hub gives no answer"
ONLINE = "go online to fetch it, or give a local folder"


def library(name: str, module: str, extra: str) -> Any:
    """A module that imports torchvision, which may be there and yet fail to load.

    Raises:
        MissingExtra: It, or what it needs, is not installed.
        ModelError: It is there and cannot be imported.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra(name, extra) from error
    except Exception as error:  # torchvision registers compiled operators that may not be there
        said, todo = first_line(error), "install it anew"
        why = f"{module} cannot be imported ({said})"
        if "torchvision" in said:
            why = f"the torchvision that is installed does not fit torch ({said})"
            todo = "install the one that was made for it"
        raise ModelError(name, why, todo) from error


def unknown(name: str, module: str, network: str, known: Iterable[str]) -> InputError:
    """The error for a network that a library does not know, with the nearest that it knows."""
    near = difflib.get_close_matches(network, list(known), n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    todo = f"{hint}`{module}.list_pretrained()` in Python lists them"
    return InputError(name, f"{module} knows no such network", todo)


@contextmanager
def loading(name: str, library: str = "transformers") -> Iterator[None]:
    """Whatever a library raises over a checkpoint becomes a `ModelError`."""
    try:
        yield
    except AgentclustError:
        raise
    except Exception as error:  # damaged files and unknown architectures raise anything
        if "trust_remote_code" in str(error):
            why = "brings its own program, which is never run"
            raise InputError(name, why, "choose an architecture transformers knows") from None
        if "torchvision" in str(error).lower():
            todo = "install the torchvision made for your torch, or choose a model without videos"
            raise InputError(name, "needs torchvision", todo) from None
        said = first_line(error)
        if _out_of_reach(error):
            raise InputError(name, UNREACHED, ONLINE) from error
        todo = f"check its files, and that this version of {library} knows its architecture"
        raise ModelError(name, f"cannot be loaded ({said})", todo) from error


def _out_of_reach(error: BaseException | None) -> bool:
    """Whether it comes of a file that is not here, on a hub that gives no answer."""
    from huggingface_hub.errors import LocalEntryNotFoundError  # with all that ask the hub

    while error and not isinstance(error, LocalEntryNotFoundError):
        error = error.__cause__ or error.__context__
    return error is not None


@contextmanager
def hushed() -> Iterator[None]:
    """Keep what libraries log below errors off standard error."""
    loggers = [logging.getLogger(name) for name in CHATTY]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def out_of_memory(name: str, todo: str) -> Iterator[None]:
    """Make a `ModelError` of a GPU or CPU allocation that failed; `todo` names what to lower."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise ModelError(name, "does not fit into the GPU's memory", f"try {todo}") from error
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate memory" not in str(error):
            raise
        raise ModelError(name, "does not fit into memory", f"try {todo}") from error


def first_line(error: BaseException, limit: int = 200) -> str:
    """What an error says, on one line of at most `limit` characters."""
    line = " ".join(str(error).strip().split("\n", 1)[0].split()) or type(error).__name__
    return line if len(line) <= limit else line[: limit - 1] + "…"
