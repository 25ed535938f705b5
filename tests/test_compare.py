"""Runs beside each other: how far they agree, what crosses, and where they do not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from agentclust import service
from agentclust.config import make_config
from agentclust.errors import InputError
from agentclust.metrics.crossing import cross
from agentclust.progress import Reporter
from tests.outside import run
from tests.pictures import draw

SHAPES = ["ball", "cone", "ball", "cone", "cube", "cube", "ball", "cone"]
OTHERS = ["round", "flat", "round", "flat", "round", "cubic", "round", "flat"]


def clustered(folder, name, labels, criterion="shape", ids=None, colour=None):
    """A run over samples whose raw labels are given, and pictures of that colour."""
    folder.mkdir(exist_ok=True)
    manifest = folder / f"{name}.jsonl"
    ids = ids or [f"i{number}" for number in range(len(labels))]
    rows = [{"id": i, "raw_label": label} for i, label in zip(ids, labels, strict=True)]
    for row in rows if colour else ():
        row["file"] = f"{name}-{row['id']}.png"
        draw(folder / row["file"], colour=colour)
    manifest.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    values = {"dataset": str(manifest), "criterion": criterion, "llm": "fake", "method": "ictc"}
    config = make_config(values | {"n_clusters": len(set(labels))})
    service.start([config], folder / name, reporter=Reporter(quiet=True))
    return folder / name


def test_the_scores_are_those_of_scikit_learn_and_the_unassigned_count():
    first = np.array([0, 0, 1, 1, 2, -1, -1])
    second = np.array([1, 1, 0, 2, 2, -1, 0])
    found = cross(first, second, 3, 4)
    assert found.ari == pytest.approx(adjusted_rand_score(first, second))
    assert found.ami == pytest.approx(adjusted_mutual_info_score(first, second))
    assert found.counts.shape == (4, 5)
    assert found.counts.sum() == 7
    assert found.counts[3, 4] == 1
    assert found.matching == {0: 1, 1: 0, 2: 2}
    assert found.same.tolist() == [True, True, True, False, True, True, False]


def test_two_groupings_are_crossed_and_what_differs_is_listed(tmp_path):
    runs = [clustered(tmp_path, "a", SHAPES), clustered(tmp_path, "b", OTHERS, "form")]
    comparison = service.compare(runs)
    found = comparison.as_json()
    json.dumps(found)
    (pair,) = found["pairs"]
    assert (pair["n"], pair["agreement"]) == (8, 7 / 8)
    assert pair["disagreements"] == [{"id": "i4", "first": "cube", "second": "round"}]
    row, column = pair["rows"].index("ball"), pair["columns"].index("round")
    assert pair["counts"][row][column] == 3
    assert [row, column] in [list(match) for match in pair["matching"]]
    assert [run["criterion"] for run in found["runs"]] == ["shape", "form"]
    text = comparison.as_text(limit=10)
    assert "7 of 8 images in matched clusters" in text
    assert "3*" in text
    assert "i4: cube / round" in text
    assert "and 1 more" in comparison.as_text(limit=0)


def test_every_two_of_several_runs_are_compared_on_what_they_share(tmp_path):
    for name, labels in (("a", SHAPES), ("b", OTHERS)):
        clustered(tmp_path / "all", name, labels)
    part = clustered(tmp_path, "c", SHAPES[2:], ids=[f"i{n}" for n in range(2, 8)])
    found = service.compare([tmp_path / "all", part])
    assert [(p.first, p.second, len(p.ids)) for p in found.pairs] == [(0, 1, 8), (0, 2, 6),
                                                                     (1, 2, 6)]  # fmt: skip
    assert found.pairs[1].crossing.ari == 1
    assert "2 images are in 1 alone" in found.as_text(3)
    assert "they disagree on no image" in found.as_text(3)


def test_many_clusters_are_listed_by_their_largest_crossings(tmp_path):
    labels = ["{}{}".format("abcdefghijkl"[n % 12], "xyz") for n in range(24)]
    runs = [clustered(tmp_path, name, labels) for name in ("a", "b")]
    text = service.compare(runs).as_text(5)
    assert "cxyz: 2* cxyz" in text


def test_images_that_only_share_a_name_are_not_the_same(tmp_path):
    runs = [clustered(tmp_path, name, SHAPES, colour=name) for name in ("red", "blue")]
    with pytest.raises(InputError, match="no image in common"):
        service.compare(runs)


def test_the_command_prints_text_or_json_and_refuses_one_run(tmp_path):
    runs = [clustered(tmp_path, "a", SHAPES), clustered(tmp_path, "b", OTHERS)]
    told = run("compare", *runs, cwd=tmp_path)
    assert (told.status, told.err) == (0, "")
    assert "1 and 2: ARI" in told.out
    data = json.loads(run("compare", *runs, "--json", cwd=tmp_path).out)
    assert len(data["pairs"]) == 1
    alone = run("compare", runs[0], cwd=tmp_path)
    assert alone.status == 2
    assert "pass at least two" in alone.complaint
