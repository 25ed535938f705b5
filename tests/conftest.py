import os
import subprocess

import pytest

from agentclust import cache
from tests.pictures import draw

REAL_HOME = cache.home()


@pytest.fixture(scope="session")
def real_home():
    """The person's own folder of models and answers: to be read, never to be written."""
    return REAL_HOME


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    """A folder of models and answers for this test alone."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("AGENTCLUST_HOME", str(folder))
    return folder


@pytest.fixture
def photos(tmp_path):
    """A folder of six small pictures, two of each colour."""
    folder = tmp_path / "photos"
    for number, colour in enumerate(("red", "red", "green", "green", "blue", "blue")):
        draw(folder / f"{number}.png", colour=colour)
    return folder


@pytest.fixture
def small_disk(tmp_path):
    """Makes a file system of so many KiB; skips where this user may mount none."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def make(size):
        mount = ("mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(disk))
        if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("this user may not mount a small disk")
        return disk

    yield make
    if disk.is_mount():
        subprocess.run(("umount", "--lazy", str(disk)), check=True)
