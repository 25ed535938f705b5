"""Why images are where they are: from a run to its folder, on drawn objects and captions."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from agentclust import service
from agentclust.cli import cli
from agentclust.clusterers.saved import load
from agentclust.config import make_config
from agentclust.embedders import load_embedder
from agentclust.embedders.traces import Features
from agentclust.explaining.choosing import some
from agentclust.explaining.explained import as_text, lies
from agentclust.explaining.heat import contrast
from agentclust.explaining.words import deciding, without
from agentclust.progress import Reporter
from agentclust.report.gallery import groups
from agentclust.run.record import read_clustering
from agentclust.types import Clustering
from tests.complaints import complains
from tests.objects import KINDS, masked, pictures, pointing
from tests.plugged import MeanColour, manifest
from tests.plugged import pictures as plain
from tests.scenes import PLACES, scenes

QUIET = Reporter(quiet=True)
SMALL = ["clusterer.n_heads=2"]


def ran(root, dataset, criterion="object", settings=(), **values):
    values = {"n_clusters": 4, "method": "kmeans", "llm": "none", "vlm": "none"} | values
    config = make_config({"dataset": str(dataset), "criterion": criterion} | values, settings)
    return service.start([config], root / "run", reporter=QUIET)[0]


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """Pictures of four objects, the box around each, and a run that has clustered them."""
    root = tmp_path_factory.mktemp("objects")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AGENTCLUST_HOME", str(root / "home"))
        boxes = pictures(root / "photos", 32)
        found = ran(root, root / "photos", settings=["cache=false"])
    groups = {(i % len(KINDS), int(label)) for i, label in enumerate(found.labels_)}
    assert len(groups) == len(KINDS)
    return root, boxes


@pytest.fixture
def run(objects, tmp_path):
    """A copy of that run."""
    return shutil.copytree(objects[0] / "run", tmp_path / "copy")


def explained(run, *images, **how):
    return service.explain(run, images, reporter=QUIET, **how)[0]


def test_the_heat_lies_on_what_tells_the_groups(objects, run):
    _, boxes = objects
    before = (run / "assignments.csv").read_bytes()
    found = explained(run, *boxes)
    assert (found.by, found.agreement) == ("cosine with the centres of kmeans", 1.0)
    told = [pointing(one.heat, one.seen, boxes[one.id]) for one in found.images]
    points, mass, chance = np.mean(told, axis=0)
    assert chance < 0.15
    assert points > 0.75  # of 32; by chance 4
    assert mass > 3 * chance
    for one in found.images:
        assert one.heat.shape == (7, 7)
        assert one.heat.min() >= 0
        assert one.heat.sum() == pytest.approx(1, abs=1e-5)
        own = KINDS[int(one.id[1:4]) % len(KINDS)]
        near = {KINDS[int(n["id"][1:4]) % len(KINDS)] for n in one.neighbours[:3]}
        assert near == {own}
        assert one.margin > 0
        assert one.runner_up != one.name
    assert (run / "assignments.csv").read_bytes() == before


def test_without_its_hottest_places_an_image_is_less_of_its_group(objects, run, tmp_path):
    root, _ = objects
    embedder = load_embedder("efficientnet")
    found = explained(run, *(f"p{number:03}" for number in range(12)))
    centers = torch.tensor(load(run / "01-object/clusterer.npz")[0].centers_, dtype=torch.float32)
    names = read_clustering(run).names

    def left(one, places):
        grid = [divmod(int(place), 7) for place in places]
        file = masked(root / "photos" / one.id, grid, (7, 7), one.seen, tmp_path / "masked.png")
        vectors = torch.from_numpy(embedder.embed([file]))
        return float(contrast(vectors @ centers.T, names.index(one.name)))

    falls = []
    for one in found.images:
        order = np.argsort(-one.heat, axis=None, kind="stable")
        whole = left(one, [])
        falls.append((whole - left(one, order[:6]), whole - left(one, order[-6:])))
    hottest, coldest = np.mean(falls, axis=0)
    assert hottest > 0.1
    assert hottest > 3 * abs(coldest)


def test_what_lies_in_the_folder_and_in_the_report(run):
    found, page = service.explain(run, reporter=QUIET, most=12)
    names = [one.name for one in found.images]
    assert sorted(set(names)) == sorted(read_clustering(run).names)
    assert all(names.count(name) == 3 for name in names)  # each cluster has its share
    told = json.loads((run / "explain/explanations.json").read_text())
    assert [row["id"] for row in told["images"]] == [one.id for one in found.images]
    files = {row["heat"]["file"] for row in told["images"]}
    assert {f"heat/{file.name}" for file in (run / "explain/heat").iterdir()} == files
    with Image.open(run / "explain" / told["images"][0]["heat"]["file"]) as heat:
        assert heat.size == (256, 256)
        red, _, blue = np.asarray(heat, dtype=float).transpose(2, 0, 1)
        assert (red - blue).max() > 80  # the only colour there is
    html = page.read_text()
    assert html.count('alt="half of the evidence lies in') == len(names)
    assert "http" not in html.replace("http-equiv", "")
    assert len(shown(run)) == len(names)


def test_prototypes_are_the_confident_and_the_central_ones_by_turns():
    n = 90
    clustering = Clustering(
        "", "", tuple(map(str, range(n))), ("",) * n, np.repeat([0, 1], [60, 30]), ("a", "b"),
        np.linspace(1, 0.5, n), Path(),
    )  # fmt: skip
    central = {0: [40, 0, 41, *range(20, 30)], 1: [75, 60, 61, *range(80, 90)]}
    chosen = some(clustering, central, 12)
    #                confident, central, doubtful, then by turns what is not there yet
    assert chosen == ["0", "40", "59", "1", "2", "41", "60", "75", "89", "61", "62", "63"]
    assert some(clustering, central, 2) == ["0", "60"]
    assert some(clustering, {}, 7) == ["0", "59", "1", "2", "60", "89", "61"]
    shown, _ = groups(clustering, central)
    for group in shown:
        assert {str(i) for i in (*group.first, *group.central)} < set(some(clustering, central, 99))


def test_heat_stands_beside_each_prototype_of_both_kinds(objects, tmp_path):
    run = ran(tmp_path, objects[0] / "photos", n_clusters=2).run
    service.explain(run, reporter=QUIET)
    page = (run / "report.html").read_text()
    kinds = re.findall(r"<h3>(Most \w+)</h3>(.*?)(?=<h3>|</section>)", page, re.DOTALL)
    assert [kind for kind, _ in kinds] == 2 * ["Most central", "Most confident"]
    for _, gallery in kinds:
        cards = gallery.split("<details ")[1:]
        assert len(cards) >= 8
        assert all('class="card pair"' in card and 'class="heat"' in card for card in cards)


def test_explanations_add_up_until_an_image_moves(run):
    first, second = "p000.png", "p001.png"
    explained(run, first)
    explained(run, second)
    assert told(run) == [first, second]
    other = next(one.name for one in explained(run, second).images)
    with service.session(run, QUIET) as talk:
        talk.say(f"/move {first} to {other}")
    assert len(shown(run)) == 1
    found = explained(run, "p002")
    assert found.by == "cosine with the mean of each group"  # those of k-means stand no more
    assert told(run) == [second, "p002.png"]
    assert len(list((run / "explain/heat").iterdir())) == 2
    (moved,) = explained(run, first).images
    assert moved.margin < 0  # nothing in it speaks for where a person has put it
    assert (
        moved.told.splitlines()[0] == f"{first} is in {other} (confidence 1.00, you put it there)"
    )


def shown(run):
    """The heat maps in the report; an image may stand there twice."""
    return set(re.findall(r'<img class="heat" src="([^"]+)"', (run / "report.html").read_text()))


def told(run):
    rows = json.loads((run / "explain/explanations.json").read_text())["images"]
    return [row["id"] for row in rows]


@pytest.mark.parametrize(
    ("method", "by"),
    [
        ("temi", "logits of the head of temi"),
        ("minibatch-kmeans", "cosine with the mean of each group"),
    ],
)
def test_the_clusterer_that_made_the_run_scores(objects, tmp_path, method, by):
    root, boxes = objects
    few = tmp_path / "photos"
    few.mkdir()
    for name in list(boxes)[:16]:
        shutil.copy(root / "photos" / name, few)
    (store,) = (root / "run/embeddings").iterdir()
    settings = [f"embeddings={store}", *(SMALL if method == "temi" else [])]
    ran(tmp_path, few, method=method, settings=settings)
    found = explained(tmp_path / "run", *list(boxes)[:16])
    assert found.by == by
    assert found.agreement > 0.9
    told = [pointing(one.heat, one.seen, boxes[one.id]) for one in found.images]
    assert np.mean(told, axis=0)[1] > 0.3  # by chance 0.1


def test_an_embedder_that_does_not_tell_how(tmp_path):
    plain(tmp_path / "photos", "rgb" * 4)
    ran(tmp_path, tmp_path / "photos", "colour", n_clusters=3, embedder="tests.plugged:MeanColour")
    (one,) = explained(tmp_path / "run", "secret4").images
    assert one.heat is None
    assert one.notes == [
        "no heat map: tests.plugged:MeanColour does not tell how a vector comes about"
    ]
    assert len(one.neighbours) == 5
    assert {int(n["id"][6:-4]) % 3 for n in one.neighbours[:3]} == {1}


class OneColour(MeanColour):
    """It looks at no places: nowhere lies more evidence than elsewhere."""

    def trace(self, path):
        maps = torch.from_numpy(self.embed([path])).reshape(1, 3, 1, 1).requires_grad_()
        vector = torch.nn.functional.normalize(maps.mean(dim=(2, 3))[0], dim=0)
        return Features(vector, (0.0, 0.0, 1.0, 1.0), maps)


def test_a_picture_of_which_no_place_speaks_for_its_group(tmp_path):
    plain(tmp_path / "photos", "rgb" * 4)
    ran(tmp_path, tmp_path / "photos", "colour", n_clusters=3, embedder=f"{__name__}:OneColour")
    (one,) = explained(tmp_path / "run", "secret4").images
    assert one.heat is None
    assert re.fullmatch(rf"no heat map: no place in \S+ speaks for {one.name}", one.notes[0])


CAPTIONS, TRUTH = scenes(60)
TELLING = set(" ".join(way for ways in PLACES.values() for way in ways).split())


def placed(tmp_path, **values):
    """A run over captions whose raw labels, the places, are given."""
    file = tmp_path / "captions.jsonl"
    rows = [
        {"id": f"id{i}", "caption": text, "raw_label": place}
        for i, (text, place) in enumerate(zip(CAPTIONS, TRUTH, strict=True))
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    values = {"method": "ictc", "llm": "fake", "embedder": "minilm"} | values
    return ran(tmp_path, file, "place", **values).run


def test_the_words_that_tell_the_place_decide(tmp_path):
    run = placed(tmp_path)
    calls = (run / "usage.jsonl").read_bytes() if (run / "usage.jsonl").exists() else b""
    found = explained(run, *(f"id{i}" for i in range(60)))
    assert found.by == "linear discriminants of the captions' embeddings"
    assert found.agreement > 0.95
    first = [one.words[0][0] in TELLING for one in found.images]
    assert np.mean(first) > 0.9
    shares = [sum(f for w, f in one.words if w in TELLING) / sum(f for _, f in one.words)
              for one in found.images]  # fmt: skip
    assert np.mean(shares) > 0.8
    one = found.images[0]
    assert one.raw_label == TRUTH[0]
    assert {n["name"] for n in one.neighbours} <= set(PLACES)
    assert ((run / "usage.jsonl").read_bytes() if calls else b"") == calls
    page = (run / "explain/index.html").read_text()
    assert 'class="level-10">' in page
    assert f"<dt>decided by</dt><dd><bdi>{one.words[0][0]}" in (run / "report.html").read_text()


def test_captions_compared_by_their_words_alone(tmp_path):
    run = placed(tmp_path, embedder="tfidf")
    found = explained(run, *(f"id{i}" for i in range(20)))
    assert np.mean([bool(one.words) and one.words[0][0] in TELLING for one in found.images]) > 0.8


def test_probabilities_where_the_model_is_asked(tmp_path):
    captions = ["a dog runs", "a cat", "the cat sits", "a small cat", "dogs", "two dogs"]
    file = manifest(tmp_path / "m.jsonl", captions)
    run = ran(tmp_path, file, "animal", method="ictc", llm="fake", n_clusters=2).run
    before = (run / "usage.jsonl").read_bytes()
    silent, nowhere = explained(run, "id2", "id0").images
    assert silent.probabilities == {}
    assert (nowhere.name, nowhere.margin, nowhere.words) == ("", None, [])
    assert nowhere.notes == ["no evidence: it is in no group"]
    chosen, named = explained(run, "id2", "id1", ask=True).images
    assert chosen.name == next(iter(chosen.probabilities)) == "cat"
    assert sum(chosen.probabilities.values()) == pytest.approx(1)
    assert "  probabilities by its caption: cat 0.80, " in chosen.told
    assert named.probabilities == {}  # its raw label is the name
    assert (run / "usage.jsonl").read_bytes() == before  # what was asked then is not asked again


def test_words_left_out():
    assert without("A dog, a DOG's bone and the dog.") == {
        "dog": "A , a DOG's bone and the .",
        "dog's": "A dog, a bone and the dog.",
        "bone": "A dog, a DOG's and the dog.",
    }
    assert without("Ein Hund") == {"ein": "Hund", "hund": "Ein"}
    left = {"dog": "", "bone": "", "grass": "", "cat": ""}
    assert deciding(left, 2.0, [-1.0, 1.5, 1.9, 3.0]) == [("dog", 3.0), ("bone", 0.5)]
    assert deciding({}, 2.0, []) == []
    assert deciding({"cat": ""}, 2.0, [3.0]) == []


def test_where_the_evidence_lies():
    heat = np.zeros((4, 4), dtype=np.float32)
    heat[0, 3] = 1
    assert lies(heat, (0, 0, 1, 1)) == (1 / 32, "at the upper right")
    assert lies(heat, (0.0, 0.5, 0.5, 1.0)) == (1 / 128, "in the middle")
    assert lies(np.full((4, 4), 1 / 16, dtype=np.float32), (0, 0, 1, 1)) == (0.5, "in the middle")


def test_the_command(run):
    called = CliRunner().invoke(cli, ["explain", str(run), "p003"], catch_exceptions=False)
    assert called.exit_code == 0
    text = called.stdout
    assert text.startswith(
        "groups compared by: cosine with the centres of kmeans (agrees with 100%"
    )
    for part in ("p003.png is in ", "  ahead of ", "  evidence: half of it in ", "  nearest: p0"):
        assert f"\n{part}" in text
    assert f"page: {run / 'explain/index.html'}" in text
    called = CliRunner().invoke(cli, ["explain", str(run), "p003", "--json"])
    found = json.loads(called.stdout)
    assert found["images"][0]["id"] == "p003.png"
    called = CliRunner().invoke(cli, ["explain", str(run), "--limit", "5", "--json"])
    assert len(json.loads(called.stdout)["images"]) == 5
    assert np.sum(found["images"][0]["heat"]["grid"]) == pytest.approx(1, abs=1e-3)


def test_an_image_by_its_file(objects, tmp_path):
    rows = [
        {"id": f"id{i}", "file": str(objects[0] / f"photos/p00{i}.png"), "raw_label": "ab"[i % 2]}
        for i in range(4)
    ]
    file = tmp_path / "some.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = ran(tmp_path, file, method="ictc", llm="fake", n_clusters=2).run
    found = explained(run, "id0", "p001.png", "photos/p002.png", rows[3]["file"])
    assert [one.id for one in found.images] == ["id0", "id1", "id2", "id3"]
    # groups of labels that nobody read off a caption: what sets the images apart is shown
    assert found.by == "cosine with the mean of each group"
    assert all(one.heat is not None for one in found.images)


def test_what_cannot_be_explained(objects, run, tmp_path):
    with complains("p003.pnj: there is no such sample", "did you mean p003.png"):
        explained(run, "p001", "p003.pnj")
    assert not (run / "explain").exists()
    with complains("is no run directory"):
        explained(tmp_path)
    (run / "assignments.csv").rename(run / "kept.csv")
    with complains("has no result yet"):
        explained(run, "p003")
    (run / "kept.csv").rename(run / "assignments.csv")
    (run / "explain").mkdir()
    (run / "explain/explanations.json").write_text('{"images": [')
    with complains("explanations.json: cannot be read"):
        explained(run, "p003")
    assert len(list((run / "explain").iterdir())) == 1


def test_neither_captions_nor_images(tmp_path):
    file = tmp_path / "labels.jsonl"
    rows = [{"id": f"id{i}", "raw_label": "ab"[i % 2]} for i in range(6)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ran(tmp_path, file, "letter", method="ictc", llm="fake", n_clusters=2)
    with complains("has neither captions nor images to explain"):
        explained(tmp_path / "run", "id1")


def test_images_that_are_gone_or_changed(objects, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(8):
        shutil.copy(objects[0] / f"photos/p00{number}.png", photos)
    run = ran(tmp_path, photos, n_clusters=2).run
    (photos / "p000.png").unlink()
    shutil.copy(photos / "p002.png", photos / "p001.png")
    gone, changed, there = explained(run, "p000", "p001", "p002").images
    assert gone.notes == [f"no heat map: {photos / 'p000.png'} cannot be read (No such file or "
                          "directory)"]  # fmt: skip
    assert changed.notes == [f"no heat map: {photos / 'p001.png'} was changed since the run"]
    assert there.heat is not None
    assert len(gone.neighbours) == len(changed.neighbours) == 5
    shutil.rmtree(photos)
    assert explained(run, "p002").images[0].margin == pytest.approx(there.margin, abs=1e-5)


def test_a_torn_store(objects, run, tmp_path):
    (file,) = (run / "embeddings").glob("*/vectors.npy")
    file.write_bytes(file.read_bytes()[:-100])
    with complains("vectors.npy: is torn"):
        explained(run, "p003")
    assert not (run / "explain").exists()


def test_one_group_alone(tmp_path):
    run = ran(tmp_path, manifest(tmp_path / "m.jsonl", ["a dog", "a cat"]), n_clusters=2).run
    with service.session(run, QUIET) as talk:
        talk.say(f"/move id0 to {next(r for r in talk.clustering().rows(1))['name']}")
    found = explained(run, "id1")
    assert (found.by, found.agreement) == ("there are no two groups to compare", None)
    assert found.images[0].words == []
    assert [n["id"] for n in found.images[0].neighbours] == ["id0"]


def test_captions_are_text(tmp_path):
    captions = ["<script>alert(1)</script> a \x1b[31mdog"] * 3 + ["a cat on a mat"] * 3
    file = manifest(tmp_path / "m.jsonl", captions)
    run = ran(tmp_path, file, n_clusters=2, embedder="minilm").run
    found, page = service.explain(run, ["id0"], reporter=QUIET)
    assert "<script" not in page.read_text()
    assert "&lt;" in page.read_text()
    assert "\x1b" not in as_text(found)  # nor does a terminal obey it
