"""Edits can be made again for nothing, also without a model."""

from __future__ import annotations

import pytest

from agentclust import edits
from agentclust.errors import BudgetSpent, InputError
from agentclust.models.absent import Absent
from agentclust.models.asking import Asker
from agentclust.models.budget import Budget
from agentclust.models.fake import FakeModel
from agentclust.work import Work
from tests.edits.groupings import REDO, UNDO, names, reopened
from tests.steps import calls

DEEDS = (
    {"edit": "merge", "groups": ["violin", "cello"], "name": "strings"},
    {"edit": "split", "group": "outdoor", "into": ["city", "wood"]},
    {"edit": "apart", "what": "screenshot"},
    {"edit": "move", "samples": ["id4"], "group": "harp"},
    {"edit": "wrong", "samples": ["id4"]},
    {"edit": "drop", "groups": ["wood"]},
    {"edit": "rename", "group": "strings", "name": "bowed"},
    {"edit": "tree", "parent": "music", "children": ["bowed", "harp"]},
)


def made(work: Work) -> list[edits.Grouping]:
    """All deeds done and written down; the grouping before and after each."""
    found = [edits.grouping_of(work)]
    for deed in DEEDS:
        full = edits.decide(work, found[-1], deed)
        found.append(edits.apply(work, found[-1], full))
        edits.log(work).append(full)
    return found


@pytest.mark.parametrize("cached", [True, False])
def test_edits_are_made_again_for_nothing_in_another_process(work, cached):
    steps = made(work)
    asked = calls(work, "edit")
    assert asked > 4
    with reopened(work, FakeModel(), cached) as later:
        assert edits.edited(later) == steps[-1]
        for number in range(len(DEEDS)):
            edits.log(later).append(UNDO)
            assert edits.edited(later) == steps[-2 - number]
        for number in range(len(DEEDS)):
            edits.log(later).append(REDO)
            assert edits.edited(later) == steps[1 + number]
        assert calls(later, "edit") == asked


def test_edits_that_were_decided_need_no_model(work):
    steps = made(work)
    with reopened(work, Absent(), cached=False) as later:
        assert edits.edited(later) == steps[-1]


def test_without_a_model_words_decide(work, grouping):
    with reopened(work, Absent()) as later:
        wrong = edits.apply(later, grouping, {"edit": "wrong", "samples": ["id4"]})
        assert wrong.rows["id4"]["cluster"] == -1
        assert "said to be wrong" in wrong.rows["id4"]["reason"]
        dropped = edits.apply(later, grouping, {"edit": "drop", "groups": ["harp"]})
        assert dropped.rows["id2"]["reason"] == "its group harp was dropped"
        apart = edits.apply(later, grouping, {"edit": "apart", "what": "screenshots"})
        assert apart.members("screenshots") == ["id8"]
        merged = edits.apply(
            later, grouping, {"edit": "merge", "groups": ["violin", "cello"], "name": "strings"}
        )
        split = {"edit": "split", "group": "strings", "into": []}
        assert names(edits.apply(later, merged, split)) == names(grouping)
        with pytest.raises(InputError, match="none of its 3 samples fits"):
            edits.apply(later, grouping, split | {"group": "outdoor", "into": ["city", "wood"]})


def test_samples_that_came_later_are_asked_about(work, grouping):
    full = edits.decide(
        work, grouping, {"edit": "split", "group": "outdoor", "into": ["city", "x"]}
    )
    known = {name: {i: c for i, c in s.items() if i != "id5"} for name, s in full["placed"].items()}
    older = full | {"placed": known}
    assert edits.apply(work, grouping, older).rows["id5"]["name"] == "outdoor"
    assert edits.apply(work, grouping, older, fresh=["id5"]).rows["id5"]["name"] == "city"


def test_a_spent_budget_leaves_the_edit_undecided(work, grouping):
    work.llm = Asker(FakeModel(), work.run.config.llm, work.answers, Budget(max_calls=1))
    with pytest.raises(BudgetSpent):
        edits.decide(work, grouping, {"edit": "split", "group": "outdoor", "into": ["city", "x"]})
    assert edits.edited(work) == grouping
