import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import label

from agentclust.datasets.clevr4_mini import annotate, prepare
from agentclust.datasets.clevr4_mini.drawing import COLORS, SHAPES, TEXTURES, draw
from agentclust.errors import InputError

AXES = ("texture", "shape", "color", "count")


def content(root):
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*.*")}


def pixels(shape, color, texture, count, seed=0):
    return np.asarray(draw(shape, color, texture, count, np.random.default_rng(seed))).astype(float)


def objects_in(picture):
    """Mask of what differs clearly from the light background."""
    return np.abs(picture - np.median(picture, axis=(0, 1))).max(axis=2) > 45


def stop_in_the_middle(root, how):
    """Prepare `root` in a process of its own and send it a signal once a picture is drawn."""
    code = (
        "import signal, sys; from pathlib import Path;"
        "signal.signal(signal.SIGINT, signal.default_int_handler);"  # ignored in a background shell
        "from agentclust.datasets.clevr4_mini import prepare; prepare(Path(sys.argv[1]), n=5000)"
    )
    call = [sys.executable, "-c", code, str(root)]
    with subprocess.Popen(call, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while not list(root.parent.glob(".mini.*/images/*.png")) and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(how)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("data") / "mini", n=12, seed=4)


def test_the_layout_is_that_of_clevr4(prepared):
    annotations = json.loads((prepared / "clevr_4_annots.json").read_text())
    images = sorted((prepared / "images").iterdir())
    assert [file.name for file in images] == [f"{name}.png" for name in sorted(annotations)]
    for entry in annotations.values():
        assert set(entry) == {*AXES, "split"}
        assert entry["split"] in ("train", "val")
        assert isinstance(entry["count"], int)
    for file in images:
        with Image.open(file) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "RGB", (256, 256))


