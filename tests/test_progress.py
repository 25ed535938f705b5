import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest

from agentclust.progress import Reporter

ESCAPE = "\x1b"


@pytest.fixture(autouse=True)
def _no_wishes(monkeypatch):
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def step_through(reporter, total=4, done=0, name="caption"):
    with reporter.step(name, total, done) as advance:
        for _ in range(total - done):
            advance()


def test_lines_without_a_terminal(capsys):
    step_through(Reporter(every=0))
    out, err = capsys.readouterr()
    assert out == ""
    assert ESCAPE not in err
    assert "\r" not in err
    lines = err.splitlines()
    assert [re.split(", .*/s, ", line)[0] for line in lines] == [
        f"caption: {number} of 4" for number in range(1, 5)
    ]
    assert all(re.fullmatch(r"caption: \d of 4, [\d.]+/s, \d+ s left", line) for line in lines)
    assert lines[-1].endswith(", 0 s left")


def test_lines_come_every_while(capsys):
    step_through(Reporter(every=60))
    assert capsys.readouterr().err == ""


def test_what_was_done_before_counts_for_the_total_and_not_for_the_rate(capsys):
    with Reporter(every=0).step("label", 1000, 998) as advance:
        for _ in range(2):
            time.sleep(0.02)
            advance()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["label: 999 of 1000", "label: 1000 of 1000"]
    assert all(float(line.split()[4].removesuffix("/s,")) <= 50 for line in lines)


def test_a_step_that_was_done_before_says_nothing(capsys):
    with Reporter(every=0).step("label", 3, 3) as advance:
        advance()
    with Reporter(every=0).step("label", 0) as advance:
        advance()
    assert capsys.readouterr().err == ""


def test_quiet(capsys):
    reporter = Reporter(quiet=True, every=0)
    reporter.say("Hello.")
    step_through(reporter)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "text",
    [
        "left out [bold]a[/bold].png: [/] no image",
        "left out a:car:b.png",
        "long " * 100 + "end",
        "Käse 🙂 色",
        "12 clusters in 'a' and http://localhost",
    ],
)
def test_what_is_said_is_said_as_it_is(capsys, text):
    Reporter().say(text)
    assert capsys.readouterr() == ("", f"{text}\n")


def test_a_fault_in_a_step_is_passed_on(capsys):
    def fail():
        with Reporter(every=0).step("label", 3) as advance:
            advance()
            raise KeyError("a test")

    with pytest.raises(KeyError, match="a test"):
        fail()
    assert capsys.readouterr().err.startswith("label: 1 of 3")


# on a terminal

SCRIPT = """
import sys, time
from agentclust.progress import Reporter
reporter = Reporter()
print("result")
with reporter.step("caption", 40) as advance:
    for number in range(40):
        time.sleep(0.02)
        advance()
        if number == 20:
            reporter.say("left out [a].png")
"""


def on_terminal(**env):
    """What the script writes to its standard output, and to a terminal as standard error."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        (sys.executable, "-c", SCRIPT),
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "80"} | env,
    )
    os.close(theirs)
    shown = b""
    while True:
        select.select([ours], [], [], 60)
        try:
            shown += os.read(ours, 65536)
        except OSError:  # the terminal is closed
            break
    out = child.communicate()[0]
    os.close(ours)
    assert child.returncode == 0
    return out.decode(), shown.decode()


def test_a_bar_with_rate_and_time_left():
    out, shown = on_terminal()
    assert out == "result\n"
    plain = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", shown)
    assert "━" in plain
    assert re.search(r"caption .*\d+/40 [\d.]+/s 0:00:\d\d 0:00:\d\d", plain)
    assert "left out [a].png" in plain
    assert f"{ESCAPE}[3" in shown or f"{ESCAPE}[1;3" in shown or f"{ESCAPE}[38" in shown
    assert shown.rstrip().endswith(f"{ESCAPE}[2K")  # the bar is taken away in the end


def test_no_colours_where_a_person_wants_none():
    _, shown = on_terminal(NO_COLOR="1")
    colours = re.findall(r"\x1b\[(?:\d+;)*(?:3[0-8]|9[0-7])[;m]", shown)
    assert not colours
