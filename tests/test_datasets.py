import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import fields
from pathlib import Path

import pytest

from agentclust.datasets import from_files, load, prepare
from agentclust.datasets.labels import read_labels
from agentclust.types import LeftOut, Sample
from tests.complaints import complains
from tests.nobody import as_nobody
from tests.pictures import draw


def ids(dataset):
    return [sample.id for sample in dataset.samples]


def reasons(dataset):
    return {left.file: left.reason for left in dataset.left_out}


def write(file, *lines, encoding="utf-8"):
    text = "".join(f"{line}\n" for line in lines)
    file.write_text(text, encoding)
    return file


def manifest(tmp_path, *rows, name="m.jsonl"):
    return str(write(tmp_path / name, *(json.dumps(row) for row in rows)))


# folders


def test_a_folder(photos):
    seen = []
    dataset = load(str(photos), lambda done, total: seen.append((done, total)))
    assert ids(dataset) == [f"{number}.png" for number in range(6)]
    assert len(dataset) == 6
    first = dataset.samples[0]
    assert (first.file, first.size) == (photos / "0.png", (12, 8))
    assert (first.caption, first.raw_label) == (None, None)
    assert dataset.left_out == ()
    assert seen == [(number, 6) for number in range(1, 7)]


def test_the_same_content_twice_is_two_samples(photos):
    first, second, third = load(str(photos)).samples[:3]
    assert first.sha256 == second.sha256 != third.sha256
    assert first.id != second.id


def test_the_fingerprint_is_of_ids_and_contents(photos, tmp_path):
    before = load(str(photos)).fingerprint
    elsewhere = shutil.copytree(photos, tmp_path / "elsewhere")
    assert load(str(elsewhere)).fingerprint == before
    draw(photos / "0.png", colour="yellow")
    assert load(str(photos)).fingerprint != before
    (elsewhere / "0.png").rename(elsewhere / "00.png")
    assert load(str(elsewhere)).fingerprint != before


def test_sub_folders(tmp_path):
    for name in ("b/2.png", "b/1.png", "a/c/3.png", "top.png"):
        draw(tmp_path / name)
    assert ids(load(str(tmp_path))) == ["top.png", "a/c/3.png", "b/1.png", "b/2.png"]


def test_hidden_files_are_passed_over(photos):
    draw(photos / ".thumbnails" / "1.png")
    draw(photos / ".hidden.png")
    (photos / ".DS_Store").touch()
    dataset = load(str(photos))
    assert len(dataset) == 6
    assert dataset.left_out == ()


def test_loops_of_links(photos):
    (photos / "again").symlink_to(photos)
    (photos / "self.png").symlink_to("self.png")
    (photos / "gone.png").symlink_to("nowhere.png")
    (photos / "link.png").symlink_to("0.png")
    dataset = load(str(photos))
    assert ids(dataset) == [*(f"{number}.png" for number in range(6)), "link.png"]
    assert reasons(dataset) == {
        "again": "a link to a folder: links are not followed",
        "gone.png": "file not found",
        "self.png": "cannot be read (Too many levels of symbolic links)",
    }


def test_files_that_cannot_be_used_are_left_out_with_the_reason(photos):
    write(photos / "notes.txt", "eggs")
    write(photos / "README", "eggs")
    write(photos / "letter.pdf", "%PDF-1.7")
    write(photos / "text.png", "eggs")
    (photos / "empty.jpg").touch()
    os.truncate(draw(photos / "half.JPG", size=(200, 200)), 800)
    dataset = load(str(photos))
    assert ids(dataset) == [f"{number}.png" for number in range(6)]
    found = reasons(dataset)
    assert found.pop("half.JPG").startswith("damaged or truncated image (")
    assert found == {
        "README": "a name without a suffix",
        "letter.pdf": ".pdf is no image format that can be read",
        "notes.txt": ".txt is no image format that can be read",
        "text.png": "not an image Pillow can read",
        "empty.jpg": "an empty file",
    }


@pytest.mark.timeout(60)
def test_a_pipe_is_not_waited_for(photos):
    os.mkfifo(photos / "pipe.png")
    assert reasons(load(str(photos))) == {"pipe.png": "not a regular file"}


def test_a_name_that_is_not_utf8(photos):
    odd = os.fsencode(photos) + b"/caf\xe9.png"
    shutil.copy(photos / "0.png", odd)
    shutil.copy(photos / "0.png", photos / "café 色 \n.png")
    dataset = load(str(photos))
    assert "café 色 \n.png" in ids(dataset)
    assert reasons(dataset) == {"caf\\udce9.png": "its name is not UTF-8: rename it"}


