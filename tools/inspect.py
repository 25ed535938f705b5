"""The tool that looks into one cluster."""

from __future__ import annotations

from agentclust import ictc, wording
from agentclust.plugins import unknown
from agentclust.work import Work

SHOWN = 8


def inspect(work: Work, group: str) -> str:
    """See what is in a group: its size, its raw labels, its least sure members.

    Args:
        work: The run.
        group: The group's name.
    """
    names = work.run.read("clusters.json")["names"]
    if group not in names:
        raise unknown("group", group, names)
    labels, _ = ictc.counted_labels(work)
    rows = work.run.step_rows("assignments").known
    members = [row for row in rows.values() if row["name"] == group]
    inside = wording.count(labels.get(row["id"], "unknown") for row in members)
    shown = ", ".join(f"{text} ({number})" for text, number in list(inside.items())[:SHOWN])
    unsure = sorted(members, key=lambda row: row["confidence"])[:3]
    doubts = ", ".join(f"{row['id']} ({row['confidence']:.2f})" for row in unsure)
    return f"{group}: {len(members)} samples; labels: {shown}; least sure: {doubts or 'none'}"
