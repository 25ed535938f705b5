"""True labels are read from a file of their own."""

import pytest

from agentclust.datasets.labels import read_labels
from tests.complaints import complains
from tests.datasets.files import write


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
