import pytest

from agentclust.run.opening import create, open_run
from tests.run.contents import DATASET, NAMES, ROWS, config


@pytest.fixture
def folder(tmp_path):
    """A run that was begun."""
    with create(tmp_path / "run", config(), DATASET):
        pass
    return tmp_path / "run"


@pytest.fixture
def finished(folder):
    with open_run(folder) as run:
        run.export(ROWS, NAMES)
        run.update(status="done")
    return folder
