"""A result taken out of its run: tables, other tools' formats, and folders of the images."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from agentclust import service
from agentclust.errors import InputError, RunError
from agentclust.export import write
from agentclust.export.folders import carry_out, plan, undo
from agentclust.export.names import apart, safe_file, safe_name, same
from agentclust.types import Clustering
from tests import outside
from tests.pictures import draw

NAMES = ("red", "Grün/Blau")
BYTES = ("copy", "link", "move")


def clustering(folder, labels=(0, 1, 0, -1), names=NAMES, pictures=True):
    """A result whose images lie in folders of their own, all of one name."""
    files = []
    for number in range(len(labels)):
        file = folder / "photos" / f"day{number}" / "img.png"
        if pictures:
            file.parent.mkdir(parents=True)
            draw(file, colour=(number, 10, 20))
        files.append(str(file) if pictures else "")
    return Clustering(
        criterion="colour",
        method="ictc",
        ids=tuple(f"day{number}/img.png" for number in range(len(labels))),
        files=tuple(files),
        labels_=np.array(labels, dtype=np.int64),
        names=names,
        confidences=np.linspace(1, 0.25, len(labels)),
        run=folder / "run",
    )


def contents(folder):
    """Every file below a folder with its bytes."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


# names


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Grün/Blau", "Grün-Blau"),
        ("日本の猫", "日本の猫"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("a:b*c?", "a-b-c-"),
        ("con", "con_"),
        ("LPT1.txt", "LPT1_.txt"),
        (" ..hidden. ", "hidden"),
        ("..", "group"),
        ("\u200b", "group"),
        ("\x00\x07", "--"),
        ("\ud800x", "-x"),
        ("abc\u202egpj", "abc-gpj"),
        ("two\n lines", "two lines"),
        ("e\u0301", "é"),
    ],
)
def test_a_group_becomes_a_folder_name_that_any_disk_takes(text, name):
    assert safe_name(text, "group") == name


def test_a_long_name_is_cut_between_characters():
    name = safe_name("ü" * 300, "group")
    assert set(name) == {"ü"}
    assert len(name.encode()) <= 120


def test_a_file_keeps_its_suffix():
    assert safe_file("nul.jpeg", "image") == ("nul_", ".jpeg")
    assert safe_file("a.b.c.PNG", "image") == ("a.b.c", ".PNG")
    assert safe_file("no suffix. here", "image") == ("no suffix. here", "")


@pytest.mark.parametrize("other", ["Cat", "CAT", "cat\u200b"])
def test_names_that_are_one_on_a_disk_without_case_are_kept_apart(other):
    assert same(other) == same("cat")
    assert apart(other, "", {same("cat")}) == f"{other} (2)"


def test_accents_written_in_two_ways_are_one_name():
    assert same("É") == same("e\u0301")


# tables and other tools


