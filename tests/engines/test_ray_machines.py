"""What machines of a Ray cluster must have in common, and what is sent to them."""

from __future__ import annotations

import json
import os
import platform
import re
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="the extra ray is not installed")

from ray._raylet import GcsClient

from agentclust.errors import BudgetSpent, InputError
from agentclust.progress import Reporter
from agentclust.service import Place
from tests.endpoint import as_fake
from tests.engines import machines
from tests.engines.machines import begun, ended, environment
from tests.engines.runs import PATIENT, calls, run, same, settings, words
from tests.models.stub_endpoint import Stub
from tests.pictures import draw

pytestmark = PATIENT


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