def test_folders_that_may_not_be_listed():
    with tempfile.TemporaryDirectory() as open_to_all:
        top = Path(open_to_all)
        top.chmod(0o755)
        draw(top / "1.png")
        closed = draw(top / "closed" / "2.png").parent
        closed.chmod(0)
        with as_nobody():
            dataset = load(str(top))
            with complains(f"{closed}: holds no images (.: cannot be listed (Permission denied))"):
                load(str(closed))
            with complains(f"{closed}/photos: cannot be read (Permission denied)"):
                load(str(closed / "photos"))
        closed.chmod(0o755)
    assert ids(dataset) == ["1.png"]
    assert reasons(dataset) == {"closed": "cannot be listed (Permission denied)"}


def test_a_manifest_that_may_not_be_read(tmp_path):
    file = write(tmp_path / "m.csv", "id,caption", "a,A cat.")
    file.chmod(0)
    with tempfile.TemporaryDirectory() as open_to_all:
        Path(open_to_all).chmod(0o755)
        moved = file.rename(Path(open_to_all, "m.csv"))
        with as_nobody(), complains("m.csv: cannot be read (Permission denied)"):
            load(str(moved))


def test_a_folder_without_images(tmp_path):
    with complains(f"{tmp_path}: holds no images (no files)", "pass a folder of images"):
        load(str(tmp_path))
    write(tmp_path / "a.txt", "eggs")
    write(tmp_path / "b.txt", "eggs")
    with complains("holds no images (a.txt: .txt is no image format that can be read, and 1 more)"):
        load(str(tmp_path))


def test_a_folder_of_unusable_images(tmp_path):
    for name in ("a.png", "b.png"):
        write(tmp_path / name, "eggs")
    with complains("no usable image among 2 (not an image Pillow can read)"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("", "'': names no dataset"),
        ("  ", "names no dataset"),
        ("no/such/folder", "no/such/folder: does not exist"),
        ("nothing.csv", "nothing.csv: does not exist"),
        ("photos", "photos: unknown folder or dataset"),
        ("clevr4-mimi", "did you mean 'clevr4-mini'?"),
        ("~nobody-of-that-name/photos", "Could not determine home directory"),
        ("a" * 5000, "File name too long"),
        ("a\0b", "unknown folder or dataset"),
    ],
)
def test_a_source_that_is_none(tmp_path, monkeypatch, source, reason):
    monkeypatch.chdir(tmp_path)
    with complains(reason):
        load(source)


def test_a_file_that_is_no_manifest(photos):
    with complains("0.png: is neither a folder nor a manifest", "pass a .csv or .jsonl file"):
        load(str(photos / "0.png"))


def test_ctrl_c_does_not_wait_for_the_other_images(tmp_path):
    first = draw(tmp_path / "0000.png", size=(2000, 2000))
    for number in range(1, 1000):
        os.link(first, tmp_path / f"{number:04}.png")
    script = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell has it ignored
