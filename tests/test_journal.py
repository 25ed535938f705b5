"""Rows and JSON are written whole, whatever happens meanwhile."""

import json
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agentclust.errors import DiskError
from agentclust.files.journal import Rows, read_json, whole_rows, write_json
from agentclust.files.known import parsed_row
from tests.complaints import complains


def lines(file):
    return file.read_bytes().splitlines(keepends=True)


def reopened(file, key="id"):
    rows = Rows(file, key)
    rows.close()
    return rows.known


def append(file, *rows, key="id"):
    journal = Rows(file, key)
    for row in rows:
        journal.append(row)
    journal.close()


# rows


def test_rows_are_kept_in_order(tmp_path):
    file = tmp_path / "new" / "a.jsonl"
    append(file, {"id": "b", "x": 1}, {"id": "a", "text": "zwei\nZeilen \u2028 🙂"})
    append(file, {"id": "c"})
    assert [json.loads(line)["id"] for line in lines(file)] == ["b", "a", "c"]
    assert "🙂" in file.read_text("utf-8")
    known = reopened(file)
    assert list(known) == ["b", "a", "c"]
    assert known["a"]["text"] == "zwei\nZeilen \u2028 🙂"


def test_the_last_row_of_an_id_counts(tmp_path):
    append(tmp_path / "a.jsonl", {"id": "a", "x": 1}, {"id": "b"}, {"id": "a", "x": 2})
    assert reopened(tmp_path / "a.jsonl")["a"] == {"id": "a", "x": 2}
    assert len(lines(tmp_path / "a.jsonl")) == 3


def test_rows_without_ids_are_all_kept(tmp_path):
    append(tmp_path / "a.jsonl", {"x": 1}, {"x": 1}, key="")
    append(tmp_path / "a.jsonl", {"x": 1}, key="")
    assert len(reopened(tmp_path / "a.jsonl", key="")) == 3


@pytest.mark.parametrize("torn", [b'{"id": "c"', b'{"id": "c"}', b"{", b"\0\0\0", b'{"id": "\xc3'])
def test_a_torn_last_line_is_cut(tmp_path, torn):
    file = tmp_path / "a.jsonl"
    append(file, {"id": "a"}, {"id": "b"})
    whole = file.read_bytes()
    file.write_bytes(whole + torn)
    assert list(reopened(file)) == ["a", "b"]
    assert file.read_bytes() == whole
    append(file, {"id": "d"})
    assert list(reopened(file)) == ["a", "b", "d"]


@pytest.mark.parametrize("bad", [b"eggs\n", b"[1]\n", b"\n", b'{"id": "b"{"id": "c"}\n', b"\xff\n"])
def test_a_damaged_line_does_not_cost_the_rows_behind_it(tmp_path, bad):
    file = tmp_path / "a.jsonl"
    append(file, {"id": "a"}, {"id": "z"})
    first, last = lines(file)
    file.write_bytes(first + bad + last)
    with complains(f"{file}:2: is no row; mend or remove the line, then resume"):
        Rows(file)
    assert file.read_bytes() == first + bad + last


def test_half_a_surrogate_pair_is_kept(tmp_path):
    # what an endpoint sends that cuts an emoji in two
    append(tmp_path / "a.jsonl", {"id": "a", "text": "\ud83d"})
    assert reopened(tmp_path / "a.jsonl")["a"]["text"] == "\ud83d"
    write_json(tmp_path / "b.json", {"text": "\ud83d"})
    assert read_json(tmp_path / "b.json") == {"text": "\ud83d"}


def test_threads_do_not_mix_their_rows(tmp_path):
    rows = Rows(tmp_path / "a.jsonl")
    text = "long " * 5000

    def work(name):
        for number in range(50):
            rows.append({"id": f"{name}-{number}", "text": text})

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows.close()
    assert len(reopened(tmp_path / "a.jsonl")) == 200


def test_whole_rows_read_what_another_process_writes(tmp_path):
    file = tmp_path / "a.jsonl"
    append(file, {"id": "a"}, {"id": "b"})
    file.write_bytes(file.read_bytes() + b'{"id": ')
    before = file.read_bytes()
    assert [row["id"] for row in whole_rows(file)] == ["a", "b"]
    assert file.read_bytes() == before
    assert list(whole_rows(tmp_path / "no.jsonl")) == []
    with complains(f"{tmp_path}: cannot be read (Is a directory)"):
        list(whole_rows(tmp_path))


def test_parsed_row():
    assert parsed_row(b'{"id": 1}\n') == {"id": 1}
    for line in (b'{"id": 1}', b"[]\n", b"\n", b"\xff\n", b'{"id": ' + b"1" * 5000 + b"}\n"):
        assert parsed_row(line) is None


