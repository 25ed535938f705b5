"""The edits of a run: those that stand, those that were taken back, and where they lead."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from agentclust.edits.applying import apply
from agentclust.edits.grouping import Edit, Grouping, grouping_of
from agentclust.files.journal import Rows
from agentclust.work import Work


def log(work: Work) -> Rows:
    """The rows of ``edits.jsonl``, in the order in which they were said."""
    return work.run.rows("edits.jsonl", key="")


def active(rows: Iterable[Edit]) -> list[Edit]:
    """The edits that stand: without those taken back."""
    return _folded(rows)[0]


def undone(rows: Iterable[Edit]) -> list[Edit]:
    """The edits that can be made again, the next one last; a new edit leaves none."""
    return _folded(rows)[1]


def _folded(rows: Iterable[Edit]) -> tuple[list[Edit], list[Edit]]:
    done: list[Edit] = []
    back: list[Edit] = []
    for row in rows:
        if row["edit"] == "undo":
            back += [done.pop()] if done else []
        elif row["edit"] == "redo":
            done += [back.pop()] if back else []
        else:
            done.append(row)
            back.clear()
    return done, back


def replayed(work: Work, rows: Iterable[Edit] | None = None) -> Iterator[tuple[Edit, Grouping]]:
    """The grouping that the result stands on, and after each active edit; nothing is asked again.

    The current attempt becomes the one that the result stands on.

    Args:
        work: The run.
        rows: Rows of ``edits.jsonl``, by default all of them.

    Yields:
        The edit and what it led to. The first edit is empty where no edit began an attempt.

    Raises:
        InputError: The run has no result yet.
    """
    edits = active(log(work).known.values() if rows is None else rows)
    begun = [i for i, edit in enumerate(edits) if "attempt" in edit]
    if begun:
        edits = edits[begun[-1] :]
        grouping = Grouping((), {})
    else:
        first = work.run.state.get("result") or work.run.state["attempt"]
        if work.run.state["attempt"] != first:
            work.run.turn_to(first)
        grouping = grouping_of(work)
        yield {}, grouping
    for edit in edits:
        grouping = apply(work, grouping, edit)
        yield edit, grouping


def edited(work: Work, rows: Iterable[Edit] | None = None) -> Grouping:
    """The result of a run: its attempt, with the active edits applied, as `replayed`.

    Raises:
        InputError: The run has no result yet.
    """
    *_, (_, grouping) = replayed(work, rows)
    return grouping


def export(work: Work, grouping: Grouping) -> None:
    """Make assignments.csv and run.json say what the grouping says.

    Raises:
        RunError: They cannot be written.
    """
    rows = (
        grouping.rows[s.id] | {"path": os.fspath(s.file) if s.file else ""} for s in work.samples
    )
    work.run.export(rows, grouping.names)
    work.run.update(parents=dict(grouping.parents))
