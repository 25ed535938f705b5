"""``mode=paper``: the published procedure, for comparison."""

from __future__ import annotations

import pytest

from agentclust import ictc
from agentclust.errors import RunError
from agentclust.ictc import paper
from agentclust.models.fake import FakeModel
from agentclust.types import Sample
from tests import outside
from tests.plugged import Colours, Recording, Refusing, manifest, noted
from tests.steps import calls, captioned, labelled, opened

STEPS = (ictc.caption, paper.label, paper.name, paper.assign)


class Paper(FakeModel):
    """The fake model, which keeps to the format that the prompts of the paper ask for."""

    categories: tuple[str, ...] = ("ball", "cone")
    outside: str = "sofa"

    def _generate(self, messages, *how, **kwargs):
        system, user = (str(message.text) for message in messages)
        if "cluster these labels" in system:
            return FakeModel(script=(self.proposal,))._generate(messages)
        known = [word for word in self.categories if word in user]
        text = f"I see.\nAnswer: {known[0].title()}." if known else f"Answer: {self.outside}"
        return FakeModel(script=(text,))._generate(messages)

    @property
    def proposal(self):
        return "\n".join(f"{i}: {name}" for i, name in enumerate(self.categories, 1))


def through(work, *steps):
    for step in steps or STEPS:
        step(work)
    return work.run.step_rows("assignments").known


def captions(balls, cones, sofas=0):
    texts = [*["a ball"] * balls, *["a cone"] * cones, *["a sofa"] * sofas]
    return captioned(*(f"{text}, picture {number}" for number, text in enumerate(texts)))


def test_one_free_answer_an_image_for_label_and_for_assignment(tmp_path):
    with opened(tmp_path, captions(6, 5), Paper(), mode="paper", paper_min_count=1) as work:
        rows = through(work)
        steps = ("caption", "label", "name", "assign")
        assert [calls(work, step) for step in steps] == [0, 11, 1, 11]
        labels = work.run.step_rows("labels").known
        assert labels["id0"]["label"] == "ball"
        assert labels["id0"]["raw_label"].startswith("I see.")
    assert [row["name"] for row in rows.values()] == ["ball"] * 6 + ["cone"] * 5
    assert {row["confidence"] for row in rows.values()} == {1.0}


def test_raw_labels_are_pruned_by_an_absolute_count(tmp_path, monkeypatch):
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    samples = labelled(*["ball"] * 5, *["cone"] * 4, *["sofa"] * 3)
    model = Recording(None, "", 0)
    with opened(tmp_path, samples, model, mode="paper", paper_min_count=3) as work:
        through(work, ictc.caption, paper.label)
        with pytest.raises(RunError):
            paper.name(work)  # the fake model gives no list here
    asked = noted(tmp_path / "asked")[-1]["human"]
    assert "'ball': 5, 'cone': 4" in asked
    assert "sofa" not in asked


def test_no_label_above_the_count_says_how_to_go_on(tmp_path):
    with (
        opened(tmp_path, labelled("ball", "cone", "ball"), mode="paper") as work,
        pytest.raises(RunError, match=r"paper_min_count=15: .*3 images; .*paper_min_count="),
    ):
        through(work)


def test_answers_outside_the_list_are_counted_and_reported(tmp_path):
    with opened(tmp_path, captions(6, 5, 3), Paper(), mode="paper", paper_min_count=4) as work:
        rows = through(work)
        notes = work.run.state["notes"]
    left = [row for row in rows.values() if row["cluster"] == -1]
    assert len(left) == 3
    assert {row["reason"] for row in left} == {"answered 'sofa'"}
    assert notes == ["mode=paper: 3 of 14 answers lie outside the list of names"]


def test_another_number_of_names_is_reported(tmp_path):
    model = Paper()
    with opened(tmp_path, captions(6, 5), model, mode="paper", paper_min_count=1,
                n_clusters=3) as work:  # fmt: skip
        through(work)
        assert work.run.state["notes"] == ["mode=paper: the model gave 2 names, not 3"]


def test_no_list_of_names_ends_the_run(tmp_path):
    model = Paper(categories=("ball",))
    with (
        opened(tmp_path, captions(6, 5), model, mode="paper", paper_min_count=1) as work,
        pytest.raises(RunError, match="no list of names"),
    ):
        through(work)


def test_refused_and_missing_captions_are_no_answers_outside(tmp_path):
    samples = [*captions(4, 4), Sample("x", caption="a forbidden thing")]

    class Both(Refusing, Paper):
        def _generate(self, messages, *how, **kwargs):
            self._refuse(messages)
            return Paper._generate(self, messages, *how, **kwargs)

    with opened(tmp_path, samples, Both(), mode="paper", paper_min_count=1) as work:
        rows = through(work)
        assert work.run.state["notes"] == []
    assert rows["x"]["reason"] == "against its policy"
    assert rows["x"]["cluster"] == -1


def test_a_picture_without_a_caption_is_no_answer_outside(tmp_path):
    samples = [*captions(4, 4), Sample("gone", tmp_path / "gone.png", "gone")]
    settings = {"mode": "paper", "paper_min_count": 1}
    with opened(tmp_path, samples, Paper(), Colours(), **settings) as work:
        rows = through(work)
        assert work.run.state["notes"] == []
    assert rows["gone"]["reason"] == "no caption: file not found"
    assert [row["cluster"] for row in rows.values()].count(-1) == 1


def test_paper_mode_goes_on_where_it_stopped(tmp_path):
    with opened(tmp_path, captions(6, 5), Paper(), mode="paper", paper_min_count=1) as work:
        through(work)
        spent = (work.run.folder / "usage.jsonl").read_text()
        through(work)
        assert (work.run.folder / "usage.jsonl").read_text() == spent


def test_the_command_line_knows_the_mode(tmp_path):
    file = manifest(tmp_path / "m.jsonl", ["a ball", "a ball", "a cone", "a cone"])
    words = ("run", file, "--criterion", "shape", "--llm", "fake", "--set", "mode=paper")
    refused = outside.run(*words, cwd=tmp_path)
    assert refused.status == 2
    assert "mode=paper needs a number" in refused.complaint
    few = outside.run(*words, "--n-clusters", 2, "--out", "run", cwd=tmp_path)
    assert few.status == 1
    assert "no raw label is that frequent" in few.complaint


def test_an_answer_is_read_as_the_format_says():
    assert paper._answer("Thinking.\nanswer : The Ball.") == "ball"
    assert paper._answer("Ball") == "ball"
    assert paper._names("Here they are\n1: Ball\n2. cone\n3) the cone") == ["ball", "cone"]