def test_csv_and_parquet_hold_the_rows_of_the_result(tmp_path):
    import pyarrow.parquet as pq

    result = clustering(tmp_path, pictures=False)
    out = write(result, "csv", tmp_path / "csv")
    with (out / "assignments.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == ["red", "Grün/Blau", "red", ""]
    table = pq.read_table(write(result, "parquet", tmp_path / "parquet") / "assignments.parquet")
    assert table.to_pylist() == result.table()
    assert table.schema.metadata[b"criterion"] == b"colour"


def test_hugging_face_datasets_load_the_images_themselves(tmp_path):
    import datasets

    result = clustering(tmp_path)
    write(result, "datasets", tmp_path / "hf")
    for file in result.files:
        Path(file).unlink()
    loaded = datasets.load_from_disk(tmp_path / "hf")
    assert loaded["label"][:] == [0, 1, 0, -1]
    assert loaded.features["label"].names == list(NAMES)
    assert loaded[1]["image"].getpixel((11, 7)) == (1, 10, 20)
    assert loaded["id"][3] == "day3/img.png"


def test_an_image_that_is_gone_leaves_no_half_dataset(tmp_path):
    result = clustering(tmp_path)
    Path(result.files[2]).unlink()
    with pytest.raises(InputError, match="is gone"):
        write(result, "datasets", tmp_path / "hf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]


def test_fiftyone_finds_images_classes_and_confidences(tmp_path):
    result = clustering(tmp_path)
    out = write(result, "fiftyone", tmp_path / "fo")
    data, labels = (json.loads((out / f"{name}.json").read_text()) for name in ("data", "labels"))
    assert data["day1/img.png"] == result.files[1]
    assert labels["classes"] == list(NAMES)
    assert labels["labels"]["day1/img.png"] == {"label": 1, "confidence": 0.75}
    assert labels["labels"]["day3/img.png"] is None
    with pytest.raises(InputError, match="no images"):
        write(clustering(tmp_path, pictures=False), "fiftyone", tmp_path / "none")


@pytest.mark.parametrize("to", ["csv", "parquet", "datasets", "fiftyone"])
def test_nothing_is_overwritten(tmp_path, to):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        write(clustering(tmp_path), to, out)
    assert contents(out) == {"mine.txt": b"mine"}


# folders


@pytest.mark.parametrize("by", BYTES)
def test_images_go_into_named_folders_and_back(tmp_path, by):
    result = clustering(tmp_path)
    before = contents(tmp_path / "photos")
    out = carry_out(plan(result, by), tmp_path / "out")
    made = {name for name in contents(out) if not name.startswith(".")}
    assert made == {
        "red/img.png",
        "red/day2-img.png",
        "Grün-Blau/img.png",
        "unassigned/img.png",
    }
    assert (out / "red/day2-img.png").read_bytes() == before["day2/img.png"]
    assert (out / "red/img.png").is_symlink() == (by == "link")
    assert contents(tmp_path / "photos") == ({} if by == "move" else before)
    carry_out(plan(result, by), out)  # the same call again finds it done
    assert undo(out) == []
    assert not out.exists()
    assert contents(tmp_path / "photos") == before


def test_groups_that_differ_in_case_alone_and_one_called_unassigned_are_kept_apart(tmp_path):
    names = ("cat", "Cat", "unassigned", "c/at", "c:at")
    result = clustering(tmp_path, (0, 1, 2, 3, 4, -1), names)
    sizes = plan(result, "copy").sizes()
    assert list(sizes) == ["cat", "Cat (2)", "unassigned (2)", "c-at", "c-at (2)", "unassigned"]


class CutOffError(Exception):
    """The process was killed here."""


def cut_after(steps):
    left = [steps]

    def advance():
        left[0] -= 1
        if left[0] <= 0:
            raise CutOffError

    return advance


@pytest.mark.parametrize("by", BYTES)
@pytest.mark.parametrize("ends", [undo, None])
def test_what_was_cut_off_goes_on_or_is_taken_back(tmp_path, by, ends):
    result = clustering(tmp_path)
    before, out = contents(tmp_path / "photos"), tmp_path / "out"
    for steps in (1, 2, 3):
        with pytest.raises(CutOffError):
            carry_out(plan(result, by), out, cut_after(steps))
        (out / ".agentclust-export.part").write_bytes(b"half a picture")
        if ends:
            with pytest.raises(CutOffError):
                undo(out, cut_after(1))
            assert undo(out) == []
            assert contents(tmp_path / "photos") == before
            assert not out.exists()
    carry_out(plan(result, by), out)
    made = [name for name in contents(out) if not name.startswith(".")]
    assert len(made) == 4
    assert not (out / ".agentclust-export.part").exists()


def test_a_move_that_was_killed_between_its_two_names_is_mended(tmp_path):
    result = clustering(tmp_path)
    before, out = contents(tmp_path / "photos"), tmp_path / "out"
    for mend in (undo, lambda out: carry_out(plan(result, "move"), out)):
        with pytest.raises(CutOffError):
            carry_out(plan(result, "move"), out, cut_after(1))
        os.link(result.files[1], out / "red" / "x")
        (out / "Grün-Blau").mkdir()
        (out / "red" / "x").rename(out / "Grün-Blau" / "img.png")
        mend(out)
        if mend is undo:
            assert contents(tmp_path / "photos") == before
    assert contents(tmp_path / "photos") == {}
    assert (out / "Grün-Blau" / "img.png").read_bytes() == before["day1/img.png"]


def test_what_a_person_put_or_changed_there_stays(tmp_path):
    result = clustering(tmp_path)
    out = carry_out(plan(result, "copy"), tmp_path / "out")
    (out / "red" / "img.png").write_bytes(b"retouched")
    (out / "red" / "mine.txt").write_bytes(b"mine")
    (kept,) = undo(out)
    assert "it was changed" in kept
    assert {name for name in contents(out) if not name.startswith(".")} == {
        "red/img.png",
        "red/mine.txt",
    }
    (out / "red" / "img.png").unlink()
    assert undo(out) == []
    assert contents(out) == {"red/mine.txt": b"mine"}


def test_a_copy_whose_image_is_gone_is_the_last_one_and_stays(tmp_path):
    result = clustering(tmp_path)
    out = carry_out(plan(result, "copy"), tmp_path / "out")
    Path(result.files[0]).unlink()
    (kept,) = undo(out)
    assert "its image is gone" in kept
    assert (out / "red" / "img.png").exists()


def test_a_moved_image_does_not_come_back_onto_another(tmp_path):
    result = clustering(tmp_path)
    out = carry_out(plan(result, "move"), tmp_path / "out")
    Path(result.files[0]).write_bytes(b"another picture")
    (kept,) = undo(out)
    assert "stays" in kept
    assert Path(result.files[0]).read_bytes() == b"another picture"
    assert (out / "red" / "img.png").exists()


def test_something_in_the_place_of_an_image_is_not_overwritten(tmp_path):
    result = clustering(tmp_path)
    out = tmp_path / "out"
    with pytest.raises(CutOffError):
        carry_out(plan(result, "copy"), out, cut_after(1))
    (out / "unassigned").mkdir()
    (out / "unassigned" / "img.png").write_bytes(b"mine")
    with pytest.raises(RunError, match="stands in the place"):
        carry_out(plan(result, "copy"), out)
    assert (out / "unassigned" / "img.png").read_bytes() == b"mine"


def test_a_folder_with_something_else_or_another_export_is_refused(tmp_path):
    result = clustering(tmp_path)
    out = carry_out(plan(result, "copy"), tmp_path / "out")
    with pytest.raises(InputError, match="another export"):
        carry_out(plan(result, "link"), out)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    with pytest.raises(InputError, match="is not empty"):
        carry_out(plan(result, "copy"), tmp_path / "full")
    with pytest.raises(InputError, match="holds no export"):
        undo(tmp_path / "full")


def test_before_anything_is_done_every_image_is_looked_for(tmp_path):
    result = clustering(tmp_path)
    Path(result.files[3]).unlink()
    with pytest.raises(InputError, match="is gone"):
        carry_out(plan(result, "move"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    Path(result.files[3]).symlink_to(result.files[0])
    with pytest.raises(InputError, match="is a link"):
        carry_out(plan(result, "move"), tmp_path / "out")
    with pytest.raises(InputError, match="no images"):
        plan(clustering(tmp_path, pictures=False), "copy")


# the command


@pytest.fixture
def run(tmp_path):
    """A finished run of 120 pictures that lie beside it."""
    rows = []
    for number in range(120):
        draw(tmp_path / f"{number}.png", colour=(number, 0, 0))
        label = "ball" if number % 2 else "cone"
        rows.append({"id": f"{number}", "file": f"{number}.png", "raw_label": label})
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = ("--criterion", "shape", "--n-clusters", 2, "--llm", "fake", "--method", "ictc")
    done = outside.run("run", "m.jsonl", *words, "--out", "run", cwd=tmp_path)
    assert done.status == 0, done.err
    return tmp_path / "run"


def test_the_command_previews_exports_and_takes_back(run):
    before = contents(run.parent)
    shown = outside.run("export", run, "--to", "folders", "--dry-run", cwd=run.parent)
    assert shown.status == 0
    assert "    60  ball" in shown.out
    assert len(shown.out.splitlines()) == 122
    assert contents(run.parent) == before
    done = outside.run("export", run, "--to", "folders", "--by", "move", cwd=run.parent)
    assert done.out == f"{run}-folders\n"
    assert len(list((run.parent / "run-folders" / "cone").iterdir())) == 60
    back = outside.run("export", run, "--undo", cwd=run.parent)
    assert back.status == 0
    assert contents(run.parent) == before
    table = outside.run("export", run, "--to", "csv", "--out", "t", cwd=run.parent)
    assert table.status == 0
    assert (run.parent / "t/assignments.csv").read_bytes() == (run / "assignments.csv").read_bytes()


@pytest.mark.parametrize("by", BYTES)
def test_a_process_that_is_killed_leaves_what_can_be_mended(run, by):
    out = run.parent / "run-folders"
    before = contents(run.parent)
    for images in (1, 30, 100):
        words = ("export", run, "--to", "folders", "--by", by)
        process = outside.start(*words, cwd=run.parent)
        there = run.parent / "run-folders"
        outside.until(
            lambda there=there, images=images, process=process: (
                process.is_over() or len(list(there.glob("*/*"))) >= images
            )
        )
        process.signal(signal.SIGKILL)
        assert process.wait().status in (-signal.SIGKILL, 0)
        assert service.undo_export(run) == out
        assert contents(run.parent) == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "csv, datasets, fiftyone, folders, parquet"),
        (("--to", "xls"), "unknown format"),
        (("--to", "csv", "--undo"), "means nothing to csv"),
        (("--undo",), "holds no export"),
    ],
)
def test_a_wrong_call_is_refused_in_one_line(run, words, says):
    refused = outside.run("export", run, *words, cwd=run.parent)
    assert refused.status == 2
    assert says in refused.complaint


@pytest.mark.parametrize(("to", "package"), [("parquet", "pyarrow"), ("datasets", "datasets")])
def test_a_missing_extra_names_its_install_line(run, to, package):
    refused = outside.run("export", run, "--to", to, cwd=run.parent, without=(package,))
    assert refused.status == 2
    assert f"pip install 'agentclust[{to}]'" in refused.complaint
