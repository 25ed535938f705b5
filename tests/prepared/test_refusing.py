"""An archive that is not what it should be: one clear line, and no half of a dataset."""

from __future__ import annotations

import os
import signal
import tarfile
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from official import (
    ARCHIVES,
    GZIPPED,
    archived,
    jpeg,
    members,
    pack,
    sums,
    tar,
    unpacked,
)

from agentclust.datasets import load, prepare
from agentclust.datasets.recipe import Wishes
from tests import outside
from tests.complaints import check, complains

EVERY = (*ARCHIVES, GZIPPED)
GONE = {  # a split of each dataset, and what of the archives holds it
    "cifar10": ("test", "test_batch.bin"),
    "cifar100": ("train", "train.bin"),
    "stl10": ("test", "test_X.bin"),
    "stanford40": ("test", "test.txt"),
    "ppmi": ("test", "/test/"),
    "mnist": ("test", "t10k-labels"),
    "clevr4-10k": ("val", ""),
    "clevr4-100k": ("val", ""),
}


def refused(name: str, tmp_path: Path, wishes: Wishes, *parts: str) -> None:
    """Preparing fails with one line that has these parts, and leaves nothing."""
    root = tmp_path / "root"
    with complains(*parts):
        prepare(name, root, wishes)
    assert not root.exists() or os.listdir(root) == []


@pytest.mark.parametrize("name", EVERY)
class TestEvery:
    def test_a_wrong_checksum(self, name, tmp_path):
        wish = archived(tmp_path / "mine", members(name))
        file = sorted(members(name))[0]
        wrong = tuple(f"{text[:-4]}0000" for text in wish.checksums)
        refused(name, tmp_path, replace(wish, checksums=wrong), "its SHA512 is ", "fetch it again")
        if name not in ("stanford40", "clevr4-100k"):  # nobody tells those beforehand
            published = "SHA512" if name == "clevr4-10k" else "MD5"
            refused(name, tmp_path, Wishes(wish.given), f"its {published} is ", ".")
        assert (tmp_path / "mine" / file).exists()  # what a person has stays theirs

    @pytest.mark.parametrize("part", [0.9, 0.5, 0.0])
    def test_a_truncated_archive(self, name, part, tmp_path):
        archived(tmp_path / "mine", members(name))
        for file in (tmp_path / "mine").iterdir():
            os.truncate(file, int(part * file.stat().st_size))
        wish = Wishes((str(tmp_path / "mine"),), tuple(sums(tmp_path / "mine")))
        refused(name, tmp_path, wish, "is damaged or truncated", "fetch it again")

    def test_a_missing_split(self, name, tmp_path):
        split, holds = GONE[name]
        contents = {
            file: {n: c for n, c in held.items() if not holds or holds not in n}
            for file, held in members(name).items()
        }
        if not holds:  # the split stands in the annotations
            for held in contents.values():
                text = held["clevr_4_annots.json"].replace(b'"val"', b'"train"')
                held["clevr_4_annots.json"] = text
        contents = {file: held for file, held in contents.items() if held}
        wish = replace(archived(tmp_path / "mine", contents), splits=(split,))
        if name == GZIPPED:
            refused(name, tmp_path, wish, "t10k-labels-idx1-ubyte.gz", "does not exist")
            wish = replace(unpacked(tmp_path / "plain", contents), splits=(split,))
        refused(name, tmp_path, wish, split)

    def test_a_split_nobody_knows(self, name, tmp_path):
        wish = archived(tmp_path / "mine", members(name))
        refused(name, tmp_path, replace(wish, splits=("tset",)), "has no split 'tset'")


NAMES = ("../out.txt", "a/../../out.txt", "/tmp/out.txt", "a\\..\\..\\out.txt")


