"""Why captions are where they are: the words that decide."""

from __future__ import annotations

import json

import numpy as np
import pytest

from agentclust import service
from agentclust.explaining.explained import as_text, lies
from agentclust.explaining.words import deciding, without
from tests.explaining.runs import QUIET, explained, ran
from tests.plugged import manifest
from tests.scenes import PLACES, scenes

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


def test_captions_are_text(tmp_path):
    captions = ["<script>alert(1)</script> a \x1b[31mdog"] * 3 + ["a cat on a mat"] * 3
    file = manifest(tmp_path / "m.jsonl", captions)
    run = ran(tmp_path, file, n_clusters=2, embedder="minilm").run
    found, page = service.explain(run, ["id0"], reporter=QUIET)
    assert "<script" not in page.read_text()
    assert "&lt;" in page.read_text()
    assert "\x1b" not in as_text(found)  # nor does a terminal obey it
