"""A manifest becomes a dataset."""

from dataclasses import fields

import pytest

from agentclust.datasets import load
from agentclust.types import LeftOut, Sample
from tests.complaints import complains
from tests.datasets.files import ids, manifest, write


def test_a_csv(photos):
    file = photos.parent / "m.csv"
    write(file, "id,file,caption", "one,photos/0.png,", 'two,,"A cat, asleep."')
    assert load(str(file)).samples == (
        Sample("one", photos / "0.png", load(str(photos)).samples[0].sha256, (12, 8)),
        Sample("two", caption="A cat, asleep."),
    )


def test_jsonl(photos):
    source = manifest(
        photos.parent,
        {"id": "one", "file": "photos/0.png", "raw_label": "red"},
        {"id": 2, "caption": "A cat.", "file": None, "raw_label": ""},
        {"id": "three", "file": str(photos / "5.png")},
    )
    one, two, three = load(source).samples
    assert (one.file, one.raw_label, one.size) == (photos / "0.png", "red", (12, 8))
    assert two == Sample("2", caption="A cat.")
    assert three.file == photos / "5.png"


def test_captions_alone_and_raw_labels_alone(tmp_path):
    captions = load(manifest(tmp_path, {"id": "a", "caption": "A cat."}))
    labels = load(manifest(tmp_path, {"id": "a", "raw_label": "cat"}))
    assert captions.samples == (Sample("a", caption="A cat."),)
    assert labels.samples == (Sample("a", raw_label="cat"),)
    assert captions.fingerprint != labels.fingerprint


@pytest.mark.parametrize("name", ["m.csv", "m.jsonl"])
def test_columns_of_true_labels_never_enter_a_sample(tmp_path, name):
    truth = {name: f"TRUTH {name}" for name in ("label", "class", "true_label", "object", "target")}
    if name == "m.csv":
        lines = [",".join(["id", "caption", *truth]), ",".join(["a", "A cat.", *truth.values()])]
        source = str(write(tmp_path / name, *lines))
    else:
        source = manifest(tmp_path, {"id": "a", "caption": "A cat."} | truth)
    dataset = load(source)
    assert dataset.samples == (Sample("a", caption="A cat."),)
    assert "TRUTH" not in repr(dataset)
    known = {"id", "file", "sha256", "size", "caption", "raw_label"}
    assert {field.name for field in fields(Sample)} == known


def test_unknown_columns_do_not_change_the_fingerprint(tmp_path):
    plain = load(manifest(tmp_path, {"id": "a", "caption": "A cat."}))
    told = load(manifest(tmp_path, {"id": "a", "caption": "A cat.", "label": "cat"}))
    assert plain.fingerprint == told.fingerprint


def test_unreadable_images_of_a_manifest(photos):
    write(photos / "text.png", "eggs")
    source = manifest(
        photos,
        {"id": "good", "file": "0.png"},
        {"id": "bad", "file": "text.png", "caption": "Some text."},
        {"id": "gone", "file": "no.png"},
        {"id": "odd", "file": "a\0b.png"},
    )
    dataset = load(source)
    assert ids(dataset) == ["good"]
    assert dataset.left_out == (
        LeftOut("bad", "not an image Pillow can read"),
        LeftOut("gone", "file not found"),
        LeftOut("odd", "damaged or truncated image (embedded null byte)"),
    )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_byte_order_marks_and_ends_of_lines(tmp_path, encoding, end):
    csv = tmp_path / "m.csv"
    csv.write_bytes(end.join(("id,caption", "a,Ein Käse", "b,Brot", "")).encode(encoding))
    jsonl = tmp_path / "m.jsonl"
    rows = ('{"id": "a", "caption": "Ein Käse"}', "", '{"id": "b", "caption": "Brot"}')
    jsonl.write_bytes(end.join(rows).encode(encoding))
    wanted = (Sample("a", caption="Ein Käse"), Sample("b", caption="Brot"))
    assert load(str(csv)).samples == load(str(jsonl)).samples == wanted


def test_a_caption_of_several_lines(tmp_path):
    csv = write(tmp_path / "m.csv", "id,caption", 'a,"One.\nTwo."', "b,Three.")
    assert [sample.caption for sample in load(str(csv)).samples] == ["One.\nTwo.", "Three."]


BAD = {
    "no column id": (
        "m.csv",
        "file,label\n1.png,cat\n",
        "has no column 'id' (it has: file, label)",
    ),
    "semicolons": ("m.csv", "id;file\n1;1.png\n", "has no column 'id' (it has: id;file)"),
    "empty csv": ("m.csv", "", "has no column 'id' (it has: none)"),
    "a head alone": ("m.csv", "id,file\n", "holds no rows"),
    "empty jsonl": ("m.jsonl", "\n\n", "holds no rows"),
    "no content": ("m.csv", "id,label\na,cat\n", "m.csv row 1: has none of 'file', 'caption'"),
    "a short row": ("m.csv", "id,file\na,1.png\nb\n", "m.csv row 2: has none of 'file'"),
    "no id": ("m.csv", "id,caption\na,x\n,y\n", "m.csv row 2: has no 'id'"),
    "no key id": ("m.jsonl", '{"caption": "x"}', "m.jsonl row 1: has no 'id'"),
    "twice": ("m.csv", "id,caption\na,x\nb,y\na,z\n", "id 'a' stands there twice"),
    "1 and '1'": ("m.jsonl", '{"id": 1, "caption": "x"}\n{"id": "1", "caption": "y"}', "id '1'"),
    "bad json": ("m.jsonl", '{"id": "a", "caption": "x"}\n\n{"id": \n', "m.jsonl:3: is no JSON"),
    "no object": ("m.jsonl", '{"id": "a", "caption": "x"}\n[1]\n', "m.jsonl:2: is no JSON object"),
    "a list": ("m.jsonl", '{"id": "a", "caption": ["x"]}', "row 1: 'caption' is no text"),
    "a float": ("m.jsonl", '{"id": 1.0, "caption": "x"}', "row 1: 'id' is no text"),
    "a truth": ("m.jsonl", '{"id": true, "caption": "x"}', "row 1: 'id' is no text"),
    "half a smile": ("m.jsonl", '{"id": "a", "caption": "\\ud83d"}', "'caption' is no text"),
    "a long number": ("m.jsonl", '{"id": ' + "1" * 5000 + "}", "m.jsonl:1: is no JSON"),
    "too deep": ("m.jsonl", "[" * 100_000, "m.jsonl:1: is no JSON"),
    "a long field": ("m.csv", "id,caption\na," + "x" * 200_000, "is no CSV (field larger"),
    "another code": ("m.csv", "id,caption\na,K\udce4se\n", "m.csv: is not UTF-8 text"),
    "utf-16": ("m.csv", "\udcff\udcfei\0d\0", "m.csv: is not UTF-8 text"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_manifest(tmp_path, case):
    name, text, reason = BAD[case]
    (tmp_path / name).write_bytes(text.encode(errors="surrogateescape"))
    with complains(reason):
        load(str(tmp_path / name))
