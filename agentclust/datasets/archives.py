"""Archives: fetched and gone on with, checked, and unpacked so that nothing leaves the folder.

It knows nothing of what is in them.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, NoReturn

import httpx
from filelock import FileLock, Timeout

from agentclust.datasets.recipe import Archive
from agentclust.errors import InputError, RunError
from agentclust.files import downloads
from agentclust.files.transfer import Report

KINDS = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}  # by the length of the hex digest
TARS = (".tar", ".tar.gz", ".tgz")
AGAIN = "fetch it again: remove the file, or name another with --from"


def kind_of(checksum: str) -> str:
    """Which checksum it is.

    Raises:
        InputError: It is none that is known.
    """
    if len(checksum) not in KINDS or any(c not in "0123456789abcdef" for c in checksum.lower()):
        why = "is no MD5, SHA-1, SHA-256 or SHA-512"
        raise InputError(f"checksum {checksum!r}", why, "write it in hex")
    return KINDS[len(checksum)]


def verify(file: Path, checksum: str, name: str = "") -> str:
    """Check a file, and say what was found as ``KIND:HEX``; SHA-256 where no checksum is given.

    Raises:
        InputError: It is another file, or cannot be read.
    """
    kind = kind_of(checksum) if checksum else "sha256"
    try:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, kind).hexdigest()
    except OSError as error:
        raise InputError(file, f"cannot be read ({error.strerror})", "check the file") from None
    if checksum and digest != checksum.lower():
        why = f"its {kind.upper()} is {digest}, not {checksum.lower()}"
        raise InputError(name or file, why, f"{AGAIN}, or tell its own with --checksum")
    return f"{kind}:{digest}"


def fetch(
    archive: Archive, folder: Path, checksum: str, report: Report, pause: float = 1.0
) -> tuple[Path, str]:
    """The archive in `folder`, taken if it is there, else fetched; and its checksum.

    What came of an archive is kept, and another call goes on from there. It gets its name when all
    of it is there and right.

    Args:
        archive: What to fetch.
        folder: Where archives are kept.
        checksum: What it must be, in place of what is published; empty for that.
        report: Told what is going on.
        pause: Seconds before another try, see `downloads.append`.

    Raises:
        InputError: It is another file than the checksum says.
        RunError: It cannot be had now.
    """
    target, part = folder / archive.file, folder / f"{archive.file}.part"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / f".{archive.file}.lock", timeout=0), _client() as client:
            checksum = checksum or archive.checksum
            if not target.exists():
                checksum = checksum or _published(client, archive)
                _download(client, archive, part, report, pause)
                report(f"{archive.file}: checking", 0, 0)
                try:
                    found = verify(part, checksum, archive.file)
                except InputError:
                    part.unlink()  # no further byte can make it right
                    raise
                os.replace(part, target)
                return target, found
            return target, verify(target, checksum)
    except Timeout:
        why = "another process is fetching it"
        raise RunError(archive.file, why, "wait until that is done") from None


def _download(
    client: httpx.Client, archive: Archive, part: Path, report: Report, pause: float
) -> None:
    asked = False

    def watch(done: int, total: int | None) -> None:
        nonlocal asked
        if total and not asked:
            asked = True
            _ask_for_room(part.parent, total - done)
        report(archive.file, done, total or done)

    report(f"{archive.file}: from {archive.url}", 0, 0)
    with _answers(archive.url):
        downloads.append(client, archive.url, part, watch, pause=pause)


def _published(client: httpx.Client, archive: Archive) -> str:
    """The checksum that the publisher lists for it, empty where there is no list."""
    if not archive.sums:
        return ""
    with _answers(archive.sums):
        response = client.get(archive.sums)
        response.raise_for_status()
    for line in response.text.splitlines():
        digest, _, name = line.strip().partition(" ")
        if name.strip().lstrip("*").rpartition("/")[2] == archive.file:
            kind_of(digest)
            return digest
    raise InputError(archive.sums, f"lists no {archive.file}", "pass its checksum: --checksum HEX")


@contextmanager
def _answers(url: str) -> Iterator[None]:
    """Say in words why an address does not answer."""
    try:
        yield
    except httpx.HTTPStatusError as error:
        why = f"answers {error.response.status_code}"
        todo = "fetch the archive in another way and pass it with --from"
        raise RunError(url, why, todo) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = f"cannot be reached ({error or type(error).__name__})"
        todo = "prepare again: it goes on where it stopped, or pass the archive with --from"
        raise RunError(url, why, todo) from None


def _client() -> httpx.Client:
    headers = {"User-Agent": "agentclust", "Accept-Encoding": "identity"}
    return httpx.Client(headers=headers, timeout=30.0, follow_redirects=True)


def _ask_for_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        why = f"has {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB are needed"
        raise RunError(folder, why, "free the disk, or name another --root")


def unpack(file: Path, name: str, into: Path) -> None:
    """Unpack an archive below `into`: regular files and folders, and nothing else.

    Args:
        file: The archive.
        name: Its official name, which says how to unpack it.
        into: A folder that is there.

    Raises:
        InputError: It is damaged or truncated, or holds a link, a device, a path that leads out of
            it, or one path twice.
        RunError: The disk has no room for it.
    """
    try:
        if not file.stat().st_size:
            raise EOFError("an empty file")
        if name.endswith(TARS):
            _untar(file, into)
        elif name.endswith(".zip"):
            _unzip(file, into)
        else:
            with gzip.open(file) as stream:
                _copy(stream, into / name.removesuffix(".gz"))
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, gzip.BadGzipFile, EOFError) as error:
        raise InputError(file, f"is damaged or truncated ({error})", AGAIN) from None
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or packed in an unknown way
        raise InputError(file, f"cannot be unpacked ({error})", AGAIN) from None
    except FileExistsError as error:
        twice = Path(error.filename).relative_to(into)
        raise InputError(file, f"holds {str(twice)!r} twice", AGAIN) from None


def _untar(file: Path, into: Path) -> None:
    with tarfile.open(file, "r:*") as archive:
        for member in archive:
            target = _target(file, member.name, into)
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            stream = archive.extractfile(member) if member.isreg() else None
            if stream is None:
                _refuse(file, member.name, "link" if member.issym() or member.islnk() else "device")
            _ask_for_room(into, member.size)
            with stream:
                _copy(stream, target)


def _unzip(file: Path, into: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        for member in members:  # before the first byte is written
            _target(file, member.filename, into)
            mode = member.external_attr >> 16
            if stat.S_IFMT(mode) and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                _refuse(file, member.filename, "link" if stat.S_ISLNK(mode) else "device")
        _ask_for_room(into, sum(member.file_size for member in members))
        for member in members:
            target = _target(file, member.filename, into)
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            with archive.open(member) as stream:
                _copy(stream, target)


def _target(file: Path, name: str, into: Path) -> Path:
    """Where a member goes."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        why = f"holds {name!r}, a path that may lead out of it"
        raise InputError(file, why, "do not use it: fetch the official archive")
    return into / path


def _refuse(file: Path, name: str, what: str) -> NoReturn:
    todo = "do not use it: fetch the official archive"
    raise InputError(file, f"holds {name!r}, a {what} and no regular file", todo)


def _copy(stream: IO[bytes] | gzip.GzipFile, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as out:
        shutil.copyfileobj(stream, out, 1 << 20)
