import io
import os
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from agentclust.errors import ImageProblem
from agentclust.files.images import MAX_PIXELS, data_url, jpeg, probe, read_image, suffixes
from tests.complaints import complains
from tests.nobody import as_nobody
from tests.pictures import draw, picture

WHITE, RED = (255, 255, 255), (255, 0, 0)


def problem(*parts):
    return complains(*parts, kind=ImageProblem)


def near(pixel, wanted, most=12):
    return max(abs(a - b) for a, b in zip(pixel, wanted, strict=True)) <= most


def corners(image):
    """The pixel in the upper left corner and the one in the lower right."""
    return image.getpixel((0, 0)), image.getpixel((image.width - 1, image.height - 1))


def shows_the_picture(image, most=12):
    first, last = corners(image)
    return image.mode == "RGB" and near(first, WHITE, most) and near(last, RED, most)


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


# what is no usable image


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


# kinds of images


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


# upright


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


# scaled


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_edge(tmp_path, suffix):
    file = draw(tmp_path / f"a.{suffix}", size=(300, 200))
    assert probe(file)[1] == (300, 200)
    assert read_image(file, edge=30).size == (30, 20)
    assert read_image(file, edge=300).size == (300, 200)
    assert read_image(file, edge=500).size == (300, 200)
    assert shows_the_picture(read_image(file, edge=30), most=40)


def test_a_jpeg_for_a_model_says_nothing_about_its_source(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "SECRET"
    exif[0x0112] = 6
    file = draw(
        tmp_path / "SECRET.jpg", size=(300, 200), exif=exif, comment=b"SECRET",
        xmp=b"<x:xmpmeta>SECRET</x:xmpmeta>",
    )  # fmt: skip
    assert b"SECRET" in file.read_bytes()
    sent = jpeg(file, 100)
    assert b"SECRET" not in sent
    with Image.open(io.BytesIO(sent)) as image:
        assert image.size == (67, 100)
        assert not image.getexif()
    assert data_url(file, 100).startswith("data:image/jpeg;base64,/9j/")


def test_the_digest_is_that_of_the_bytes(tmp_path):
    one, two, other = (draw(tmp_path / name) for name in ("a.png", "b.png", "c.png"))
    draw(other, colour="blue")
    assert probe(one)[0] == probe(two)[0] != probe(other)[0]
    assert len(probe(one)[0]) == 64