@pytest.mark.parametrize("name", ARCHIVES)
class TestEscapes:
    @pytest.mark.parametrize("path", NAMES)
    def test_a_path_that_leads_out(self, name, path, tmp_path):
        contents = members(name)
        last = sorted(contents)[-1]
        contents[last][path] = b"out"
        wish = archived(tmp_path / "a" / "b" / "mine", contents)
        refused(name, tmp_path, wish, f"holds {path!r}, a path that may lead out of it")
        assert not list(tmp_path.rglob("out.txt"))

    @pytest.mark.parametrize("target", ["/etc/passwd", "../../secret"])
    @pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.FIFOTYPE])
    def test_a_link_or_a_pipe(self, name, kind, target, tmp_path):
        folder = tmp_path / "mine"
        archived(folder, members(name))
        file = sorted(folder.iterdir())[-1]
        held = dict(members(name)[file.name])
        if file.name.endswith(".zip"):
            pack(file, held)
            info = zipfile.ZipInfo("images/link.png")
            info.external_attr = (0o120777 if kind == tarfile.SYMTYPE else 0o010644) << 16
            with zipfile.ZipFile(file, "a") as archive:
                archive.writestr(info, target)
        else:
            info = tarfile.TarInfo("images/link.png")
            info.type, info.linkname = kind, target
            tar(file, held | {info.name: info})
        what = "device" if kind == tarfile.FIFOTYPE else "link"
        wish = Wishes((str(folder),), tuple(sums(folder)))
        refused(name, tmp_path, wish, f"holds 'images/link.png', a {what} and no regular file")

    def test_a_name_that_stands_twice(self, name, tmp_path):
        folder = tmp_path / "mine"
        archived(folder, members(name))
        file = sorted(folder.iterdir())[-1]
        held = members(name)[file.name]
        first = next(iter(held))
        if file.name.endswith(".zip"):
            with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Dupl"):
                archive.writestr(first, b"again")
        else:
            info = tarfile.TarInfo(first)
            tar(file, held | {"again": info})
        wish = Wishes((str(folder),), tuple(sums(folder)))
        refused(name, tmp_path, wish, f"holds {first!r} twice")


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "stl10"])  # a ZIP file has none
def test_a_hard_link(name, tmp_path):
    folder = tmp_path / "mine"
    archived(folder, members(name))
    (file,) = folder.iterdir()
    held = members(name)[file.name]
    info = tarfile.TarInfo("images/link.png")
    info.type, info.linkname = tarfile.LNKTYPE, next(iter(held))
    tar(file, held | {info.name: info})
    wish = Wishes((str(folder),), tuple(sums(folder)))
    refused(name, tmp_path, wish, "holds 'images/link.png', a link and no regular file")


def changed(name: str, member: str, content: bytes) -> dict[str, dict[str, bytes]]:
    contents = members(name)
    for held in contents.values():
        if member in held:
            held[member] = content
            return contents
    raise AssertionError(member)


