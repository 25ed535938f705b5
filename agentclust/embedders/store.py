"""The embedding store: the vectors of one dataset by one embedder, in a file that is mapped.

A store is a folder: ``vectors.npy`` (any NumPy reads it: ``np.load(file, mmap_mode="r")``),
``rows.jsonl`` (id and key of each row), ``store.json`` (what made it) and ``chunks.jsonl`` (which
rows are written, with their checksums). It is written chunk by chunk and never wholly in memory;
whoever kills the process loses at most the chunk in the making. It knows no runs and no networks.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from filelock import FileLock, Timeout
from numpy.lib.format import open_memmap, write_array_header_1_0
from numpy.typing import NDArray

from agentclust.errors import DiskError, InputError, RunError
from agentclust.files.blocks import release
from agentclust.files.journal import Rows, cannot_write, read_json, whole_rows, write_json

FORMAT = 1
CHUNK = 1024  # rows that are lost at most where the process is killed
UNBEGUN = {".lock", "rows.jsonl", "vectors.npy", "store.part"}  # there before store.json is
AGAIN = "remove the folder and embed again"

Number = Literal["float16", "float32"]
Kept = NDArray[np.float16] | NDArray[np.float32]


@dataclass(frozen=True)
class Made:
    """What a store is made of: whatever decides its bytes.

    Attributes:
        embedder: The embedder's name, as it was typed.
        identity: What decides a vector: weights and preprocessing (`Embedder.identity`).
        of: "text" or "image".
        dtype: Number format of the vectors.
        fingerprint: Digest of identity, number format and keys, in their order.
        rows: How many vectors.
    """

    embedder: str
    identity: str
    of: Literal["text", "image"]
    dtype: Number
    fingerprint: str
    rows: int


def fingerprint(identity: str, dtype: Number, keys: Sequence[str]) -> str:
    """The digest of what decides the vectors of these keys."""
    digest = hashlib.sha256(f"{FORMAT}\0{identity}\0{dtype}".encode())
    for key in keys:
        digest.update(f"\0{key}".encode())
    return digest.hexdigest()


def made_of(folder: Path) -> Made:
    """What the store in this folder is made of.

    Raises:
        InputError: There is none, or one of another format.
    """
    found = read_json(folder / "store.json")
    if found is None:
        todo = "make one with `agentclust embed DATASET --embedder E --out DIR`"
        raise InputError(folder, "is no embedding store (no store.json)", todo)
    try:
        if found.pop("format") != FORMAT:
            raise InputError(folder, f"is not of format {FORMAT}", AGAIN)
        return Made(**found)
    except (AttributeError, KeyError, TypeError):
        raise InputError(folder / "store.json", "does not describe a store", AGAIN) from None


class Store:
    """A whole store, open for reading.

    Args:
        folder: Where it lies.

    Attributes:
        made: What it is made of.
        vectors: Unit rows, shape (n, d), mapped from the disk, not to be written to.

    Raises:
        InputError: There is none, or it is unfinished, torn or damaged; every byte is compared
            with its checksum, which takes about a second a gigabyte.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.made = folder, made_of(folder)
        file = folder / "vectors.npy"
        sums = [int(row["crc32"]) for row in whole_rows(folder / "chunks.jsonl")]
        if len(sums) * CHUNK < self.made.rows:
            why = f"is unfinished: {len(sums) * CHUNK} of {self.made.rows} vectors are written"
            raise InputError(folder, why, "run `agentclust embed` again: it goes on from there")
        try:
            self.vectors: Kept = open_memmap(file, mode="r")
        except (OSError, ValueError) as error:
            raise InputError(file, f"is torn ({error})", AGAIN) from None
        held = (len(self.vectors), self.vectors.dtype.name)
        if held != (self.made.rows, self.made.dtype):
            raise InputError(file, f"holds {held[0]} {held[1]}, unlike store.json", AGAIN)
        for index, known in enumerate(sums):
            rows = self.vectors[index * CHUNK : (index + 1) * CHUNK]
            if zlib.crc32(rows.tobytes()) != known:
                why = f"is damaged: the vectors from {index * CHUNK} on are not as written"
                raise InputError(file, why, AGAIN)
            release(self.vectors)

    def keys(self) -> Iterator[str]:
        """The key of each row, in order."""
        return (str(row["key"]) for row in whole_rows(self.folder / "rows.jsonl"))


