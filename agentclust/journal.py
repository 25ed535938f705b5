"""Files that survive a kill: append-only rows, and JSON written at once or not at all."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from agentclust.errors import InputError, RunError


class Rows:
    """An append-only JSON Lines file. `known` maps each row's id to the row."""

    def __init__(self, file: Path, key: str = "id") -> None:
        self.file, self._key, self._lock = file, key, threading.Lock()
        self.known: dict[str, dict[str, Any]] = {}
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.exists():
                self._read()
            self._stream = file.open("a", encoding="utf-8")
        except OSError as error:
            raise cannot_write(file, error) from None

    def _read(self) -> None:
        whole = 0
        with self.file.open("rb") as stream:
            for line in stream:
                row = parsed_row(line)
                if row is None:
                    break
                whole += len(line)
                self.known[str(row.get(self._key, len(self.known)))] = row
        os.truncate(self.file, whole)

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row; it outlives the process when this returns."""
        try:
            with self._lock:
                self.known[str(row.get(self._key, len(self.known)))] = dict(row)
                self._stream.write(json.dumps(row, ensure_ascii=False) + "\n")
                self._stream.flush()
        except OSError as error:
            raise cannot_write(self.file, error) from None

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            self._stream.close()


def parsed_row(line: bytes) -> dict[str, Any] | None:
    """The row of a whole line, None for a torn one."""
    if not line.endswith(b"\n"):
        return None
    try:
        row = json.loads(line)
    except (UnicodeDecodeError, json.JSONDecodeError):
        return None
    return row if isinstance(row, dict) else None


def write_json(file: Path, value: Any) -> None:
    """Write the whole file, or leave the old one.

    Raises:
        RunError: The disk is full or the folder cannot be written.
    """
    part = file.with_suffix(".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", "utf-8")
        part.replace(file)
    except OSError as error:
        raise cannot_write(file, error) from None


def read_json(file: Path) -> Any:
    """The value in the file, None where there is no file.

    Raises:
        InputError: The file is there but cannot be read.
    """
    try:
        return json.loads(file.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(file, f"cannot be read ({error})", "restore the file") from None


def cannot_write(file: Path, error: OSError) -> RunError:
    """The error for a file that could not be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    todo = "free the disk, then resume" if full else "check the folder, then resume"
    return RunError(file, f"cannot be written ({error.strerror})", todo)
