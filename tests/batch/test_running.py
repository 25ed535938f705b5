"""Batch files: what is run and what is skipped."""

from __future__ import annotations

import csv
from shutil import copytree
from xml.etree import ElementTree

import pytest
import yaml
from pyarrow import parquet

from agentclust import datasets, service
from agentclust.errors import InputError, RunError
from agentclust.service.forecasting import Shelf
from agentclust.service.grid import cells, read_grid
from tests.batch.grids import changed, quiet
from tests.outside import run


def test_a_grid_is_run_with_one_broken_dataset_and_only_what_is_left_is_run_again(file, tmp_path):
    grid, out = read_grid(file), tmp_path / "out"
    rows = service.run_batch(grid, out, only=["shapes/*/0"], reporter=quiet())
    assert [(r["dataset"], r["method"], r["seed"]) for r in rows] == [
        ("shapes", "default", 0),
        ("shapes", "words", 0),
    ]
    assert [row["acc"] for row in rows] == [1.0, 1.0]
    before = (out / "shapes/default/0/run.json").read_bytes()
    rows = service.run_batch(grid, out, reporter=quiet())
    assert (out / "shapes/default/0/run.json").read_bytes() == before
    assert [row["status"] for row in rows] == ["done", "done", "done", "failed"]
    assert "captions.jsonl" in rows[-1]["error"]
    assert rows[0]["calls"] == rows[2]["calls"] > 0
    assert rows[0]["seconds"] > 0
    assert rows[0]["peak_mb"] > 20
    with (out / "results.csv").open(newline="") as stream:
        table = list(csv.DictReader(stream))
    assert [row["acc"] for row in table] == ["1.0", "1.0", "1.0", ""]
    text = (out / "results.md").read_text()
    assert "| default | 1.000 ± 0.000 |" in text
    assert "| published: gpt (by hand) | 0.500 | 0.400 | 0.300 |" in text
    assert "failed: default 0" in text
    ElementTree.parse(out / "tokens.svg")
    with (out / "summary.csv").open(newline="") as stream:
        means = list(csv.DictReader(stream))
    assert [(row["method"], row["published"], row["acc"]) for row in means] == [
        ("default", "False", "1.0"),
        ("words", "False", "1.0"),
        ("gpt (by hand)", "True", "0.5"),
    ]
    table = parquet.read_table(out / "summary.parquet").to_pylist()
    assert [row["acc"] for row in table] == [1.0, 1.0, 0.5]
    page = (out / "report.html").read_text()
    assert 'href="shapes/default/1/report.html"' in page
    assert (out / "shapes/default/1/report.html").exists()
    assert "published: gpt (by hand)" in page
    assert "captions.jsonl" in page
    # what failed is tried again only when that is wanted
    good = (tmp_path / "shapes/captions.jsonl").read_bytes()
    (tmp_path / "broken/captions.jsonl").write_bytes(good)
    assert service.run_batch(grid, out, reporter=quiet())[-1]["status"] == "failed"
    again = service.run_batch(grid, out, retry_failed=True, reporter=quiet())
    assert again[-1]["status"] == "done"


def test_a_run_that_was_cut_off_goes_on(file, tmp_path):
    grid, out = read_grid(file), tmp_path / "out"
    (cell,) = cells(grid, ["shapes/default/0"])
    several = ["shapes/default/0", "shapes/default/1"]
    assert [one.name for one in cells(grid, several)] == several
    configs = [cell.config.model_copy(update={"max_calls": 2})]
    with pytest.raises(RunError, match="max_calls=2"):
        service.start(configs, out / cell.name, reporter=quiet())
    (row,) = service.run_batch(grid, out, [cell.name], reporter=quiet())
    assert (row["status"], row["acc"]) == ("done", 1.0)


def test_a_part_of_a_dataset_is_taken_evenly(file):
    whole = read_grid(file)
    grid = changed(file, datasets=[yaml.safe_load(file.read_text())["datasets"][0] | {"take": 4}])
    kept = Shelf().take(cells(grid)[0]).samples
    assert [sample.id for sample in kept] == ["i0", "i3", "i6", "i9"]
    out = file.parent / "out"
    costs = [service.plan(g, out, ["shapes/default/0"])[0].cost.calls for g in (grid, whole)]
    assert costs[0] < costs[1]


def test_a_dry_run_says_what_is_broken_and_goes_on(file, tmp_path):
    planned = run("batch", file, "--dry-run", cwd=tmp_path)
    assert planned.status == 1
    *runs, whole = planned.out.splitlines()
    assert [line.partition(":")[0] for line in runs] == [
        "shapes/default/0",
        "shapes/default/1",
        "shapes/words/0",
        "broken/default/0",
    ]
    assert "asks no model" in runs[2]
    assert "cannot be run" in runs[3]
    assert whole.startswith("3 runs to do, 1 that cannot be run, about ")
    assert "model calls" in whole
    assert not (tmp_path / "runs").exists()


