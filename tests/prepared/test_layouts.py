"""Every official layout becomes images with neutral names, manifests, and labels of their own."""

from __future__ import annotations

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
    members,
    unpacked,
)
from PIL import Image
from read_back import pictures, table

from agentclust.datasets import load, prepare
from agentclust.datasets.labels import read_labels
from agentclust.datasets.recipe import Wishes
from tests.complaints import complains
from tests.pictures import picture

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
