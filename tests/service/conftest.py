from __future__ import annotations

import pytest


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """The file of what the plugged-in parts were asked."""
    monkeypatch.setenv("ASKED", str(tmp_path / "asked.jsonl"))
    return tmp_path / "asked.jsonl"
