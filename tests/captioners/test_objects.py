import numpy as np
import pytest
from pictures import KNOWN, bar, disc, noise, picture
from PIL import Image, ImageDraw

from agentclust.captioners.builtin.colours import lab_of, name_of
from agentclust.captioners.builtin.objects import find_objects

ROUND = KNOWN["circle"][0]


def found(image):
    return find_objects(lab_of(np.asarray(image)))


def row(n, colour, outline=ROUND, radius=14, edge=256, background=(238, 236, 230)):
    """`n` things of one kind, four in a row."""
    places = [(40 + 58 * (i % 4), 40 + 58 * (i // 4)) for i in range(n)]
    things = [(outline, colour, radius, 0.3 * i, at) for i, at in enumerate(places)]
    return picture(edge, background, things)


@pytest.mark.parametrize("n", [1, 2, 5, 10, 16])
def test_objects_are_counted(n):
    assert len(found(row(n, (40, 90, 200))).objects) == n


@pytest.mark.parametrize("background", [(20, 20, 24), (60, 120, 70), (225, 190, 190)])
@pytest.mark.parametrize("word", ["star", "ring", "crescent", "cross"])
def test_an_object_with_holes_or_dents_is_one_object(word, background):
    scene = found(row(6, (235, 200, 60), KNOWN[word][0], radius=22, background=background))
    assert len(scene.objects) == 6


def test_a_mask_covers_its_object_and_nothing_else():
    scene = found(picture(200, "white", [(ROUND, "red", 30, 0, (70, 120))]))
    (piece,) = scene.objects
    rows, columns = piece.box
    assert (rows.start + rows.stop) / 2 == pytest.approx(120, abs=1)
    assert (columns.start + columns.stop) / 2 == pytest.approx(70, abs=1)
    assert piece.area == pytest.approx(np.pi * 30**2, rel=0.05)


def test_round_objects_that_touch_are_cut_apart():
    places = [(60, 60), (99, 60), (79, 95)]
    image = picture(160, "white", [(ROUND, "purple", 20, 0, at) for at in places])
    assert len(found(image).objects) == 3


def test_lobes_with_a_handle_between_them_are_one_object():
    dumbbell = [(disc(0.3, -0.7), True), (disc(0.3, 0.7), True), (bar(0.7, 0.08), True)]
    image = picture(160, "white", [(dumbbell, "purple", 60, 0.4, (80, 80))])
    assert len(found(image).objects) == 1


def test_a_mottled_background_yields_no_claim():
    blotches = np.asarray(noise(256, seed=4, coarse=12).convert("L")).astype(float)
    mottled = np.repeat((185 + (blotches - 128) * 0.35)[..., None], 3, axis=2).astype(np.uint8)
    image = picture(256, "white", [(ROUND, "red", 40, 0, (128, 128))])
    assert len(found(image).objects) == 1
    inside = (np.asarray(image)[..., 1] < 250)[..., None]
    assert found(Image.fromarray(np.where(inside, np.asarray(image), mottled))) is None


def test_a_background_may_shade_off_and_be_noisy():
    pixels = np.asarray(row(7, (200, 60, 50))).astype(float)
    shade = np.linspace(-25, 10, 256)[:, None, None]
    grain = np.random.default_rng(0).normal(0, 2, pixels.shape)
    shaded = Image.fromarray(np.clip(pixels + shade + grain, 0, 255).astype(np.uint8))
    scene = found(shaded)
    assert len(scene.objects) == 7
    assert name_of(scene.background) in ("white", "gray")


def test_specks_are_not_counted():
    image = row(4, (30, 30, 30), radius=20)
    for x in range(20, 240, 30):
        image.putpixel((x, 250), (0, 0, 0))
    assert len(found(image).objects) == 4


@pytest.mark.parametrize("seed", range(3))
def test_a_cluttered_picture_yields_no_claim(seed):
    assert found(noise(256, seed)) is None


def test_land_under_a_sky_is_no_object():
    image = Image.new("RGB", (256, 192), (120, 170, 230))
    ImageDraw.Draw(image).rectangle([0, 110, 256, 192], fill=(60, 110, 40))
    assert found(image) is None


def test_what_fades_into_the_background_is_no_object():
    y, x = np.mgrid[0:256, 0:256] - 128
    glow = np.exp(-(x**2 + y**2) / 35**2)[..., None] * [120, 100, 20]
    assert found(Image.fromarray((glow + 40).astype(np.uint8))) is None


def test_a_line_drawing_cannot_be_counted():
    image = Image.new("RGB", (256, 256), "white")
    pen = ImageDraw.Draw(image)
    pen.line([(40, 200), (60, 60), (130, 30), (200, 90), (180, 210)], fill="black", width=3)
    pen.ellipse([90, 100, 130, 150], outline="black", width=2)
    scene = found(image)
    assert scene.lines
    assert not scene.objects


def test_an_empty_picture_has_no_objects():
    scene = found(Image.new("RGB", (120, 90), (250, 250, 250)))
    assert scene.objects == ()
    assert not scene.lines


def test_one_object_may_be_large_and_reach_the_edge():
    assert (
        len(found(picture(100, "white", [([(disc(), True)], "green", 50, 0, (50, 50))])).objects)
        == 1
    )
