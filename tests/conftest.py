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
