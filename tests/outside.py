"""The installed command line in processes of its own, without the seconds that importing takes.

A server imports what agentclust needs, once, and forks a child for each command line. The child
runs the installed console script, so a test may kill a real process, or take the disk or a package
away from it, and still be quick.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import json
import os
import resource
import runpy
import signal
import subprocess
import sys
import sysconfig
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import psutil

SCRIPT = Path(sysconfig.get_path("scripts"), "agentclust")
ROOT = Path(__file__).parents[1]
IMPORTED = ("agentclust.cli", "agentclust.service", "agentclust.models.fake",
            "agentclust.models.openai", "sklearn.metrics")  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """A process that has ended; a negative status is the signal that ended it."""

    status: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line in which a refused call says why."""
        assert not self.out, self.out
        assert "Traceback" not in self.err, self.err
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert lines == self.err.splitlines()[-1:], self.err
        why, _, todo = lines[0].removeprefix("error: ").rpartition("; ")
        assert why, lines
        assert todo, lines
        return lines[0]


class Started:
    """A process at work."""

    def __init__(self, order: Mapping[str, Any]) -> None:
        self._order = order
        self.pid = _ask(order)

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def is_over(self) -> bool:
        return psutil.Process(self.pid).status() == psutil.STATUS_ZOMBIE

    def wait(self, timeout: float = 60.0) -> Ended:
        guard = threading.Timer(timeout, os.kill, (self.pid, signal.SIGKILL))
        guard.start()
        status = _ask({"wait": self.pid})
        guard.cancel()
        out, err = (Path(self._order[name]).read_text("utf-8") for name in ("out", "err"))
        return Ended(status, out, err)


def start(
    *words: object,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    without: tuple[str, ...] = (),
    file_size: int | None = None,
    path: Path | None = None,
) -> Started:
    """Begin ``agentclust WORDS``.

    Args:
        words: The words of the command line.
        cwd: The working folder.
        env: Variables beside those of the test.
        without: Packages that shall not be there.
        file_size: Bytes after which a file is full.
        path: A folder with packages that shall be there.
    """
    streams = Path(mkdtemp(prefix="streams-", dir=_streams()))
    for name in ("out", "err"):
        (streams / name).touch()
    return Started(
        {
            "words": [str(word) for word in words],
            "cwd": str(cwd),
            "env": dict(os.environ) | dict(env or {}),
            "without": without,
            "file_size": file_size,
            "path": str(path or ""),
            "out": str(streams / "out"),
            "err": str(streams / "err"),
        }
    )


def run(*words: object, timeout: float = 60.0, **how: Any) -> Ended:
    """Run ``agentclust WORDS`` to its end; see `start`."""
    return start(*words, **how).wait(timeout)


def until(happened: Callable[[], object], timeout: float = 60.0) -> None:
    """Wait until something has happened in another process."""
    latest = time.monotonic() + timeout
    while not happened():
        assert time.monotonic() < latest, "it did not happen in time"
        time.sleep(0.003)


@functools.cache
def _streams() -> str:
    folder = mkdtemp(prefix="agentclust-outside-")
    atexit.register(subprocess.run, ("rm", "-r", folder), check=False)
    return folder


@functools.cache
def _server() -> subprocess.Popen[str]:
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(
        (sys.executable, "-m", "tests.outside"),
        cwd=ROOT, env=os.environ | threads, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    atexit.register(_end, server)
    return server


def _end(server: subprocess.Popen[str]) -> None:
    try:
        server.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        server.kill()


def _ask(order: Mapping[str, Any]) -> int:
    server = _server()
    assert server.stdin
    assert server.stdout
    server.stdin.write(json.dumps(order) + "\n")
    server.stdin.flush()
    return int(server.stdout.readline())


def _serve() -> dict[str, Any] | None:
    """Fork a child for each order; returns the order in the child, None when there are no more."""
    for name in IMPORTED:
        importlib.import_module(name)
    children: set[int] = set()
    for line in sys.stdin:
        order: dict[str, Any] = json.loads(line)
        if "wait" in order:
            answer = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
            children.remove(order["wait"])
        else:
            answer = os.fork()
            if not answer:
                return order
            children.add(answer)
        print(answer, flush=True)
    for child in children:  # of a test that failed
        os.kill(child, signal.SIGKILL)
    return None


def _become(order: Mapping[str, Any]) -> None:
    """Turn this process into the console script."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in enumerate(("out", "err"), 1):
        os.dup2(os.open(order[name], os.O_WRONLY), number)
    if order["file_size"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_size"], order["file_size"]))
    for package in order["without"]:
        sys.modules[package] = None  # type: ignore[assignment]
    if order["path"]:
        sys.path.insert(0, order["path"])
    sys.argv = [str(SCRIPT), *order["words"]]
    status = 0
    try:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    sys.stdout.flush()
    os._exit(status)  # taking the interpreter down costs half a second after a fork


if __name__ == "__main__":
    ordered = _serve()
    if ordered is not None:
        _become(ordered)
