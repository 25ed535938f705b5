"""Every official layout becomes images with neutral names, manifests, and labels of their own."""

from __future__ import annotations

import csv
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from official import (
    ARCHIVES,
    CIFAR10,
    COLOURS,
    GZIPPED,
    SEVEN,
    STL10,
    archived,
    close,
    digit,
    jpeg,
    members,
    unpacked,
)
from PIL import Image

from agentclust.datasets import load, prepare
from agentclust.datasets.labels import read_labels
from agentclust.datasets.recipe import Wishes
from agentclust.files.images import read_image
from tests.complaints import complains
from tests.pictures import draw, picture

EVERY = (*ARCHIVES, GZIPPED)
HOLDS = {  # what the name stands for, samples of it, and all samples
    "cifar10": ("test", 12, 32),
    "cifar100": ("test", 15, 49),
    "stl10": ("test", 12, 17),
    "clevr4-10k": ("all", 20, 20),
    "clevr4-100k": ("all", 20, 20),
    "stanford40": ("all", 18, 18),
    "ppmi": ("test", 24, 72),
    "mnist": ("test", 13, 20),
}
AXES = {
    "cifar10": {"class"},
    "cifar100": {"class", "superclass"},
    "stl10": {"class"},
    "clevr4-10k": {"texture", "shape", "colour", "count"},
    "clevr4-100k": {"texture", "shape", "colour", "count"},
    "stanford40": {"action"},
    "ppmi": {"instrument", "instrument7", "family", "interaction"},
    "mnist": {"digit"},
}


