"""Why images are where they are: from a run to its folder, on drawn objects."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from agentclust import service
from agentclust.clusterers.saved import load
from agentclust.embedders import load_embedder
from agentclust.embedders.traces import Features
from agentclust.explaining.choosing import some
from agentclust.explaining.heat import contrast
from agentclust.report.gallery import groups
from agentclust.run.record import read_clustering
from agentclust.types import Clustering
from tests.explaining.runs import QUIET, explained, ran, shown, told
from tests.objects import KINDS, masked, pointing
from tests.plugged import MeanColour
from tests.plugged import pictures as plain

SMALL = ["clusterer.n_heads=2"]


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
