"""A result as folders of its images, and back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentclust.errors import InputError, RunError
from agentclust.export.folders import carry_out, plan, undo
from tests.export.results import BYTES, clustering, contents


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
