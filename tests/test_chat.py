"""The terminal: lines in, answers out, completion where a person types."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from rich.console import Console

from agentclust import edits, ictc
from agentclust.cli import chat
from agentclust.sessions import Answer, Session
from tests.steps import captioned, opened


@pytest.fixture
def session(tmp_path) -> Iterator[Session]:
    captions = ("a violin", "a cello", "a harp", "a violin", "a [red]harp[/red] harp")
    with opened(tmp_path, captioned(*captions), n_clusters=3) as work:
        for step in (ictc.caption, ictc.label, ictc.name, ictc.assign):
            step(work)
        yield Session(work)


def said(session: Session, *lines: str) -> str:
    """What is printed for these lines of standard input."""
    printed = io.StringIO()
    console = Console(file=printed, soft_wrap=True, highlight=False, emoji=False)
    chat.chat(session, console, io.StringIO("\n".join(lines)))
    return printed.getvalue()


def test_lines_of_standard_input_get_an_answer_each(session):
    lines = said(session, "merge violin and cello as strings", "/nonsense", "/show").splitlines()
    assert lines[0] == "5 images by 'shape':"
    assert "Merged violin and cello as strings (strings 3" in lines[4]
    assert "there is no such command" in lines[5]
    assert lines[6] == "5 images by 'shape', 1 edit:"
    assert "\x1b" not in "".join(lines)


def test_it_ends_at_quit(session):
    assert "violin" in session.grouping.names
    assert "Everything is kept." in said(session, "/quit", "/rename violin to fiddle")
    assert "violin" in session.grouping.names


def test_what_looks_like_markup_is_printed_as_it_is(session):
    assert "[red]harp[/red]" in said(session, "/why id4")


def test_the_report_is_brought_up_to_date_at_the_end(session):
    edits.export(session.work, session.grouping)
    said(session, "/report", "/rename harp to lyre")
    assert "lyre" in (session.work.run.folder / "report.html").read_text("utf-8")


class Interrupted(Session):
    """A session whose second line is given up by the person."""

    def say(self, text: str) -> Answer:
        if text.startswith("/groups"):
            raise KeyboardInterrupt
        return super().say(text)


def test_control_c_gives_up_one_line_and_not_the_session(session):
    interrupted = Interrupted(session.work)
    printed = said(interrupted, "/groups 2", "/rename harp to lyre")
    assert "Given up: nothing was changed." in printed
    assert "Renamed harp to lyre" in printed


@pytest.mark.parametrize(
    ("text", "becomes"),
    [("/mer", "/merge"), ("/group vi", "/group violin"), ("/why id", "/why id0"), ("/zz", "")],
)
def test_completion(session, text, becomes):
    document = Document(text)
    found = list(chat.completer(session).get_completions(document, CompleteEvent()))
    if not becomes:
        assert not found
        return
    first = found[0]
    assert text[: len(text) + first.start_position] + first.text == becomes


def test_a_name_of_several_words_completes_from_its_quotation_mark(session):
    session.say('/rename harp to "concert harp"')
    text = '/group "con'
    first, *_ = chat.completer(session).get_completions(Document(text), CompleteEvent())
    assert text[: len(text) + first.start_position] + first.text == '/group "concert harp"'


def test_a_person_types_and_the_history_is_kept(session, tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTCLUST_HOME", str(tmp_path / "home"))
    with create_pipe_input() as keys:
        keys.send_text("/show\r/foo\x03/help\r\x04")  # Ctrl-C gives up a line, Ctrl-D ends it
        assert list(chat.typed(session, keys, DummyOutput())) == ["/show", "/help"]
    kept = (tmp_path / "home" / "history").read_text("utf-8")
    assert [line for line in kept.splitlines() if line.startswith("+")] == ["+/show", "+/help"]
