"""What `datasets show` tells of a dataset, and its contact sheet."""

from __future__ import annotations

from dataclasses import replace

from official import archived, members
from PIL import Image

from agentclust.datasets import prepare
from agentclust.datasets.clevr4_mini import prepare as draw_mini
from agentclust.datasets.recipe import Wishes
from agentclust.datasets.showing import show
from tests import outside
from tests.complaints import complains
from tests.pictures import draw


def test_counts_sizes_axes_and_a_sheet(tmp_path):
    wish = archived(tmp_path / "mine", members("ppmi"))
    prepare("ppmi", tmp_path, wish)
    ended = outside.run("datasets", "show", "ppmi", "--root", tmp_path, cwd=tmp_path)
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].startswith("ppmi: 4,800 photographs of people")
    assert lines[1:11] == [
        f"folder: {tmp_path}/ppmi",
        "72 samples: test 24, train 12, with-test 24, with-train 12",
        "manifest test.csv: 24 samples, which the name stands for",
        "manifest test-7.csv: 14 samples",
        "manifest train.csv: 12 samples",
        "manifest train-7.csv: 7 samples",
        "manifest with-test.csv: 24 samples",
        "manifest with-test-7.csv: 14 samples",
        "manifest with-train.csv: 12 samples",
        "manifest with-train-7.csv: 7 samples",
    ]
    assert "size: 40 x 30 pixels" in lines
    assert "axis family: 2 classes (wind 42, string 30)" in lines
    (seven,) = [line for line in lines if line.startswith("axis instrument7: 7 classes")]
    assert seven.endswith("; 30 without")
    assert lines[-1] == f"contact sheet: {tmp_path}/ppmi/contact-sheet.png"


def test_a_row_of_the_sheet_is_a_class(tmp_path):
    wish = archived(tmp_path / "mine", members("stl10"))
    prepare("stl10", tmp_path, wish)
    show("stl10", tmp_path, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 8 * 104 + 8
        assert sheet.height == 10 * 124 + 8
        # the rows are in the order of the names: airplane is drawn red, bird green
        assert sheet.getpixel((8 + 90, 8 + 20 + 90)) == (255, 0, 0)
        assert sheet.getpixel((8 + 90, 124 + 8 + 20 + 90)) == (0, 128, 0)


def test_what_is_tiny_is_shown_larger_and_what_is_gone_is_passed_over(tmp_path):
    for name in ("a", "b"):
        draw(tmp_path / "mine" / name / "1.png", size=(8, 8), colour="blue")
    prepare("folder", tmp_path, Wishes(given=(str(tmp_path / "mine"),)), called="mine two")
    (tmp_path / "mine" / "a" / "1.png").unlink()
    told = show("mine two", tmp_path)
    assert "axis class: 2 classes (" in told
    with Image.open(tmp_path / "mine two" / "contact-sheet.png") as sheet:
        assert sheet.getpixel((8 + 90, 8 + 20 + 90)) == (255, 255, 255)
        assert sheet.getpixel((8 + 90, 124 + 8 + 20 + 90)) == (0, 0, 255)


def test_what_was_drawn_is_shown_too(tmp_path):
    draw_mini(tmp_path / "clevr4-mini", n=10)
    told = show("clevr4-mini", tmp_path)
    assert "10 samples: all 10" in told
    assert "size: 256 x 256 pixels" in told
    assert "axis count: 10 classes (" in told


def test_what_is_not_there(tmp_path):
    with complains("cifar10: is not prepared below", f"prepare cifar10 --root {tmp_path}"):
        show("cifar10", tmp_path)
    with complains("cifar1o: unknown dataset", "did you mean 'cifar10'?"):
        show("cifar1o", tmp_path)
    wish = archived(tmp_path / "mine", members("cifar10"))
    prepare("cifar10", tmp_path, replace(wish, splits=("test",)))
    with complains("cannot be written", "--sheet"):
        show("cifar10", tmp_path, tmp_path / "none" / "sheet.png")
    with complains("cannot be written", "--sheet"):
        show("cifar10", tmp_path, tmp_path / "sheet.strange")
