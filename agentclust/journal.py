"""Files that survive a kill: append-only rows, and JSON written at once or not at all."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from agentclust.errors import DiskError, InputError


class Rows:
    """An append-only JSON Lines file. `known` maps each row's id to the row.

    Raises:
        InputError: A line before the last one is damaged.
        RunError: The file cannot be written.
    """

    def __init__(self, file: Path, key: str = "id") -> None:
        self.file, self._key, self._lock = file, key, threading.Lock()
        self.known: dict[str, dict[str, Any]] = {}
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.exists():
                self._read()
            self._stream = file.open("ab", buffering=0)
        except OSError as error:
            raise cannot_write(file, error) from None

    def _read(self) -> None:
        whole = torn = 0
        with self.file.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if torn:
                    where = f"{self.file}:{torn}"
                    raise InputError(where, "is no row", "mend or remove the line, then resume")
                row = parsed_row(line)
                if row is None:
                    torn = number
                    continue
                whole += len(line)
                self.known[str(row.get(self._key, len(self.known)))] = row
        if torn:  # a process was killed while it wrote the last line
            os.truncate(self.file, whole)

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row; it outlives the process when this returns.

        Raises:
            RunError: It cannot be written; the file holds what it held before.
        """
        text = json.dumps(row, ensure_ascii=False) + "\n"
        line = text.encode(errors="backslashreplace")  # JSON escapes a lone surrogate so, too
        with self._lock:
            end = self._stream.seek(0, os.SEEK_END)
            left = memoryview(line)
            try:
                while left:
                    left = left[self._stream.write(left) :]
            except OSError as error:
                with suppress(OSError):
                    self._stream.truncate(end)
                raise cannot_write(self.file, error) from None
            self.known[str(row.get(self._key, len(self.known)))] = dict(row)

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
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def whole_rows(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file that a process may be writing; none where there is no file.

    Raises:
        InputError: The file is there but cannot be read.
    """
    try:
        with file.open("rb") as stream:
            yield from filter(None, map(parsed_row, stream))
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(file, f"cannot be read ({error.strerror})", "restore the file") from None


def write_json(file: Path, value: Any) -> None:
    """Write the whole file, or leave the old one.

    Raises:
        RunError: The disk is full or the folder cannot be written.
    """
    part = file.with_suffix(".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
        part.write_text(text, "utf-8", errors="backslashreplace")
        part.replace(file)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
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


def cannot_write(file: Path, error: OSError) -> DiskError:
    """The error for a file that could not be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    todo = "free the disk, then resume" if full else "check the folder, then resume"
    return DiskError(file, f"cannot be written ({error.strerror or error})", todo)
