"""Labels of exemplars, and what is asked about by itself."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import pytest

from agentclust import ictc
from agentclust.ictc import sparing
from agentclust.models.fake import FakeModel
from agentclust.types import Sample
from tests.scenes import PLACES, Placing, scenes
from tests.sparing.places import CAPTIONS, TRUTH, place_run, right
from tests.steps import STEPS, calls, captioned, opened, through


def test_a_few_calls_group_many_samples(tmp_path):
    with place_run(tmp_path) as work:
        rows = through(work)
        labels = work.run.step_rows("labels").known
        assert len(rows) == len(labels) == 300
        assert right(rows) > 0.97
        asked = [row for row in labels.values() if "by" not in row]
        assert len(asked) == sparing.usual(300, 4) == 64
        assert calls(work, "label") <= 64 / 2
        assert sorted(work.run.read("clusters.json")["names"]) == sorted(PLACES)
        assert {row["by"] for row in rows.values()} == {"likeness"}
        for row in rows.values():  # the votes of the clusterings tell which groups come next
            assert row["likely"][0] == [row["cluster"], row["confidence"]]
            assert len({cluster for cluster, _ in row["likely"]}) == len(row["likely"]) == 4
            assert sum(p for _, p in row["likely"]) == pytest.approx(1, abs=0.001)


def test_most_labels_by_likeness_are_what_the_model_would_have_said(tmp_path):
    with place_run(tmp_path) as work:
        through(work, ictc.caption, ictc.label)
        labels = work.run.step_rows("labels").known
        spread = [(i, row["label"]) for i, row in labels.items() if row.get("by") == "likeness"]
        assert np.mean([TRUTH[int(i[2:])] == label for i, label in spread]) > 0.95
        assert set(sparing.asked(work)).isdisjoint(i for i, _ in spread)


def test_what_an_answer_leaves_out_is_asked_by_itself(tmp_path):
    model = Placing(leaves_out=2)
    with place_run(tmp_path, model=model) as work:
        through(work, ictc.caption, ictc.label)
        asked = sparing.asked(work)
        assert len(asked) == 64
        assert all(TRUTH[int(i[2:])] == label for i, label in asked.items())
        packs = [n for n in model.held if n > 1]
        assert model.held.count(1) >= len(packs) > 0


def test_long_captions_do_not_share_a_prompt(tmp_path):
    model = Placing()
    with place_run(
        tmp_path, [f"{text} {'It is day. ' * 60}" for text in CAPTIONS[:140]], model
    ) as work:
        through(work, ictc.caption, ictc.label)
        assert set(model.held) == {1}


@pytest.mark.parametrize("settings", [{"exemplars": "all"}, {"embedder": "tfidf"}])
def test_every_sample_is_asked_about_where_that_is_wanted_or_the_only_way(tmp_path, settings):
    with place_run(tmp_path, **settings) as work:
        through(work, ictc.caption, ictc.label)
        assert len(sparing.asked(work)) == 300
        assert calls(work, "label") == len(set(CAPTIONS))


def test_small_sets_are_asked_about_as_a_whole(tmp_path):
    with place_run(tmp_path, CAPTIONS[:60]) as work:
        rows = through(work)
        assert len(sparing.asked(work)) == 60
        assert calls(work, "label") <= 60 / 2
        assert {row["by"] for row in rows.values()} == {"likeness"}
        assert right(rows, TRUTH[:60]) > 0.95


def test_likeness_says_little_of_very_few(tmp_path):
    with place_run(tmp_path, CAPTIONS[:29]) as work:
        rows = through(work)
        assert calls(work, "label") == len(set(CAPTIONS[:29]))
        assert not work.run.step_rows("groups").known
        assert right(rows, TRUTH[:29]) > 0.9


def test_labels_that_captions_do_not_tell_are_followed_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "tests.scenes.place_of", lambda text: list(PLACES)[crc32(text.encode()) % len(PLACES)]
    )
    with place_run(tmp_path, CAPTIONS[:60]) as work:
        through(work)
        assert not work.run.step_rows("groups").known
        names, labels = work.run.read("clusters.json")["names"], sparing.asked(work)
        rows = work.run.step_rows("assignments").known
        assert all(names[row["cluster"]] == labels[i] for i, row in rows.items())


@pytest.mark.parametrize("number", [30, 180])
def test_a_number_of_exemplars_is_kept(tmp_path, number):
    with place_run(tmp_path, exemplars=number) as work:
        through(work, ictc.caption, ictc.label)
        # of equal captions one is asked about: there are fewer different ones than samples
        assert 0.9 * number <= len(sparing.asked(work)) <= number


def test_labels_that_tell_nothing_are_asked_for_again_and_again(tmp_path):
    class Chance(Placing):
        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            random = np.random.default_rng(len(str(messages)))
            lines = [f"{n}. {random.choice(list(PLACES))}" for n in range(1, 9)]
            self.script = ("\n".join(lines),)
            return super(Placing, self)._generate(messages, stop, run_manager, **kwargs)

    captions, _ = scenes(1200)
    with place_run(tmp_path, captions, Chance()) as work:
        through(work, ictc.caption, ictc.label)
        assert len(sparing.asked(work)) > 4 * sparing.usual(1200, 4) * 0.9
        (note,) = work.run.state["notes"]
        assert "hardly tell" in note
        assert "exemplars=all" in note


def test_a_label_step_that_stopped_goes_on_with_the_same_prompts(tmp_path):
    with place_run(tmp_path / "a") as work:
        through(work)
        whole = (work.run.attempt / "assignments.jsonl").read_bytes()
    with place_run(tmp_path / "b") as work:
        ictc.caption(work)
        (samples, _), *_ = [next(iter(sparing.rounds(work)))]
        rows = work.run.step_rows("labels")
        for sample in samples[:5]:  # a part of the first answer
            label = TRUTH[int(sample.id[2:])]
            rows.append({"id": sample.id, "raw_label": label, "label": label})
        through(work, *STEPS[1:])
        assert (work.run.attempt / "assignments.jsonl").read_bytes() == whole


def test_captions_without_a_label_beside_raw_labels_that_are_given(tmp_path):
    samples = [sample for sample in captioned(*CAPTIONS[:40])]
    given = [Sample(f"raw{n}", raw_label="beach") for n in range(3)]
    values = {"criterion": "place", "n_clusters": 2, "embedder": "minilm"}
    with opened(tmp_path, [*samples, *given], FakeModel(script=("",)), **values) as work:
        through(work, ictc.caption, ictc.label)
        assert set(sparing.asked(work)) == {sample.id for sample in given}
        assert sparing.groups(work) is None
