"""Files that are a model, and files that are none."""

from contextlib import closing

import pytest

from agentclust.config import ModelConfig
from agentclust.errors import InputError
from agentclust.models import load_model
from agentclust.models.answering import InProcess
from tests.models.llama_cpp.prompts import make

tiny_gguf = pytest.importorskip("tests.models.tiny_gguf", reason="the package gguf is missing")


def test_nothing_is_printed(gguf, capfd):
    with closing(make(gguf)) as model:
        model.invoke("Hello.", max_tokens=2)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: None, "no such file"),
        (lambda data: b"", "not a GGUF"),
        (lambda data: b"<!doctype html>", "not a GGUF"),
        (lambda data: data[: len(data) // 2], "cannot load it"),
        (lambda data: data[:40], "cannot load it"),
        (lambda data: data.replace(b"llama", b"lxxma"), "unknown model architecture: 'lxxma'"),
    ],
    ids=["missing", "empty", "html", "truncated", "header only", "architecture"],
)
def test_a_file_that_cannot_be_used(tiny, tmp_path, capfd, spoil, words):
    data = spoil(tiny.read_bytes())
    if data is not None:
        (tmp_path / "bad.gguf").write_bytes(data)
    config = ModelConfig(model=f"llama-cpp:{tmp_path / 'bad.gguf'}")
    with pytest.raises(InputError, match=words) as caught:
        load_model(config)
    assert str(tmp_path / "bad.gguf") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_folder_and_no_name(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        load_model(ModelConfig(model=f"llama-cpp:{tmp_path}"))
    with pytest.raises(InputError, match="names no file"):
        load_model(ModelConfig(model="llama-cpp:"))


def test_paths_may_be_relative_or_begin_at_home(tiny, monkeypatch, tmp_path):
    (tmp_path / "a.gguf").symlink_to(tiny)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("a.gguf", "~/a.gguf"):
        config = ModelConfig(model=f"llama-cpp:{name}", n_threads=1)
        with closing(load_model(config)) as model:
            assert isinstance(model, InProcess)


def test_the_fingerprint_tells_weights_apart(tmp_path, tiny, mmproj):
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(tiny.read_bytes())
    other = tiny_gguf.llama(tmp_path / "other.gguf", seed=1)
    models = [make(tiny), make(copy), make(other), make(tiny, mmproj=mmproj)]
    first, same, different, sees = (model.fingerprint for model in models)
    for model in models:
        model.close()
    assert first == same
    assert len({first, different, sees}) == 3
