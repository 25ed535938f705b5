"""Applying one edit to a grouping. Nothing is asked here: what needed an answer holds it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from agentclust.edits.deciding import decide
from agentclust.edits.grouping import (
    Edit,
    Grouping,
    Row,
    ancestors,
    grouping_of,
    regrouped,
    row_of,
)
from agentclust.errors import InputError
from agentclust.work import Work


def apply(
    work: Work, grouping: Grouping, edit: Edit, fresh: Collection[str] | None = None
) -> Grouping:
    """The grouping after an edit.

    An edit that was made before holds what the model answered, so that nothing is asked again.

    Args:
        work: The run.
        grouping: The grouping before; one that begins another attempt does not look at it.
        edit: A row of ``edits.jsonl``: the verb, its arguments, and what was decided.
        fresh: Samples that were not there when the edit was made, and are asked about.

    Raises:
        InputError: The edit cannot be made here.
        ModelError, BudgetSpent: A question was not answered.
    """
    if "attempt" in edit:
        if work.run.state["attempt"] != edit["attempt"]:
            work.run.turn_to(edit["attempt"])
        begun = grouping_of(work)
        for carried in edit.get("carried", ()):
            begun = apply(work, begun, carried)
        return _placed(begun, edit, by="person")
    full = decide(work, grouping, edit, fresh)
    missing = [name for name in _named(full) if name not in grouping.names]
    if missing:
        raise InputError(missing[0], "there is no such group", "look at the groups: /show")
    return APPLIED[edit["edit"]](grouping, full)


def _named(edit: Edit) -> list[str]:
    """The groups that must be there."""
    if edit["edit"] in ("merge", "drop", "drop_empty"):
        return list(edit["groups"])
    if edit["edit"] == "tree":
        return list(edit["children"])
    return [edit["group"]] if edit["edit"] in ("rename", "split", "move") else []


def _merge(grouping: Grouping, edit: Edit) -> Grouping:
    merged: list[str] = edit["groups"]
    name: str = edit["name"]
    return regrouped(grouping, _with(grouping, merged, [name]), spelt=dict.fromkeys(merged, name))


def _rename(grouping: Grouping, edit: Edit) -> Grouping:
    old, new = edit["group"], edit["name"]
    renamed = regrouped(grouping, _with(grouping, [old], [new]), spelt={old: new})
    refused = {
        sample_id: row | {"not": [new if name == old else name for name in row["not"]]}
        for sample_id, row in renamed.rows.items()
        if old in row.get("not", ())
    }
    return regrouped(renamed, renamed.names, refused) if refused else renamed


def _move(grouping: Grouping, edit: Edit) -> Grouping:
    group = edit["group"]
    placed = {}
    for sample_id in edit["samples"]:
        placed[sample_id] = row_of(sample_id, group, 1.0, "person")
        refused = [name for name in grouping.rows[sample_id].get("not", ()) if name != group]
        if refused:
            placed[sample_id]["not"] = refused
    return regrouped(grouping, grouping.names, placed)


def _split(grouping: Grouping, edit: Edit) -> Grouping:
    whole = edit["group"]
    divided = _placed(_wider(grouping, whole, edit["into"]), edit)
    if whole in edit["into"] or divided.members(whole):
        return divided
    return regrouped(divided, [name for name in divided.names if name != whole])


def _wider(grouping: Grouping, whole: str, parts: Sequence[str]) -> Grouping:
    """The grouping with the parts, still empty, before the group; they get its parent."""
    new = [part for part in parts if part not in grouping.names]
    names = _with(grouping, [whole], [*new, whole])
    parents = dict(grouping.parents)
    if whole in parents:
        parents |= dict.fromkeys(new, parents[whole])
    return regrouped(Grouping(grouping.names, grouping.rows, parents), names)


def _drop(grouping: Grouping, edit: Edit) -> Grouping:
    dropped = edit["groups"]
    left = {
        i: row_of(i, "", 0.0, "drop", f"its group {row['name']} was dropped")
        for i, row in grouping.rows.items()
        if row["name"] in dropped
    }
    names = [name for name in grouping.names if name not in dropped]
    return _placed(regrouped(grouping, names, left), edit)


def _wrong(grouping: Grouping, edit: Edit) -> Grouping:
    refused = {}
    for sample_id in edit["samples"]:
        row = grouping.rows[sample_id]
        why = "said to be wrong, and no other group fits"
        known = [*row.get("not", ()), *([row["name"]] if row["name"] else [])]
        refused[sample_id] = row_of(sample_id, "", 0.0, "wrong", why) | {"not": known}
    return _placed(regrouped(grouping, grouping.names, refused), edit)


def _apart(grouping: Grouping, edit: Edit) -> Grouping:
    return _placed(regrouped(grouping, [*grouping.names, edit["what"]]), edit)


def _tree(grouping: Grouping, edit: Edit) -> Grouping:
    parent, children = edit["parent"], edit["children"]
    above = [parent, *ancestors(parent, grouping.parents)]
    circular = next((child for child in children if child in above), None)
    if circular:
        why = f"is what {parent} stands under already" if circular != parent else "is the parent"
        raise InputError(circular, why, "put it under another parent")
    parents = {**grouping.parents, **{child: parent for child in children}}
    return Grouping(grouping.names, grouping.rows, parents)


def _placed(grouping: Grouping, edit: Edit, by: str = "") -> Grouping:
    """The samples where the edit's answers put them: group -> sample id -> confidence."""
    by = by or edit["edit"]
    placed: dict[str, Row] = {}
    for name, samples in edit.get("placed", {}).items():
        for sample_id, confidence in samples.items():
            if sample_id in grouping.rows and name in grouping.names:
                said = {k: v for k, v in grouping.rows[sample_id].items() if k == "not"}
                placed[sample_id] = row_of(sample_id, name, confidence, by) | said
    return regrouped(grouping, grouping.names, placed)


def _with(grouping: Grouping, old: Sequence[str], new: Sequence[str]) -> list[str]:
    """The names with the new ones where the first of the old ones stood."""
    at = min(grouping.names.index(name) for name in old)
    before = [name for name in grouping.names[:at] if name not in old]
    after = [name for name in grouping.names[at:] if name not in old]
    return [*before, *new, *after]


APPLIED: dict[str, Callable[[Grouping, Edit], Grouping]] = {
    "merge": _merge,
    "rename": _rename,
    "move": _move,
    "split": _split,
    "drop": _drop,
    "drop_empty": _drop,
    "wrong": _wrong,
    "apart": _apart,
    "tree": _tree,
}
