"""Formats, frames, depths and transparency."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from agentclust.files.images import jpeg, probe, read_image, suffixes
from tests.images.pixels import RED, WHITE, corners, near, shows_the_picture
from tests.pictures import draw, picture


@pytest.mark.parametrize(
    "suffix", ["png", "jpg", "webp", "gif", "bmp", "tif", "ppm", "avif", "jp2"]
)
def test_formats(tmp_path, suffix):
    file = draw(tmp_path / f"a.{suffix}", size=(64, 48))
    image = read_image(file)
    assert image.size == (64, 48)
    assert shows_the_picture(image, most=40)
    assert probe(file)[1] == (64, 48)


def test_the_suffix_does_not_matter(tmp_path):
    file = draw(tmp_path / "a.png")
    assert shows_the_picture(read_image(file.rename(tmp_path / "a.jpg")))


def test_suffixes():
    known = suffixes()
    assert {".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tiff", ".avif", ".mpo"} <= known
    assert not {".pdf", ".eps", ".ps", ".txt", ""} & known


def frames():
    return [picture(colour=colour) for colour in ("red", "green", "blue")]


@pytest.mark.parametrize(
    ("suffix", "how"),
    [
        ("gif", {"duration": 20}),
        ("webp", {"duration": 20, "lossless": True}),
        ("png", {"duration": 20}),
    ],
)
def test_the_first_frame_of_an_animation(tmp_path, suffix, how):
    first, *others = frames()
    file = tmp_path / f"a.{suffix}"
    first.save(file, save_all=True, append_images=others, **how)
    with Image.open(file) as image:
        assert image.n_frames == 3
    assert shows_the_picture(read_image(file))
    assert probe(file)[1] == (12, 8)


def test_a_cmyk_jpeg(tmp_path):
    file = draw(tmp_path / "a.jpg", size=(64, 64), mode="CMYK", quality=95)
    assert shows_the_picture(read_image(file), most=20)
    assert shows_the_picture(read_image(file, edge=8), most=20)
    assert jpeg(file, 32).startswith(b"\xff\xd8")


def grey16(file, values):
    Image.fromarray(np.array(values, dtype=np.uint16)).save(file)
    return file


def test_a_16_bit_grey_png(tmp_path):
    file = grey16(tmp_path / "a.png", [[0, 65535], [32768, 257]])
    image = read_image(file)
    assert image.mode == "RGB"
    assert np.asarray(image)[..., 0].tolist() == [[0, 255], [128, 1]]


def test_a_dark_16_bit_picture_stays_dark(tmp_path):
    file = grey16(tmp_path / "a.png", [[0, 200], [255, 100]])
    assert np.asarray(read_image(file)).max() == 1


def test_a_16_bit_rgb_png(tmp_path):
    file = tmp_path / "a.png"
    # Pillow writes no such files: 2 x 1 pixels, the first red, the second half grey
    rows = struct.pack(">B6H", 0, 65535, 0, 0, 32768, 32768, 32768)

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    file.write_bytes(
        b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    assert np.asarray(read_image(file)).tolist() == [[[255, 0, 0], [128, 128, 128]]]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (np.array([[0, 0.5, 1]], dtype=np.float32), [0, 128, 255]),
        (np.array([[0, 128, 255]], dtype=np.float32), [0, 128, 255]),
        (np.array([[-5, np.nan, 70000]], dtype=np.float32), [0, 0, 255]),
        (np.array([[0, 128, 255]], dtype=np.int32), [0, 128, 255]),
        (np.array([[0, 32768, 65535]], dtype=np.int32), [0, 128, 255]),
        (np.array([[0, 10**6, 4 * 10**6]], dtype=np.int32), [0, 64, 255]),
    ],
)
def test_other_depths(tmp_path, values, wanted):
    file = tmp_path / "a.tif"
    Image.fromarray(values).save(file)
    assert np.asarray(read_image(file))[0, :, 0].tolist() == wanted


@pytest.mark.parametrize("mode", ["1", "L", "P", "YCbCr"])
def test_other_modes(tmp_path, mode):
    file = draw(tmp_path / ("a.jpg" if mode == "YCbCr" else "a.png"), size=(32, 32), mode=mode)
    first, last = corners(read_image(file))
    assert near(first, WHITE)
    assert last != first


def test_a_palette_with_transparency(tmp_path):
    image = Image.new("P", (4, 2), 0)
    image.putpalette([10, 20, 30, 255, 0, 0])
    image.paste(1, (2, 0, 4, 2))
    for number, transparent in enumerate((0, b"\x00\xff")):
        file = tmp_path / f"{number}.png"
        image.save(file, transparency=transparent)
        assert shows_the_picture(read_image(file))
    file = tmp_path / "a.gif"
    image.save(file, transparency=0)
    assert shows_the_picture(read_image(file))


def test_transparency_becomes_white(tmp_path):
    values = np.zeros((1, 3, 4), dtype=np.uint8)
    values[0] = [(0, 0, 255, 0), (255, 0, 0, 255), (255, 0, 0, 128)]
    file = tmp_path / "a.png"
    Image.fromarray(values).save(file)
    found = np.asarray(read_image(file)).tolist()[0]
    assert found[:2] == [[255, 255, 255], [255, 0, 0]]
    assert near(found[2], (255, 127, 127), 2)
    grey = tmp_path / "b.png"
    Image.fromarray(np.array([[[0, 0], [0, 255]]], dtype=np.uint8)).save(grey)
    assert np.asarray(read_image(grey)).tolist()[0] == [[255] * 3, [0] * 3]


def test_one_colour_declared_transparent(tmp_path):
    file = draw(tmp_path / "a.png", transparency=RED)
    assert corners(read_image(file)) == (WHITE, WHITE)


def test_one_pixel(tmp_path):
    file = draw(tmp_path / "a.png", size=(1, 1))
    assert probe(file)[1] == (1, 1)
    assert read_image(file, edge=512).size == (1, 1)
    with Image.open(io.BytesIO(jpeg(file, 512))) as image:
        assert image.size == (1, 1)


def test_a_very_long_picture(tmp_path):
    file = draw(tmp_path / "a.png", size=(9000, 2))
    assert read_image(file, edge=64).size == (64, 1)
    assert probe(file)[1] == (9000, 2)
