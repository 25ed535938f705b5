"""One process at a time works on a run."""

import signal
import subprocess
import sys

from agentclust.errors import RunError
from agentclust.run.opening import is_open, open_run
from agentclust.run.record import read_rows, read_state
from tests.complaints import complains

HOLD = """
import sys, time
from pathlib import Path
from agentclust.run.opening import open_run
with open_run(Path(sys.argv[1])) as run:
    run.step_rows("captions").append({"id": "held"})
    run.update(status="running")
    print("open", flush=True)
    time.sleep(60)
"""


def test_two_processes_on_one_run(folder):
    with subprocess.Popen((sys.executable, "-c", HOLD, folder), stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout.readline() == b"open\n"
            assert is_open(folder)
            with complains(
                f"{folder}: another process is working on this run; wait for it, or stop it",
                kind=RunError,
            ):
                open_run(folder)
            assert read_state(folder)["status"] == "running"  # reading needs no lock
            assert list(read_rows(folder, "captions")) == ["held"]
        finally:
            child.send_signal(signal.SIGKILL)
    # the lock of a killed process is nobody's
    assert not is_open(folder)
    with open_run(folder) as run:
        assert list(run.step_rows("captions").known) == ["held"]
        run.step_rows("captions").append({"id": "more"})
    assert list(read_rows(folder, "captions")) == ["held", "more"]


def test_a_run_that_is_open_is_not_opened_again(folder):
    with open_run(folder):
        assert is_open(folder)
        with complains("another process is working on this run", kind=RunError):
            open_run(folder)
    assert not is_open(folder)
    with open_run(folder):
        pass


def test_what_fails_to_open_is_not_locked(folder):
    text = (folder / "run.json").read_text("utf-8")
    (folder / "run.json").write_text(text.replace("kind of pet", " ").replace("Kind of pet", " "))
    with complains("run.json: does not hold the settings of a run; restore the file"):
        open_run(folder)
    (folder / "run.json").write_text(text)
    with open_run(folder):
        pass
