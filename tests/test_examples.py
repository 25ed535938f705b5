"""The examples run as they stand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_runs(example, tmp_path):
    environment = dict(os.environ) | {"AGENTCLUST_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, str(example), "fake"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "clusters" in done.stdout or "Merged" in done.stdout