def test_labels_stand_beside_the_images_and_agree(prepared):
    with (prepared / "labels.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    annotations = json.loads((prepared / "clevr_4_annots.json").read_text())
    assert list(rows[0]) == ["file", "texture", "shape", "colour", "count"]
    assert len(rows) == len(annotations) == 12
    for row in rows:
        assert (prepared / "images" / row["file"]).is_file()
        entry = annotations[row["file"].removesuffix(".png")]
        assert [row["texture"], row["shape"], row["colour"], row["count"]] == [
            str(entry[axis]) for axis in AXES
        ]


def test_file_names_tell_nothing(prepared):
    names = sorted(file.name for file in (prepared / "images").iterdir())
    assert names == [f"{i:06d}.png" for i in range(12)]


@pytest.mark.parametrize("n", [10, 100, 237])
def test_every_axis_is_balanced(n):
    annotations = annotate(n, seed=1).values()
    for axis in AXES:
        counts = Counter(entry[axis] for entry in annotations)
        assert sum(counts.values()) == n
        assert len(counts) == 10
        assert max(counts.values()) - min(counts.values()) <= 1


def test_axes_are_independent():
    entries = list(annotate(4000, seed=2).values())
    for one, other in combinations([*AXES, "split"], 2):
        pairs = Counter((entry[one], entry[other]) for entry in entries)
        firsts, seconds = (Counter(entry[axis] for entry in entries) for axis in (one, other))
        expected = {(a, b): firsts[a] * seconds[b] / 4000 for a in firsts for b in seconds}
        chi2 = sum((pairs[pair] - e) ** 2 / e for pair, e in expected.items())
        freedom = (len(firsts) - 1) * (len(seconds) - 1)
        assert chi2 < freedom + 4 * (2 * freedom) ** 0.5, (one, other)


def test_the_seed_decides_everything(prepared, tmp_path):
    again = prepare(tmp_path / "again", n=12, seed=4)
    assert content(again) == content(prepared)
    other = content(prepare(tmp_path / "other", n=12, seed=5))
    same = [name for name, data in content(prepared).items() if other[name] == data]
    assert sorted(map(str, same)) == ["all.csv", "dataset.json"]  # those tell nothing


def test_what_is_there_already_is_taken(prepared):
    before = {file: file.stat().st_mtime_ns for file in prepared.rglob("*")}
    assert prepare(prepared, n=12, seed=4) == prepared
    assert {file: file.stat().st_mtime_ns for file in prepared.rglob("*")} == before


def test_an_empty_folder_is_filled(tmp_path):
    assert len(content(prepare(tmp_path, n=2))) == 7


@pytest.mark.parametrize("lost", ["images/000001.png", "labels.csv", "clevr_4_annots.json"])
def test_other_content_is_refused_and_kept(tmp_path, lost):
    root = prepare(tmp_path / "mini", n=3)
    (root / lost).unlink()
    before = content(root)
    with pytest.raises(InputError, match="something other than clevr4-mini with n=3"):
        prepare(root, n=3)
    assert content(root) == before


def test_other_parameters_are_refused(prepared):
    with pytest.raises(InputError, match="n=12 and seed=9"):
        prepare(prepared, n=12, seed=9)


@pytest.mark.parametrize(
    ("n", "seed", "value"), [(0, 0, "n=0"), (-3, 0, "n=-3"), (5, -1, "seed=-1")]
)
def test_parameters_out_of_range_are_refused(tmp_path, n, seed, value):
    with pytest.raises(InputError, match=f"^{value}:"):
        prepare(tmp_path / "mini", n=n, seed=seed)
    assert not (tmp_path / "mini").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("taken")
    with pytest.raises(InputError, match="file/mini: cannot be written"):
        prepare(tmp_path / "file" / "mini", n=2)


def test_a_killed_prepare_leaves_nothing_that_looks_whole(tmp_path):
    stop_in_the_middle(tmp_path / "mini", signal.SIGKILL)
    assert list(tmp_path.glob(".mini.*/images/*.png"))
    assert not (tmp_path / "mini").exists()
    assert len(content(prepare(tmp_path / "mini", n=2))) == 7


def test_an_interrupted_prepare_leaves_nothing_at_all(tmp_path):
    stop_in_the_middle(tmp_path / "mini", signal.SIGINT)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("count", range(1, 11))
def test_as_many_separate_objects_are_drawn_as_the_label_says(count):
    for seed in range(3):
        _, found = label(
            objects_in(pixels("circle", "blue", "plain", count, seed)), np.ones((3, 3))
        )
        assert found == count


def test_no_object_touches_the_edge():
    for seed in range(5):
        seen = objects_in(pixels("gear", "red", "plain", 8, seed))
        seen[2:-2, 2:-2] = False
        assert not seen.any()


def test_values_of_an_axis_look_different():
    for axis, values in (("shape", SHAPES), ("texture", TEXTURES), ("color", COLORS)):
        given = {"shape": "square", "texture": "plain", "color": "green"}
        drawn = [pixels(**{**given, axis: value}, count=5, seed=3) for value in values]
        assert len(drawn) == 10
        masks = [objects_in(picture) for picture in drawn]
        for i, j in combinations(range(10), 2):
            assert np.abs(drawn[i] - drawn[j])[masks[i] | masks[j]].mean() > 8, (axis, i, j)


def test_a_texture_leaves_the_colour_what_it_is():
    for color in COLORS:
        plain = pixels("circle", color, "plain", 5, 1)
        inside = objects_in(plain)
        for texture in TEXTURES:
            shown = pixels("circle", color, texture, 5, 1)
            assert np.abs((shown - plain)[inside].mean(axis=0)).max() < 28, (color, texture)


def test_the_background_is_light_but_not_flat():
    for seed in range(5):
        picture = pixels("star", "gray", "dots", 1, seed)
        background = picture[~objects_in(picture)]
        assert background.mean() > 215
        assert background.std(axis=0).min() > 1.2
