"""Arrays and what they belong to in one ``.npz`` file, without pickle; written at once."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentclust.errors import InputError
from agentclust.files.journal import cannot_write

ABOUT = "about"  # the array that holds what the others belong to, as JSON


def write_arrays(file: Path, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the whole file, or leave the old one.

    Args:
        file: Where to, by convention ``*.npz``.
        about: What the arrays belong to; anything JSON knows.
        arrays: By name.

    Raises:
        DiskError: It cannot be written.
    """
    part = file.with_suffix(".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **{ABOUT: np.array(json.dumps(about)), **arrays})
        part.replace(file)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise cannot_write(file, error) from None


def read_arrays(file: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What `write_arrays` wrote.

    Raises:
        InputError: The file is not there, damaged, or of another kind.
    """
    try:
        # NumPy leaves a file open that it opened itself and finds damaged
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        about = json.loads(str(arrays.pop(ABOUT)))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        why = f"cannot be read ({type(error).__name__}: {error})"
        raise InputError(file, why, "remove the file and fit again") from None
    if not isinstance(about, dict):
        raise InputError(file, "does not say what it holds", "remove the file and fit again")
    return about, arrays


class Checkpoint:
    """A file that a killed training goes on from.

    Args:
        file: Where.
        about: Whatever decides the training: another's checkpoint is refused.
    """

    def __init__(self, file: Path, about: Mapping[str, Any]) -> None:
        self.file, self._about = file, dict(about)

    def write(self, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write where the training stands.

        Raises:
            DiskError: The file cannot be written.
        """
        write_arrays(self.file, {"of": self._about, **about}, arrays)

    def read(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]] | None:
        """What was written last; None where there is no file.

        Raises:
            InputError: It is damaged, or of another training.
        """
        if not self.file.exists():
            return None
        about, arrays = read_arrays(self.file)
        if about.get("of") != self._about:
            why = "is a checkpoint of other vectors or settings"
            raise InputError(self.file, why, "remove it, or name another file")
        return about, arrays
