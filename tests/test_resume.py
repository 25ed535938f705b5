"""Whoever kills the process loses at most the answers in flight; nothing is paid for twice."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests import outside
from tests.endpoint import as_fake
from tests.models.stub_endpoint import Stub
from tests.plugged import pictures

THINGS = ("ball", "cone", "cube", "ring", "star", "ball somewhere", "cone perhaps")
RECORDING = "tests.plugged:Recording"

pytestmark = pytest.mark.timeout(900)  # on a machine that is busy otherwise


@pytest.fixture
def dataset(tmp_path):
    """85 captions and 10 pictures: of more, each process would load UMAP for the map."""
    folder = pictures(tmp_path / "pictures", "rgbrgbrgbr")
    rows = [{"id": f"p{i}", "file": f"pictures/{file.name}"}
            for i, file in enumerate(sorted(folder.iterdir()))]  # fmt: skip
    rows += [{"id": f"c{i}", "caption": f"number {i} is a {THINGS[i % 7]}"} for i in range(85)]
    file = tmp_path / "m.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


@dataclass
class Killed:
    """A run that is killed, resumed, and killed again.

    Attributes:
        words: The command line that begins it, without ``--out``.
        asked: What the model has been asked so far.
        in_flight: How many answers a killed process may lose.
    """

    folder: Path
    words: tuple[object, ...]
    env: dict[str, str]
    asked: Callable[[], list[str]]
    in_flight: int
    answers: Path
    kills: int = field(default=0, init=False)

    def go(self, calls: int | None = None, wait: float = 0.0) -> bool:
        """Go on to the end, or to a kill `wait` seconds after so many calls; whether it ended."""
        begun = (self.folder / "run/run.json").exists()
        words = ("resume", "run") if begun else ("run", *self.words, "--out", "run")
        before = len(self.asked())
        process = outside.start(*words, cwd=self.folder, env=self.env)
        if calls is not None:
            outside.until(lambda: len(self.asked()) >= before + calls or process.is_over(), 240)
            time.sleep(wait)
            process.signal(signal.SIGKILL)
        ended = process.wait(240)
        assert ended.status in (0, -signal.SIGKILL), ended.err
        self.kills += ended.status != 0
        return ended.status == 0

    def stored(self) -> int:
        """How many answers are on disk."""
        if not self.answers.exists():
            return 0
        with closing(sqlite3.connect(self.answers)) as store:
            tables = store.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            return store.execute("SELECT count(*) FROM answers").fetchone()[0] if tables else 0

    def lost(self) -> int:
        """How many answers that were asked for are not on disk."""
        lost = len(set(self.asked())) - self.stored()
        assert lost <= self.in_flight
        return lost

    def result(self) -> bytes:
        return (self.folder / "run/assignments.csv").read_bytes()


def kill_20_times(make: Callable[[int], Killed], exact: bool, kills: int = 20) -> None:
    """Kill runs at random moments and compare them with one that was left in peace.

    Args:
        make: A new run, by its number.
        exact: Whether `asked` knows of a request before the model has answered, for certain.
        kills: How many kills in all.
    """
    undisturbed = make(0)
    assert undisturbed.go()
    asked = undisturbed.asked()
    assert len(asked) == len(set(asked)) == undisturbed.stored() > 95
    rng = random.Random(20)
    done, turn = 0, 0
    while done < kills:
        turn += 1
        run = make(turn)
        lost, ended = 0, False
        # a little beyond both ends: before the first question, and after the last answer
        moments = [rng.randrange(-20, len(asked) + 20) for _ in range(min(5, kills - done))]
        for calls in sorted(moments):
            left = max(0, min(calls, len(asked)) - run.stored())
            ended = run.go(left, rng.uniform(0, 0.03))
            if ended:  # before it could be killed
                break
            lost += run.lost() if exact else run.in_flight
        assert ended or run.go()
        assert run.result() == undisturbed.result()
        assert set(run.asked()) == set(asked)
        assert len(run.asked()) - len(set(run.asked())) <= lost
        assert run.stored() == len(asked)
        done += run.kills
    assert done == kills


@pytest.mark.parametrize(("cache", "kills"), [("true", 20), ("false", 4)])
def test_kills_repeat_no_stored_call_in_process(tmp_path, dataset, cache, kills):
    def make(turn):
        folder = tmp_path / f"turn{turn}"
        folder.mkdir()
        return Killed(
            folder,
            ("../m.jsonl", "--criterion", "shape", "--n-clusters", 4, "--embedder",
             "tfidf", "--llm", RECORDING, "--vlm", RECORDING, "--set", f"cache={cache}"),
            {"ASKED": str(folder / "asked"), "LATENCY": "0.002",
             "AGENTCLUST_HOME": str(folder / "home")},
            lambda: lines(folder / "asked"),
            1,
            folder / ("home" if cache == "true" else "run") / "answers.sqlite",
        )  # fmt: skip

    kill_20_times(make, exact=True, kills=kills)


def test_kills_repeat_no_stored_call_of_an_endpoint(tmp_path, dataset):
    concurrency, asked = 8, []

    def plan(body):
        asked.append(json.dumps(body))
        return replace(as_fake(body), delay=0.03)

    with Stub(plan) as stub:

        def make(turn):
            folder = tmp_path / f"turn{turn}"
            folder.mkdir()
            since = len(asked)
            sets = {"base_url": stub.base_url, "concurrency": concurrency}
            return Killed(
                folder,
                ("../m.jsonl", "--criterion", "shape", "--n-clusters", 4, "--embedder",
                 "tfidf", "--llm", "openai:stub", "--vlm", "openai:stub",
                 *(word for key, value in sets.items() for word in ("--set", f"{key}={value}"))),
                {"AGENTCLUST_HOME": str(folder / "home")},
                lambda: asked[since:],
                concurrency,
                folder / "home/answers.sqlite",
            )  # fmt: skip

        kill_20_times(make, exact=False)
