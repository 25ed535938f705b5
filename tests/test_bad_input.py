"""What bad input gets: one line with the value, the reason and the next step, and a status."""

from __future__ import annotations

import csv
import html
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import outside
from tests.endpoint import as_fake
from tests.models.stub_endpoint import Answer, Stub, failure
from tests.outside import until
from tests.plugged import manifest, noted, pictures

CAPTIONS = ["a ball", "a cone", "a small ball", "a cone", "a ball", "a sofa"]
SHAPE = ("--criterion", "shape", "--n-clusters", 2, "--llm", "fake")


@pytest.fixture
def folder(tmp_path):
    """A working folder with a manifest ``m.jsonl``."""
    manifest(tmp_path / "m.jsonl", CAPTIONS)
    return tmp_path


def state(folder):
    return json.loads((folder / "run.json").read_text("utf-8"))


WRONG = {
    "no folder": (("photos",), "photos: "),
    "no path": (("./photos",), "./photos: does not exist"),
    "empty folder": (("empty",), "empty: holds no images (no files)"),
    "no images": (("texts",), "texts: holds no images (notes.txt: "),
    "images that are none": (("broken",), "broken: no usable image among 1"),
    "neither": (("texts/notes.txt",), "is neither a folder nor a manifest"),
    "no column": (("column.csv",), "column.csv: has no column 'id'"),
    "no content": (("content.csv",), "has none of 'file', 'caption', 'raw_label'"),
    "no rows": (("rows.csv",), "rows.csv: holds no rows"),
    "no JSON": (("torn.jsonl",), "torn.jsonl:2: is no JSON"),
    "duplicate ids": (("twice.jsonl",), "id 'a' stands there twice"),
    "large K": (("m.jsonl", "--n-clusters", 7), "n_clusters=7: is more than the 6 samples"),
    "K of 1": (("m.jsonl", "--n-clusters", 1), "n_clusters=1: is less than 2"),
    "K below 0": (("m.jsonl", "--n-clusters", -3), "n_clusters=-3: is less than 2"),
    "K no number": (("m.jsonl", "--n-clusters", "x"), "--n-clusters x: is neither a number"),
    "K by half": (("m.jsonl", "--n-clusters", "2.5"), "--n-clusters 2.5: is neither a number"),
    "no criterion": (("m.jsonl", "--criterion", ""), "criterion='': is empty"),
    "blank criterion": (("m.jsonl", "--criterion", " "), "is empty"),
    "criteria alike": (("m.jsonl", "--criterion", "Shape"), "word the criteria apart"),
    "model": (("m.jsonl", "--llm", "fakee"), "fakee: unknown model; did you mean 'fake'?"),
    "provider": (("m.jsonl", "--llm", "nobody:model"), "nobody:model: LangChain cannot load it"),
    "class": (("m.jsonl", "--llm", "tests.plugged:Nobody"), "cannot be loaded"),
    "method": (("m.jsonl", "--method", "ictk"), "ictk: unknown method; did you mean 'ictc'?"),
    "mode": (("m.jsonl", "--set", "mode=papr"), "mode='papr': Input should be 'default' or"),
    "setting": (("m.jsonl", "--set", "sead=3"), "sead: unknown setting; did you mean 'seed'?"),
    "no setting": (("m.jsonl", "--set", "seed"), "seed: is not KEY=VALUE"),
    "YAML": (("m.jsonl", "--set", "seed=[1"), "seed=[1: its value is no YAML"),
    "seed": (("m.jsonl", "--seed", "x"), "'x' is not a valid integer"),
    "calls": (("m.jsonl", "--max-calls", 0), "max_calls=0: "),
    "file of settings": (("m.jsonl", "--config", "nowhere.yaml"), "nowhere.yaml: cannot be read"),
    "setting of a file": (("m.jsonl", "--config", "wrong.yaml"), "sead: unknown setting"),
    "templates": (("m.jsonl", "--prompts", "nowhere"), "nowhere: is not a folder"),
    "template": (("m.jsonl", "--prompts", "unknown"), "lable: unknown template; did you mean"),
    "variable": (("m.jsonl", "--prompts", "undeclared"), "uses undeclared variables ['mood']"),
    "braces": (("m.jsonl", "--prompts", "braces"), "is no Jinja template"),
    "no GGUF": (("m.jsonl", "--llm", "llama-cpp:m.jsonl"), "m.jsonl: is not a GGUF file"),
    "GGUF gone": (("m.jsonl", "--llm", "llama-cpp:gone.gguf"), "gone.gguf: no such file"),
    "no key": (("m.jsonl", "--llm", "openai:gpt"), "openai:gpt: needs a key"),
    "out is full": (("m.jsonl", "--out", "texts"), "texts: is not empty; pass another --out"),
    "out is a file": (("m.jsonl", "--out", "m.jsonl"), "m.jsonl: is a file"),
    "out below a file": (("m.jsonl", "--out", "m.jsonl/run"), "m.jsonl/run: cannot be made"),
    "no dataset": ((), "Missing argument 'DATASET'"),
    "option": (("m.jsonl", "--critrion", "x"), "--critrion"),
    "engine": (("m.jsonl", "--engine", "rai"), "rai: unknown engine; did you mean 'ray'?"),
    "address": (("m.jsonl", "--address", "auto"), "means nothing to models in this process"),
}  # fmt: skip


