"""Finding a checkpoint of transformers, and keeping the libraries quiet.

It knows nothing of what the network is for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import transformers
from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache
from huggingface_hub import errors as hub_errors

from agentclust.errors import InputError
from agentclust.networks.failing import ONLINE, UNREACHED, first_line, hushed

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
        raise InputError(name, f"{UNREACHED} ({first_line(error)})", ONLINE) from error


def digest(folder: Path) -> str:
    """Names and sizes of the files, and what config.json says: cheap, unlike hashing weights."""
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for file in sorted(folder.iterdir()):
        if file.is_file():
            digest.update(f"\0{file.name}\0{file.stat().st_size}".encode())
    return digest.hexdigest()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the chatter of transformers, and of what it uses, off standard error."""
    ours = hf.utils.logging
    verbosity = ours.get_verbosity()
    try:
        ours.set_verbosity_error()
        with hushed():
            yield
    finally:
        ours.set_verbosity(verbosity)