def table(file: Path) -> dict[str, dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return {row["id"]: row for row in csv.DictReader(stream)}


def made(name: str, tmp_path: Path, **wishes: object) -> Path:
    wish = archived(tmp_path / "archives of mine", members(name))
    return prepare(name, tmp_path / "root", replace(wish, **wishes))


@pytest.mark.parametrize("name", EVERY)
class TestEvery:
    def test_the_name_stands_for_its_usual_manifest(self, name, tmp_path):
        root = made(name, tmp_path)
        manifest, n, total = HOLDS[name]
        dataset = load(str(root))
        assert dataset.left_out == ()
        assert len(dataset) == n
        assert load(str(root / f"{manifest}.csv")).fingerprint == dataset.fingerprint
        assert len(table(root / "labels.csv")) == len(table(root / "sources.csv")) == total

    def test_labels_fit_what_evaluate_reads(self, name, tmp_path):
        root = made(name, tmp_path)
        ids = [sample.id for sample in load(str(root)).samples]
        for axis in AXES[name]:
            assert read_labels(root / "labels.csv", ids, axis)
        assert set(next(iter(table(root / "labels.csv").values()))) == {"id"} | AXES[name]
        images = load(str(root / "images"))  # whoever takes the folder can evaluate, too
        found = [sample.id for sample in images.samples]
        paths = [str(sample.file) for sample in images.samples]
        axis = min(AXES[name])
        assert len(read_labels(root / "labels.csv", found, axis, paths)) == len(found)

    def test_nothing_that_a_run_sees_tells_a_label(self, name, tmp_path):
        root = made(name, tmp_path)
        labels = table(root / "labels.csv")
        words = {value for row in labels.values() for axis, value in row.items() if axis != "id"}
        words = {word for word in words if len(word) > 2}
        for manifest in root.glob("*.csv"):
            if manifest.name not in ("labels.csv", "sources.csv"):
                text = manifest.read_text("utf-8")
                assert not [word for word in words if word in text]
                ordered = [labels[i] for i in table(manifest)]
                for axis in AXES[name]:
                    values = [row[axis] for row in ordered if row[axis]]
                    changes = sum(a != b for a, b in pairwise(values))
                    assert changes >= len(set(values)) or len(set(values)) in (1, len(values))

    def test_a_folder_that_was_unpacked_gives_the_same(self, name, tmp_path):
        root = made(name, tmp_path)
        mine = unpacked(tmp_path / "mine", members(name))
        files = sorted((tmp_path / "mine").rglob("*"))
        other = prepare(name, tmp_path / "other", mine)
        assert sorted((tmp_path / "mine").rglob("*")) == files  # a person's files stay
        assert load(str(other)).fingerprint == load(str(root)).fingerprint
        assert (other / "labels.csv").read_bytes() == (root / "labels.csv").read_bytes()

    def test_what_is_there_is_taken(self, name, tmp_path):
        root = made(name, tmp_path)
        before = (root / "dataset.json").stat().st_mtime_ns
        assert prepare(name, tmp_path / "root") == root
        assert made(name, tmp_path) == root
        assert (root / "dataset.json").stat().st_mtime_ns == before
        with complains("prepared with other options", "name another --root or --as"):
            prepare(name, tmp_path / "root", Wishes(splits=("test",)))
        assert sorted(path.name for path in (tmp_path / "root").iterdir()) == [name]


def pictures(root: Path, manifest: str) -> list[tuple[dict[str, str], Image.Image]]:
    labels = table(root / "labels.csv")
    return [
        (labels[i], read_image(root / row["file"]))
        for i, row in table(root / f"{manifest}.csv").items()
        if row["file"]
    ]


def test_cifar10_pictures_are_what_they_are_labelled(tmp_path):
    root = made("cifar10", tmp_path)
    for manifest in ("train", "test"):
        for row, image in pictures(root, manifest):
            colour = COLOURS[CIFAR10.index(row["class"])]
            assert close(image, picture((32, 32), colour))
    first = table(root / "sources.csv")["test-000003.png"]
    assert (first["split"], first["source"]) == ("test", "test_batch.bin:3")


def test_cifar100_has_both_taxonomies(tmp_path):
    for row, image in pictures(made("cifar100", tmp_path), "train"):
        number = int(row["class"].removeprefix("fine"))
        assert row["superclass"] == f"coarse{number // 5}"
        assert close(image, picture((32, 32), COLOURS[number // 5 % 10]))


def test_stl10_pictures_stand_upright(tmp_path):
    root = made("stl10", tmp_path)
    shown = pictures(root, "test")
    assert [row["class"] for row, _ in shown] == [STL10[n % 10] for n in range(3, 15)]
    for row, image in shown:
        assert close(image, picture((96, 96), COLOURS[STL10.index(row["class"])]))
    assert not (root / "unlabeled.csv").exists()


def test_the_unlabelled_images_of_stl10_are_prepared_where_they_are_named(tmp_path):
    root = made("stl10", tmp_path, splits=("test", "unlabeled"))
    rows = pictures(root, "unlabeled")
    assert [row["class"] for row, _ in rows] == [""] * 4
    assert len(load(str(root))) == 12


def test_mnist_digits(tmp_path):
    for row, image in pictures(made("mnist", tmp_path), "train"):
        assert close(image, Image.fromarray(digit(int(row["digit"]))))


def test_clevr4_keeps_its_four_taxonomies_and_splits(tmp_path):
    root = made("clevr4-10k", tmp_path)
    shown = pictures(root, "all")
    for row, image in shown:
        assert close(image, picture((24, 16), row["colour"]))
    assert {row["count"] for row, _ in shown} == {str(n) for n in range(1, 11)}
    assert (len(table(root / "train.csv")), len(table(root / "val.csv"))) == (15, 5)
    only = prepare("clevr4-10k", tmp_path, replace(mine(tmp_path), splits=("val",)), called="val")
    assert len(load(str(only))) == 5


def mine(tmp_path: Path) -> Wishes:
    return archived(tmp_path / "again", members("clevr4-10k"))


def test_stanford40_takes_location_and_mood_from_label_files(tmp_path):
    (tmp_path / "location.txt").write_text("applauding_001.jpg concert hall\nother.jpg x\n")
    (tmp_path / "mood.csv").write_text(
        "file,mood\napplauding_001.jpg,joyful\nbrushing_teeth_002.jpg,calm\n"
    )
    labels = (f"location={tmp_path}/location.txt", f"mood={tmp_path}/mood.csv")
    root = made("stanford40", tmp_path, labels=labels)
    rows = pictures(root, "all")
    for row, image in rows:
        number = ("applauding", "blowing bubbles", "brushing teeth").index(row["action"])
        assert close(image, picture((40, 30), COLOURS[number]), 6.0)
    assert sorted(row["location"] for row, _ in rows if row["location"]) == ["concert hall"]
    assert sorted(row["mood"] for row, _ in rows if row["mood"]) == ["calm", "joyful"]
    assert (len(table(root / "train.csv")), len(table(root / "test.csv"))) == (9, 9)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("location={}/none.txt", "cannot be read"),
        ("location", "is no AXIS=FILE"),
        ("mood={}/strange.txt", "knows none of the images"),
        ("mood={}/twice.txt", "gives 'a.jpg' two labels, 'calm' and 'sad'"),
    ],
)
def test_label_files_that_do_not_fit(tmp_path, text, said):
    (tmp_path / "strange.txt").write_text("a.jpg calm\n")
    (tmp_path / "twice.txt").write_text("a.jpg calm\na.jpg sad\n")
    with complains(said):
        made("stanford40", tmp_path, labels=(text.format(tmp_path),))
    assert not list((tmp_path / "root").iterdir())


def test_ppmi_has_twelve_seven_and_two(tmp_path):
    root = made("ppmi", tmp_path)
    twelve = [row for row, _ in pictures(root, "test")]
    seven = [row for row, _ in pictures(root, "test-7")]
    assert len({row["instrument"] for row in twelve}) == 12
    assert {row["instrument"] for row in seven} == {row["instrument7"] for row in seven}
    assert {row["instrument"] for row in seven} == set(SEVEN)
    winds = {row["instrument"] for row in seven if row["family"] == "wind"}
    assert winds == {"flute", "saxophone", "trumpet"}
    assert {row["family"] for row in twelve} == {"wind", "string"}
    assert {row["interaction"] for row in twelve} == {"plays"}
    assert {row["interaction"] for row, _ in pictures(root, "with-test")} == {"holds"}
    assert len(load(str(root / "test-7.csv"))) == 14
    assert "french horn" in {row["instrument"] for row in twelve}


# what a person has


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