from agentclust.datasets import load
load(sys.argv[1], lambda done, total: print(done, flush=True))
"""
    command = (sys.executable, "-c", script, str(tmp_path))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with child:
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        _, error = child.communicate()
    assert b"KeyboardInterrupt" in error
    spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before.ru_utime
    assert spent < 8  # seconds of work; all images take more than twice as many


# files


def test_files(photos, monkeypatch):
    dataset = from_files([photos / "0.png", str(photos / "1.png")])
    assert ids(dataset) == ["0.png", "1.png"]
    draw(photos.parent / "other" / "0.png")
    dataset = from_files([photos / "0.png", photos.parent / "other" / "0.png"])
    assert ids(dataset) == ["photos/0.png", "other/0.png"]
    monkeypatch.chdir(photos)
    assert ids(from_files(["0.png", photos.parent / "other" / "0.png"])) == ["0.png", "other/0.png"]


def test_files_that_cannot_be_used(photos):
    dataset = from_files([photos / "0.png", photos / "no.png", photos])
    assert reasons(dataset) == {"no.png": "file not found", "photos": "not a regular file"}


def test_bad_lists_of_files(photos):
    with complains("is an empty list"):
        from_files([])
    with complains("id '0.png' stands there twice"):
        from_files([photos / "0.png", photos / "0.png"])
    with complains("no usable image among 1 (file not found)"):
        from_files([photos / "no.png"])


# registered datasets


def test_an_unknown_dataset():
    with complains("clevr4-mimi: unknown dataset", "did you mean 'clevr4-mini'?"):
        prepare("clevr4-mimi")


# manifests


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


# true labels


def labels(tmp_path, *lines, encoding="utf-8"):
    return write(tmp_path / "labels.csv", *lines, encoding=encoding)


def test_labels_by_id(tmp_path):
    file = labels(tmp_path, "id,kind", "a,cat", "b,dog", "z,cow")
    assert read_labels(file, ["a", "b", "c"]) == {"a": "cat", "b": "dog"}


def test_labels_by_file(tmp_path):
    file = labels(tmp_path, "file,kind", "1.png,cat", "y/2.png,dog", "x/y/3.png,cow")
    known = ["x/y/1.png", "x/y/2.png", "x/y/3.png"]
    assert read_labels(file, known) == dict(zip(known, ("cat", "dog", "cow"), strict=True))


def test_labels_by_file_of_a_manifest_with_other_ids(tmp_path):
    file = labels(tmp_path, "file,kind", "photos/1.png,cat", "/data/photos/2.png,dog")
    paths = ["/data/photos/1.png", "/data/photos/2.png"]
    assert read_labels(file, ["a", "b"], files=paths) == {"a": "cat", "b": "dog"}
    with complains("knows none of the 2 samples"):
        read_labels(file, ["a", "b"])


def test_a_name_of_two_samples_is_nobody_s(tmp_path):
    file = labels(tmp_path, "file,kind", "1.png,cat", "x/2.png,dog")
    assert read_labels(file, ["x/1.png", "y/1.png", "x/2.png"]) == {"x/2.png": "dog"}
    assert read_labels(file, ["x/1.png", "1.png", "y/1.png"]) == {"1.png": "cat"}


def test_the_end_of_a_name_is_a_whole_part(tmp_path):
    file = labels(tmp_path, "file,kind", "1.png,cat", "2.png,dog")
    assert read_labels(file, ["x/11.png", "x/2.png"]) == {"x/2.png": "dog"}


def test_ids_come_before_files(tmp_path):
    file = labels(tmp_path, "file,id,kind", "a,b,cat", "b,a,dog")
    assert read_labels(file, ["a", "b"]) == {"b": "cat", "a": "dog"}


def test_several_axes(tmp_path):
    file = labels(tmp_path, "id,shape,colour", "a,cube,red", "b,ball,")
    assert read_labels(file, ["a", "b"], "shape") == {"a": "cube", "b": "ball"}
    assert read_labels(file, ["a", "b"], "colour") == {"a": "red"}
    with complains("has several axes", "pass --axis with one of: shape, colour"):
        read_labels(file, ["a", "b"])
    with complains("has no axis 'size'", "pass --axis with one of: shape, colour"):
        read_labels(file, ["a", "b"], "size")
    with complains("has no axis 'id'"):
        read_labels(file, ["a", "b"], "id")


def test_an_empty_column_name_is_no_axis(tmp_path):
    assert read_labels(labels(tmp_path, "id,kind,", "a,cat,"), ["a"]) == {"a": "cat"}


def test_a_byte_order_mark(tmp_path):
    file = labels(tmp_path, "id,kind", "a,Käse", encoding="utf-8-sig")
    assert read_labels(file, ["a"]) == {"a": "Käse"}


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (("name,kind", "a,cat"), "has no column 'id' or 'file'"),
        ((), "has no column 'id' or 'file'"),
        (("id,kind", "y,cat"), "knows none of the 1 samples; check column 'id'"),
        (("id,kind", "a,"), "knows none of the 1 samples"),
        (("id,kind", "a"), "knows none of the 1 samples"),
        (("id", "a"), "pass --axis with one of: no columns"),
        (("id,kind", "a,cat", "a,dog"), "gives 'a' two labels, 'cat' and 'dog'"),
    ],
)
def test_bad_labels(tmp_path, lines, reason):
    with complains(reason):
        read_labels(labels(tmp_path, *lines), ["a"])


def test_the_same_label_twice(tmp_path):
    assert read_labels(labels(tmp_path, "id,kind", "a,cat", "a,cat"), ["a"]) == {"a": "cat"}


def test_labels_that_cannot_be_read(tmp_path):
    for file in (tmp_path / "no.csv", tmp_path):
        with complains(f"{file}: cannot be read", "pass a CSV file of labels"):
            read_labels(file, ["a"])
    file = labels(tmp_path, "id,kind", "a,Käse", encoding="latin-1")
    with complains("cannot be read"):
        read_labels(file, ["a"])
