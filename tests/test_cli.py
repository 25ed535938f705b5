"""The command line from the outside: what scripts and people depend on."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tests import outside
from tests.plugged import manifest, noted, pictures

CAPTIONS = ["a ball", "a cone", "a small ball", "a cone", "a ball", "a sofa"]
SHAPE = ("--criterion", "shape", "--n-clusters", 2, "--llm", "fake")
COMMANDS = ["", "run", "resume", "show", "evaluate", "report", "models", "models list",
            "models pull", "models check", "datasets", "datasets list", "datasets prepare",
            "datasets show", "demo", "assign", "chat", "suggest", "compare", "export"]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A working folder with a manifest ``m.jsonl``, and a run of it in ``done``."""
    manifest(tmp_path / "m.jsonl", CAPTIONS)
    return tmp_path


@pytest.fixture
def done(folder):
    ended = outside.run("run", "m.jsonl", *SHAPE, "--out", "done", cwd=folder)
    assert ended.status == 0, ended.err
    return folder


def state(folder):
    return json.loads((folder / "run.json").read_text("utf-8"))


# the script itself


def test_the_script_is_installed_and_runs_by_itself(folder):
    def agentclust(*words):
        return subprocess.run((outside.SCRIPT, *words), cwd=folder, capture_output=True, text=True)

    version = agentclust("--version")
    assert (version.returncode, version.stderr) == (0, "")
    assert re.fullmatch(r"agentclust, version \d+\.\d+\.\d+\n", version.stdout)
    ran = agentclust("run", "m.jsonl", *map(str, SHAPE), "--out", "run")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("6 images by 'shape': 2 clusters\n")
    wrong = agentclust("run", "nowhere/", *map(str, SHAPE))
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == (
        "error: nowhere/: does not exist; pass a folder of images or a manifest\n"
    )


def test_the_package_runs_as_the_script_does(folder):
    words = (sys.executable, "-m", "agentclust", "--version")
    ran = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert re.fullmatch(r"agentclust, version \d+\.\d+\.\d+\n", ran.stdout)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_has_help(tmp_path, command, flag):
    ended = outside.run(*command.split(), flag, cwd=tmp_path)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith(f"Usage: agentclust {command}".rstrip())


def test_no_command_shows_the_help(tmp_path):
    ended = outside.run(cwd=tmp_path)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("Usage: agentclust")


# results


def test_standard_output_carries_the_result_alone(folder):
    ended = outside.run("run", "m.jsonl", *SHAPE, "--out", "out", cwd=folder)
    assert ended.status == 0
    assert ended.out == (
        "6 images by 'shape': 2 clusters\n"
        "     3  ball\n"
        "     2  cone\n"
        "     1  unassigned\n"
        "report: out/report.html\n\n"
    )
    assert "shape · assign: 5 samples assigned, 1 unassigned" in ended.err
    assert "\x1b" not in ended.err
    assert "\r" not in ended.err
    assert not re.search("[━╸█]", ended.err)
    resumed = outside.run("resume", "out", cwd=folder)
    assert (resumed.status, resumed.out) == (0, ended.out)


def test_show_prints_one_object(done):
    ended = outside.run("show", "done", "--json", cwd=done)
    assert (ended.status, ended.err) == (0, "")
    shown = json.loads(ended.out)
    assert shown.keys() >= {"status", "criterion", "method", "n_samples", "clusters",
                            "unassigned", "fallbacks", "usage"}  # fmt: skip
    assert shown["usage"].keys() >= {"calls", "prompt_tokens", "cached_prompt_tokens",
                                     "completion_tokens", "seconds"}  # fmt: skip
    assert (shown["status"], shown["criterion"], shown["method"]) == ("done", "shape", "agent")
    assert (shown["by"], shown["attempts"][0]["folder"]) == ("ictc", "01-shape")
    assert [attempt["is_result"] for attempt in shown["attempts"]].count(True) == 1
    assert shown["clusters"] == [{"name": "ball", "size": 3}, {"name": "cone", "size": 2}]
    assert (shown["n_samples"], shown["unassigned"], shown["fallbacks"]) == (6, 1, [])
    assert shown["usage"]["calls"] > 6
    read = outside.run("show", "done", cwd=done)
    assert read.out.startswith("shape: done\n6 samples")
    assert "     1  unassigned\n" in read.out


