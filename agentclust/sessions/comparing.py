"""The attempts of a run, and the result beside one of them. No true label is known here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agentclust import edits, metrics
from agentclust.edits import Grouping
from agentclust.errors import InputError
from agentclust.work import Work

Args = Mapping[str, Any]
Looked = tuple[str, list[str]]

SHOWN_SCORES = ("quality", "unassigned", "unsure", "confidence", "balance", "largest")


def compare(work: Work, grouping: Grouping, args: Args) -> Looked:
    """The result beside an attempt: groups, sizes, how many samples moved, internal scores."""
    folder = _attempt(work, args["attempt"])
    other = edits.grouping_of(work, folder)
    moved, agreement = _agreement(grouping, other)
    lines = [
        f"{len(grouping.rows)} images: {moved} moved between attempt {folder} and the result "
        f"(adjusted Rand index {agreement:.2f})"
    ]
    for title, which in ((f"attempt {folder}", other), ("the result", grouping)):
        sizes = sorted(which.sizes().items(), key=lambda item: -item[1])
        listed = ", ".join(f"{name} {size}" for name, size in sizes)
        left = len(which.members(""))
        lines.append(f"  {title}: {listed}" + (f", unassigned {left}" if left else ""))
        lines.append(f"    {_scores(_internal(which))}")
    return "\n".join(lines), []


def _agreement(one: Grouping, two: Grouping) -> tuple[int, float]:
    """How many samples moved when each group is matched to its likeliest, and the Rand index."""
    names = [row["name"] for row in two.rows.values()]
    labels = np.array([row["cluster"] for row in one.rows.values()], dtype=np.int64)
    both = np.array([i for i, name in enumerate(names) if name and labels[i] >= 0], dtype=np.int64)
    stayed = sum(not name and labels[i] < 0 for i, name in enumerate(names))
    if len(both):
        found = metrics.external([names[i] for i in both], labels[both])
        stayed += round(found.n * found.acc)
    whole = metrics.external(names, np.where(labels < 0, labels.max() + 1, labels))
    return len(names) - stayed, whole.ari


def _internal(grouping: Grouping) -> dict[str, float]:
    rows = grouping.rows.values()
    labels = np.array([row["cluster"] for row in rows], dtype=np.int64)
    confidences = np.array([row["confidence"] for row in rows], dtype=float)
    return metrics.internal(labels, confidences, len(grouping.names))


def _attempt(work: Work, text: str) -> str:
    """The folder of an attempt by its number, its folder, or as the one before."""
    folders = [str(about["folder"]) for about in work.run.state["attempts"]]
    current = str(work.run.state["attempt"])
    if text in ("", "previous"):
        return str(work.run.about()["of"]) or current
    if text in folders:
        return text
    if text.isdecimal() and 1 <= int(text) <= len(folders):
        return folders[int(text) - 1]
    raise InputError(text, "there is no such attempt", f"the attempts are: {', '.join(folders)}")


def attempts(work: Work, grouping: Grouping, args: Args) -> Looked:
    """The attempts, why each was made, and its internal scores."""
    lines = []
    for number, about in enumerate(work.run.state["attempts"], 1):
        mark = "*" if about["folder"] == work.run.state["attempt"] else " "
        lines.append(f"{mark}{number:3d}  {about['folder']}: {about['why']}")
        scores = work.run.read_of(about["folder"], "scores.json")
        failed = about.get("failed")
        lines.append("      " + (f"failed: {failed}" if failed else _scores(scores or {})))
    return "\n".join([*lines, "* the result stands on this one"]), []


def _scores(scores: Mapping[str, Any]) -> str:
    known = [name for name in SHOWN_SCORES if name in scores]
    return ", ".join(f"{name} {scores[name]:.2f}" for name in known) or "not scored"
