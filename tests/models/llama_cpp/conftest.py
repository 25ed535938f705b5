from contextlib import closing

import pytest

from tests.models.llama_cpp.prompts import make


@pytest.fixture(scope="package")
def model(gguf):
    with closing(make(gguf)) as model:
        yield model


@pytest.fixture(scope="package")
def tiny(tmp_path_factory):
    tiny_gguf = pytest.importorskip("tests.models.tiny_gguf", reason="the package gguf is missing")
    return tiny_gguf.llama(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@pytest.fixture(scope="package")
def mmproj(tmp_path_factory):
    tiny_gguf = pytest.importorskip("tests.models.tiny_gguf", reason="the package gguf is missing")
    return tiny_gguf.projector(tmp_path_factory.mktemp("mmproj") / "mmproj.gguf")