WRITER = """
import itertools, sys
from pathlib import Path
from agentclust.files.journal import Rows
rows = Rows(Path(sys.argv[1]))
for number in itertools.count(len(rows.known)):
    rows.append({"id": str(number), "text": "x" * (number % 7000)})
    print(number, flush=True)
"""


def test_rows_survive_a_kill(tmp_path):
    file = tmp_path / "a.jsonl"
    said = -1
    for turn in range(3):
        command = (sys.executable, "-c", WRITER, str(file))
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            for _ in range(40 + 17 * turn):
                said = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            said = max([said, *map(int, child.stdout.read().split(b"\n")[:-1])])
        known = reopened(file)
        assert list(known) == [str(number) for number in range(len(known))]
        assert len(known) in (said + 1, said + 2)  # what was said, and perhaps one in flight
        assert all(len(row["text"]) == int(row["id"]) % 7000 for row in known.values())


# a full disk


class Full:
    """A file may grow to so many bytes in here, and no further."""

    def __init__(self, size):
        self.size = size

    def __enter__(self):
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.before[1]))

    def __exit__(self, *_):
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


def test_a_full_disk_tears_no_row(tmp_path):
    file = tmp_path / "a.jsonl"
    rows = Rows(file)
    rows.append({"id": "a", "text": "x" * 100})
    before = file.read_bytes()
    with Full(1000):
        for _ in range(2):
            with complains(
                f"{file}: cannot be written (File too large); free the disk, then resume",
                kind=DiskError,
            ):
                rows.append({"id": "b", "text": "x" * 20_000})
        assert file.read_bytes() == before
        rows.append({"id": "c"})
    rows.append({"id": "d"})
    assert list(rows.known) == ["a", "c", "d"]
    rows.close()
    assert list(reopened(file)) == ["a", "c", "d"]


def test_json_is_written_whole_or_not_at_all(tmp_path):
    file = tmp_path / "run.json"
    write_json(file, {"status": "running"})
    with Full(1000), complains(f"{file}: cannot be written", "free the disk", kind=DiskError):
        write_json(file, {"status": "x" * 5000})
    assert read_json(file) == {"status": "running"}
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_disk_that_fills_up_and_is_freed(small_disk):
    disk = small_disk(64)
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(40_000))
    file = disk / "a.jsonl"
    rows = Rows(file)
    with complains("cannot be written (No space left on device)", kind=DiskError):
        for number in range(10_000):
            rows.append({"id": str(number), "text": "x" * 300})
    kept = len(rows.known)
    assert kept > 10
    with complains("cannot be written (No space left on device)", kind=DiskError):
        write_json(disk / "run.json", {"text": "x" * 5000})
    assert sorted(path.name for path in disk.iterdir()) == ["a.jsonl", "ballast"]
    assert len(reopened(file)) == kept
    ballast.unlink()
    rows.append({"id": "more"})
    rows.close()
    assert len(reopened(file)) == kept + 1


# places that cannot be written


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    for act in (Rows, lambda path: write_json(path, {})):
        with complains(
            "cannot be written (Not a directory); check the folder, then resume", kind=DiskError
        ):
            act(tmp_path / "file" / "deep" / "a.json")
    with complains(f"{tmp_path}: cannot be written (Is a directory)", kind=DiskError):
        Rows(tmp_path)


# json


def test_json(tmp_path):
    file = tmp_path / "deep" / "a.json"
    write_json(file, {"a": ["ä", 1]})
    assert read_json(file) == {"a": ["ä", 1]}
    assert "ä" in file.read_text("utf-8")
    assert file.read_text("utf-8").endswith("}\n")
    assert read_json(tmp_path / "no.json") is None
    assert read_json(file / "below-a-file.json") is None


@pytest.mark.parametrize("text", [b"", b"{", b'{"a": 1', b"\xff"])
def test_json_that_is_damaged(tmp_path, text):
    file = tmp_path / "a.json"
    file.write_bytes(text)
    with complains(f"{file}: cannot be read (", "restore the file"):
        read_json(file)


def test_json_is_never_seen_half_written(tmp_path):
    file = tmp_path / "a.json"
    write_json(file, list(range(3000)))
    stop = threading.Event()

    def rewrite():
        while not stop.is_set():
            write_json(file, list(range(3000)))

    thread = threading.Thread(target=rewrite)
    thread.start()
    try:
        for _ in range(200):
            assert len(read_json(Path(file))) == 3000
    finally:
        stop.set()
        thread.join()
