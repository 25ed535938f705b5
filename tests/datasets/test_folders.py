"""A folder of images becomes a dataset."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from agentclust.datasets import load
from tests.complaints import complains
from tests.datasets.files import ids, reasons, write
from tests.nobody import as_nobody
from tests.pictures import draw


def test_a_folder(photos):
    seen = []
    dataset = load(str(photos), lambda done, total: seen.append((done, total)))
    assert ids(dataset) == [f"{number}.png" for number in range(6)]
    assert len(dataset) == 6
    first = dataset.samples[0]
    assert (first.file, first.size) == (photos / "0.png", (12, 8))
    assert (first.caption, first.raw_label) == (None, None)
    assert dataset.left_out == ()
    assert seen == [(number, 6) for number in range(1, 7)]


def test_the_same_content_twice_is_two_samples(photos):
    first, second, third = load(str(photos)).samples[:3]
    assert first.sha256 == second.sha256 != third.sha256
    assert first.id != second.id


def test_the_fingerprint_is_of_ids_and_contents(photos, tmp_path):
    before = load(str(photos)).fingerprint
    elsewhere = shutil.copytree(photos, tmp_path / "elsewhere")
    assert load(str(elsewhere)).fingerprint == before
    draw(photos / "0.png", colour="yellow")
    assert load(str(photos)).fingerprint != before
    (elsewhere / "0.png").rename(elsewhere / "00.png")
    assert load(str(elsewhere)).fingerprint != before


def test_sub_folders(tmp_path):
    for name in ("b/2.png", "b/1.png", "a/c/3.png", "top.png"):
        draw(tmp_path / name)
    assert ids(load(str(tmp_path))) == ["top.png", "a/c/3.png", "b/1.png", "b/2.png"]


def test_hidden_files_are_passed_over(photos):
    draw(photos / ".thumbnails" / "1.png")
    draw(photos / ".hidden.png")
    (photos / ".DS_Store").touch()
    dataset = load(str(photos))
    assert len(dataset) == 6
    assert dataset.left_out == ()


def test_loops_of_links(photos):
    (photos / "again").symlink_to(photos)
    (photos / "self.png").symlink_to("self.png")
    (photos / "gone.png").symlink_to("nowhere.png")
    (photos / "link.png").symlink_to("0.png")
    dataset = load(str(photos))
    assert ids(dataset) == [*(f"{number}.png" for number in range(6)), "link.png"]
    assert reasons(dataset) == {
        "again": "a link to a folder: links are not followed",
        "gone.png": "file not found",
        "self.png": "cannot be read (Too many levels of symbolic links)",
    }


def test_files_that_cannot_be_used_are_left_out_with_the_reason(photos):
    write(photos / "notes.txt", "eggs")
    write(photos / "README", "eggs")
    write(photos / "letter.pdf", "%PDF-1.7")
    write(photos / "text.png", "eggs")
    (photos / "empty.jpg").touch()
    os.truncate(draw(photos / "half.JPG", size=(200, 200)), 800)
    dataset = load(str(photos))
    assert ids(dataset) == [f"{number}.png" for number in range(6)]
    found = reasons(dataset)
    assert found.pop("half.JPG").startswith("damaged or truncated image (")
    assert found == {
        "README": "a name without a suffix",
        "letter.pdf": ".pdf is no image format that can be read",
        "notes.txt": ".txt is no image format that can be read",
        "text.png": "not an image Pillow can read",
        "empty.jpg": "an empty file",
    }


@pytest.mark.timeout(60)
def test_a_pipe_is_not_waited_for(photos):
    os.mkfifo(photos / "pipe.png")
    assert reasons(load(str(photos))) == {"pipe.png": "not a regular file"}


def test_a_name_that_is_not_utf8(photos):
    odd = os.fsencode(photos) + b"/caf\xe9.png"
    shutil.copy(photos / "0.png", odd)
    shutil.copy(photos / "0.png", photos / "café 色 \n.png")
    dataset = load(str(photos))
    assert "café 色 \n.png" in ids(dataset)
    assert reasons(dataset) == {"caf\\udce9.png": "its name is not UTF-8: rename it"}


def test_folders_that_may_not_be_listed():
    with tempfile.TemporaryDirectory() as open_to_all:
        top = Path(open_to_all)
        top.chmod(0o755)
        draw(top / "1.png")
        closed = draw(top / "closed" / "2.png").parent
        closed.chmod(0)
        with as_nobody():
            dataset = load(str(top))
            with complains(f"{closed}: holds no images (.: cannot be listed (Permission denied))"):
                load(str(closed))
            with complains(f"{closed}/photos: cannot be read (Permission denied)"):
                load(str(closed / "photos"))
        closed.chmod(0o755)
    assert ids(dataset) == ["1.png"]
    assert reasons(dataset) == {"closed": "cannot be listed (Permission denied)"}


def test_a_manifest_that_may_not_be_read(tmp_path):
    file = write(tmp_path / "m.csv", "id,caption", "a,A cat.")
    file.chmod(0)
    with tempfile.TemporaryDirectory() as open_to_all:
        Path(open_to_all).chmod(0o755)
        moved = file.rename(Path(open_to_all, "m.csv"))
        with as_nobody(), complains("m.csv: cannot be read (Permission denied)"):
            load(str(moved))


def test_a_folder_without_images(tmp_path):
    with complains(f"{tmp_path}: holds no images (no files)", "pass a folder of images"):
        load(str(tmp_path))
    write(tmp_path / "a.txt", "eggs")
    write(tmp_path / "b.txt", "eggs")
    with complains("holds no images (a.txt: .txt is no image format that can be read, and 1 more)"):
        load(str(tmp_path))


def test_a_folder_of_unusable_images(tmp_path):
    for name in ("a.png", "b.png"):
        write(tmp_path / name, "eggs")
    with complains("no usable image among 2 (not an image Pillow can read)"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("", "'': names no dataset"),
        ("  ", "names no dataset"),
        ("no/such/folder", "no/such/folder: does not exist"),
        ("nothing.csv", "nothing.csv: does not exist"),
        ("photos", "photos: unknown folder or dataset"),
        ("clevr4-mimi", "did you mean 'clevr4-mini'?"),
        ("~nobody-of-that-name/photos", "Could not determine home directory"),
        ("a" * 5000, "File name too long"),
        ("a\0b", "unknown folder or dataset"),
    ],
)
def test_a_source_that_is_none(tmp_path, monkeypatch, source, reason):
    monkeypatch.chdir(tmp_path)
    with complains(reason):
        load(source)


def test_a_file_that_is_no_manifest(photos):
    with complains("0.png: is neither a folder nor a manifest", "pass a .csv or .jsonl file"):
        load(str(photos / "0.png"))


def test_ctrl_c_does_not_wait_for_the_other_images(tmp_path):
    first = draw(tmp_path / "0000.png", size=(2000, 2000))
    for number in range(1, 1000):
        os.link(first, tmp_path / f"{number:04}.png")
    script = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell has it ignored
from agentclust.datasets import load
load(sys.argv[1], lambda done, total: print(done, flush=True))
"""
    command = (sys.executable, "-c", script, str(tmp_path))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with child:
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        _, error = child.communicate()
    assert b"KeyboardInterrupt" in error
    spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before.ru_utime
    assert spent < 8  # seconds of work; all images take more than twice as many
