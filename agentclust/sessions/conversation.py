"""One line of a person in, one answer out.

Everything is checked before it is written down: a line that cannot be done, or a model that fails
half way, leaves the edits and the result as they were.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from agentclust import commands, edits, pages
from agentclust.commands import Command
from agentclust.commands.spelling import ending_key, endings
from agentclust.edits import Edit, Grouping
from agentclust.errors import AgentclustError, InputError
from agentclust.run.record import read_clustering
from agentclust.sessions import again, comparing, looking, understanding
from agentclust.sessions.understanding import Known
from agentclust.types import Clustering
from agentclust.wording import printable
from agentclust.work import Work

YES = re.compile(r"(?:y|yes|yeah|yep|ok|okay|sure|right|exactly|do it|please do)[.! ]*", re.I)
NO = re.compile(r"(?:n|no|nope|never mind|nevermind|cancel|stop|nothing)[.! ]*", re.I)
OUTSIDE = (
    "That is nothing a session does: it changes how these images are grouped, and explains it. "
    "What can be said: /help"
)
NOT_UNDERSTOOD = (
    "I did not understand that ({why}). What shall I do? What is said plainly needs no model: /help"
)


@dataclass(frozen=True)
class Answer:
    """What a line led to.

    Attributes:
        text: What the person reads.
        changed: Whether the result is another one now.
        asked: The question, where one was asked back: the next line is read together with it.
        verb: What was done; empty where nothing was.
    """

    text: str
    changed: bool = False
    asked: str = ""
    verb: str = ""

    @property
    def done(self) -> bool:
        """Whether the person has ended the session."""
        return self.verb == "quit"


@dataclass(frozen=True)
class Pending:
    """A question that waits for an answer: about which words, and what a yes would do."""

    said: str
    question: str
    command: Command | None = None


class Session:
    """A conversation about the result of a run.

    Args:
        work: The open run, with a result.

    Attributes:
        grouping: The result as it stands.
        shown: The ids last shown: what "these" means.

    Raises:
        InputError: The run has no result yet.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.grouping = edits.edited(work)
        self.shown: list[str] = []
        self._ids = [sample.id for sample in work.samples]
        self._endings = endings(self._ids)
        self._pending: Pending | None = None
        self._changed = False
        if edits.log(work).known:  # a process may have been killed before it had exported
            edits.export(self.work, self.grouping)

    def say(self, text: str) -> Answer:
        """The answer to one line. An error is an answer, too, and changes nothing."""
        try:
            answer = self._answer(" ".join(text.split()))
        except AgentclustError as error:
            answer = Answer(str(error))
        return replace(answer, text=printable(answer.text), asked=printable(answer.asked))

    def complete(self, text: str) -> list[str]:
        """What the last word of a line may become."""
        return commands.complete(text, self.grouping.names, self._ids)

    def clustering(self) -> Clustering:
        """The result as it stands, as `agentclust.cluster` returns it."""
        return read_clustering(self.work.run.folder)

    def close(self) -> None:
        """Bring the report page up to date, if there is one."""
        if self._changed and (self.work.run.folder / "report.html").exists():
            pages.write_report(self.work.run.folder)
        self._changed = False

    def _answer(self, text: str) -> Answer:
        if not text:
            return Answer("Say what to change, or /help.")
        pending, self._pending = self._pending, None
        if pending and NO.fullmatch(text):
            return Answer("Nothing was changed.")
        if pending and pending.command and YES.fullmatch(text):
            return self._do(pending.command, pending.said)
        command, said = self._parsed(text), text
        if command is None and pending:
            said = f"{pending.said} {text}"
            command = self._parsed(said)
        if command is not None:
            return self._do(command, said)
        return self._understand(text, pending)

    def _parsed(self, text: str) -> Command | None:
        return commands.parse(text, self.grouping.names, self._is_sample, self.shown)

    def _is_sample(self, text: str) -> bool:
        return ending_key(text) in self._endings

    def _understand(self, text: str, pending: Pending | None) -> Answer:
        if not edits.has_model(self.work):
            why = "there is no language model"
            return self._ask(Pending(text, NOT_UNDERSTOOD.format(why=why)))
        earlier, question = (pending.said, pending.question) if pending else ("", "")
        known = Known(self.grouping.names, self._is_sample, self.shown)
        try:
            found = understanding.understand(self.work, text, earlier, question, known)
        except AgentclustError as error:
            return self._ask(Pending(text, NOT_UNDERSTOOD.format(why=error.why)))
        if found.outside:
            return Answer(OUTSIDE)
        said = f"{earlier} {text}" if earlier else text
        if found.command is None:
            return self._ask(Pending(said, found.question))
        try:
            checked = self._checked(found.command)
        except InputError as error:
            return self._ask(Pending(said, f"{error}. What shall I do?"))
        if found.question:
            question = found.question.format(line=commands.line(checked))
            return self._ask(Pending(said, question, checked))
        return self._do(checked, said)

    def _ask(self, pending: Pending) -> Answer:
        self._pending = pending
        return Answer(pending.question, asked=pending.question)

    def _checked(self, command: Command) -> Command:
        return commands.check(command, self.grouping.names, self._ids)

    def _do(self, command: Command, said: str) -> Answer:
        checked = self._checked(command)
        if checked.verb in LOOKS:
            text, shown = LOOKS[checked.verb](self.work, self.grouping, checked.args)
            self.shown = shown or self.shown
            return Answer(text, verb=checked.verb)
        before, attempt = self.grouping, self.work.run.state["attempt"]
        if checked.verb in ("undo", "redo"):
            row, after = self._taken_back(checked.verb)
        else:
            row, after = self._made(checked, said)
        if after == before and checked.verb not in ("undo", "redo", *again.VERBS):
            return Answer("That is so already; nothing was changed.", verb=checked.verb)
        edits.log(self.work).append(row)
        self.grouping, self._changed = after, True
        edits.export(self.work, self.grouping)
        anew = self.work.run.state["attempt"] != attempt
        text = looking.effect(row, before, after, anew=anew)
        return Answer(text, changed=True, verb=checked.verb)

    def _made(self, command: Command, said: str) -> tuple[Edit, Grouping]:
        if command.verb in again.VERBS:
            edit = again.again(self.work, command, self.grouping)
        else:
            plain = {"edit": command.verb, **command.args}
            edit = edits.decide(self.work, self.grouping, plain)
        return {**edit, "said": said}, edits.apply(self.work, self.grouping, edit)

    def _taken_back(self, verb: str) -> tuple[Edit, Grouping]:
        rows = list(edits.log(self.work).known.values())
        left = edits.active(rows) if verb == "undo" else edits.undone(rows)
        if not left:
            what = "no edit to take back" if verb == "undo" else "no edit that was taken back"
            raise InputError(f"/{verb}", f"there is {what}", "look at them: /history")
        row = {"edit": verb, "of": edits.described(left[-1])}
        return row, edits.edited(self.work, [*rows, row])


Look = Callable[[Work, Grouping, Mapping[str, Any]], tuple[str, list[str]]]

LOOKS: dict[str, Look] = {
    "show": looking.show,
    "group": looking.group,
    "why": looking.why,
    "uncertain": looking.uncertain,
    "compare": comparing.compare,
    "attempts": comparing.attempts,
    "history": looking.history,
    "save": looking.save,
    "report": looking.report,
    "help": looking.explain,
    "quit": lambda work, grouping, args: ("Everything is kept.", []),
}
