"""Files that survive a kill: append-only rows, and JSON written at once or not at all."""

from __future__ import annotations

import errno
import json
import os
import threading
from array import array
from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from agentclust.errors import DiskError, InputError

LINE = 1024  # bytes that are read at once


class Places:
    """A number for each id, shared by files that speak of the same ids.

    Of very many samples, a dictionary of its own would weigh in each of the files.

    Args:
        names: Ids that are known already: kept once, here and where they come from.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.numbers: dict[str, int] = {}
        self._next = count()
        for name in names:
            self.of(name)

    def of(self, name: str) -> int:
        """The number of an id, a new one where it has none."""
        known = self.numbers.get(name)
        if known is not None:
            return known
        return self.numbers.setdefault(name, next(self._next))


class Known(Mapping[str, dict[str, Any]]):
    """The rows of a JSON Lines file by id, in the file's order; of equal ids the last one.

    A row is read from the file whenever it is looked at: what is in memory is where each begins.

    Args:
        file: The file; it may grow, and no other process may shorten it.
        places: Numbers of the ids, which other files may share.
    """

    def __init__(self, file: Path, places: Places | None = None) -> None:
        self._file, self._places = file, places or Places()
        self._begins = array("q")  # by number, -1 where the file has no such row
        self._count = 0
        self._last = -1  # the highest number so far
        self._ordered = True  # the rows stand in the order of their numbers
        self._once = True  # no id stands there twice
        self._stream: int | None = None

    def enter(self, name: str, begins: int) -> None:
        """Take note of a row that begins at this byte."""
        number = self._places.of(name)
        self._begins.extend([-1] * (number + 1 - len(self._begins)))
        new = self._begins[number] < 0
        self._count += new
        self._once = self._once and new
        self._ordered = self._ordered and number > self._last
        self._last = max(self._last, number)
        self._begins[number] = begins

    def __getitem__(self, name: str) -> dict[str, Any]:
        begins = self._begin_of(name)
        if begins < 0:
            raise KeyError(name)
        line = os.pread(self._opened(), LINE, begins)
        while b"\n" not in line:
            line += os.pread(self._opened(), 16 * LINE, begins + len(line))
        row: dict[str, Any] = json.loads(line[: line.index(b"\n")])
        return row

    def _begin_of(self, name: object) -> int:
        number = self._places.numbers.get(name, -1)  # type: ignore[call-overload]
        return self._begins[number] if 0 <= number < len(self._begins) else -1

    def __iter__(self) -> Iterator[str]:
        names = filter(self.__contains__, list(self._places.numbers))
        return names if self._ordered else iter(sorted(names, key=self._begin_of))

    def __len__(self) -> int:
        return self._count

    def __contains__(self, name: object) -> bool:
        return self._begin_of(name) >= 0

    def items(self) -> ItemsView[str, dict[str, Any]]:
        """Ids with their rows."""
        return _Items(self)

    def values(self) -> ValuesView[dict[str, Any]]:
        """The rows."""
        return _Values(self)

    def in_order(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Ids with their rows, as they are known now."""
        first = next(iter(self), None)
        if not self._once:
            yield from ((name, self[name]) for name in self)
        elif first is not None:
            with self._file.open("rb") as stream:
                stream.seek(self._begin_of(first))
                yield from zip(self, filter(None, map(parsed_row, stream)), strict=False)

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            os.close(self._stream)
            self._stream = None

    def __del__(self) -> None:
        self.close()

    def _opened(self) -> int:
        if self._stream is None:
            self._stream = os.open(self._file, os.O_RDONLY | os.O_CLOEXEC)
        return self._stream


class _Items(ItemsView[str, dict[str, Any]]):
    _mapping: Known

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        return self._mapping.in_order()


class _Values(ValuesView[dict[str, Any]]):
    _mapping: Known

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (row for _, row in self._mapping.in_order())


class Column(Mapping[str, str]):
    """One text of each row of a file, by the row's id."""

    def __init__(self, rows: Known, name: str) -> None:
        self._rows, self._name = rows, name

    def __getitem__(self, name: str) -> str:
        return str(self._rows[name][self._name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


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
