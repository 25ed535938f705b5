"""A run compared with true labels of several axes, and after a change."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from agentclust import pages, service
from agentclust.progress import Reporter
from tests import outside
from tests.complaints import complains
from tests.plugged import manifest
from tests.service.starting import CAPTIONS, start

KINDS = ("a", "b", "a", "b", "a", "c")
SIZES = ("large", "large", "small", "large", "large", "small")


@pytest.fixture
def run(tmp_path):
    [found] = start(manifest(tmp_path / "m.jsonl", CAPTIONS), tmp_path / "run", n_clusters=3)
    return found


@pytest.fixture
def labels(run, tmp_path):
    file = tmp_path / "labels.csv"
    rows = zip(run.ids, KINDS, SIZES, strict=True)
    file.write_text("id,kind,size\n" + "".join(f"{','.join(row)}\n" for row in rows))
    return file


def matrices(run):
    """What stands in the matrices of the report, by the axis in the heading."""
    page = (run.run / "report.html").read_text("utf-8")
    found = {}
    parts = re.split(r'<h3 id="confusion-\d+">True classes \(<bdi>(\w+)</bdi>\)', page)[1:]
    for axis, part in zip(parts[::2], parts[1::2], strict=True):
        table = part.partition("</table>")[0]
        rows = re.findall(r'<tr><th scope="row"><bdi>(\w+)</bdi></th>(.*?)</tr>', table)
        cells = {name: re.findall(r"<td[^>]*>(\d*)</td>", row) for name, row in rows}
        found[axis] = {name: [int(cell or 0) for cell in own] for name, own in cells.items()}
    return found


def test_every_axis_has_its_matrix_and_its_scores(run, labels):
    kinds = service.evaluate(run.run, labels, "kind")
    sizes = service.evaluate(run.run, labels, "size")
    shown = matrices(run)
    assert list(shown) == ["kind", "size"]
    for name, found in (("kind", kinds), ("size", sizes)):
        counts = dict(zip(found.classes, found.counts.tolist(), strict=True))
        assert set(shown[name]) == set(counts)
        for true_class, row in shown[name].items():
            assert sorted(row) == sorted(counts[true_class][: len(row)])
            assert sum(row) == (KINDS + SIZES).count(true_class)
    page = (run.run / "report.html").read_text("utf-8")
    assert page.count("Against true labels (") == 2
    told = pages.show(run.run)
    assert told["evaluations"] == {"kind": kinds.summary(), "size": sizes.summary()}
    assert told["evaluation"] == sizes.summary()
    assert service.evaluation(run.run).items() >= sizes.summary().items()


def test_an_axis_that_is_compared_again_takes_its_own_place(run, labels):
    for axis in ("kind", "size"):
        service.evaluate(run.run, labels, axis)
    kept = json.loads((run.run / "evaluation.json").read_text())["axes"]
    labels.write_text(labels.read_text().replace(",a,", ",d,"))
    service.evaluate(run.run, labels, "kind")
    again = json.loads((run.run / "evaluation.json").read_text())["axes"]
    assert [one["axis"] for one in again] == ["size", "kind"]
    assert again[0] == kept[1]  # as it was found, not found anew
    assert set(matrices(run)["kind"]) == {"b", "c", "d"}


def test_an_axis_left_out_is_the_only_one(run, labels):
    labels.write_text(re.sub(r",\w+$", "", labels.read_text(), flags=re.MULTILINE))
    service.evaluate(run.run, labels)
    service.evaluate(run.run, labels, "kind")
    assert list(matrices(run)) == ["kind"]


def test_the_file_of_an_earlier_agentclust(run, labels):
    service.evaluate(run.run, labels, "kind")
    file = run.run / "evaluation.json"
    [known] = json.loads(file.read_text())["axes"]
    del known["result"]
    file.write_text(json.dumps(known))
    assert pages.show(run.run)["evaluation"] == known["scores"]
    service.evaluate(run.run, labels, "size")
    assert list(matrices(run)) == ["kind", "size"]


def test_what_compares_a_result_that_was_changed_is_shown_no_more(run, labels):
    service.evaluate(run.run, labels, "kind", curves=True)
    with service.session(run.run, Reporter(quiet=True)) as talk:
        assert talk.say(f"/merge {run.names[0]} {run.names[1]}").changed
    page = (run.run / "report.html").read_text("utf-8")
    assert "true labels" not in page.replace("Without true labels", "")
    assert "candidates" not in page
    assert pages.show(run.run)["evaluation"] is None
    found = service.evaluate(run.run, labels, "size")
    assert list(matrices(run)) == ["size"]
    assert found.counts.shape == (2, 3)
    assert np.sum(found.counts) == 6


def test_a_file_that_holds_something_else(run):
    (run.run / "evaluation.json").write_text("[1, 2]")
    with complains("evaluation.json: holds no comparisons", "remove it, and evaluate again"):
        service.report(run.run)


def test_the_command_line(run, labels, tmp_path):
    for axis in ("kind", "size"):
        words = ("evaluate", "run", "--labels", labels, "--axis", axis, "--json")
        told = outside.run(*words, cwd=tmp_path)
        assert told.status == 0, told.err
    assert list(matrices(run)) == ["kind", "size"]
    shown = json.loads(outside.run("show", "run", "--json", cwd=tmp_path).out)
    assert shown["evaluations"]["size"]["acc"] == json.loads(told.out)["acc"]
