"""The result and the samples come back, or it is said why not."""

import numpy as np
import pytest

from agentclust.errors import InputError, RunError
from agentclust.run.opening import open_run
from agentclust.run.record import read_clustering, read_samples, read_state
from tests.complaints import complains
from tests.run.contents import ROWS, files

# the result


def test_the_result_comes_back(finished):
    table = (finished / "assignments.csv").read_text("utf-8")
    assert table.splitlines()[0] == "id,path,cluster,name,confidence"
    found = read_clustering(finished)
    assert found.table() == ROWS
    assert found.sizes() == {"dog, wet": 1, "cat": 2, "cow": 0}
    assert (found.criterion, found.method, found.run) == ("Kind of pet", "ictc", finished)
    assert found.labels_.dtype == np.int64
    assert found.confidences.tolist() == [0.75, 0.0, 1.0, 0.5]
    assert (len(found), found.n_clusters) == (4, 3)
    assert str(found).splitlines() == [
        "4 images by 'Kind of pet': 3 clusters",
        "     1  dog, wet",
        "     2  cat",
        "     0  cow",
        "     1  unassigned",
    ]


def test_a_run_without_a_result(folder):
    with complains("has no result yet (status: waiting); agentclust resume"):
        read_clustering(folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.75", "much"),
        (",1,cat,", ",one,cat,"),
        (",1,cat,", ",3,cat,"),
        ("cluster,name", "group,name"),
        ("id,path", "name,path"),
        ('"b, 2",,-1,,0.0', '"b, 2"'),
    ],
)
def test_a_result_that_was_damaged(finished, old, new):
    table = finished / "assignments.csv"
    text = table.read_text("utf-8")
    assert old in text
    table.write_text(text.replace(old, new), "utf-8")
    with complains("assignments.csv: is damaged (", "restore the file"):
        read_clustering(finished)


def test_a_result_that_is_not_utf8(finished):
    (finished / "assignments.csv").write_bytes(b"id,path,cluster,name,confidence\nK\xe4,,0,x,1\n")
    with complains("assignments.csv: is damaged ("):
        read_clustering(finished)


# what is no run


@pytest.mark.parametrize("look", [read_state, open_run, read_clustering])
def test_what_is_no_run(tmp_path, look):
    for folder in (tmp_path, tmp_path / "no"):
        with complains(f"{folder}: is no run directory (no run.json); pass the folder of a run"):
            look(folder)
    (tmp_path / "run.json").write_text("[]")
    with complains("is no run directory"):
        look(tmp_path)
    (tmp_path / "run.json").write_text('{"config": {}, "format": 99}')
    with complains(f"{tmp_path}: has format 99, not 2; use a matching agentclust"):
        look(tmp_path)
    (tmp_path / "run.json").write_text('{"config": ')
    with complains("run.json: cannot be read (", "restore the file"):
        look(tmp_path)
    assert files(tmp_path) == ["run.json"]


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_samples_that_are_missing(folder, keep):
    file = folder / "samples.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:keep]))
    with complains(f"samples.jsonl: is damaged ({keep} samples, where run.json says 4)"):
        read_samples(folder)


def test_samples_that_are_damaged(folder):
    file = folder / "samples.jsonl"
    file.write_text(file.read_text("utf-8").replace("sha256", "sha"), "utf-8")
    with complains("samples.jsonl: is damaged (no 'sha256')"):
        read_samples(folder)
    file.unlink()
    with complains("samples.jsonl: is damaged ("), open_run(folder) as run:
        run.samples()


def test_errors_of_a_call_and_of_a_run_have_their_status():
    assert (InputError.exit_status, RunError.exit_status) == (2, 1)
