"""New images go into the groups of a finished run, and a person's edits hold for them."""

import json

import pytest

from agentclust import service
from agentclust.config import make_config
from agentclust.errors import InputError
from agentclust.progress import Reporter
from agentclust.run.record import read_clustering

QUIET = Reporter(quiet=True)


def manifest(folder, name, captions):
    file = folder / f"{name}.jsonl"
    rows = [{"id": f"{name}{i}", "caption": text} for i, text in enumerate(captions)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


@pytest.fixture
def finished(tmp_path):
    """A run over violins, cellos and harps."""
    captions = [f"somebody with a {word}" for word in ("violin", "cello", "harp") * 4]
    config = make_config(
        {
            "dataset": manifest(tmp_path, "old", captions),
            "criterion": "instrument",
            "n_clusters": 3,
            "llm": "fake",
        }
    )
    service.start([config], tmp_path / "run", reporter=QUIET)
    return tmp_path / "run"


def test_the_names_of_the_run_hold(finished, tmp_path):
    new = manifest(tmp_path, "new", ["an old harp", "a child plays the cello", "one more harp"])
    found = service.assign(finished, new, tmp_path / "new-run", QUIET)
    assert set(found.names) == {"violin", "cello", "harp"}
    assert [row["name"] for row in found.table()] == ["harp", "cello", "harp"]
    assert read_clustering(tmp_path / "new-run").names == found.names


def test_the_edits_of_a_person_hold(finished, tmp_path):
    with service.session(finished, QUIET) as talk:
        assert talk.say("/merge violin cello as strings").changed
        assert talk.say("/rename harp to pedal harp").changed
        assert talk.say("/undo").changed
        assert talk.say("/rename harp to big harp").changed
    new = manifest(tmp_path, "new", ["an old harp", "a child plays the cello", "a violin"])
    found = service.assign(finished, new, tmp_path / "new-run", QUIET)
    assert [row["name"] for row in found.table()] == ["big harp", "strings", "strings"]
    again = service.resume(tmp_path / "new-run", QUIET)[0]
    assert again.table() == found.table()


def test_a_group_that_was_split_is_split_for_new_images(finished, tmp_path):
    with service.session(finished, QUIET) as talk:
        talk.say("/merge violin cello as strings")
        answer = talk.say("/split strings into violin, cello")
        assert answer.changed, answer.text
    new = manifest(tmp_path, "new", ["a child plays the cello", "a violin"])
    found = service.assign(finished, new, tmp_path / "new-run", QUIET)
    assert [row["name"] for row in found.table()] == ["cello", "violin"]


def test_a_fallback_places_new_images_by_their_neighbours(tmp_path):
    captions = [f"somebody with a {word} {i}" for i, word in enumerate(("violin", "harp") * 6)]
    old = manifest(tmp_path, "old", captions)
    config = make_config(
        {"dataset": old, "criterion": "instrument", "n_clusters": 2, "method": "kmeans",
         "llm": "none", "embedder": "tfidf"}
    )  # fmt: skip
    first = service.start([config], tmp_path / "run", reporter=QUIET)[0]
    by_word = {row["name"]: captions[i] for i, row in enumerate(first.table())}
    new = manifest(tmp_path, "new", ["an old harp", "a violin"])
    found = service.assign(tmp_path / "run", new, tmp_path / "new-run", QUIET)
    assert ["harp" in by_word[row["name"]] for row in found.table()] == [True, False]
    assert found.method == "kmeans"


def test_a_run_without_a_result_takes_no_new_images(finished, tmp_path):
    (finished / "assignments.csv").unlink()
    new = manifest(tmp_path, "new", ["a harp"])
    with pytest.raises(InputError, match="no result yet"):
        service.assign(finished, new, tmp_path / "new-run", QUIET)
