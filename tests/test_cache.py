import hashlib
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from agentclust import cache
from agentclust.cache import Answers, key
from agentclust.errors import DiskError, RunError
from tests.complaints import complains


@pytest.fixture
def answers(tmp_path):
    found = Answers(tmp_path / "new" / "answers.sqlite")
    yield found
    found.close()


def stored(file):
    found = Answers(file)
    rows = dict(found._db.execute("SELECT key, value FROM answers"))
    found.close()
    return rows


def test_answers_come_back(answers):
    assert answers.get("a") is None
    values = [
        {"text": "Käse 🙂\n"},
        {"probabilities": [0.1, 0.9]},
        {"text": "\ud83d"},
        {"text": ""},
    ]
    for number, value in enumerate(values):
        answers.put(str(number), value)
    assert [answers.get(str(number)) for number in range(4)] == values
    answers.put("0", {"text": "new"})
    assert answers.get("0") == {"text": "new"}


def test_answers_outlive_the_process(answers):
    answers.put("a", {"text": "A cat."})
    script = f"from agentclust.cache import *; print(Answers(Path({str(answers.file)!r})).get('a'))"
    done = subprocess.run((sys.executable, "-c", script), capture_output=True, text=True)
    assert done.stdout == "{'text': 'A cat.'}\n"


