"""What a model gets of an image: its edge, its bytes, its digest."""

import io

import pytest
from PIL import Image

from agentclust.files.images import data_url, jpeg, probe, read_image
from tests.images.pixels import shows_the_picture
from tests.pictures import draw


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
