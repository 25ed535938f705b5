"""The response cache: one answer is never paid for twice, in this run or the next.

It knows nothing of models: a key is a digest of everything that decides an answer, a value is JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

from filelock import FileLock
from platformdirs import user_cache_path

from agentclust.errors import DiskError


def home() -> Path:
    """Where models and answers are kept: ``$AGENTCLUST_HOME`` or the user's cache folder."""
    return Path(os.environ.get("AGENTCLUST_HOME") or user_cache_path("agentclust"))


def key(**parts: Any) -> str:
    """A digest of everything that decides an answer."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()


class Answers:
    """A persistent mapping from key to JSON value, safe between threads and processes."""

    def __init__(self, file: Path) -> None:
        self._lock = threading.Lock()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            # SQLite does not wait its turn where two processes turn a new file to WAL at once
            with FileLock(file.with_name(f"{file.name}.lock"), timeout=60):
                self._db = sqlite3.connect(file, timeout=60, check_same_thread=False)
                # an answer on its way to the disk survives a killed process, if not a power cut
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=NORMAL")
                self._db.execute(
                    "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, value TEXT)"
                )
                self._db.commit()
        except (OSError, sqlite3.Error) as error:
            todo = "free the disk, move the file away, or set AGENTCLUST_HOME elsewhere"
            raise DiskError(file, f"cannot be opened ({error})", todo) from None
        self.file = file

    def get(self, key: str) -> Any | None:
        """The stored value, or None.

        Raises:
            DiskError: The file cannot be read.
        """
        try:
            with self._lock:
                row = self._db.execute("SELECT value FROM answers WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            todo = "free the disk or move the file away, then resume the run"
            raise DiskError(self.file, f"cannot be read ({error})", todo) from None
        return None if row is None else json.loads(row[0])

    def put(self, key: str, value: Any) -> None:
        """Store a value; it outlives the process when this returns.

        Raises:
            DiskError: It cannot be stored.
        """
        text = json.dumps(value)
        try:
            with self._lock, self._db:
                self._db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, text))
        except sqlite3.Error as error:
            raise DiskError(
                self.file, f"cannot store an answer ({error})", "free the disk and resume the run"
            ) from None

    def close(self) -> None:
        """Close the file; an answer that comes later is not stored."""
        with self._lock:
            self._db.close()
