from __future__ import annotations

import pytest

from tests.bad_input.ending import CAPTIONS
from tests.plugged import manifest


@pytest.fixture
def folder(tmp_path):
    """A working folder with a manifest ``m.jsonl``."""
    manifest(tmp_path / "m.jsonl", CAPTIONS)
    return tmp_path
