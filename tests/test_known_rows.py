"""Rows that stay in their file and are read when they are looked at."""

import threading

import pytest

from agentclust.files.journal import Rows, known_rows
from agentclust.files.known import Column, Places


def test_rows_are_read_again_in_the_order_of_the_file(tmp_path):
    rows = Rows(tmp_path / "a.jsonl")
    long = "x" * 5000  # longer than what is read at once
    for number, text in enumerate(("one", long, "three")):
        rows.append({"id": f"i{number}", "text": text})
    assert dict(rows.known) == {row["id"]: row for row in rows.known.values()}
    assert [row["text"] for row in rows.known.values()] == ["one", long, "three"]
    rows.append({"id": "i0", "text": "changed"})
    assert list(rows.known) == ["i1", "i2", "i0"]
    assert [row["text"] for row in rows.known.values()] == [long, "three", "changed"]
    assert [name for name, _ in rows.known.items()] == ["i1", "i2", "i0"]
    rows.close()
    assert rows.known["i1"]["text"] == long
    assert "i3" not in rows.known
    with pytest.raises(KeyError):
        rows.known["i3"]
    again = Rows(tmp_path / "a.jsonl")
    again.close()
    assert dict(again.known) == dict(rows.known)


def test_files_that_share_the_numbers_of_their_ids_keep_their_own_order(tmp_path):
    places = Places(["a", "b", "c", "d"])
    written = {"first": ["c", "a", "new"], "second": ["d", "a", "b"], "third": ["b", "d"]}
    for name, ids in written.items():
        rows = Rows(tmp_path / name, places=places)
        for number, i in enumerate(ids):
            rows.append({"id": i, "v": f"{name} {number}"})
        rows.close()
        assert list(rows.known) == ids
        assert len(rows.known) == len(ids)
        assert "d" in rows.known or name == "first"
        assert [row["v"] for row in rows.known.values()] == [f"{name} {n}" for n in range(len(ids))]
        assert {i: rows.known[i] for i in ids} == dict(known_rows(tmp_path / name))
    assert "new" not in known_rows(tmp_path / "second", places)
    with pytest.raises(KeyError):
        known_rows(tmp_path / "second", places)["new"]


class Alike(str):
    """A text whose hash is that of many others."""

    def __hash__(self):
        return len(self)


@pytest.mark.parametrize("kind", [str, Alike])
def test_many_ids_keep_their_numbers(kind):
    names = [kind(f"sample {i}") for i in range(3000 if kind is str else 600)]
    places = Places(names[:10])
    assert [places.of(name) for name in names] == list(range(len(names)))
    assert [places.find(name) for name in names] == [places.of(name) for name in names]
    assert places.names == names
    assert places.find("sample") == places.find(kind("nobody")) == places.find(None) == -1


def test_threads_give_an_id_one_number():
    places, found = Places(), []
    names = [f"sample {i}" for i in range(5000)]
    threads = [
        threading.Thread(target=lambda: found.append([places.of(name) for name in names]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(numbers == found[0] for numbers in found)
    assert sorted(found[0]) == list(range(5000))


def test_rows_of_a_file_that_is_being_written_are_known_but_the_torn_one(tmp_path):
    file = tmp_path / "a.jsonl"
    assert not known_rows(file)
    file.write_bytes(b'{"id": "a", "v": "1"}\nnot a row\n{"id": "b", "v": "2"}\n{"id": "c"')
    known = known_rows(file)
    assert [row["v"] for row in known.values()] == ["1", "2"]
    assert known["b"]["v"] == "2"
    assert dict(Column(known, "v")) == {"a": "1", "b": "2"}


def test_rows_without_a_key_are_written_and_not_kept(tmp_path):
    rows = Rows(tmp_path / "a.jsonl", key=None)
    rows.append({"v": 1})
    rows.close()
    assert len(rows.known) == 0
    assert (tmp_path / "a.jsonl").read_text() == '{"v": 1}\n'
