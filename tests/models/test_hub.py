import random

import pytest

from agentclust.errors import ModelError
from agentclust.files import downloads
from agentclust.models import hub
from tests.models.hub_stub import COMMIT, HubStub

CONTENT = random.Random(0).randbytes(3_000_000)


@pytest.fixture
def stub(monkeypatch):
    stub = HubStub("owner/model", {"weights.gguf": CONTENT})
    with stub.running():
        monkeypatch.setenv("HF_ENDPOINT", stub.url + "/")
        monkeypatch.setenv("NO_PROXY", "*")
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield stub


def get(part, watch=lambda done: None):
    hub.download(hub.look("owner/model", "main")["weights.gguf"], part, watch, pause=0.01)


def test_bytes_come_from_the_commit_that_was_looked_at(stub, tmp_path):
    seen = []
    get(tmp_path / "part", seen.append)
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert seen == sorted(seen)
    assert seen[-1] == len(CONTENT)
    assert stub.asked[1] == (f"/owner/model/resolve/{COMMIT}/weights.gguf", "")


def test_broken_connections_are_taken_up_where_they_broke(stub, tmp_path):
    stub.cuts = [2_000_000, 600_000, 0, 0]
    get(tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT
    starts = [
        int(asked[6:-1] or 0) for path, asked in stub.asked if path == "/weights.gguf" and asked
    ]
    assert starts[0] >= 1_000_000
    assert starts == sorted(starts)


def test_a_connection_that_never_brings_anything_is_given_up_and_the_part_kept(stub, tmp_path):
    stub.cuts = [1_500_000] + [0] * 20
    with pytest.raises(ModelError, match=r"cannot be reached .* goes on where it stopped"):
        get(tmp_path / "part")
    kept = (tmp_path / "part").stat().st_size
    assert 0 < kept < len(CONTENT)
    stub.cuts.clear()
    get(tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert stub.asked[-1] == ("/weights.gguf", f"bytes={kept}-")


def test_a_server_without_ranges_sends_all_of_it_again(stub, tmp_path):
    stub.ranges = False
    (tmp_path / "part").write_bytes(CONTENT[:1_000_000])
    get(tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_the_token_goes_to_the_hub_alone(stub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    get(tmp_path / "part")
    assert stub.tokens == {("hub", "Bearer secret"): 2, ("store", ""): 1}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "owner/model: the hub keeps it closed .*HF_TOKEN"),
        (403, "owner/model: the hub keeps it closed .*HF_TOKEN"),
        (404, "owner/model: the hub does not know it"),
        (500, "owner/model: the hub answers 500"),
    ],
)
@pytest.mark.parametrize("where", ["/api", "/owner"])
def test_a_refusal_is_one_line(stub, tmp_path, status, said, where):
    stub.statuses = {where: status}
    with pytest.raises(ModelError, match=said):
        get(tmp_path / "part")
    # a refusal that will not pass is not asked for again
    asked = [path for path, _ in stub.asked if path.startswith(where)]
    assert len(asked) == (downloads.TRIES if (status, where) == (500, "/owner") else 1)


def test_no_hub_at_all(stub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"127.0.0.1:9: cannot be reached"):
        get(tmp_path / "part")


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"sha": "c", "siblings": [{}]}'])
def test_an_answer_that_is_no_hubs(stub, tmp_path, answer):
    stub.listing = lambda: answer
    with pytest.raises(ModelError, match=r"its answer is not a hub's .*check HF_ENDPOINT"):
        get(tmp_path / "part")
