"""What a wrong call gets: one line with the value, the reason and the next step, and a status."""

from __future__ import annotations

import json

import pytest

from tests import outside
from tests.bad_input.ending import SHAPE
from tests.plugged import manifest, pictures
from tests.service.starting import CAPTIONS

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
