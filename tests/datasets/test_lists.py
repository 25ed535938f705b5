"""A list of files becomes a dataset; a name must be known."""

from agentclust.datasets import from_files, prepare
from tests.complaints import complains
from tests.datasets.files import ids, reasons
from tests.pictures import draw

# files


def test_files(photos, monkeypatch):
    dataset = from_files([photos / "0.png", str(photos / "1.png")])
    assert ids(dataset) == ["0.png", "1.png"]
    draw(photos.parent / "other" / "0.png")
    dataset = from_files([photos / "0.png", photos.parent / "other" / "0.png"])
    assert ids(dataset) == ["photos/0.png", "other/0.png"]
    monkeypatch.chdir(photos)
    assert ids(from_files(["0.png", photos.parent / "other" / "0.png"])) == ["0.png", "other/0.png"]


def test_files_that_cannot_be_used(photos):
    dataset = from_files([photos / "0.png", photos / "no.png", photos])
    assert reasons(dataset) == {"no.png": "file not found", "photos": "not a regular file"}


def test_bad_lists_of_files(photos):
    with complains("is an empty list"):
        from_files([])
    with complains("id '0.png' stands there twice"):
        from_files([photos / "0.png", photos / "0.png"])
    with complains("no usable image among 1 (file not found)"):
        from_files([photos / "no.png"])


# registered datasets


def test_an_unknown_dataset():
    with complains("clevr4-mimi: unknown dataset", "did you mean 'clevr4-mini'?"):
        prepare("clevr4-mimi")
