"""Datasets of the Hugging Face library, from folders that it wrote."""

from __future__ import annotations

import csv

import pytest
from official import COLOURS, close

from agentclust.datasets import load, prepare
from agentclust.datasets.recipe import Wishes
from agentclust.files.images import read_image
from tests import outside
from tests.complaints import complains
from tests.pictures import picture

hub = pytest.importorskip("datasets")


@pytest.fixture
def quiet(monkeypatch, tmp_path):
    hub.disable_progress_bars()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def table(n: int, mode: str = "RGB") -> hub.Dataset:
    kinds = hub.Features(
        {
            "img": hub.Image(),
            "label": hub.ClassLabel(names=["cat", "dog"]),
            "weather": hub.Value("string"),
        }
    )
    columns = {
        "img": [picture(colour=COLOURS[i // (n // 2)], mode=mode) for i in range(n)],
        "label": [i // (n // 2) for i in range(n)],
        "weather": ["wet" if i % 3 else None for i in range(n)],
    }
    return hub.Dataset.from_dict(columns, features=kinds)


def rows(root):
    with (root / "labels.csv").open(newline="", encoding="utf-8") as stream:
        return {row["id"]: row for row in csv.DictReader(stream)}


def wish(folder, **more):
    return Wishes(given=(str(folder),), **more)


def test_splits_and_classes(quiet, tmp_path):
    both = hub.DatasetDict({"train": table(20), "test": table(10)})
    both.save_to_disk(tmp_path / "saved")
    root = prepare("huggingface", tmp_path / "root", wish(tmp_path / "saved"), called="pets")
    labels = rows(root)
    dataset = load(str(root))
    assert (len(dataset), len(labels)) == (10, 30)
    for sample in dataset.samples:
        number = ("cat", "dog").index(labels[sample.id]["label"])
        assert close(read_image(sample.file), picture(colour=COLOURS[number]))
    order = [labels[sample.id]["label"] for sample in dataset.samples]
    assert order != sorted(order)
    other = wish(tmp_path / "saved", splits=("train",), axes=("label", "weather"))
    root = prepare("huggingface", tmp_path / "root", other, called="weather")
    assert {row["weather"] for row in rows(root).values()} == {"wet", ""}
    assert len(load(str(root))) == 20


def test_a_table_in_a_file_and_other_modes(quiet, tmp_path):
    (tmp_path / "mine").mkdir()
    table(6, "CMYK").to_parquet(tmp_path / "mine" / "train.parquet")
    root = prepare("huggingface", tmp_path / "root", wish(tmp_path / "mine"))
    assert len(load(str(root))) == 6


def test_what_cannot_be_taken(quiet, tmp_path):
    table(4).remove_columns("img").save_to_disk(tmp_path / "none")
    with complains("has no column of images"):
        prepare("huggingface", tmp_path / "root", wish(tmp_path / "none"))
    table(4).save_to_disk(tmp_path / "some")
    with complains("--axis mood: is no column of", "it has: label, weather"):
        prepare("huggingface", tmp_path / "root", wish(tmp_path / "some", axes=("mood",)))
    with complains("nowhere: cannot be loaded ("):
        prepare("huggingface", tmp_path / "root", wish(tmp_path / "nowhere"))
    assert not list((tmp_path / "root").iterdir())


def test_without_the_library(tmp_path):
    words = ("datasets", "prepare", "huggingface", "--from", "x", "--root", tmp_path / "root")
    ended = outside.run(*words, cwd=tmp_path, without=("datasets",))
    assert ended.status == 2
    assert ended.complaint == (
        "error: huggingface: needs the extra 'datasets', which is not installed; "
        "run: pip install 'agentclust[datasets]'"
    )