@pytest.fixture(scope="module")
def wrongs(tmp_path_factory):
    """A working folder full of faults."""
    folder = tmp_path_factory.mktemp("wrong")
    manifest(folder / "m.jsonl", CAPTIONS)
    label = (outside.ROOT / "prompts/label.yaml").read_text("utf-8")
    files = {
        "texts/notes.txt": "notes",
        "broken/broken.png": "no picture",
        "column.csv": "name,caption\na,a ball\n",
        "content.csv": "id,title\na,a ball\n",
        "rows.csv": "id,caption\n",
        "torn.jsonl": '{"id": "a", "caption": "a ball"}\n{"id": "b", "ca',
        "twice.jsonl": '{"id": "a", "caption": "a ball"}\n' * 2,
        "wrong.yaml": "sead: 3\n",
        "unknown/lable.yaml": label,
        "undeclared/label.yaml": label.replace("{{ caption }}", "{{ caption }} {{ mood }}"),
        "braces/label.yaml": label.replace("{{ caption }}", "{{ caption"),
    }
    (folder / "empty").mkdir()
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_call_gets_one_line(wrongs, fault, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    words, said = WRONG[fault]
    out = () if "--out" in words else ("--out", "run")
    ended = outside.run("run", *SHAPE, *words, *out, cwd=wrongs)
    assert ended.status == 2
    assert said in ended.complaint
    assert not (wrongs / "run").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("resume", "nowhere"),
        ("show", "nowhere"),
        ("show", "m.jsonl", "--json"),
        ("report", "nowhere"),
        ("evaluate", "nowhere", "--labels", "m.jsonl"),
        ("evaluate", "done", "--labels", "nowhere.csv"),
        ("evaluate", "done", "--labels", "m.jsonl"),
        ("evaluate", "done"),
        ("models", "check", "fakee"),
        ("models", "pull", "nobody"),
        ("datasets", "prepare", "nobody"),
        ("frobnicate",),
    ],
    ids=" ".join,
)
def test_other_commands_complain_in_one_line_too(folder, words):
    assert outside.run("run", "m.jsonl", *SHAPE, "--out", "done", cwd=folder).status == 0
    ended = outside.run(*words, cwd=folder)
    assert ended.status == 2
    assert ended.complaint


def test_a_missing_extra_names_its_install_line(folder):
    words = ("run", "m.jsonl", *SHAPE, "--out", "run")
    for model, package, extra in (
        ("llama-cpp:model.gguf", "llama_cpp", "llama-cpp"),
        ("transformers:some/model", "transformers", "transformers"),
    ):
        ended = outside.run(*words, "--llm", model, cwd=folder, without=(package,))
        assert ended.status == 2
        assert f"pip install 'agentclust[{extra}]'" in ended.complaint
    pictures(folder / "pictures", "rgrg")
    ended = outside.run("run", "pictures", *SHAPE, "--out", "run", cwd=folder,
                        without=("skimage", "torch"))  # fmt: skip
    assert ended.status == 2
    assert "pip install 'agentclust[builtin]'" in ended.complaint
    assert not (folder / "run").exists()


