"""``agentclust.cluster``: ten lines of Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import agentclust
from agentclust.errors import AgentclustError, InputError
from tests.plugged import manifest, pictures

HOW = {"criterion": "colour", "n_clusters": 2, "llm": "fake", "vlm": "tests.plugged:Colours"}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Calls without ``out`` write below the working folder."""
    monkeypatch.chdir(tmp_path)


def test_a_folder_becomes_a_clustering(tmp_path, capfd):
    folder = pictures(tmp_path / "pictures", "rgrgrk")
    found = agentclust.cluster(folder, **HOW)
    assert isinstance(found, agentclust.Clustering)
    assert found.labels_.shape == found.confidences.shape == (6,)
    assert found.labels_.dtype == np.int64
    assert set(found.names) == {"red", "green"}
    assert found.sizes() == {"red": 3, "green": 2}
    assert [found.names[i] for i in found.labels_[:5]] == ["red", "green"] * 2 + ["red"]
    assert found.labels_[5] == -1
    assert found.confidences[:5].min() > 0.5
    assert found.confidences[5] == 0
    assert found.run == Path("runs/colour")
    assert (found.run / "report.html").exists()
    assert (found.n_clusters, len(found)) == (2, 6)
    assert capfd.readouterr() == ("", "")


def test_the_table_has_a_row_a_sample(tmp_path):
    folder = pictures(tmp_path / "pictures", "rgrg")
    found = agentclust.cluster(str(folder), out=tmp_path / "run", **HOW)
    table = found.table()
    assert [list(row) for row in table] == [["id", "path", "cluster", "name", "confidence"]] * 4
    assert [row["name"] for row in table] == ["red", "green"] * 2
    assert table[0]["id"] == "secret0.png"
    assert Path(table[0]["path"]) == folder / "secret0.png"


def test_it_prints_as_a_person_reads_it(tmp_path):
    found = agentclust.cluster(pictures(tmp_path / "pictures", "rgrgrk"), **HOW)
    lines = str(found).splitlines()
    assert lines[0] == "6 images by 'colour': 2 clusters"
    assert sorted(line.split() for line in lines[1:]) == [
        ["1", "unassigned"],
        ["2", "green"],
        ["3", "red"],
    ]


def test_a_list_of_files_in_its_own_order(tmp_path):
    folder = pictures(tmp_path / "pictures", "rgrg")
    files = sorted(folder.iterdir(), reverse=True)
    found = agentclust.cluster(files, **HOW)
    assert found.ids == ("secret3.png", "secret2.png", "secret1.png", "secret0.png")
    assert [found.names[i] for i in found.labels_] == ["green", "red"] * 2
    again = agentclust.cluster((str(file) for file in files), **HOW)
    assert again.ids == found.ids
    assert again.run == Path("runs/colour-2")


def test_files_of_one_name_are_told_apart(tmp_path):
    for part in ("a", "b"):
        pictures(tmp_path / part, "rg")
    files = [tmp_path / part / f"secret{i}.png" for part in "ab" for i in range(2)]
    assert agentclust.cluster(files, **HOW).ids == (
        "a/secret0.png",
        "a/secret1.png",
        "b/secret0.png",
        "b/secret1.png",
    )


def test_a_manifest_needs_no_images(tmp_path):
    file = manifest(tmp_path / "m.jsonl", ["a ball", "a cone", "a ball"])
    found = agentclust.cluster(file, criterion="shape", n_clusters=2, llm="fake", seed=3)
    assert found.sizes() == {"ball": 2, "cone": 1}
    assert found.files == ("", "", "")


def test_settings_reach_the_run(tmp_path):
    from agentclust import pages

    file = manifest(tmp_path / "m.jsonl", ["a ball", "a cone"] * 20)
    with pytest.raises(AgentclustError):  # the fake model gives no list of names in this mode
        agentclust.cluster(
            file, criterion="shape", n_clusters=2, llm="fake", mode="paper", out="run"
        )
    assert pages.show(Path("run"))["mode"] == "paper"


def test_progress_is_shown_where_it_is_wanted(tmp_path, capfd):
    file = manifest(tmp_path / "m.jsonl", ["a ball", "a cone", "a ball"])
    agentclust.cluster(file, criterion="shape", n_clusters=2, llm="fake", quiet=False)
    out, err = capfd.readouterr()
    assert out == ""
    assert "shape · assign: 3 samples assigned, 0 unassigned" in err


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"n_clusters": 1}, "is less than 2"),
        ({"n_clusters": 9}, "is more than the 4 samples"),
        ({"n_clusters": "many"}, "n_clusters='many'"),
        ({"criterion": " "}, "say in plain words"),
        ({"llm": "fakee"}, "did you mean 'fake'"),
        ({"sead": 3}, "did you mean 'seed'"),
        ({"vlm": "tests.plugged:Nobody"}, "cannot be loaded"),
        ({"llm": None}, "no language model was named"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(tmp_path, changed, said):
    folder = pictures(tmp_path / "pictures", "rgrg")
    with pytest.raises(InputError) as caught:
        agentclust.cluster(folder, **HOW | changed)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not Path("runs").exists()


def test_no_images_say_so(tmp_path):
    with pytest.raises(InputError, match="empty list"):
        agentclust.cluster([], **HOW)
    with pytest.raises(InputError, match="no usable image"):
        agentclust.cluster([tmp_path / "nowhere.png"], **HOW)
    with pytest.raises(InputError, match="does not exist"):
        agentclust.cluster(tmp_path / "nowhere", **HOW)


def test_importing_is_quick():
    import subprocess
    import sys

    code = (
        "import sys, agentclust, agentclust.cli\n"
        "heavy = {'numpy', 'langchain_core', 'torch', 'sklearn', 'PIL', 'pydantic'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