def test_evaluate_prints_one_object(done):
    rows = zip(range(6), ("x", "y", "x", "y", "y", "z"), strict=True)
    text = "id,truth,other\n" + "".join(f"id{i},{name},same\n" for i, name in rows)
    (done / "labels.csv").write_text(text)
    words = ("evaluate", "done", "--labels", "labels.csv")
    ended = outside.run(*words, "--axis", "truth", "--json", cwd=done)
    assert (ended.status, ended.err) == (0, "")
    scores = json.loads(ended.out)
    assert scores.keys() >= {"n", "acc", "nmi", "ari", "unassigned", "n_clusters"}
    assert (scores["n"], scores["n_clusters"]) == (6, 2)
    assert scores["acc"] == pytest.approx(4 / 6)
    assert "acc" in outside.run(*words, "--axis", "truth", cwd=done).out
    for axis in ((), ("--axis", "mood")):
        wrong = outside.run(*words, *axis, cwd=done)
        assert wrong.status == 2
        assert "truth, other" in wrong.complaint


def test_report_prints_where_the_page_is(done):
    (done / "done/report.html").unlink()
    ended = outside.run("report", "done", cwd=done)
    assert (ended.status, ended.out, ended.err) == (0, "done/report.html\n", "")
    assert (done / "done/report.html").exists()


def test_several_criteria_go_below_one_folder(folder):
    ended = outside.run("run", "m.jsonl", *SHAPE, "--criterion", "kind of thing",
                        "--out", "all", cwd=folder)  # fmt: skip
    assert ended.status == 0
    assert ended.out.count("report: all/") == 2
    shown = json.loads(outside.run("show", "all", "--json", cwd=folder).out)
    assert [run["criterion"] for run in shown["runs"]] == ["kind of thing", "shape"]


def test_without_out_runs_go_below_runs(folder):
    for name in ("shape", "shape-2"):
        ended = outside.run("run", "m.jsonl", *SHAPE, cwd=folder)
        assert f"report: runs/{name}/report.html\n" in ended.out


def test_a_file_of_settings(folder):
    (folder / "c.yaml").write_text("llm: fake\nn_clusters: 3\nseed: 5\n")
    words = ("run", "m.jsonl", "--criterion", "shape", "--config", "c.yaml")
    assert outside.run(*words, "--out", "a", cwd=folder).status == 0
    assert outside.run(*words, "--n-clusters", 2, "--seed", 6, "--set", "max_calls=99",
                       "--out", "b", cwd=folder).status == 0  # fmt: skip
    configs = [state(folder / name)["config"] for name in "ab"]
    assert [(c["n_clusters"], c["seed"], c["max_calls"]) for c in configs] == [
        (3, 5, None),
        (2, 6, 99),
    ]


def test_lists_of_models_and_datasets(tmp_path):
    models = outside.run("models", "list", cwd=tmp_path)
    assert (models.status, models.err) == (0, "")
    assert "qwen2.5-coder-1.5b" in models.out
    datasets = outside.run("datasets", "list", cwd=tmp_path)
    assert (datasets.status, datasets.err) == (0, "")
    assert re.search("^cifar10 +- +60,000 small photographs of 10 classes$", datasets.out, re.M)


def test_a_reader_that_goes_away_is_no_fault(done):
    command = f"'{outside.SCRIPT}' models list | true; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(("bash", "-c", command), cwd=done, capture_output=True, text=True)
    assert "Traceback" not in ended.stderr


# plug-ins


def test_a_captioner_of_an_installed_package(folder, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("ASKED", str(folder / "asked"))
    package = tmp_path_factory.mktemp("installed")
    about = package / "seeing-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: seeing\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[agentclust.captioners]\nseeing-colours = tests.plugged:Colours\n"
        "[agentclust.models]\nremembering = tests.plugged:Recording\n"
    )
    pictures(folder / "pictures", "rgrg")
    words = ("run", "pictures", "--criterion", "colour", "--n-clusters", 2)
    plugged = ("--vlm", "seeing-colours", "--llm", "remembering")
    unknown = outside.run(*words, *plugged, cwd=folder)
    assert unknown.status == 2
    assert "unknown model" in unknown.complaint
    ended = outside.run(*words, *plugged, "--out", "run", cwd=folder, path=package)
    assert ended.status == 0, ended.err
    assert "     2  green\n" in ended.out
    assert {"captioned" in row for row in noted(folder / "asked")} == {True, False}


WITHOUT = """
import sys
EXTRA = ("torch", "umap", "numba", "ray", "pyarrow", "transformers", "llama_cpp",
         "sentence_transformers", "datasets", "skimage")
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in EXTRA:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Absent())
import pkgutil
import agentclust.cli, agentclust.service, agentclust.explaining.by_images, agentclust.pages
from agentclust.clusterers.minibatch import MiniBatchKMeans
for module in pkgutil.iter_modules(agentclust.cli.__path__):
    __import__(f"agentclust.cli.{module.name}")
print("loaded")
"""


def test_no_command_needs_an_extra_before_it_is_used():
    """Nor does any wait for what takes seconds to load."""
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True)
    assert done.stdout == "loaded\n", done.stderr