def test_no_model_at_all_says_how_to_get_one(folder):
    ended = outside.run("run", "m.jsonl", "--criterion", "shape", cwd=folder)
    assert ended.status == 2
    assert "agentclust models pull" in ended.complaint


def test_unreadable_images_are_left_out_and_the_run_goes_on(folder):
    images = pictures(folder / "pictures", "rgrg")
    (images / "broken.png").write_bytes((images / "secret0.png").read_bytes()[:40])
    ended = outside.run("run", "pictures", *SHAPE, "--vlm", "tests.plugged:Colours",
                        "--out", "run", cwd=folder)  # fmt: skip
    assert ended.status == 0
    assert "left out broken.png: " in ended.err
    assert ended.out.startswith("4 images by")
    assert json.loads(outside.run("show", "run", "--json", cwd=folder).out)["left_out"] == 1


# endpoints


def at(url, method="ictc", **settings):
    settings = {"timeout": 0.5, "max_retries": 0, "base_url": url} | settings
    sets = [word for key, value in settings.items() for word in ("--set", f"llm.{key}={value}")]
    words = ("--method", method, "--embedder", "tfidf", "--out", "run")
    return ("run", "m.jsonl", *SHAPE, "--llm", "openai:stub", *sets, *words)


def failed(folder, ended, said):
    """A run that failed in one line, which its folder repeats."""
    assert ended.status == 1
    assert said in ended.complaint
    about = state(folder / "run")
    assert about["status"] == "failed"
    assert ended.complaint == f"error: {about['reason']}"
    shown = json.loads(outside.run("show", "run", "--json", cwd=folder).out)
    assert (shown["status"], shown["reason"]) == ("failed", about["reason"])


