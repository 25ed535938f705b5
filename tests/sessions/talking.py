"""A finished run, and what is said about it."""

from __future__ import annotations

import csv
import json
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from pydantic import PrivateAttr

from agentclust import edits, ictc
from agentclust.attempts import judging
from agentclust.models.asking import Asker
from agentclust.models.budget import Budget
from agentclust.models.fake import FakeModel
from agentclust.sessions import Session
from agentclust.work import Work


class Listening(FakeModel):
    """A fake model that keeps what it was told."""

    _asked: list[str] = PrivateAttr(default_factory=list)

    def _generate(self, messages: list[BaseMessage], *args: Any, **how: Any) -> ChatResult:
        self._asked.append("\n".join(str(message.text) for message in messages))
        return super()._generate(messages, *args, **how)


def finish(work: Work) -> None:
    """The run as `method=ictc` leaves it."""
    for step in (ictc.caption, ictc.label, ictc.name, ictc.assign, judging.score):
        step(work)
    edits.export(work, edits.grouping_of(work))
    work.run.update(status="done")


def answered_by(session: Session, model: Any) -> Session:
    """The session with another model, that finds nothing answered before."""
    session.work.llm = Asker(model, session.work.run.config.llm, None, Budget())
    return session


def called(session: Session, *told: tuple[str, dict[str, Any]]) -> Listening:
    """The model that calls these tools one after another."""
    model = Listening(script=tuple(json.dumps({"name": n, "arguments": a}) for n, a in told))
    answered_by(session, model)
    return model


def table(session: Session) -> dict[str, str]:
    """The group of each sample as assignments.csv has it."""
    with (session.work.run.folder / "assignments.csv").open(encoding="utf-8", newline="") as stream:
        return {row["id"]: row["name"] for row in csv.DictReader(stream)}


def total_calls(work: Work) -> int:
    return sum(usage.calls for usage in work.run.usage().values())


def state(session: Session) -> Any:
    """All that an answer without a change must leave as it was."""
    file = session.work.run.folder / "edits.jsonl"
    return (
        session.grouping,
        file.read_bytes() if file.exists() else b"",
        session.work.run.state["attempt"],
        edits.edited(session.work),
    )
