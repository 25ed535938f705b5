"""A process that is killed while it trains, and the one that goes on."""

import os
import signal
import subprocess
import sys
import time

import pytest

from agentclust.files.arrays import read_arrays
from tests import outside
from tests.plugged import pictures

# the command itself, which writes a checkpoint after each epoch, not each 30 seconds
HURRIED = """
from agentclust.cli import main
from agentclust.clusterers import training
training.SAVED_EVERY = 0.0
main()
"""
EPOCHS = 400


@pytest.mark.slow
@pytest.mark.timeout(900)  # on a machine that is busy otherwise
def test_a_killed_training_goes_on_and_ends_as_if_left_in_peace(tmp_path):
    photos = pictures(tmp_path / "photos", "rgb" * 8)
    words = ["run", photos, "--criterion", "colour", "--method", "temi", "--n-clusters", 3]
    words += ["--llm", "none", "--vlm", "none", "--embedder", "tests.plugged:MeanColour"]
    for setting in ("n_heads=2", "hidden=16", "bottleneck=8", f"epochs={EPOCHS}", "tolerance=-1"):
        words += ["--set", f"clusterer.{setting}"]
    assert outside.run(*words, "--out", "whole", cwd=tmp_path, timeout=300).status == 0

    words = [sys.executable, "-c", HURRIED, *map(str, words), "--out", "run"]
    checkpoint = tmp_path / "run/01-colour/checkpoint.npz"
    env = os.environ | {"PYTHONPATH": str(outside.ROOT)}
    with subprocess.Popen(words, cwd=tmp_path, env=env) as process:
        outside.until(lambda: checkpoint.exists() or process.poll() is not None, 300)
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    about, _ = read_arrays(checkpoint)
    assert 0 < about["epoch"] < EPOCHS
    assert not (tmp_path / "run/assignments.csv").exists()

    resumed = outside.run("resume", "run", cwd=tmp_path, timeout=300)
    assert resumed.status == 0, resumed.err
    found = [(tmp_path / name / "assignments.csv").read_bytes() for name in ("whole", "run")]
    assert found[0] == found[1]
    assert not checkpoint.exists()
