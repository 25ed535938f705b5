"""A session in the terminal: completion and history, or one answer a line where there is none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TextIO

from rich.console import Console

from agentclust.cache import home
from agentclust.commands.completing import LAST_WORD
from agentclust.sessions import Answer, Session

if TYPE_CHECKING:
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.input import Input
    from prompt_toolkit.output import Output

PROMPT = "> "
WELCOME = "Say what to change, or /help; /quit ends. Every change can be taken back: /undo"


def chat(session: Session, console: Console | None = None, stream: TextIO | None = None) -> None:
    """Answer line by line until the person ends the session.

    Args:
        session: The conversation; it is closed at the end.
        console: Where answers go, by default standard output.
        stream: Where lines come from; by default the terminal, or standard input without one.
    """
    console = console or Console(soft_wrap=True, highlight=False, emoji=False)
    console.print(session.say("/show").text, markup=False)
    if stream is None and sys.stdin.isatty():
        console.print(WELCOME, style="dim", markup=False)
        lines = typed(session)
    else:
        lines = iter(stream or sys.stdin)
    try:
        converse(session, lines, console)
    finally:
        session.close()


def converse(session: Session, lines: Iterable[str], console: Console) -> None:
    """One answer a line; Ctrl-C gives up what is being done, and the result stays as it was."""
    for line in lines:
        try:
            answer = session.say(line)
        except KeyboardInterrupt:
            answer = Answer("Given up: nothing was changed.")
        console.print(answer.text, markup=False, style=_style(answer))
        if answer.done:
            return


def _style(answer: Answer) -> str:
    if answer.asked:
        return "yellow"
    return "" if answer.verb else "red"


def typed(
    session: Session, source: Input | None = None, output: Output | None = None
) -> Iterator[str]:
    """The lines that a person types, with completion and the history of former sessions.

    Args:
        session: What completion knows the groups and ids from.
        source: The terminal's input, by default that of the process.
        output: The terminal's output, likewise.
    """
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import FileHistory

    home().mkdir(parents=True, exist_ok=True)
    prompt: PromptSession[str] = PromptSession(
        history=FileHistory(str(home() / "history")),
        completer=completer(session),
        complete_while_typing=False,
        input=source,
        output=output,
    )
    while True:
        try:
            yield prompt.prompt(PROMPT)
        except KeyboardInterrupt:  # what was typed is given up, the session goes on
            continue
        except EOFError:
            return


def completer(session: Session) -> Completer:
    """Completion of verbs, groups and ids, as prompt_toolkit asks for it."""
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.document import Document

    class Completing(Completer):
        def get_completions(self, document: Document, event: CompleteEvent) -> Iterator[Completion]:
            text = document.text_before_cursor
            found = LAST_WORD.search(text)
            for word in session.complete(text):
                yield Completion(word, start_position=-len(found[0] if found else ""))

    return Completing()


def asked() -> Callable[[str], str] | None:
    """What puts a question of the agent to the person; None where nobody sits at a terminal."""
    if not sys.stdin.isatty():
        return None
    from prompt_toolkit import prompt

    return lambda question: prompt(f"{question}\n{PROMPT}")
