"""Manifests: CSV or JSON Lines, a row a sample.

It knows nothing of images: what a row's file is worth is for the caller to find out.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from agentclust.errors import InputError

COLUMNS = ("id", "file", "caption", "raw_label")
SUFFIXES = (".csv", ".jsonl")


def samples_of(manifest: Path) -> Iterator[dict[str, Any]]:
    """What a manifest says of each sample: of `COLUMNS` those that are given, ``file`` as a path.

    Raises:
        InputError: It cannot be read, or a row lacks what it must have.
    """
    number = 0
    for number, row in enumerate(read_rows(manifest), 1):
        where = f"{manifest.name} row {number}"
        given: dict[str, Any] = dict(texts(row, COLUMNS, where))
        if "id" not in given:
            raise InputError(where, "has no 'id'", "give every row a distinct id")
        if len(given) == 1:
            raise InputError(
                where, "has none of 'file', 'caption', 'raw_label'", "give at least one of them"
            )
        if "file" in given:
            given["file"] = manifest.parent / given["file"]
        if "raw_label" in given:
            given["raw_label"] = sys.intern(given["raw_label"])  # few differ
        yield given
    if not number:
        raise InputError(manifest, "holds no rows", "write one row a sample")


def texts(row: dict[str, Any], columns: Iterable[str], where: str) -> dict[str, str]:
    """The values of a row that are given, as text.

    Raises:
        InputError: One of them is neither text nor a whole number.
    """
    given = {name: row[name] for name in columns if row.get(name) not in (None, "")}
    wrong = [name for name, value in given.items() if not _is_text(value)]
    if wrong:
        raise InputError(where, f"{wrong[0]!r} is no text", "write a string")
    return {name: str(value) for name, value in given.items()}


def _is_text(value: object) -> bool:
    """Whether it is text that can be written as UTF-8, or a whole number."""
    return (isinstance(value, str) and shown(value) == value) or type(value) is int


def shown(name: str) -> str:
    """A name with whatever is not UTF-8 written out."""
    return name.encode(errors="backslashreplace").decode()


def read_rows(manifest: Path) -> Iterator[dict[str, Any]]:
    """The rows of a manifest as they stand there.

    Raises:
        InputError: It cannot be read, or is none.
    """
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as stream:
            if manifest.suffix.lower() == ".csv":
                reader = csv.DictReader(stream)
                columns = reader.fieldnames or ()
                if "id" not in columns:
                    why = f"has no column 'id' (it has: {', '.join(columns) or 'none'})"
                    raise InputError(manifest, why, "add one with distinct ids")
                yield from reader
                return
            for number, line in enumerate(stream, 1):
                if not line.strip():
                    continue
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise InputError(f"{manifest}:{number}", "is no JSON object", "write {...}")
                yield row
    except UnicodeDecodeError:
        raise InputError(manifest, "is not UTF-8 text", "save it as UTF-8") from None
    except (ValueError, RecursionError) as error:
        why = getattr(error, "msg", str(error))
        raise InputError(f"{manifest}:{number}", f"is no JSON ({why})", "mend it") from None
    except csv.Error as error:
        raise InputError(manifest, f"is no CSV ({error})", "mend it") from None
    except OSError as error:
        raise InputError(manifest, f"cannot be read ({error.strerror})", "check it") from None
