"""The rows of a JSON Lines file by id, read whenever they are looked at: few bytes a row."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from pathlib import Path
from threading import Lock
from typing import Any

LINE = 1024  # bytes that are read at once
FREE = -1


class Places:
    """A number for each id, shared by files that speak of the same ids.

    Of very many samples, a dictionary in each of the files would weigh, and one dictionary of
    numbers does, too: 64 bytes an id. Here ids stand in a list, and an open-addressed table of
    their numbers (linear probing) finds them: 14 to 24 bytes.

    Args:
        names: Ids that are known already: kept once, here and where they come from.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names: list[str] = []  # by number
        self._table = array("i", [FREE]) * 1024
        self._lock = Lock()
        for name in names:
            self.of(name)

    def of(self, name: str) -> int:
        """The number of an id, a new one where it has none."""
        with self._lock:
            slot = self._slot(name)
            if self._table[slot] == FREE:
                self._table[slot] = len(self.names)
                self.names.append(name)
                if 3 * len(self.names) > 2 * len(self._table):
                    self._widen()
                return len(self.names) - 1
            return self._table[slot]

    def find(self, name: object) -> int:
        """The number of an id, -1 where it has none."""
        with self._lock:
            return self._table[self._slot(name)]

    def _slot(self, name: object) -> int:
        """Where the number of the id stands, or would stand."""
        table, names, last = self._table, self.names, len(self._table) - 1
        slot = hash(name) & last
        while (number := table[slot]) != FREE and names[number] != name:
            slot = (slot + 1) & last
        return slot

    def _widen(self) -> None:
        self._table = array("i", [FREE]) * (2 * len(self._table))
        for number, name in enumerate(self.names):
            self._table[self._slot(name)] = number


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
        number = self._places.find(name)
        return self._begins[number] if 0 <= number < len(self._begins) else -1

    def __iter__(self) -> Iterator[str]:
        names = filter(self.__contains__, list(self._places.names))
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


def parsed_row(line: bytes) -> dict[str, Any] | None:
    """The row of a whole line, None for a torn one."""
    if not line.endswith(b"\n"):
        return None
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None
