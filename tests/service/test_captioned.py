"""A part of the images is captioned, and the others follow by likeness."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from agentclust import embedded, service
from agentclust.captioned import looked_at, part_of, place_others
from agentclust.config import make_config
from agentclust.embedders import normalized
from agentclust.errors import InputError
from agentclust.ictc import assignment, embedding
from agentclust.metrics import external
from agentclust.types import Sample
from tests.plugged import noted, pictures
from tests.service.starting import COLOURS, start, state
from tests.steps import opened

TRUTH = 20 * ["r", "g", "b"]


@pytest.fixture
def colours(tmp_path):
    return pictures(tmp_path / "many", "".join(TRUTH))


def part(folder, out, **settings):
    known = {"vlm": COLOURS, "n_clusters": 3, "embedder": "efficientnet", "captioned": 12}
    return start(folder, out, "colour", **known | settings)[0]


def right(found):
    """Pictures are in the order of their names, "secret10" before "secret2"."""
    return external([TRUTH[int(i[6:-4])] for i in found.ids], found.labels_).acc


def rows_of(folder):
    file = folder / state(folder)["attempt"] / "assignments.jsonl"
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def looked_at_note(folder):
    """The note of a run, and the percentage in it."""
    [note] = [note for note in state(folder)["notes"] if "looked at" in note]
    return note, int(note.partition("the group of ")[2].partition("%")[0])


@pytest.mark.parametrize("method", ["agent", "ictc"])
def test_a_part_is_captioned_and_the_others_follow(colours, tmp_path, asked, method):
    found = part(colours, tmp_path / "run", method=method)
    assert sum("captioned" in row for row in noted(asked)) == 12
    assert right(found) > 0.9
    assert Counter(row["by"] for row in rows_of(tmp_path / "run"))["embedding"] == 48
    note, told = looked_at_note(tmp_path / "run")
    assert note.startswith(
        "12 of 60 images were looked at; the others were placed by their nearest neighbours "
        "among efficientnet embeddings of images, which tell the group of "
    )
    assert told > 80


def test_embeddings_that_tell_nothing_are_said_to(colours, tmp_path, monkeypatch):
    drawn = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    monkeypatch.setattr(embedding, "of_images", lambda *_: normalized(drawn))
    found = part(colours, tmp_path / "run")
    assert looked_at_note(tmp_path / "run")[1] < 70
    assert right(found) < 0.8


def test_who_is_killed_before_the_others_are_placed_goes_on_there(
    colours, tmp_path, asked, monkeypatch
):
    with monkeypatch.context() as patched:
        patched.setattr(embedded, "fill", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            part(colours, tmp_path / "run")
    before = len(noted(asked))
    [found] = service.resume(tmp_path / "run")
    assert len(noted(asked)) == before
    assert right(found) > 0.9
    assert len(state(tmp_path / "run")["notes"]) == 1


def test_where_nothing_has_a_group_nothing_follows(tmp_path):
    samples = [Sample(str(i), caption="a ball" if i < 2 else None) for i in range(5)]
    with opened(tmp_path / "run", samples, n_clusters=2, captioned=2) as work:
        work.run.write("clusters.json", {"names": ["ball", "cone"]})
        part = part_of(work)
        for sample in part.samples:
            row = assignment(sample.id, -1, ["ball", "cone"], 0.0, "", "none of the names fits")
            work.run.step_rows("assignments").append(row)
        place_others(work, part)
        rows = work.run.step_rows("assignments").known
    assert [rows[s.id]["reason"] for s in samples] == [
        *2 * ["none of the names fits"],
        *3 * ["no image that was looked at has a group"],
    ]


def test_captions_that_are_given_count_and_are_all_used():
    samples = tuple(
        Sample(str(i), caption="a ball" if i % 4 == 0 else None, raw_label="x" if i == 1 else None)
        for i in range(40)
    )
    given = {s.id for s in samples if s.caption or s.raw_label}
    for captioned, expected in ((2, 11), (11, 11), (20, 20), (60, 40), ("all", 40)):
        config = make_config(
            {"dataset": "x", "criterion": "c", "llm": "fake", "captioned": captioned}
        )
        chosen = [s.id for s in looked_at(config, samples)]
        assert len(chosen) == expected
        assert given <= set(chosen)
        assert chosen == sorted(chosen, key=int)


def test_a_part_that_cannot_hold_the_clusters_is_refused(colours, tmp_path):
    with pytest.raises(InputError, match="captioned=2: is fewer than 3 clusters"):
        part(colours, tmp_path / "run", captioned=2)
    with pytest.raises(InputError, match="--method kmeans takes all images; leave"):
        part(colours, tmp_path / "run", method="kmeans")
