"""A real Ray cluster of several nodes on this machine, and command lines that use it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from ray.cluster_utils import Cluster

STORE = 80 << 20  # bytes of shared memory a node
MAIN = "from agentclust.cli import main; main()"
ROOT = str(Path(__file__).parents[2])


@contextmanager
def nodes(count: int, **head) -> Iterator[Cluster]:
    """A cluster of so many nodes of one CPU each."""
    with environment(PYTHONPATH=ROOT, RAY_USAGE_STATS_ENABLED="0"):
        cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 1, "object_store_memory": STORE} | head,
        )
        try:
            for _ in range(count - 1):
                cluster.add_node(num_cpus=1, object_store_memory=STORE)
            cluster.wait_for_nodes()
            yield cluster
        finally:
            cluster.shutdown()


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Variables for the processes that are begun meanwhile."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def begun(*words: object, **values: str) -> subprocess.Popen[str]:
    """A command line at work, in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *map(str, words)],
        env=os.environ | {"PYTHONPATH": ROOT} | values,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str], within: float = 240) -> tuple[int, str, str]:
    """Status, standard output and standard error of a command line."""
    out, err = process.communicate(timeout=within)
    return process.returncode, out, err


def workers(cluster: Cluster) -> list[psutil.Process]:
    """The processes of our workers on the cluster."""
    raylets = [
        psutil.Process(info.process.pid)
        for node in cluster.list_all_nodes()
        for info in node.all_processes.get("raylet", [])
    ]
    found = [child for raylet in raylets for child in raylet.children()]
    return [process for process in found if _name(process).startswith("ray::Worker")]


def _name(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def lines(file: Path) -> list[str]:
    """The lines of a file that may not be there yet."""
    return file.read_text().splitlines() if file.exists() else []


def wait_for_lines(file: Path, count: int, within: float = 120) -> None:
    """Until a file has so many lines."""
    until = time.monotonic() + within
    while len(lines(file)) < count:
        assert time.monotonic() < until, f"{file} has {len(lines(file))} lines"
        time.sleep(0.02)
