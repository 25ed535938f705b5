"""A disk that is full, and a file that may not grow."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from tests import outside
from tests.bad_input.ending import SHAPE
from tests.plugged import manifest, noted


@pytest.mark.parametrize(
    ("what", "size", "method"),
    [
        ("the run", 52, "ictc"),
        ("the run", 52, "agent"),
        ("the answers", 300, "ictc"),
        ("the answers", 300, "agent"),
    ],
)
def test_a_full_disk(folder, small_disk, what, size, method):
    disk = small_disk(size)
    things = ("ball", "cone", "cube")
    file = manifest(folder / "many.jsonl", [f"{i}, a {things[i % 3]}" for i in range(150)])
    where = {"the run": disk / "run", "the answers": folder / "run"}[what]
    env = {"the run": {}, "the answers": {"AGENTCLUST_HOME": str(disk)}}[what]
    env |= {"ASKED": str(folder / "asked")}
    words = (*SHAPE, "--llm", "tests.plugged:Recording", "--method", method, "--out", where)
    words = (*words, "--embedder", "tfidf")
    ended = outside.run("run", file, *words, cwd=folder, env=env)
    assert ended.status == 1
    assert re.search(r"No space left|disk is full|disk I/O error", ended.complaint)
    assert "free the disk" in ended.complaint
    assert noted(folder / "asked")
    subprocess.run(("mount", "-o", "remount,size=4m", disk), check=True)
    assert outside.run("resume", where, cwd=folder, env=env).status == 0
    shown = json.loads(outside.run("show", where, "--json", cwd=folder).out)
    assert (shown["status"], shown["fallbacks"], shown["by"]) == ("done", [], "ictc")
    digests = [row["digest"] for row in noted(folder / "asked")]
    assert len(digests) - len(set(digests)) <= 1  # the answer that found no room


@pytest.mark.parametrize("size", [300, 3000, 12000])
def test_a_file_that_may_not_grow(folder, size):
    ended = outside.run("run", "m.jsonl", *SHAPE, "--out", "run", cwd=folder, file_size=size)
    assert ended.status == 1
    assert "free the disk" in ended.complaint
    begun = (folder / "run/run.json").exists()
    again = ("resume", "run") if begun else ("run", "m.jsonl", *SHAPE, "--out", "run")
    assert outside.run(*again, cwd=folder).status == 0