def test_home(home, monkeypatch, tmp_path):
    assert cache.home() == home
    monkeypatch.delenv("AGENTCLUST_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.home() == tmp_path / "agentclust"


# keys


def test_a_key_tells_everything_apart():
    parts = {"model": "m", "user": "u", "how": {"stop": ["\n"], "max_tokens": 3}}
    assert key(**parts) == key(**dict(reversed(parts.items())))
    others = [
        parts | {"model": "n"},
        parts | {"user": "u "},
        parts | {"how": {"stop": [], "max_tokens": 3}},
        parts | {"how": {"stop": ["\n"], "max_tokens": "3"}},
        parts | {"image": ""},
        parts | {"user": "\ud83d"},
        parts | {"user": None},
    ]
    assert len({key(**parts), *(key(**other) for other in others)}) == 1 + len(others)
    assert len(key()) == 64


def test_a_key_is_the_same_in_every_process():
    # stored answers are found by it, so it may never change
    text = '{"model": "m", "user": "Käse"}'
    assert key(user="Käse", model="m") == hashlib.sha256(text.encode()).hexdigest()


# side by side


def test_threads(answers):
    def work(name):
        for number in range(50):
            answers.put(f"{name}{number}", number)
            assert answers.get(f"{name}{number}") == number

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(answers.get(f"{name}49") == 49 for name in "abcdefgh")


WRITER = """
import sys
from pathlib import Path
from agentclust.cache import Answers
print("ready", flush=True)
sys.stdin.readline()
answers = Answers(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    answers.put(f"{sys.argv[2]}{number}", {"text": "x" * 500})
    print(number, flush=True)
"""


def writer(file, name, count):
    command = (sys.executable, "-c", WRITER, str(file), name, str(count))
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


OPENER = """
import sys, time
from pathlib import Path
from agentclust.cache import Answers
print("ready", flush=True)
start = float(sys.stdin.readline())
for number in range(40):
    while time.time() < start + number / 40:
        pass
    Answers(Path(sys.argv[1], f"{number}.sqlite")).close()
"""


def test_processes_that_open_a_new_file_at_once(tmp_path):
    command = (sys.executable, "-c", OPENER, str(tmp_path))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    children = [subprocess.Popen(command, **pipes) for _ in range(4)]
    for child in children:
        assert child.stdout.readline() == b"ready\n"
    start = f"{time.time() + 0.1}\n".encode()
    for child in children:
        child.stdin.write(start)
        child.stdin.flush()
    assert [child.communicate()[1] for child in children] == [b""] * 4


def test_processes_that_write_side_by_side(tmp_path):
    file = tmp_path / "answers.sqlite"
    children = [writer(file, name, 100) for name in "ab"]
    for child in children:
        assert child.stdout.readline() == b"ready\n"
    for child in children:
        child.stdin.write(b"\n")
        child.stdin.flush()
    for child in children:
        child.communicate()
        assert child.returncode == 0
    assert len(stored(file)) == 200


def test_an_answer_that_was_stored_survives_a_kill(tmp_path):
    file = tmp_path / "answers.sqlite"
    with writer(file, "a", 10**6) as child:
        assert child.stdout.readline() == b"ready\n"
        child.stdin.write(b"\n")
        child.stdin.flush()
        said = [int(child.stdout.readline()) for _ in range(100)]
        child.send_signal(signal.SIGKILL)
        last = max([*said, *map(int, child.stdout.read().split(b"\n")[:-1])])
    found = stored(file)
    assert {f"a{number}" for number in range(last + 1)} <= set(found)


# what goes wrong


def test_a_file_that_may_not_grow(tmp_path):
    answers = Answers(tmp_path / "answers.sqlite")
    answers.put("a", {"text": "A cat."})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with complains("cannot store an answer (", "free the disk and resume", kind=DiskError):
            answers.put("b", {"text": "x" * 200_000})
        assert answers.get("a") == {"text": "A cat."}
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    answers.put("b", {"text": "A dog."})
    answers.close()
    assert list(stored(tmp_path / "answers.sqlite")) == ["a", "b"]


def test_a_full_disk(small_disk):
    disk = small_disk(256)
    answers = Answers(disk / "answers.sqlite")
    kept = 0
    with complains("answers.sqlite: cannot store an answer (", kind=DiskError):
        for kept in range(1000):
            answers.put(str(kept), {"text": "x" * 2000})
    assert kept > 10
    assert answers.get(str(kept - 1)) == {"text": "x" * 2000}
    answers.close()
    with (disk / "full").open("ab", buffering=0) as stream, suppress(OSError):
        while True:
            stream.write(bytes(1024))
    with complains("cannot be opened (", "free the disk", kind=DiskError):
        Answers(disk / "other.sqlite")


def test_places_where_no_answers_can_be(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "text.sqlite").write_text("This is no database. " * 100)
    for file in (tmp_path / "file" / "a.sqlite", tmp_path / "text.sqlite", tmp_path):
        with complains(
            f"{file}: cannot be opened (", "or set AGENTCLUST_HOME elsewhere", kind=DiskError
        ):
            Answers(file)


def test_a_file_that_is_damaged_while_it_is_open(tmp_path):
    file = tmp_path / "answers.sqlite"
    answers = Answers(file)
    for number in range(200):
        answers.put(str(number), {"text": "x" * 500})
    answers.close()
    answers = Answers(file)
    with file.open("r+b") as stream:
        stream.seek(4096)
        stream.write(b"eggs" * 20_000)
    with complains("answers.sqlite: cannot be read (", "then resume the run", kind=DiskError):
        answers.get("150")
    answers.close()


def test_an_answer_that_comes_after_the_end_is_not_stored(tmp_path):
    answers = Answers(tmp_path / "answers.sqlite")
    answers.close()
    with complains("cannot store an answer", kind=DiskError):
        answers.put("a", 1)
    with complains("cannot be read", kind=DiskError):
        answers.get("a")


def test_closing_waits_for_an_answer_on_its_way(tmp_path):
    for _ in range(5):
        answers = Answers(tmp_path / "answers.sqlite")
        ended = []

        def work(answers=answers, ended=ended):
            try:
                for number in range(10_000):
                    answers.put(str(number), number)
            except RunError as error:
                ended.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        while answers.get("1") is None:
            pass
        answers.close()
        thread.join()
        assert len(ended) == 1
    assert sqlite3.connect(tmp_path / "answers.sqlite").execute("PRAGMA integrity_check").fetchone()
