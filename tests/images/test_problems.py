"""What is no usable image, and why."""

import os
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from agentclust.errors import ImageProblem
from agentclust.files.images import MAX_PIXELS, probe, read_image
from tests.complaints import complains
from tests.nobody import as_nobody
from tests.pictures import draw, picture


def problem(*parts):
    return complains(*parts, kind=ImageProblem)


def test_no_file(tmp_path):
    for read in (read_image, probe):
        with problem("a.png: file not found"):
            read(tmp_path / "a.png")


def test_no_image(tmp_path):
    file = tmp_path / "a.png"
    file.write_text("This is no picture.")
    with problem("a.png: not an image"):
        probe(file)


def test_an_empty_file(tmp_path):
    file = tmp_path / "a.jpg"
    file.touch()
    with problem("a.jpg: an empty file"):
        probe(file)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tif"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_file(tmp_path, suffix, share):
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    file = tmp_path / f"a.{suffix}"
    Image.fromarray(noise).save(file)
    os.truncate(file, int(file.stat().st_size * share))
    for read in (read_image, probe):
        with problem(f"a.{suffix}: damaged or truncated image"):
            read(file)


def test_a_truncated_progressive_jpeg(tmp_path):
    file = draw(tmp_path / "a.jpg", size=(200, 200), progressive=True)
    os.truncate(file, file.stat().st_size // 2)
    with problem("damaged or truncated"):
        probe(file)


def test_damaged_pixels(tmp_path):
    file = draw(tmp_path / "a.png", size=(40, 40))
    data = bytearray(file.read_bytes())
    data[data.index(b"IDAT") + 8] ^= 0xFF
    file.write_bytes(data)
    with problem("damaged or truncated"):
        probe(file)


def test_whatever_a_decoder_raises_is_a_problem_of_the_image(tmp_path):
    file = draw(tmp_path / "a.avif", size=(40, 40))
    data = file.read_bytes()
    pixels = data.index(b"mdat") + 4
    file.write_bytes(data[:pixels] + bytes(len(data) - pixels))
    with Image.open(file) as image, pytest.raises(RuntimeError):
        image.load()
    for read in (read_image, probe):
        with problem("a.avif: damaged or truncated image (Failed to decode"):
            read(file)


def bomb(file, width, height):
    """A PNG of a few bytes that claims to be huge."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress(bytes(1000)))
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + head + rows + chunk(b"IEND", b""))
    return file


@pytest.mark.parametrize("side", [10_000, 60_000])  # Pillow warns of the first, refuses the second
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_not_unpacked(tmp_path, side):
    assert side * side > MAX_PIXELS
    file = bomb(tmp_path / "a.png", side, side)
    tracemalloc.start()
    for read in (read_image, probe):
        with problem("a.png: more than 89,478,485 pixels"):
            read(file)
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


def test_no_permission(tmp_path):
    file = draw(tmp_path / "a.png")
    file.chmod(0)
    for read in (read_image, probe):
        with as_nobody(), problem("a.png: no permission"):
            read(file)


@pytest.mark.timeout(60)
def test_what_is_no_regular_file_is_not_opened(tmp_path):
    pipe, folder, device = tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png"
    os.mkfifo(pipe)
    folder.mkdir()
    device.symlink_to("/dev/zero")
    for file in (pipe, folder, device):
        for read in (read_image, probe):
            with problem(f"{file.name}: not a regular file"):
                read(file)


def test_a_link_to_itself(tmp_path):
    file = tmp_path / "a.png"
    file.symlink_to(file)
    with problem("a.png: cannot be read (Too many levels of symbolic links)"):
        probe(file)


def test_postscript_is_not_run(tmp_path):
    file = tmp_path / "a.png"
    picture().save(file, "EPS")
    with problem("not an image"):
        probe(file)
