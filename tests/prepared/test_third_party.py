"""A dataset of an installed package of somebody else, from the command line to the scores."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from official import jpeg, pack

from agentclust.datasets import preparing
from agentclust.datasets.recipe import Wishes
from tests import outside
from tests.readme import README

CODE = '''
from agentclust.datasets.recipe import Archive, Picture, Recipe, found, mixed


def read(source):
    """Leaves lie in folders by the tree that they fell from."""
    for file in mixed(sorted(found(source.folder, "leaves").glob("*/*.jpg"))):
        labels = {"tree": file.parent.name, "season": "autumn"}
        yield Picture(file.relative_to(source.folder).as_posix(), "all", labels, file)


LEAVES = Recipe(
    about="leaves by tree", read=read, archives=(Archive("leaves.zip", "http://127.0.0.1:9/l.zip"),)
)


class Eyes:
    identity = "eyes-1"

    def caption(self, image):
        from agentclust.files.images import read_image

        red, green, _ = read_image(image).getpixel((30, 25))
        return "a leaf that is red" if red > green else "a leaf that is green"
'''
ENTRIES = """
[agentclust.datasets]
leaves = arboretum.leaves:LEAVES
rotten = arboretum.nothing:LEAVES

[agentclust.captioners]
eyes = arboretum.leaves:Eyes
"""


@pytest.fixture
def site(tmp_path):
    """The folder of a distribution as an installer leaves it."""
    site = tmp_path / "site"
    about = site / "arboretum-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "arboretum").mkdir()
    (site / "arboretum" / "leaves.py").write_text(CODE)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: arboretum\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(ENTRIES)
    return site


def test_a_dataset_of_an_installed_package(site, tmp_path, home):
    def agentclust(*words):
        return outside.run(*words, cwd=tmp_path, path=site)

    listed = agentclust("datasets", "list").out
    assert "leaves         -        leaves by tree\n" in listed
    assert "rotten         -        rotten: arboretum.nothing:LEAVES cannot be loaded" in listed

    words = ("run", "leaves", "--criterion", "tree", "--n-clusters", 2, "--vlm", "eyes",
             "--llm", "none", "--method", "kmeans", "--embedder", "tfidf",
             "--out", "run")  # fmt: skip
    ended = agentclust(*words)
    assert ended.status == 2
    assert "leaves: is not prepared below " in ended.complaint
    assert ended.complaint.endswith("run: agentclust datasets prepare leaves")

    trees = {f"leaves/{tree}/{n}.jpg": jpeg(c) for c, tree in enumerate(("maple", "oak"))
             for n in range(6)}  # fmt: skip
    pack(tmp_path / "mine.zip", trees)
    ended = agentclust("datasets", "prepare", "leaves", "--from", "mine.zip")
    assert (ended.status, ended.out) == (0, f"{home}/datasets/leaves\n"), ended.err
    assert "mine.zip: was not checked; its own checksum is sha256:" in ended.err
    assert "leaves         prepared leaves by tree\n" in agentclust("datasets", "list").out

    ended = agentclust(*words)
    assert ended.status == 0, ended.err
    labels = home / "datasets" / "leaves" / "labels.csv"
    words = ("evaluate", "run", "--labels", labels, "--axis", "tree", "--json")
    scores = json.loads(agentclust(*words).out)
    assert (scores["n"], scores["acc"]) == (12, 1.0)
    shown = agentclust("datasets", "show", "leaves").out
    assert "axis tree: 2 classes (maple 6, oak 6)" in shown


def test_the_example_of_the_readme(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    (block,) = (block for block in blocks if "Recipe" in block)
    names: dict[str, Any] = {}
    exec(block, names)
    archive = pack(tmp_path / "mine.zip", {f"leaves/{t}/1.jpg": jpeg(1) for t in ("elm", "oak")})
    wish = Wishes(given=(str(archive),))
    root = preparing.prepare(names["LEAVES"], "leaves", tmp_path / "leaves", wish)
    assert sorted((root / "labels.csv").read_text("utf-8").split()) == [
        "all-000000.jpg,elm", "all-000001.jpg,oak", "id,tree"
    ]  # fmt: skip
