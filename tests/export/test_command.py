"""`export` as a person calls it."""

from __future__ import annotations

import json
import signal

import pytest

from agentclust import service
from tests import outside
from tests.export.results import BYTES, contents
from tests.pictures import draw


@pytest.fixture
def run(tmp_path):
    """A finished run of 120 pictures that lie beside it."""
    rows = []
    for number in range(120):
        draw(tmp_path / f"{number}.png", colour=(number, 0, 0))
        label = "ball" if number % 2 else "cone"
        rows.append({"id": f"{number}", "file": f"{number}.png", "raw_label": label})
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = ("--criterion", "shape", "--n-clusters", 2, "--llm", "fake", "--method", "ictc")
    done = outside.run("run", "m.jsonl", *words, "--out", "run", cwd=tmp_path)
    assert done.status == 0, done.err
    return tmp_path / "run"


def test_the_command_previews_exports_and_takes_back(run):
    before = contents(run.parent)
    shown = outside.run("export", run, "--to", "folders", "--dry-run", cwd=run.parent)
    assert shown.status == 0
    assert "    60  ball" in shown.out
    assert len(shown.out.splitlines()) == 122
    assert contents(run.parent) == before
    done = outside.run("export", run, "--to", "folders", "--by", "move", cwd=run.parent)
    assert done.out == f"{run}-folders\n"
    assert len(list((run.parent / "run-folders" / "cone").iterdir())) == 60
    back = outside.run("export", run, "--undo", cwd=run.parent)
    assert back.status == 0
    assert contents(run.parent) == before
    table = outside.run("export", run, "--to", "csv", "--out", "t", cwd=run.parent)
    assert table.status == 0
    assert (run.parent / "t/assignments.csv").read_bytes() == (run / "assignments.csv").read_bytes()


@pytest.mark.parametrize("by", BYTES)
def test_a_process_that_is_killed_leaves_what_can_be_mended(run, by):
    out = run.parent / "run-folders"
    before = contents(run.parent)
    for images in (1, 30, 100):
        words = ("export", run, "--to", "folders", "--by", by)
        process = outside.start(*words, cwd=run.parent)
        there = run.parent / "run-folders"
        outside.until(
            lambda there=there, images=images, process=process: (
                process.is_over() or len(list(there.glob("*/*"))) >= images
            )
        )
        process.signal(signal.SIGKILL)
        assert process.wait().status in (-signal.SIGKILL, 0)
        assert service.undo_export(run) == out
        assert contents(run.parent) == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "csv, datasets, fiftyone, folders, parquet"),
        (("--to", "xls"), "unknown format"),
        (("--to", "csv", "--undo"), "means nothing to csv"),
        (("--undo",), "holds no export"),
    ],
)
def test_a_wrong_call_is_refused_in_one_line(run, words, says):
    refused = outside.run("export", run, *words, cwd=run.parent)
    assert refused.status == 2
    assert says in refused.complaint


@pytest.mark.parametrize(("to", "package"), [("parquet", "pyarrow"), ("datasets", "datasets")])
def test_a_missing_extra_names_its_install_line(run, to, package):
    refused = outside.run("export", run, "--to", to, cwd=run.parent, without=(package,))
    assert refused.status == 2
    assert f"pip install 'agentclust[{to}]'" in refused.complaint
