from __future__ import annotations

import shutil

import pytest

from tests.explaining.runs import ran
from tests.objects import KINDS, pictures


@pytest.fixture(scope="package")
def objects(tmp_path_factory):
    """Pictures of four objects, the box around each, and a run that has clustered them."""
    root = tmp_path_factory.mktemp("objects")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AGENTCLUST_HOME", str(root / "home"))
        boxes = pictures(root / "photos", 32)
        found = ran(root, root / "photos", settings=["cache=false"])
    groups = {(i % len(KINDS), int(label)) for i, label in enumerate(found.labels_)}
    assert len(groups) == len(KINDS)
    return root, boxes


@pytest.fixture
def run(objects, tmp_path):
    """A copy of that run."""
    return shutil.copytree(objects[0] / "run", tmp_path / "copy")