def test_the_command_runs_and_says_where_the_tables_are(file, tmp_path):
    done = run("batch", file, "--out", tmp_path / "out", "--only", "shapes/default/0", cwd=tmp_path)
    assert done.status == 0
    assert "## shapes: 12 images, 1 seed" in done.out
    assert "results.csv" in done.out
    assert "1 run to do" in done.err
    failed = run("batch", file, "--out", tmp_path / "out", "--only", "broken/*", cwd=tmp_path)
    assert failed.status == 1


def test_the_labels_of_a_prepared_dataset_are_found_by_its_name_folder_or_manifest(file, tmp_path):
    datasets.prepare("clevr4-mini")  # where `run` finds it by its name
    here, home = tmp_path / "clevr4-mini", datasets.folder_of("clevr4-mini")
    copytree(home, here)
    data = [
        {"name": name, "dataset": name, "criterion": "colour", "axis": "colour", "n_clusters": 10}
        for name in ("clevr4-mini", "clevr4-mini/all.csv")
    ]
    grid = changed(file, datasets=data, exclude=[], methods=[{"name": "m"}], seeds=[0])
    assert [cell.labels for cell in cells(grid)] == [here / "labels.csv"] * 2
    (elsewhere,) = cells(changed(file, datasets=data[:1], root=str(tmp_path / "shapes")))
    assert elsewhere.labels == home / "labels.csv"
    method = {"method": "kmeans", "llm": "none", "vlm": "none", "embedder": "efficientnet"}
    grid = changed(file, datasets=[data[0] | {"take": 20}], settings=method)
    (row,) = service.run_batch(grid, tmp_path / "out", reporter=quiet())
    assert row["n"] == 20
    assert row["error"] == ""


def test_criteria_and_models_make_runs_of_their_own(file):
    known = yaml.safe_load(file.read_text())["datasets"][0]
    data = {name: known[name] for name in ("name", "dataset", "labels")}
    grid = changed(
        file,
        datasets=[data, known | {"name": "own", "settings": {"max_calls": 7}}],
        criteria=[
            {"name": "form", "criterion": "shape", "axis": "label", "n_clusters": 3},
            {"name": "hue", "criterion": "colour", "settings": {"seed": 5}},
        ],
        models=[{"name": "a", "settings": {"llm": "fake"}}, {"name": "b"}],
        seeds=[0],
        include=["*/default/*"],
        exclude=["*/hue/*/b/*"],
    )
    found = {cell.name: cell for cell in cells(grid)}
    assert list(found) == [
        "shapes/form/default/a/0",
        "shapes/form/default/b/0",
        "shapes/hue/default/a/0",
        "own/default/a/0",
        "own/default/b/0",
    ]
    assert found["shapes/form/default/a/0"].axis == "label"
    assert found["shapes/hue/default/a/0"].config.criterion == "colour"
    assert found["own/default/a/0"].config.max_calls == 7
    assert found["own/default/a/0"].config.criterion == "shape"


def test_what_runs_have_in_common_is_made_by_one_of_them(file, tmp_path):
    from agentclust.service.batching import _Schedule, _shared

    first, second, other = cells(read_grid(file), ["shapes/*"])
    schedule = _Schedule(2)
    assert schedule.may_begin(first)
    schedule.running.append((first, None))
    assert not schedule.may_begin(second)
    schedule.known |= _shared(first)
    assert schedule.may_begin(second)
    alone = other.model_copy(
        update={
            "config": other.config.model_copy(
                update={"llm": other.config.llm.model_copy(update={"model": "llama-cpp:a.gguf"})}
            )
        }
    )
    assert not schedule.may_begin(alone)
    schedule.running.append((second, None))
    assert not schedule.may_begin(other)
    schedule.running = [(alone, None)]
    assert not schedule.may_begin(first)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"datasets": []}, "datasets"),
        ({"colour": "red"}, "colour"),
        ({"seeds": ["a"]}, "seeds"),
        ({"methods": [{"name": "a"}, {"name": "A"}]}, "folder of two runs"),
        ({"methods": [{"name": "a", "settings": {"colour": 1}}]}, "colour"),
        ({"exclude": ["*"]}, "no run"),
        ({"include": ["nothing"]}, "no run"),
        ({"datasets": [{"name": "a", "dataset": "a", "labels": "a"}]}, "no criterion"),
        ({"datasets": [{"name": "a", "dataset": "a", "labels": "a", "axis": "b"}]}, "goes with"),
    ],
)
def test_what_is_no_grid_is_said_in_one_line(file, changes, says):
    with pytest.raises(InputError, match=says):
        cells(changed(file, **changes))


def test_a_file_that_is_no_yaml(tmp_path):
    (tmp_path / "a.yaml").write_text("a: [")
    for name in ("a.yaml", "missing.yaml"):
        with pytest.raises(InputError, match="no batch file"):
            read_grid(tmp_path / name)
