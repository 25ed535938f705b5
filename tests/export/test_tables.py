"""A result as a table, and in other tools' formats."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from agentclust.errors import InputError
from agentclust.export import write
from tests.export.results import NAMES, clustering, contents


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
