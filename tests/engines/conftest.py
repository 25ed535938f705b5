from __future__ import annotations

import json
import random

import pytest

THINGS = ("car", "bird", "tree", "boat")


@pytest.fixture(scope="package")
def cluster():
    from tests.engines import machines  # imports Ray, which may be missing

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