class Writer:
    """A store in the making, as a context manager: it holds a lock.

    Args:
        folder: New, empty, or a store of the same vectors, with which it goes on.
        made: What it is made of.
        ids: The sample of each row.
        keys: What tells the items apart: of a file its SHA-256, of a text its digest.

    Attributes:
        done: How many rows are written, from the first one on.

    Raises:
        InputError: The folder holds something else, or vectors of another model or of others.
        RunError: Another process writes it.
    """

    def __init__(self, folder: Path, made: Made, ids: Sequence[str], keys: Sequence[str]) -> None:
        self.folder, self.made, self._ids, self._keys = folder, made, ids, keys
        self._stream: BinaryIO | None = None
        self._chunks: Rows | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / ".lock")
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RunError(folder, "another process embeds into it", "wait for it") from None
        except OSError as error:
            raise cannot_write(folder, error) from None
        try:
            self.done = self._before()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self._stream, self._chunks):
            if stream is not None:
                stream.close()
        self._lock.release()

    def _before(self) -> int:
        """How many rows a process before has written."""
        if not (self.folder / "store.json").exists():
            if not {entry.name for entry in self.folder.iterdir()} <= UNBEGUN:
                raise InputError(self.folder, "is not empty", "pass another --out")
            return 0
        before = made_of(self.folder)
        if before.identity != self.made.identity:
            why = f"holds vectors of another model ({before.identity})"
            raise InputError(self.folder, why, "pass another --out")
        if before.fingerprint != self.made.fingerprint:
            why = f"holds {before.rows} {before.dtype} vectors of other samples"
            raise InputError(self.folder, why, "pass another --out")
        self._chunks = Rows(self.folder / "chunks.jsonl", "chunk")
        try:
            self._stream = (self.folder / "vectors.npy").open("r+b")
        except OSError as error:
            raise InputError(self.folder, f"is torn ({error.strerror})", AGAIN) from None
        return min(len(self._chunks.known) * CHUNK, self.made.rows)

    def row(self, index: int) -> NDArray[np.float32]:
        """A vector that is written, shape (d,)."""
        found = open_memmap(self.folder / "vectors.npy", mode="r")[index]
        return np.asarray(found, dtype=np.float32)

    def append(self, vectors: NDArray[np.float32]) -> None:
        """Write the next `CHUNK` rows, or those that are left; they outlive the process.

        Raises:
            InputError: A number is not finite.
            RunError: There is no room for the vectors.
        """
        wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(wrong):
            why = f"gives a vector that is not finite for {self._ids[self.done + wrong[0]]!r}"
            raise InputError(self.made.embedder, why, "choose another embedder, or leave it out")
        block = np.ascontiguousarray(vectors, dtype=np.dtype(self.made.dtype).newbyteorder("<"))
        if self._stream is None or self._chunks is None:
            self._stream, self._chunks = self._begin(vectors.shape[1], block.dtype)
        try:
            # rows are written from the first one on, so that the last one ends the file
            self._stream.seek((self.done - self.made.rows) * block[0].nbytes, os.SEEK_END)
            self._stream.write(block.tobytes())
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise cannot_write(self.folder, error) from None
        self._chunks.append({"chunk": self.done // CHUNK, "crc32": zlib.crc32(block.tobytes())})
        self.done += len(block)

    def _begin(self, width: int, dtype: np.dtype[np.generic]) -> tuple[BinaryIO, Rows]:
        """Make room for all the vectors, so that a disk that is too small is known at once."""
        file, shape = self.folder / "vectors.npy", (self.made.rows, width)
        stream = None
        try:
            stream = file.open("w+b")
            head = {"descr": dtype.str, "fortran_order": False, "shape": shape}
            write_array_header_1_0(stream, head)
            size = stream.tell() + self.made.rows * width * dtype.itemsize
            stream.flush()
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(stream.fileno(), 0, size)
            stream.truncate(size)
            with (self.folder / "rows.jsonl").open("w", encoding="utf-8") as rows:
                for sample_id, key in zip(self._ids, self._keys, strict=True):
                    rows.write(json.dumps({"id": sample_id, "key": key}) + "\n")
            chunks = Rows(self.folder / "chunks.jsonl", "chunk")
            write_json(self.folder / "store.json", {"format": FORMAT} | asdict(self.made))
        except (OSError, DiskError) as error:
            if stream is not None:
                stream.close()
            for name in ("vectors.npy", "rows.jsonl", "chunks.jsonl"):
                with suppress(OSError):
                    (self.folder / name).unlink(missing_ok=True)
            why = f"has no room for {self.made.rows} vectors of {width} {self.made.dtype} ({error})"
            raise DiskError(self.folder, why, "free the disk, or embed elsewhere") from None
        return stream, chunks
