"""The bytes behind an address, in as many tries as it takes: what came is kept and gone on from.

Whether the bytes are right is for the caller to check.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import httpx

CHUNK = 1 << 20
TRIES = 5  # connections in a row that brought nothing
LATER = {429, 500, 502, 503, 504}  # another try may well be answered

# the bytes that are there, and in all, None where the server does not say
Watch = Callable[[int, int | None], object]


def append(
    client: httpx.Client,
    url: str,
    part: Path,
    watch: Watch,
    size: int | None = None,
    pause: float = 1.0,
) -> None:
    """Append what is missing of a file to `part`, over broken connections.

    Args:
        client: Follows redirects, and asks for the bytes as they are (``identity``).
        url: Where the file is.
        part: What is there of it, from its first byte on; may be missing.
        watch: Told of the bytes as they come.
        size: Bytes in all, where they are known beforehand; else what the server says.
        pause: Seconds before the second try in a row; doubled for each further one.

    Raises:
        httpx.HTTPError: The server refuses, or the connection broke too often; `part` is kept.
        httpx.InvalidURL: `url` is no address.
        OSError: `part` cannot be written.
    """
    failures, have = 0, _size(part)
    while size is None or have < size:
        problem: Exception = httpx.ReadError("it ends too early")
        whole = size
        try:
            came = _read_on(client, url, part, have, watch)
            whole = came if size is None else size
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            problem = error
        before, have = have, _size(part)
        if whole is not None and have >= whole:
            return
        failures = 0 if have > before else failures + 1
        if failures == TRIES or not _passing(problem):
            raise problem
        time.sleep(pause * 2 ** max(0, failures - 1))


def _read_on(client: httpx.Client, url: str, part: Path, have: int, watch: Watch) -> int:
    """One connection: write from byte `have` on until it ends; returns the bytes in all."""
    with client.stream("GET", url, headers={"Range": f"bytes={have}-"} if have else {}) as response:
        if have and response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            # all of it is there already, or more than there is
            if response.headers.get("Content-Range", "") != f"bytes */{have}":
                part.unlink()
                raise httpx.ReadError("it is another file than before")
            return have
        response.raise_for_status()
        # a server that does not know ranges sends the whole file again
        goes_on = response.status_code == httpx.codes.PARTIAL_CONTENT
        length = response.headers.get("Content-Length")
        total = int(length) + (have if goes_on else 0) if length else None
        with part.open("ab" if goes_on else "wb") as out:
            for chunk in response.iter_raw(CHUNK):
                out.write(chunk)
                watch(out.tell(), total)
            return total or out.tell()


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _passing(error: Exception) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in LATER
    return not isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL)
