"""Folders and manifests that a person has are prepared too."""

from __future__ import annotations

from pathlib import Path

import pytest
from official import (
    COLOURS,
    close,
    jpeg,
)
from read_back import pictures, table

from agentclust.datasets import load, prepare
from agentclust.datasets.recipe import Wishes
from tests.complaints import complains
from tests.pictures import draw, picture


@pytest.fixture
def classes(tmp_path):
    """A folder with one sub-folder a class."""
    for number, name in enumerate(("cat", "dog", "train")):
        for n in range(4):
            draw(tmp_path / "mine" / name / f"{name}{n}.PNG", colour=COLOURS[number], format="PNG")
    (tmp_path / "mine" / "cat" / "notes.txt").write_text("eggs")
    (tmp_path / "mine" / "cat" / "broken.png").write_text("eggs")
    return tmp_path / "mine"


def test_a_folder_with_one_sub_folder_a_class(classes, tmp_path):
    root = prepare("folder", tmp_path / "root", Wishes(given=(str(classes),)), called="pets")
    assert root == tmp_path / "root" / "pets"
    for row, image in pictures(root, "all"):
        number = ("cat", "dog", "train").index(row["class"])
        assert close(image, picture(colour=COLOURS[number]))
    assert len(load(str(root))) == 12
    linked = next(root.glob("images/all/000/*"))
    assert linked.is_symlink()
    assert linked.suffix == ".png"
    assert not list(root.rglob("*cat*"))


def test_a_folder_of_splits(classes, tmp_path):
    for split in ("train", "test"):
        (tmp_path / "two").mkdir(exist_ok=True)
        classes.joinpath("cat" if split == "test" else "dog").rename(tmp_path / split)
        (tmp_path / "two" / split).mkdir()
        (tmp_path / split).rename(tmp_path / "two" / split / "cat")
    root = prepare("folder", tmp_path / "root", Wishes(given=(str(tmp_path / "two"),)))
    assert len(load(str(root))) == 4
    assert len(table(root / "train.csv")) == 4
    with complains("folder: has no split 'val'; name others: "):
        wish = Wishes(given=(str(tmp_path / "two"),), splits=("test", "val"))
        prepare("folder", tmp_path / "other", wish)


def imagenet(tmp_path: Path, n: int, flat: bool = False) -> Path:
    import numpy as np
    from scipy.io import savemat

    top = tmp_path / "imagenet"
    synsets = [f"n{number:08d}" for number in range(n)]
    kind = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]
    rows = [(i, s, f"thing {i}, stuff {i}", 0) for i, s in enumerate(synsets, 1)]
    rows.append((n + 1, "n99999999", "entity", n))
    kit = top / "ILSVRC2012_devkit_t12" / "data"
    kit.mkdir(parents=True)
    savemat(kit / "meta.mat", {"synsets": np.array(rows, dtype=kind)})
    order = list(range(1, n + 1))[::-1]
    text = "".join(f"{number}\n" for number in order)
    (kit / "ILSVRC2012_validation_ground_truth.txt").write_text(text)
    (top / "val").mkdir()
    for place, number in enumerate(order, 1):
        name = f"ILSVRC2012_val_{place:08d}.JPEG"
        where = top / "val" / ("" if flat else synsets[number - 1]) / name
        where.parent.mkdir(exist_ok=True)
        where.write_bytes(jpeg(number, (12, 8)))
        train = top / "train" / synsets[number - 1] / f"{synsets[number - 1]}_7.JPEG"
        train.parent.mkdir(parents=True)
        train.write_bytes(jpeg(number, (12, 8)))
    return top


