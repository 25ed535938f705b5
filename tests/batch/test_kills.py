"""A batch that is killed at random ends with the table of one that was left in peace."""

from __future__ import annotations

import csv
import json
import random
import signal
import sqlite3
import time
from contextlib import closing

import pytest
import yaml

from tests import outside

THINGS = {"shape": ("ball", "cone", "cube"), "hue": ("red", "green", "blue"),
          "size": ("tiny", "huge", "normal")}  # fmt: skip
OWN = ("seconds", "peak_mb", "resumed")  # what a kill may change

pytestmark = pytest.mark.timeout(1800)  # on a machine that is busy otherwise


def grid(folder, datasets, criteria, llm):
    """A batch file over caption manifests, the last of which is broken."""
    folder.mkdir()
    names = list(THINGS)[:criteria]
    for number in range(datasets):
        place = folder / f"d{number}"
        place.mkdir()
        rows, labels = [], ["id," + ",".join(names)]
        for n in range(9):
            said = [THINGS[name][(n + i * (n // 3)) % 3] for i, name in enumerate(names)]
            rows.append({"id": f"i{n}", "caption": f"number {number} {n} shows {' '.join(said)}"})
            labels.append(f"i{n},{','.join(said)}")
        text = "\n".join(map(json.dumps, rows))
        (place / "m.jsonl").write_text(text if number < datasets - 1 else "{broken")
        (place / "labels.csv").write_text("\n".join(labels))
    values = {
        "title": "T",
        "settings": {"llm": llm, "method": "ictc", "embedder": "tfidf", "n_clusters": 3},
        "datasets": [
            {"name": f"d{n}", "dataset": f"d{n}/m.jsonl", "labels": f"d{n}/labels.csv"}
            for n in range(datasets)
        ],
        "criteria": [{"name": n, "criterion": n, "axis": n, "n_clusters": 3} for n in names],
        "methods": [{"name": "ictc"}],
        "seeds": [0, 1],
    }
    (folder / "grid.yaml").write_text(yaml.safe_dump(values))


def table(folder, name):
    with (folder / "out" / name).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    own = {column for name in OWN for column in (name, f"{name}_sd")}
    # the broken dataset lies in a folder of the test's own
    return [{k: v.replace(str(folder), "") for k, v in row.items() if k not in own} for row in rows]


def lines(file):
    return file.read_text().splitlines() if file.exists() else []


def stored(folder):
    with closing(sqlite3.connect(folder / "home" / "answers.sqlite")) as store:
        return store.execute("SELECT count(*) FROM answers").fetchone()[0]


def batch(folder, kill=None):
    """Run it to its end, or kill it `kill` seconds after it has begun its work; whether it ended.

    No process of it is left when this returns.
    """
    process = outside.start(
        "batch", "grid.yaml", "--out", "out", "--jobs", 2, cwd=folder,
        env={"AGENTCLUST_HOME": str(folder / "home"), "ASKED": str(folder / "asked"),
             "LATENCY": "0.002"},
    )  # fmt: skip
    if kill is not None:
        begun = len(list((folder / "out").glob("*/*/*/*/run.json")))
        outside.until(
            lambda: (
                process.is_over() or len(list((folder / "out").glob("*/*/*/*/run.json"))) > begun
            ),
            600,
        )
        time.sleep(kill)
        process.signal(signal.SIGKILL)
    ended = process.wait(900)
    assert ended.status in (1, -signal.SIGKILL), ended.err  # 1: a dataset is broken
    return ended.status == 1


def kill_at_random(tmp_path, datasets, criteria, kills, llm, longest):
    """`kills` kills at random moments, and the end compared with an undisturbed one."""
    still, hit = tmp_path / "still", tmp_path / "hit"
    for folder in (still, hit):
        grid(folder, datasets, criteria, llm)
    assert batch(still)
    rng = random.Random(5)
    for _ in range(kills):
        assert not batch(hit, rng.uniform(0, longest)), "it ended before it was killed"
    assert batch(hit)
    runs = (datasets - 1) * criteria * 2
    rows, others = table(hit, "results.csv"), table(still, "results.csv")
    assert [row["status"] for row in rows] == ["done"] * runs + ["failed"] * criteria * 2
    paid = [sum(int(row["calls"] or 0) for row in found) for found in (rows, others)]
    assert paid[0] <= paid[1], "a stored answer was paid for again"
    if paid[0] == paid[1]:  # else the kill came between an answer and the note of its cost
        assert rows == others
        assert table(hit, "summary.csv") == table(still, "summary.csv")
    scores = ("dataset", "criterion", "seed", "acc", "nmi", "ari", "n_clusters", "error")
    assert [[row[k] for k in scores] for row in rows] == [
        [row[k] for k in scores] for row in others
    ]
    assert stored(hit) == stored(still) > 0
    return still, hit


def test_a_batch_side_by_side_survives_kills_and_a_broken_dataset(tmp_path):
    kill_at_random(tmp_path, 2, 2, 2, "fake:0.01", 0.3)


@pytest.mark.slow
def test_a_large_batch_side_by_side_survives_five_kills(tmp_path):
    kill_at_random(tmp_path, 4, 3, 5, "fake:0.01", 0.4)


@pytest.mark.slow
def test_five_kills_repeat_no_stored_call(tmp_path):
    still, hit = kill_at_random(tmp_path, 4, 3, 5, "tests.plugged:Recording", 0.4)
    asked, again = lines(still / "asked"), lines(hit / "asked")
    assert len(asked) == len(set(asked)) == stored(still)
    assert set(again) == set(asked)
    assert len(again) - len(set(again)) <= 5  # one may be in flight at each kill
