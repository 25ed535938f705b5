"""Edits that ask about captions and labels."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from langchain_core.messages import BaseMessage
from pydantic import PrivateAttr

from agentclust import edits
from agentclust.errors import InputError
from agentclust.models.fake import FakeModel
from agentclust.types import Choice, Usage
from tests.edits.groupings import CAPTIONS, NAMES, answered_by, is_sound, names
from tests.steps import calls


def test_split_asks_about_its_members_alone(work, grouping):
    edit = {"edit": "split", "group": "outdoor", "into": ["city", "wood"]}
    full = edits.decide(work, grouping, edit)
    # the label "outdoor" is the group's own name and tells nothing: each of the three captions
    assert calls(work, "edit") == 3
    assert full["placed"].keys() == {"city", "wood"}
    assert full["placed"]["city"].keys() == {"id5"}
    divided = edits.apply(work, grouping, full)
    assert divided.members("city") == ["id5"]
    assert divided.members("wood") == ["id6"]
    assert divided.members("outdoor") == ["id7"], "what fits no part stays"
    assert names(divided)[:5] == names(grouping)[:5]
    assert is_sound(divided)


class Listening(FakeModel):
    """A fake model that keeps what it was told."""

    _told: list[str] = PrivateAttr(default_factory=list)

    def choose(self, prompts: Sequence[list[BaseMessage]], options: Sequence[str]) -> list[Choice]:
        self._told += [str(prompt[0].text) for prompt in prompts]
        return super().choose(prompts, options)


def test_names_that_a_person_gives_are_what_the_parts_differ_in(work, grouping):
    model = Listening()
    answered_by(work, model)
    edits.decide(work, grouping, {"edit": "split", "group": "outdoor", "into": ["city", "wood"]})
    assert all('sorted by "city or wood"' in text for text in model._told)
    edits.decide(work, grouping, {"edit": "wrong", "samples": ["id4"]})
    assert 'sorted by "instrument"' in model._told[-1]


def test_split_without_names_takes_them_from_its_own_labels(work, grouping):
    merged = edits.apply(
        work, grouping, {"edit": "merge", "groups": ["violin", "cello"], "name": "strings"}
    )
    full = edits.decide(work, merged, {"edit": "split", "group": "strings", "into": []})
    assert sorted(full["into"]) == ["cello", "violin"]
    divided = edits.apply(work, merged, full)
    assert sorted(divided.names) == list(NAMES)
    assert names(divided) == names(grouping)


def test_labels_that_do_not_differ_give_no_parts(work, grouping):
    with pytest.raises(InputError, match="name the parts"):
        edits.decide(work, grouping, {"edit": "split", "group": "violin", "into": []})


def test_a_split_that_nothing_fits_is_refused(work, grouping):
    with pytest.raises(InputError, match="none of its 3 samples fits"):
        edits.decide(work, grouping, {"edit": "split", "group": "violin", "into": ["x", "y"]})


def test_a_wrong_sample_goes_where_its_caption_says_and_never_back(work, grouping):
    edit = {"edit": "wrong", "samples": ["id4"]}
    full = edits.decide(work, grouping, edit)
    assert calls(work, "edit") == 1
    corrected = edits.apply(work, grouping, full)
    assert corrected.rows["id4"]["name"] == "harp"
    twice = edits.apply(work, corrected, edits.decide(work, corrected, edit))
    assert twice.rows["id4"]["name"] not in ("harp", "cello")
    assert is_sound(twice)


def test_a_renamed_group_stays_wrong(work, grouping):
    corrected = edits.apply(work, grouping, {"edit": "wrong", "samples": ["id4"]})
    renamed = edits.apply(work, corrected, {"edit": "rename", "group": "cello", "name": "cellos"})
    assert renamed.rows["id4"]["not"] == ["cellos"]


class Knowing(FakeModel):
    """A fake model that knows of which labels something is true."""

    likely: dict[str, float]

    def choose(self, prompts: Sequence[list[BaseMessage]], options: Sequence[str]) -> list[Choice]:
        if list(options) != ["yes", "no"]:
            return super().choose(prompts, options)
        found = [re.findall(r"<label>(.*)</label>", str(p[-1].text))[-1] for p in prompts]
        chances = [self.likely.get(label, 0.0) for label in found]
        return [Choice((p, 1 - p), Usage(1)) for p in chances]


APART = {"edit": "apart", "what": "screenshot"}


def test_apart_takes_whole_labels_and_asks_captions_where_labels_leave_it_open(work, grouping):
    answered_by(work, Knowing(likely={"harp": 0.95, "violin": 0.6}))
    full = edits.decide(work, grouping, APART)
    # four distinct labels, then the two distinct captions with the label in doubt
    assert calls(work, "edit") == 4 + 2
    apart = edits.apply(work, grouping, full)
    assert apart.names == (*grouping.names, "screenshot")
    assert apart.members("screenshot") == ["id2", "id8"]
    assert apart.rows["id2"]["confidence"] == 0.95
    assert is_sound(apart)


def test_apart_asks_every_caption_where_the_labels_tell_nothing(work, grouping):
    answered_by(work, Knowing(likely={}))
    full = edits.decide(work, grouping, APART)
    assert calls(work, "edit") == 4 + len(set(CAPTIONS))
    assert edits.apply(work, grouping, full).members("screenshot") == ["id8"]


def test_apart_asks_a_caption_that_names_it_whatever_the_label(work, grouping):
    answered_by(work, Knowing(likely={"harp": 0.95}))
    full = edits.decide(work, grouping, APART)
    assert calls(work, "edit") == 4 + 1
    assert edits.apply(work, grouping, full).members("screenshot") == ["id2", "id8"]


@pytest.mark.parametrize(
    ("what", "said"),
    [("Harp", "is a group already"), ("tractor", "no caption tells of it"), ("x" * 70, "longer")],
)
def test_apart_can_be_impossible(work, grouping, what, said):
    with pytest.raises(InputError, match=said):
        edits.decide(work, grouping, {"edit": "apart", "what": what})


def test_what_was_dropped_goes_where_it_fits_or_nowhere(work, grouping):
    full = edits.decide(work, grouping, {"edit": "drop", "groups": ["cello", "outdoor"]})
    left = edits.apply(work, grouping, full)
    assert sorted(left.names) == ["harp", "violin"]
    assert left.rows["id4"]["name"] == "harp"
    assert left.rows["id1"]["cluster"] == -1
    assert left.rows["id1"]["reason"] == "its group cello was dropped"
    assert is_sound(left)