C10, C100, STL = "cifar-10-batches-bin", "cifar-100-binary", "stl10_binary"
IMAGES, LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
ODD = {
    "half a record": ("cifar10", f"{C10}/test_batch.bin", b"\0" * 4000, "no whole number of rec"),
    "no record": ("cifar10", f"{C10}/test_batch.bin", b"", "no whole number of records of 3073"),
    "an unknown class": ("cifar10", f"{C10}/test_batch.bin", b"\xff" * 3073, "class 255, and th"),
    "an unknown superclass": ("cifar100", f"{C100}/test.bin", b"\x14" * 3074, "says class 20, and"),
    "half an image": ("stl10", f"{STL}/test_X.bin", b"\0" * 30000, "no whole number of images"),
    "too few labels": ("stl10", f"{STL}/test_y.bin", b"\1" * 11, "has 11 labels for 12 images"),
    "class 0": ("stl10", f"{STL}/test_y.bin", b"\0" * 12, "says class -1, and there are 10"),
    "no idx": ("mnist", IMAGES, b"GIF89a", "is no whole IDX file of bytes in 3 dimensions"),
    "an empty idx": ("mnist", LABELS, b"", "is no whole IDX file of bytes in 1 dimensions"),
    "a short idx": ("mnist", LABELS, bytes([0, 0, 8, 1, 0, 0, 0, 9, 1]), "is no whole IDX file"),
    "other labels": ("mnist", LABELS, bytes([0, 0, 8, 1, 0, 0, 0, 1, 1]), "13 images for 1 labels"),
    "no json": ("clevr4-10k", "clevr_4_annots.json", b"{", "annots.json: is no JSON ("),
    "a list": ("clevr4-10k", "clevr_4_annots.json", b"[]", "is no JSON object"),
    "no taxonomy": ("clevr4-10k", "clevr_4_annots.json", b'{"a": {"shape": 1}}', "lacks one of te"),
    "no picture": (
        "clevr4-10k",
        "clevr_4_annots.json",
        b'{"x": {"shape": 1, "color": 1, "count": 1, "texture": 1, "split": "val"}}',
        "x.png: is missing",
    ),
    "another action": ("stanford40", "ImageSplits/test.txt", b"a_1.jpg", "is no known action"),
    "no such picture": (
        "stanford40",
        "ImageSplits/test.txt",
        b"applauding_9.jpg",
        "9.jpg: is missing",
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_content_that_is_not_what_it_should_be(case, tmp_path):
    name, member, content, said = ODD[case]
    refused(name, tmp_path, archived(tmp_path / "mine", changed(name, member, content)), said)


def test_an_instrument_nobody_knows(tmp_path):
    contents = members("ppmi")
    name = "norm_image/play_instrument/kazoo/test/1.jpg"
    contents["norm_ppmi_12class.zip"][name] = jpeg(1)
    wish = archived(tmp_path / "mine", contents)
    refused("ppmi", tmp_path, wish, "kazoo: is no instrument of PPMI")


def test_a_file_that_is_no_image_is_left_out_and_said(tmp_path):
    contents = changed("stanford40", "JPEGImages/applauding_001.jpg", b"eggs")
    wish = archived(tmp_path / "mine", contents)
    words = ["--root", tmp_path / "root", "--from", wish.given[0]]
    ended = outside.run("datasets", "prepare", "stanford40", *words, cwd=tmp_path)
    assert ended.status == 0, ended.err
    assert "stanford40: 1 files are no images: JPEGImages/applauding_001.jpg (" in ended.err
    assert "Stanford40_ImageSplits.zip: was not checked; its own checksum is sha256:" in ended.err
    assert len(load(str(tmp_path / "root" / "stanford40"))) == 17


@pytest.mark.parametrize(
    ("checksum", "said"),
    [
        ("xyz", "checksum 'xyz': is no MD5, SHA-1, SHA-256 or SHA-512"),
        ("other.zip=" + "0" * 32, "names no archive of the dataset"),
    ],
)
def test_a_checksum_that_is_none(checksum, said, tmp_path):
    wish = archived(tmp_path / "mine", members("cifar10"))
    refused("cifar10", tmp_path, replace(wish, checksums=(checksum,)), said)


@pytest.mark.parametrize("checksum", ["cifar-10-binary.tar.gz=", ""])
@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256", "SHA512"])
def test_each_kind_of_checksum(kind, checksum, tmp_path):
    import hashlib

    wish = archived(tmp_path / "mine", members("cifar10"))
    content = (tmp_path / "mine" / "cifar-10-binary.tar.gz").read_bytes()
    digest = hashlib.new(kind.lower(), content).hexdigest()
    digest = digest.upper() if kind.isupper() else digest
    prepare("cifar10", tmp_path, replace(wish, checksums=(checksum + digest,)))


def test_what_else_is_in_the_folder_is_kept(tmp_path):
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "mine.txt").write_text("mine")
    wish = archived(tmp_path / "mine", members("cifar10"))
    with complains("cifar10: holds something other than cifar10", "name another --root or --as"):
        prepare("cifar10", tmp_path, wish)
    assert (tmp_path / "cifar10" / "mine.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("taken")
    wish = archived(tmp_path / "mine", members("cifar10"))
    with complains("cannot be read or written (", "name a --root you may write to"):
        prepare("cifar10", tmp_path / "file", wish)


def test_a_disk_that_is_full_leaves_nothing(tmp_path):
    wish = archived(tmp_path / "mine", members("stl10"))
    words = ["--root", tmp_path / "root", "--from", wish.given[0]]
    words += [word for checksum in wish.checksums for word in ("--checksum", checksum)]
    ended = outside.run("datasets", "prepare", "stl10", *words, cwd=tmp_path, file_size=100_000)
    assert ended.status == 2
    assert "cannot be read or written" in ended.complaint
    assert os.listdir(tmp_path / "root") == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_killed_prepare_leaves_no_dataset(number, tmp_path):
    held = members("cifar10")
    held["cifar-10-binary.tar.gz"]["cifar-10-batches-bin/test_batch.bin"] *= 400
    wish = archived(tmp_path / "mine", held)
    words = ["--root", tmp_path / "root", "--from", wish.given[0], "--checksum", wish.checksums[0]]
    started = outside.start("datasets", "prepare", "cifar10", *words, cwd=tmp_path)
    while not list(tmp_path.glob("root/.cifar10.*/images/*/*/*.png")):
        time.sleep(0.01)
        assert not started.is_over()
    started.signal(number)
    assert started.wait().status != 0
    assert not (tmp_path / "root" / "cifar10").exists()
    with complains("does not exist"):
        load(str(tmp_path / "root" / "cifar10"))
    root = prepare("cifar10", tmp_path / "root", wish)  # and takes away what is left
    assert len(load(str(root / "train.csv"))) == 20
    assert os.listdir(tmp_path / "root") == ["cifar10"]


def test_the_line_of_the_command(tmp_path):
    wish = archived(tmp_path / "mine", members("cifar10"))
    words = ("--root", tmp_path / "root", "--from", wish.given[0])
    ended = outside.run("datasets", "prepare", "cifar10", *words, cwd=tmp_path)
    assert ended.status == 2
    check(ended.complaint.removeprefix("error: "), "its MD5 is ", "--checksum")
