"""One sentence an edit, for the report and the history."""

from __future__ import annotations

from collections.abc import Sequence

from agentclust.edits.grouping import Edit

MOST = 5  # names or ids that a sentence lists


def described(edit: Edit) -> str:
    """What an edit did, as a sentence without a full stop.

    Args:
        edit: A row of ``edits.jsonl``.
    """
    sentence = SENTENCES[edit["edit"]]
    listed = {
        name: _listed(value) if isinstance(value, list) else value for name, value in edit.items()
    }
    if edit["edit"] == "merge" and not edit["name"]:
        sentence = "merged {groups}"
    if edit["edit"] == "use" and edit["rest"]:
        sentence += " and whatever else there is"
    if edit["edit"] == "wrong" and len(edit["samples"]) == 1:
        sentence = "said that {samples} is in the wrong group"
    return sentence.format_map(listed)


SENTENCES = {
    "merge": "merged {groups} as {name}",
    "rename": "renamed {group} to {name}",
    "split": "split {group} into {into}",
    "move": "moved {samples} to {group}",
    "wrong": "said that {samples} are in the wrong group",
    "drop": "dropped {groups}",
    "drop_empty": "dropped the empty groups",
    "by": "clustered again by {criterion}",
    "groups": "clustered again into {n} groups",
    "apart": "put {what} apart",
    "use": "clustered into {groups}",
    "tree": "put {children} under {parent}",
    "undo": "took the last edit back",
    "redo": "made the edit again that was taken back",
}


def _listed(values: Sequence[str]) -> str:
    shown = [str(value) for value in values[:MOST]]
    if len(values) > MOST:
        return f"{', '.join(shown)} and {len(values) - MOST} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
