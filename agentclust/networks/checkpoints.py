"""Finding a checkpoint of transformers, and saying in one line what is wrong with one.

It knows nothing of what the network is for.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache
from huggingface_hub import errors as hub_errors

from agentclust.errors import AgentclustError, InputError, ModelError

hf: Any = transformers  # it types its classes in part only

PATIENCE = 10.0  # seconds for the hub to answer at all


def locate(name: str) -> tuple[str, dict[str, Any], str]:
    """Where to load from, how to ask for its files, and the fingerprint."""
    folder = Path(name).expanduser()
    if not name:
        raise InputError("transformers:", "names no model", "write transformers:OWNER/NAME")
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise InputError(name, "has no config.json", "give the folder of a saved checkpoint")
        return str(folder), {}, digest(folder)
    with quiet():
        commit, fetched = _newest(name)
    return name, {"revision": commit, "local_files_only": fetched}, commit


def _newest(name: str) -> tuple[str, bool]:
    """The newest commit of a repository; out of the hub's reach the one fetched last, and True."""
    try:
        HfApi().model_info(name, timeout=PATIENCE)  # the download would try for half a minute
        return Path(hf_hub_download(name, "config.json")).parent.name, False
    except hub_errors.HFValidationError:
        todo = "write transformers:OWNER/NAME or an existing folder"
        raise InputError(name, "is neither a folder nor a repository's name", todo) from None
    except hub_errors.GatedRepoError:
        todo = "accept its terms on its page, then log in with `hf auth login`"
        raise InputError(name, "is gated: its owner grants access", todo) from None
    except hub_errors.RepositoryNotFoundError:
        todo = "check the name; for a private one log in with `hf auth login`"
        raise InputError(name, "is not on the hub", todo) from None
    except Exception as error:  # out of reach the hub's client raises anything, down to sockets
        cached = try_to_load_from_cache(name, "config.json")
        if isinstance(cached, str):
            return Path(cached).parent.name, True
        local = isinstance(error, hub_errors.LocalEntryNotFoundError)
        if isinstance(error, hub_errors.EntryNotFoundError) and not local:
            raise InputError(name, "has no config.json", "choose another checkpoint") from None
        why = f"is not on this machine, and the hub gives no answer ({first_line(error)})"
        raise InputError(name, why, "go online to fetch it, or give a local folder") from error


def digest(folder: Path) -> str:
    """Names and sizes of the files, and what config.json says: cheap, unlike hashing weights."""
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for file in sorted(folder.iterdir()):
        if file.is_file():
            digest.update(f"\0{file.name}\0{file.stat().st_size}".encode())
    return digest.hexdigest()


@contextmanager
def loading(name: str) -> Iterator[None]:
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
        todo = "check its files, and that this version of transformers knows its architecture"
        raise ModelError(name, f"cannot be loaded ({said})", todo) from error


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


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries' chatter off standard error."""
    ours = hf.utils.logging
    verbosity = ours.get_verbosity()
    others = [logging.getLogger(name) for name in ("accelerate", "bitsandbytes", "huggingface_hub")]
    levels = [logger.level for logger in others]
    try:
        ours.set_verbosity_error()
        for logger in others:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        ours.set_verbosity(verbosity)
        for logger, level in zip(others, levels, strict=True):
            logger.setLevel(level)


def first_line(error: BaseException, limit: int = 200) -> str:
    """What an error says, on one line of at most `limit` characters."""
    line = " ".join(str(error).strip().split("\n", 1)[0].split()) or type(error).__name__
    return line if len(line) <= limit else line[: limit - 1] + "…"
