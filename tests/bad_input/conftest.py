from __future__ import annotations

import pytest

from tests.plugged import manifest
from tests.service.starting import CAPTIONS


@pytest.fixture
def folder(tmp_path):
    """A working folder with a manifest ``m.jsonl``."""
    manifest(tmp_path / "m.jsonl", CAPTIONS)
    return tmp_path
