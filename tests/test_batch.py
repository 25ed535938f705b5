"""Batch files: what is run, what is skipped, and the tables."""

from __future__ import annotations

import csv
import json
from xml.etree import ElementTree

import pytest
import yaml

from agentclust import service
from agentclust.errors import InputError, RunError
from agentclust.grid import cells, read_grid
from agentclust.progress import Reporter
from agentclust.report.scatter import Point, scatter
from agentclust.report.table import as_markdown
from tests.outside import run

SHAPES = ("ball", "cone", "cube")


@pytest.fixture
def file(tmp_path):
    for name in ("shapes", "broken"):
        folder = tmp_path / name
        folder.mkdir()
        rows = [{"id": f"i{n}", "caption": f"It is a {SHAPES[n % 3]}"} for n in range(12)]
        text = "\n".join(map(json.dumps, rows))
        (folder / "captions.jsonl").write_text(text if name == "shapes" else "{not json")
        lines = [f"i{n},{SHAPES[n % 3]}" for n in range(12)]
        (folder / "labels.csv").write_text("\n".join(["id,label", *lines]))
    (tmp_path / "published.csv").write_text(
        "dataset,llm,acc,nmi,ari,note\nshapes,gpt,0.5,0.4,0.3,by hand\nother,gpt,0.1,0.1,0.1,\n"
    )
    values = {
        "title": "Shapes",
        "settings": {"llm": "fake", "method": "ictc"},
        "datasets": [
            {
                "name": name,
                "dataset": f"{name}/captions.jsonl",
                "labels": f"{name}/labels.csv",
                "criterion": "shape",
                "n_clusters": 3,
                "published": {"file": "published.csv", "dataset": name},
            }
            for name in ("shapes", "broken")
        ],
        "methods": [
            {"name": "default"},
            {"name": "words", "settings": {"method": "kmeans", "embedder": "tfidf"}},
        ],
        "seeds": [0, 1],
        "exclude": ["broken/words/*", "broken/*/1", "shapes/words/1"],
    }
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(values))
    return tmp_path / "grid.yaml"


def changed(file, **values):
    known = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump(known | values))
    return read_grid(file)


def quiet():
    return Reporter(quiet=True)


def test_a_grid_is_run_with_one_broken_dataset_and_only_what_is_left_is_run_again(file, tmp_path):
    grid, out = read_grid(file), tmp_path / "out"
    rows = service.run_batch(grid, out, only="shapes/*/0", reporter=quiet())
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
    # what failed is tried again only when that is wanted
    good = (tmp_path / "shapes/captions.jsonl").read_bytes()
    (tmp_path / "broken/captions.jsonl").write_bytes(good)
    assert service.run_batch(grid, out, reporter=quiet())[-1]["status"] == "failed"
    again = service.run_batch(grid, out, retry_failed=True, reporter=quiet())
    assert again[-1]["status"] == "done"


def test_a_run_that_was_cut_off_goes_on(file, tmp_path):
    grid, out = read_grid(file), tmp_path / "out"
    (cell,) = cells(grid, "shapes/default/0")
    configs = [cell.config.model_copy(update={"max_calls": 2})]
    with pytest.raises(RunError, match="max_calls=2"):
        service.start(configs, out / cell.name, reporter=quiet())
    (row,) = service.run_batch(grid, out, cell.name, reporter=quiet())
    assert (row["status"], row["acc"]) == ("done", 1.0)


def test_a_part_of_a_dataset_is_taken_evenly(file):
    grid = changed(file, datasets=[yaml.safe_load(file.read_text())["datasets"][0] | {"take": 4}])
    ((_, cost), *_) = service.plan(grid)
    assert cost.calls < service.plan(read_grid(file), "shapes/default/0")[0][1].calls + 1
    from agentclust.service.batching import _dataset

    kept = _dataset(cells(grid)[0]).samples
    assert [sample.id for sample in kept] == ["i0", "i3", "i6", "i9"]


def test_the_command_plans_runs_and_says_where_the_table_is(file, tmp_path):
    planned = run("batch", file, "--dry-run", "--only", "shapes/*/0", cwd=tmp_path)
    assert planned.status == 0
    assert [line.partition(":")[0] for line in planned.out.splitlines()] == [
        "shapes/default/0",
        "shapes/words/0",
    ]
    assert "asks no model" in planned.out.splitlines()[1]
    done = run("batch", file, "--out", tmp_path / "out", "--only", "shapes/default/0", cwd=tmp_path)
    assert done.status == 0
    assert "## shapes: 12 images, 1 seed" in done.out
    assert "results.csv" in done.out
    failed = run("batch", file, "--out", tmp_path / "out", "--only", "broken/*", cwd=tmp_path)
    assert failed.status == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"datasets": []}, "datasets"),
        ({"colour": "red"}, "colour"),
        ({"seeds": ["a"]}, "seeds"),
        ({"methods": [{"name": "a"}, {"name": "A"}]}, "folder of two runs"),
        ({"methods": [{"name": "a", "settings": {"colour": 1}}]}, "colour"),
        ({"exclude": ["*"]}, "no run"),
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


def test_means_and_spread_are_those_of_the_seeds():
    row = {"dataset": "a", "method": "m", "status": "done", "n": 5, "nmi": 0.5, "ari": 0.5,
           "n_clusters": 2, "unassigned": 0, "calls": 3, "prompt_tokens": 1000,
           "cached_prompt_tokens": 0, "completion_tokens": 1, "seconds": 2,
           "peak_mb": 3}  # fmt: skip
    rows = [row | {"seed": seed, "acc": acc} for seed, acc in ((0, 0.9), (1, 0.8), (2, 0.7))]
    text = as_markdown("T", rows, {})
    assert "## a: 5 images, 3 seeds" in text
    assert "| m | 0.800 ± 0.100 | 0.500 ± 0.000 |" in text
    assert "| 1,000 |" in text


def test_the_plot_holds_every_point_and_escapes_what_it_shows():
    svg = scatter([Point(0, 0.5, "a<b", "p"), Point(1e6, 1, "c", "q")], "T & U", "x", "y")
    root = ElementTree.fromstring(svg)
    titles = [node.text for node in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == ["p", "q"]
    circles = [n for n in root.iter("{http://www.w3.org/2000/svg}circle") if len(n)]
    left, right = (float(node.get("cx")) for node in circles)
    assert left < right <= 720
