"""Criteria worth trying: each is tried on a sample, and kept only where it tells images apart."""

from __future__ import annotations

import pytest

from agentclust.config import make_model_config
from agentclust.errors import RunError
from agentclust.models.asking import Asker
from agentclust.models.fake import FakeModel
from agentclust.progress import Reporter
from agentclust.service.suggesting import SAMPLED, suggest
from agentclust.types import Sample, Usage
from tests import outside
from tests.complaints import complains
from tests.plugged import Colours, Refusing, manifest, noted, pictures
from tests.steps import captioned, labelled

QUIET = Reporter(quiet=True)
FOUR = captioned("a red ball of wood", "a red cone of wood", "a blue ball of wood", "a blue ring")


def asker(*script, record=lambda usage: None):
    """The fake model, which gives these answers in turn."""
    return Asker(FakeModel(script=script), make_model_config("fake"), record=record)


def labels(*texts, fit="yes"):
    """The answers to one criterion: a label for each caption, then whether each label fits it."""
    return [*texts, *[fit] * len(set(texts))]


COLOUR = labels("red", "red", "blue", "blue")


def test_a_criterion_comes_with_the_groups_it_gives():
    [found] = suggest(FOUR, asker("- Colour\n", *COLOUR), None, QUIET)
    assert found.criterion == "colour"
    assert found.groups == {"blue": 2, "red": 2}
    assert found.spread == 0.5
    assert str(found) == "colour: blue (2), red (2)"


def test_the_one_that_spreads_the_images_most_comes_first():
    matter = labels("wood", "wood", "wood", "stone")
    sizes = labels("big", "small", "tiny", "huge")
    script = ("matter\nsize\ncolour", *matter, *sizes, *COLOUR)
    found = suggest(FOUR, asker(*script), None, QUIET)
    assert [one.criterion for one in found] == ["size", "colour", "matter"]
    assert [one.spread for one in found] == [0.75, 0.5, 0.25]


LEFT_OUT = {
    "all alike": ["wood"] * 4,
    "known of few": ["wood", "unknown", "unknown", "unknown"],
    "no values of it": labels("red", "blue", "red", "blue", fit="no"),
    "one in two spellings": ["ball", "balls", "ball", "balls"],
}


@pytest.mark.parametrize("answers", LEFT_OUT.values(), ids=LEFT_OUT)
def test_a_criterion_that_tells_nothing_apart_is_left_out(answers):
    found = suggest(FOUR, asker("matter\ncolour", *answers, *COLOUR), None, QUIET)
    assert [one.criterion for one in found] == ["colour"]
    with complains("4 captions: no criterion tells the images apart (tried: matter)",
                   "name a criterion yourself", kind=RunError):  # fmt: skip
        suggest(FOUR, asker("matter", *answers), None, QUIET)


def test_a_criterion_that_nearly_all_share_is_left_out():
    five = captioned(*(f"thing {i}" for i in range(5)))
    alike = labels("wood", "wood", "wood", "wood", "stone")
    with complains("(tried: matter)", kind=RunError):
        suggest(five, asker("matter", *alike), None, QUIET)


def test_a_criterion_that_is_proposed_twice_is_tried_once():
    found = suggest(FOUR, asker("1. Colour\n2. colour.\n\n", *COLOUR), None, QUIET)
    assert [one.criterion for one in found] == ["colour"]


def test_no_more_than_a_sample_is_read_and_the_seed_says_which():
    many = captioned(*(f"in picture {i} is a {['ball', 'cone', 'ring'][i % 3]}" for i in range(99)))
    paid: list[Usage] = []
    [found] = suggest(many, asker(record=paid.append), None, QUIET)
    assert sum(found.groups.values()) == SAMPLED
    assert found.groups.keys() == {"ball", "cone", "ring"}
    assert len(paid) == 1 + SAMPLED + 3
    assert suggest(many, asker(), None, QUIET) == [found]
    others = [suggest(many, asker(), None, QUIET, seed)[0].groups for seed in range(1, 9)]
    assert any(groups != found.groups for groups in others)


def test_images_are_captioned_first(tmp_path):
    folder = pictures(tmp_path / "pictures", "rgrgk")
    files = sorted(folder.iterdir())
    images = [Sample(file.name, file, file.name, (8, 8)) for file in files]
    [found] = suggest(images, asker(), Colours(), QUIET)
    assert found.groups.keys() == {"green", "red"}
    eyes = asker("a red thing", "a green thing", "a blue thing", "a blue thing", "")
    [found] = suggest(images, asker("colour", *COLOUR), eyes, QUIET)
    assert found.groups == {"blue": 2, "red": 2}


def test_without_captions_there_is_nothing_to_read(tmp_path):
    files = pictures(tmp_path / "pictures", "rg").iterdir()
    images = [Sample(file.name, file, file.name, (8, 8)) for file in files]
    for samples in (labelled("red", "blue"), images, captioned("a single caption"), []):
        with complains(f"{len(samples)} samples: have no captions to read; name a --vlm",
                       kind=RunError):  # fmt: skip
            suggest(samples, asker("colour"), None, QUIET)


def test_a_model_that_refuses_leaves_nothing_to_suggest():
    forbidden = captioned("a forbidden ball", "a forbidden cone")
    refusing = Asker(Refusing(), make_model_config("fake"))
    with complains("fake: against its policy; name another --llm", kind=RunError):
        suggest(forbidden, refusing, None, QUIET)


# the command


@pytest.fixture
def folder(tmp_path):
    """A working folder with a manifest ``m.jsonl``."""
    manifest(tmp_path / "m.jsonl", ["a ball", "a cone", "a small ball", "the cone", "big ball"])
    return tmp_path


def test_the_command_prints_a_criterion_a_line_and_leaves_no_run(folder):
    ended = outside.run("suggest", "m.jsonl", "--llm", "fake", cwd=folder)
    assert ended.status == 0, ended.err
    criterion, _, groups = ended.out.rstrip("\n").partition(": ")
    assert (criterion in ("ball", "cone"), groups) == (True, "ball (3), cone (2)")
    assert sorted(file.name for file in folder.iterdir()) == ["m.jsonl"]


def test_the_command_captions_images(folder, monkeypatch):
    monkeypatch.setenv("ASKED", str(folder / "asked"))
    pictures(folder / "pictures", "rgrg")
    words = ("suggest", "pictures", "--llm", "fake", "--vlm", "tests.plugged:Colours")
    ended = outside.run(*words, cwd=folder)
    assert ended.status == 0, ended.err
    assert ended.out.endswith(": green (2), red (2)\n")
    assert len(noted(folder / "asked")) == 4


def test_the_command_fails_in_one_line(folder):
    (folder / "labels.csv").write_text("id,raw_label\na,ball\nb,cone\n")
    ended = outside.run("suggest", "labels.csv", "--llm", "fake", cwd=folder)
    assert ended.status == 1
    assert "2 samples: have no captions to read; name a --vlm" in ended.complaint
    for words in (("nowhere", "--llm", "fake"), ("m.jsonl", "--llm", "fakee"), ("m.jsonl",)):
        ended = outside.run("suggest", *words, cwd=folder)
        assert ended.status == 2
        assert ended.complaint
