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
from agentclust.files.known import Known, Places, parsed_row


class Rows:
    """An append-only JSON Lines file.

    Attributes:
        known: Its rows by their `key`, or by their number where they have none; nothing where
            `key` is None.

    Args:
        file: The file, made where it is missing.
        key: The field that holds a row's id.
        places: Numbers of the ids, which other files may share.

    Raises:
        InputError: A line before the last one is damaged.
        RunError: The file cannot be written.
    """

    def __init__(self, file: Path, key: str | None = "id", places: Places | None = None) -> None:
        self.file, self._key, self._lock = file, key, threading.Lock()
        self.known = Known(file, places)
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
                self._enter(row, whole)
                whole += len(line)
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
            self._enter(row, end)

    def _enter(self, row: Mapping[str, Any], begins: int) -> None:
        if self._key is not None:
            self.known.enter(str(row.get(self._key, len(self.known))), begins)

    def close(self) -> None:
        """Close the file; its rows can still be looked at."""
        with suppress(OSError):
            self._stream.close()


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
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    write_whole(file, text.encode("utf-8", "backslashreplace"))


def write_whole(file: Path, data: bytes) -> None:
    """Write the whole file, or leave the old one.

    Raises:
        RunError: The disk is full or the folder cannot be written.
    """
    part = file.with_suffix(".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(file)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise cannot_write(file, error) from None


def known_rows(file: Path, places: Places | None = None) -> Known:
    """The rows of a file that a process may be writing, by id.

    Args:
        file: The file.
        places: Numbers of the ids, which other files may share.

    Raises:
        InputError: The file is there but cannot be read.
    """
    known, begins = Known(file, places), 0
    try:
        with file.open("rb") as stream:
            for line in stream:
                row = parsed_row(line)
                if row is not None:
                    known.enter(str(row["id"]), begins)
                begins += len(line)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise InputError(file, f"cannot be read ({error.strerror})", "restore the file") from None
    return known


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
