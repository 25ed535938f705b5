import pytest
import torch
from transformers import AutoTokenizer

from tests.models.tiny import make_llama, make_llava
from tests.models.transformers.prompts import load

torch.set_num_threads(1)  # networks this small only wait for a second thread


@pytest.fixture(scope="package")
def llama(tmp_path_factory):
    return make_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="package")
def llava(tmp_path_factory):
    return make_llava(tmp_path_factory.mktemp("llava"))


@pytest.fixture(scope="package")
def text_model(llama):
    return load(llama)


@pytest.fixture(scope="package")
def image_model(llava):
    return load(llava)


@pytest.fixture
def tokenizer(llama):
    return AutoTokenizer.from_pretrained(llama)
