"""Edits: what each does to a grouping."""

from __future__ import annotations

import pytest

from agentclust import commands, edits
from agentclust.errors import InputError
from tests.edits.groupings import NAMES, REDO, UNDO, is_sound, names
from tests.steps import captioned, opened


def test_the_grouping_of_an_attempt(grouping):
    assert sorted(grouping.names) == list(NAMES)
    assert names(grouping)[:5] == ["violin", "cello", "harp", "violin", "cello"]
    assert grouping.sizes() == {"violin": 3, "outdoor": 3, "cello": 2, "harp": 1}
    assert grouping.members("outdoor") == ["id5", "id6", "id7"]
    assert is_sound(grouping)


def test_a_run_without_a_result_has_none(tmp_path):
    with opened(tmp_path, captioned("a ball")) as work, pytest.raises(InputError, match="resume"):
        edits.grouping_of(work)


A, B, C = ({"edit": "rename", "group": g, "name": g + "x"} for g in "abc")


@pytest.mark.parametrize(
    ("rows", "active", "undone"),
    [
        ([], [], []),
        ([A, B], [A, B], []),
        ([A, B, UNDO], [A], [B]),
        ([A, B, UNDO, UNDO], [], [B, A]),
        ([A, B, UNDO, UNDO, REDO], [A], [B]),
        ([A, B, UNDO, REDO, REDO], [A, B], []),
        ([A, B, UNDO, C], [A, C], []),
        ([A, B, UNDO, C, REDO], [A, C], []),
        ([UNDO, A, UNDO, UNDO, REDO], [A], []),
    ],
)
def test_undo_and_redo(rows, active, undone):
    assert (edits.active(rows), edits.undone(rows)) == (active, undone)


def test_merge_takes_the_place_of_the_first_and_the_name_given(work, grouping):
    edit = {"edit": "merge", "groups": ["cello", "violin"], "name": "strings"}
    merged = edits.apply(work, grouping, edit)
    first = min(map(grouping.names.index, ("cello", "violin")))
    assert merged.names.index("strings") == first
    assert merged.sizes()["strings"] == 5
    assert len(merged.names) == 3
    assert is_sound(merged)


def test_merge_without_a_name_keeps_that_of_the_largest(work, grouping):
    edit = {"edit": "merge", "groups": ["harp", "violin"], "name": ""}
    assert edits.apply(work, grouping, edit).sizes()["violin"] == 4


def test_rename_moves_nothing(work, grouping):
    renamed = edits.apply(work, grouping, {"edit": "rename", "group": "harp", "name": "lyre"})
    assert [{"harp": "lyre"}.get(n, n) for n in names(grouping)] == names(renamed)
    assert renamed.names.index("lyre") == grouping.names.index("harp")


def test_a_moved_sample_is_certain_and_put_there_by_a_person(work, grouping):
    moved = edits.apply(work, grouping, {"edit": "move", "samples": ["id4"], "group": "harp"})
    row = moved.rows["id4"]
    assert (row["name"], row["confidence"], row["by"]) == ("harp", 1.0, "person")
    assert names(moved)[:4] == names(grouping)[:4]
    assert is_sound(moved)


def test_drop_empty(work, grouping):
    edit = {"edit": "drop_empty"}
    with pytest.raises(InputError, match="no group is empty"):
        edits.apply(work, grouping, edit)
    emptied = edits.apply(work, grouping, {"edit": "move", "samples": ["id2"], "group": "cello"})
    assert emptied.sizes()["harp"] == 0
    left = edits.apply(work, emptied, edit)
    assert "harp" not in left.names
    assert is_sound(left)


def test_an_edit_means_the_same_for_samples_that_came_later(work, grouping):
    merge = edits.decide(work, grouping, {"edit": "merge", "groups": ["harp", "cello"], "name": ""})
    assert merge["name"] == "cello"
    emptied = edits.apply(work, grouping, {"edit": "move", "samples": ["id2"], "group": "cello"})
    dropped = edits.decide(work, emptied, {"edit": "drop_empty"})
    assert dropped["groups"] == ["harp"]
    # the group had no sample then, and has one now
    left = edits.apply(work, grouping, dropped)
    assert "harp" not in left.names
    assert left.rows["id2"]["cluster"] == -1
    assert edits.apply(work, grouping, dropped, fresh=["id2"]).names == left.names


def test_parents_follow_their_groups(work, grouping):
    def made(grouping: edits.Grouping, **edit: object) -> edits.Grouping:
        return edits.apply(work, grouping, edit)

    tree = made(grouping, edit="tree", parent="strings", children=["violin", "cello"])
    assert tree.parents == {"violin": "strings", "cello": "strings"}
    assert names(tree) == names(grouping)
    renamed = made(tree, edit="rename", group="violin", name="fiddle")
    assert renamed.parents == {"fiddle": "strings", "cello": "strings"}
    merged = made(renamed, edit="merge", groups=["fiddle", "cello"], name="bowed")
    assert merged.parents == {"bowed": "strings"}
    above = made(merged, edit="tree", parent="bowed", children=["harp"])
    assert above.parents == {"bowed": "strings", "harp": "bowed"}
    again = made(above, edit="rename", group="bowed", name="played with a bow")
    assert again.parents == {"played with a bow": "strings", "harp": "played with a bow"}
    parts = made(again, edit="split", group="harp", into=["harp", "lyre"])
    assert parts.parents["lyre"] == "played with a bow"


def test_nothing_stands_under_itself(work, grouping):
    tree = edits.apply(work, grouping, {"edit": "tree", "parent": "harp", "children": ["cello"]})
    with pytest.raises(InputError, match="harp: is what cello stands under"):
        edits.apply(work, tree, {"edit": "tree", "parent": "cello", "children": ["harp"]})
    circle = {"edit": "merge", "groups": ["harp", "cello"], "name": "harp"}
    assert edits.apply(work, tree, circle).parents == {}


def test_an_edit_of_a_group_that_is_gone_says_so(work, grouping):
    with pytest.raises(InputError, match="there is no such group"):
        edits.apply(work, grouping, {"edit": "rename", "group": "tuba", "name": "horn"})


def test_every_edit_has_a_sentence():
    for verb, about in commands.VERBS.items():
        if about.edits:
            example = commands.parse(about.example, ["violin", "cello", "outdoor"], ["img_12"])
            assert example is not None
            sentence = edits.described({"edit": verb, **example.args})
            assert "{" not in sentence
            assert sentence[0].islower()
            for value in example.args.values():
                if isinstance(value, list):
                    assert all(item in sentence for item in value)
    many = edits.described({"edit": "move", "samples": [f"s{i}" for i in range(9)], "group": "g"})
    assert many == "moved s0, s1, s2, s3, s4 and 4 more to g"
