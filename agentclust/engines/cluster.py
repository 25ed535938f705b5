"""A Ray cluster: joined or started, what it holds, and what of that our workers have taken."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any

from agentclust.errors import InputError, RunError

# read when Ray is imported: it tells nobody that it is used, and writes nothing onto our standard
# output, as it would where a worker dies
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")

import ray

LONGEST = 300  # characters of Ray's words
LOOKED_AT = 1 << 16  # bytes
CLOSING = 30.0  # seconds that threads have to see that their workers are gone
ANSWERS_WITHIN = 5.0  # seconds that the head may take to say that it is there
OBJECT_STORE = 256 << 20  # bytes, where Ray is started here: tasks are small, files go by path
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])  # RFC 9113, 3.4
SETTINGS = 4  # the first frame that whoever speaks HTTP/2 sends


@dataclass(frozen=True)
class Need:
    """What a worker takes of a machine."""

    cpus: float
    gpus: float

    def fits(self, cpus: float, gpus: float) -> int:
        """How many such workers fit into so many CPUs and GPUs."""
        wanted = ((self.cpus, cpus), (self.gpus, gpus))
        return int(min((have / need + 1e-9 for need, have in wanted if need), default=1))


class Cluster:
    """The machines, shared by the pools of workers.

    Attributes:
        changed: Held to look at or change a pool; told whenever a worker comes, ends a task or
            goes.
        pools: The pools of workers.
        closed: Whether nobody needs them any more.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.pools: list[Any] = []
        self.closed = False

    def close(self) -> None:
        """End all workers, and wait for the threads that wait for them.

        A thread that called Ray after its end would end the whole process.
        """
        with self.changed:
            self.closed = True
            for pool in self.pools:
                pool.end()
            self.changed.notify_all()
            self.changed.wait_for(lambda: not any(pool.at_work for pool in self.pools), CLOSING)

    def machines(self) -> list[tuple[float, float]]:
        """CPUs and GPUs of each machine that is alive."""
        alive = (node["Resources"] for node in ray.nodes() if node["Alive"])
        return [(found.get("CPU", 0.0), found.get("GPU", 0.0)) for found in alive]

    def holds(self, need: Need) -> int:
        """How many such workers it could hold if there were no others."""
        return sum(need.fits(*machine) for machine in self.machines())

    def has_room(self, need: Need) -> bool:
        """Whether one more such worker fits beside ours."""
        machines = self.machines()
        cpus = sum(m[0] for m in machines) - sum(p.need.cpus * len(p.workers) for p in self.pools)
        gpus = sum(m[1] for m in machines) - sum(p.need.gpus * len(p.workers) for p in self.pools)
        return need.fits(cpus, gpus) > 0

    def make_room(self, need: Need, wanting: Any) -> bool:
        """Let idle workers of other pools go until one more such worker fits.

        A model that is let go is loaded again when it is next asked.
        """
        others = [pool for pool in self.pools if pool is not wanting]
        while not self.has_room(need):
            if not any(pool.let_go() for pool in others):
                return False
        return True


@contextmanager
def joined(address: str) -> Iterator[str]:
    """Be part of a cluster; without an address of one that is started on this machine.

    Args:
        address: ``HOST:PORT`` of the head, or ``auto`` for the one this machine belongs to.

    Yields:
        The head's address.

    Raises:
        InputError: Nobody answers there, or a cluster of another Python or Ray.
    """
    address = address or os.environ.get("RAY_ADDRESS", "")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address and address != "auto":
        _check(address)
    with _aside() as said:
        try:
            if address:
                ray.init(address=address, **quiet)
            else:
                ray.init("local", include_dashboard=False, object_store_memory=OBJECT_STORE,
                         **quiet)  # fmt: skip
        except (Exception, SystemExit) as error:
            raise _not_joined(address, error, said()) from None
    try:
        yield ray.get_runtime_context().gcs_address
    finally:
        with suppress(Exception):
            ray.shutdown()


@contextmanager
def _aside() -> Iterator[Callable[[], str]]:
    """Keep what Ray writes onto standard error, and give it back when it is asked for."""
    with TemporaryFile() as kept:
        before = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield lambda: os.pread(kept.fileno(), LOOKED_AT, 0).decode(errors="replace")
        finally:
            os.dup2(before, 2)
            os.close(before)


def _check(address: str) -> None:
    """Say at once what Ray would find out in two minutes: that no cluster answers there."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "://" in address:
        why = "is not the address of a cluster's head"
        todo = "write HOST:PORT, or auto, on a machine of the cluster"
        raise InputError(f"--address {address}", why, todo)
    todo = "start it with `ray start --head`, and name the address that it prints"
    try:
        with socket.create_connection((host, int(port)), ANSWERS_WITHIN) as line:
            line.settimeout(ANSWERS_WITHIN)
            line.sendall(HELLO)
            frame = line.recv(9)
    except OSError as error:
        why = f"nobody answers there ({error.strerror or error})"
        raise InputError(f"--address {address}", why, todo) from None
    if len(frame) < 4 or frame[3] != SETTINGS:
        raise InputError(f"--address {address}", "what answers there is not Ray", todo)


def _not_joined(address: str, error: BaseException, told: str) -> InputError | RunError:
    said = " ".join(str(error).split())[:LONGEST].removesuffix(".")
    if "ersion mismatch" in said:
        todo = "install the same Ray and Python on every machine"
        return InputError(f"--address {address}", said, todo)
    if "AuthToken" in told or "uthentication" in said:
        todo = "set RAY_AUTH_MODE=token here, with the cluster's token where Ray looks for it"
        return InputError(f"--address {address}", "it wants Ray's authentication token", todo)
    if isinstance(error, SystemExit):
        said = "its head does not let this process in"
    if not address:
        todo = "free memory and disk, or start it with `ray start --head`"
        return RunError("Ray", f"cannot be started on this machine ({said})", todo)
    todo = "run `ray start --address=HOST:PORT` on this machine first"
    return InputError(f"--address {address}", f"cannot be joined from here ({said})", todo)