def fell_back(folder, ended, said):
    """A run that is complete all the same, and tells everywhere why it is not IC|TC."""
    assert ended.status == 0, ended.err
    about = state(folder / "run")
    assert about["status"] == "done"
    [reason] = about["fallbacks"]
    assert said in reason
    assert "tfidf" in reason
    shown = json.loads(outside.run("show", "run", "--json", cwd=folder).out)
    assert (shown["status"], shown["fallbacks"]) == ("done", [reason])
    assert shown["by"] != "ictc"
    assert html.escape(reason, quote=True) in (folder / "run/report.html").read_text("utf-8")
    with (folder / "run/assignments.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["id"] for row in rows] == [f"id{i}" for i in range(6)]
    assert {row["name"] for row in rows} == {cluster["name"] for cluster in shown["clusters"]}


def test_an_endpoint_that_refuses(folder):
    ended = outside.run(*at("http://127.0.0.1:9/v1"), cwd=folder)
    failed(folder, ended, "http://127.0.0.1:9/v1: refuses the connection")


def test_an_endpoint_that_hangs(folder):
    with Stub(lambda body: Answer(b"", delay=None)) as stub:
        ended = outside.run(*at(stub.base_url), cwd=folder)
    failed(folder, ended, "no answer within 0.5 s")


@pytest.mark.parametrize(
    "garbage",
    [
        Answer(b"<html><body>Welcome</body></html>", content_type="text/html"),
        Answer(b'{"choices": [{"mess'),
        Answer(b"{}"),
        Answer(b""),
        Answer(b'{"choices": [{"message": {}}]}'),
        Answer(b"\xff\xfe\x00"),
    ],
    ids=lambda answer: repr(answer.body[:30]),
)
def test_an_endpoint_that_answers_garbage(folder, garbage):
    with Stub(lambda body: garbage) as stub:
        ended = outside.run(*at(stub.base_url), cwd=folder)
        failed(folder, ended, "")


@pytest.mark.parametrize(("status", "said"), [(401, "refuses the key"), (404, "no such model"),
                                              (500, "status 500"), (429, "too many")])  # fmt: skip
def test_an_endpoint_that_answers_with_an_error(folder, status, said):
    with Stub(lambda body: failure(status, "no")) as stub:
        ended = outside.run(*at(stub.base_url), cwd=folder)
        failed(folder, ended, said)


def test_a_run_goes_on_when_the_endpoint_is_back(folder):
    assert outside.run(*at("http://127.0.0.1:9/v1", max_retries=0), cwd=folder).status == 1
    about = state(folder / "run")
    with Stub(as_fake) as stub:
        about["config"]["llm"]["base_url"] = stub.base_url
        (folder / "run/run.json").write_text(json.dumps(about))
        ended = outside.run("resume", "run", cwd=folder)
    assert ended.status == 0, ended.err
    assert "     3  ball\n" in ended.out


def test_an_agent_without_its_endpoint_falls_back_and_goes_on_when_it_is_back(folder):
    ended = outside.run(*at("http://127.0.0.1:9/v1", "agent"), cwd=folder)
    gone = "http://127.0.0.1:9/v1: refuses the connection"
    fell_back(folder, ended, gone)
    fell_back(folder, outside.run("resume", "run", cwd=folder), gone)
    about = state(folder / "run")
    with Stub(as_fake) as stub:
        about["config"]["llm"]["base_url"] = stub.base_url
        (folder / "run/run.json").write_text(json.dumps(about))
        ended = outside.run("resume", "run", cwd=folder)
    assert ended.status == 0, ended.err
    assert "     3  ball\n" in ended.out
    shown = json.loads(outside.run("show", "run", "--json", cwd=folder).out)
    assert (shown["status"], shown["fallbacks"], shown["by"]) == ("done", [], "ictc")
    page = (folder / "run/report.html").read_text("utf-8")
    assert "fell back" not in page


# the disk


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Callable[[int], Path]]:
    """Makes a file system of so many KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def make(size: int) -> Path:
        mount = ("mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", disk)
        if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("this user may not mount a small disk")
        return disk

    yield make
    if disk.is_mount():
        subprocess.run(("umount", disk), check=True)


@pytest.mark.parametrize(
    ("what", "size", "method"),
    [
        ("the run", 52, "ictc"),
        ("the run", 52, "agent"),
        ("the answers", 300, "ictc"),
        ("the answers", 300, "agent"),
    ],
)
def test_a_full_disk(folder, small_disk, what, size, method):
    disk = small_disk(size)
    things = ("ball", "cone", "cube")
    file = manifest(folder / "many.jsonl", [f"{i}, a {things[i % 3]}" for i in range(150)])
    where = {"the run": disk / "run", "the answers": folder / "run"}[what]
    env = {"the run": {}, "the answers": {"AGENTCLUST_HOME": str(disk)}}[what]
    env |= {"ASKED": str(folder / "asked")}
    words = (*SHAPE, "--llm", "tests.plugged:Recording", "--method", method, "--out", where)
    words = (*words, "--embedder", "tfidf")
    ended = outside.run("run", file, *words, cwd=folder, env=env)
    assert ended.status == 1
    assert re.search(r"No space left|disk is full|disk I/O error", ended.complaint)
    assert "free the disk" in ended.complaint
    assert noted(folder / "asked")
    subprocess.run(("mount", "-o", "remount,size=4m", disk), check=True)
    assert outside.run("resume", where, cwd=folder, env=env).status == 0
    shown = json.loads(outside.run("show", where, "--json", cwd=folder).out)
    assert (shown["status"], shown["fallbacks"], shown["by"]) == ("done", [], "ictc")
    digests = [row["digest"] for row in noted(folder / "asked")]
    assert len(digests) - len(set(digests)) <= 1  # the answer that found no room


@pytest.mark.parametrize("size", [300, 3000, 12000])
def test_a_file_that_may_not_grow(folder, size):
    ended = outside.run("run", "m.jsonl", *SHAPE, "--out", "run", cwd=folder, file_size=size)
    assert ended.status == 1
    assert "free the disk" in ended.complaint
    begun = (folder / "run/run.json").exists()
    again = ("resume", "run") if begun else ("run", "m.jsonl", *SHAPE, "--out", "run")
    assert outside.run(*again, cwd=folder).status == 0


# two processes, and a person who stops one


WAITING = {"LATENCY": "600"}


def test_two_processes_on_one_run(folder, monkeypatch):
    monkeypatch.setenv("ASKED", str(folder / "asked"))
    words = ("run", "m.jsonl", *SHAPE, "--llm", "tests.plugged:Recording", "--out", "run")
    first = outside.start(*words, cwd=folder, env=WAITING)
    until(lambda: noted(folder / "asked"))
    second = outside.run("resume", "run", cwd=folder)
    assert second.status == 1
    assert "another process is working on this run" in second.complaint
    third = outside.run(*words, cwd=folder)
    assert third.status == 2
    assert "is not empty; resume it" in third.complaint
    shown = json.loads(outside.run("show", "run", "--json", cwd=folder).out)
    assert shown["status"] == "running"
    assert len(noted(folder / "asked")) == 1
    first.signal(signal.SIGKILL)
    assert first.wait().status == -signal.SIGKILL
    shown = json.loads(outside.run("show", "run", "--json", cwd=folder).out)
    assert (shown["status"], shown["reason"]) == ("interrupted", "its process was ended")
    assert outside.run("resume", "run", cwd=folder).status == 0


def test_ctrl_c_leaves_a_run_to_resume(folder, monkeypatch):
    monkeypatch.setenv("ASKED", str(folder / "asked"))
    words = ("run", "m.jsonl", *SHAPE, "--llm", "tests.plugged:Recording", "--out", "run")
    process = outside.start(*words, cwd=folder, env=WAITING)
    until(lambda: noted(folder / "asked"))
    process.signal(signal.SIGINT)
    ended = process.wait()
    assert ended.status == 130
    assert "interrupted" in ended.complaint
    assert "agentclust resume" in ended.complaint
    assert state(folder / "run")["status"] == "interrupted"
    assert outside.run("resume", "run", cwd=folder).status == 0
    assert state(folder / "run")["status"] == "done"


def test_ctrl_c_does_not_wait_for_an_endpoint(folder):
    with Stub(lambda body: Answer(b"", delay=None)) as stub:
        process = outside.start(*at(stub.base_url, timeout=600), cwd=folder)
        until(lambda: stub.requests)
        process.signal(signal.SIGINT)
        ended = process.wait(timeout=60)
    assert ended.status == 130
    assert ended.complaint
    assert state(folder / "run")["status"] == "interrupted"


def test_a_budget_of_calls_says_how_to_go_on(folder):
    words = ("run", "m.jsonl", *SHAPE, "--method", "ictc", "--max-calls", 3, "--out", "run")
    ended = outside.run(*words, cwd=folder)
    failed(folder, ended, "max_calls=3: the budget of model calls is spent")
    assert "resume the run with a larger --max-calls" in ended.complaint
    assert json.loads(outside.run("show", "run", "--json", cwd=folder).out)["usage"]["calls"] == 3
    assert outside.run("resume", "run", "--max-calls", 100, cwd=folder).status == 0


def test_an_agent_whose_budget_is_spent_falls_back_and_goes_on_with_a_larger_one(folder):
    words = ("run", "m.jsonl", *SHAPE, "--embedder", "tfidf", "--max-calls", 3, "--out", "run")
    ended = outside.run(*words, cwd=folder)
    fell_back(folder, ended, "max_calls=3: the budget of model calls is spent")
    assert json.loads(outside.run("show", "run", "--json", cwd=folder).out)["usage"]["calls"] == 3
    ended = outside.run("resume", "run", "--max-calls", 100, cwd=folder)
    assert ended.status == 0, ended.err
    assert "     3  ball\n" in ended.out
    shown = json.loads(outside.run("show", "run", "--json", cwd=folder).out)
    assert (shown["status"], shown["fallbacks"], shown["by"]) == ("done", [], "ictc")
