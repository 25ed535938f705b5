"""Images stand as their EXIF data say."""

import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from agentclust.files.images import probe, read_image
from tests.images.pixels import near
from tests.pictures import draw


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_exif_orientation(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = draw(tmp_path / f"a.{suffix}", size=(96, 64), exif=exif)
    with Image.open(file) as image:
        wanted = ImageOps.exif_transpose(image).convert("RGB")
    found = read_image(file)
    assert found.size == wanted.size == ((64, 96) if orientation > 4 else (96, 64))
    assert np.array_equal(np.asarray(found), np.asarray(wanted))
    assert probe(file)[1] == found.size
    small = read_image(file, edge=16)
    assert small.size == ((11, 16) if orientation > 4 else (16, 11))
    for corner in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        x, y = (0 if side == 0 else size - 1 for side, size in zip(corner, small.size, strict=True))
        X, Y = (
            0 if side == 0 else size - 1 for side, size in zip(corner, wanted.size, strict=True)
        )
        assert near(small.getpixel((x, y)), wanted.getpixel((X, Y)), 40)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_means_nothing(tmp_path, value):
    exif = Image.Exif()
    exif[0x0112] = value
    file = draw(tmp_path / "a.jpg", exif=exif)
    assert read_image(file).size == probe(file)[1] == (12, 8)


def test_odd_exif_data_leave_a_good_picture(tmp_path):
    # a text where a number belongs: reading it works, and writing it anew does not
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x0128] = 2
    file = draw(tmp_path / "a.jpg", size=(96, 64), exif=exif)
    data = bytearray(file.read_bytes())
    entry = data.index(struct.pack(">HH", 0x0128, 3))
    data[entry + 2 : entry + 4] = struct.pack(">H", 2)
    file.write_bytes(data)
    with Image.open(file) as image, pytest.raises(struct.error):
        ImageOps.exif_transpose(image)
    assert read_image(file).size == probe(file)[1] == (64, 96)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_exif_data_that_are_none_leave_a_good_picture(tmp_path, suffix):
    exif = b"Exif\0\0eggs and ham"
    file = draw(tmp_path / f"a.{suffix}", size=(96, 64), exif=exif)
    assert exif[6:] in file.read_bytes()
    assert read_image(file).size == probe(file)[1] == (96, 64)
