import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def gguf(tmp_path_factory):
    """A chat model as a GGUF: ``$AGENTCLUST_TEST_GGUF``, else a tiny one with random weights."""
    named = os.environ.get("AGENTCLUST_TEST_GGUF")
    if named:
        return Path(named)
    tiny = pytest.importorskip("tests.models.tiny_gguf", reason="the package gguf is missing")
    return tiny.llama(tmp_path_factory.mktemp("gguf") / "tiny.gguf")