@pytest.mark.parametrize("flat", [False, True])
def test_imagenet_from_a_folder(tmp_path, flat):
    top = imagenet(tmp_path, 50, flat)
    root = prepare("imagenet-50", tmp_path / "root", Wishes(given=(str(top),)))
    shown = pictures(root, "val")
    assert len(shown) == len(table(root / "train.csv")) == 50
    for row, image in shown:
        number = int(row["synset"][1:]) + 1
        assert row["class"] == f"thing {number}, stuff {number}"
        assert close(image, picture((12, 8), COLOURS[number % 10]), 12.0)
    with complains("has 50 classes, not 1000", "pass --classes"):
        prepare("imagenet", tmp_path / "root", Wishes(given=(str(top),)))


@pytest.mark.parametrize("flat", [False, True])
def test_a_subset_of_imagenet(tmp_path, flat):
    top = imagenet(tmp_path, 120, flat)
    chosen = tmp_path / "imagenet_100.txt"
    chosen.write_text("".join(f"n{n:08d} my thing {n}\n" for n in range(5, 105)))
    wish = Wishes(given=(str(top),), classes=chosen)
    root = prepare("imagenet-100", tmp_path / "root", wish)
    rows = [row for row, _ in pictures(root, "val")]
    assert len(rows) == len(table(root / "train.csv")) == 100
    assert all(row["class"] == f"my thing {int(row['synset'][1:])}" for row in rows)


def test_a_manifest_with_any_number_of_axes(classes, tmp_path):
    lines = ["id,file,caption,animal,sound,split"]
    lines += [f"cat-{n},cat/cat{n}.PNG,A pet.,cat,meow,test" for n in range(3)]
    lines += [f"dog-{n},dog/dog{n}.PNG,Another.,dog,,test" for n in range(2)]
    lines += ["x-1,,A text alone.,none,,train"]
    (classes / "m.csv").write_text("\n".join(lines) + "\n")
    root = prepare("manifest", tmp_path / "root", Wishes(given=(f"{classes}/m.csv",)))
    rows = [row for row, _ in pictures(root, "test")]
    assert sorted((row["animal"], row["sound"]) for row in rows) == [
        *[("cat", "meow")] * 3,
        *[("dog", "")] * 2,
    ]
    dataset = load(str(root))
    assert {sample.caption for sample in dataset.samples} == {"A pet.", "Another."}
    (alone,) = load(str(root / "train.csv")).samples
    assert (alone.caption, alone.file) == ("A text alone.", None)
    wish = Wishes(given=(f"{classes}/m.csv",), axes=("sound",))
    other = prepare("manifest", tmp_path / "root", wish, called="sounds")
    assert set(table(other / "labels.csv")["test-000000.png"]) == {"id", "sound"}


def test_jsonl(tmp_path):
    text = '{"id": "a", "caption": "A cat.", "kind": "cat"}\n{"id": "b", "raw_label": "dog"}\n'
    (tmp_path / "m.jsonl").write_text(text)
    root = prepare("manifest", tmp_path / "root", Wishes(given=(f"{tmp_path}/m.jsonl",)))
    samples = load(str(root)).samples
    assert {(s.caption, s.raw_label) for s in samples} == {("A cat.", None), (None, "dog")}
    assert {row["kind"] for row in table(root / "labels.csv").values()} == {"cat", ""}


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("folder", (), "folder: is made of a folder with one sub-folder a class; name it with"),
        ("folder", ("none",), "none: is no folder"),
        ("manifest", ("none.csv",), "none.csv: is no manifest"),
        ("imagenet", ("none",), "none: is no folder"),
        ("cifar10", ("none.tar.gz",), "none.tar.gz: does not exist"),
        ("mnist", (__file__,), "is none of the dataset's archives"),
        ("clevr4-mini", ("x",), "is made from nothing that is given"),
    ],
)
def test_what_is_given_does_not_fit(tmp_path, monkeypatch, name, given, said):
    monkeypatch.chdir(tmp_path)
    with complains(said):
        prepare(name, tmp_path / "root", Wishes(given=given))
    assert not (tmp_path / "root").exists() or not list((tmp_path / "root").iterdir())
