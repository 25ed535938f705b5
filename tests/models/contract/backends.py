"""The backends, and how each is asked."""

import importlib
import time
from dataclasses import dataclass

import httpx
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage

from agentclust.config import ModelConfig
from agentclust.models import load_model
from agentclust.models.asking import Asker
from tests.models.stub_endpoint import failure, oblige, text_of

SYSTEM = "You sort pictures. Answer with one word."
USERS = [
    "A red car stands in the rain.",
    "The blue bird sits on a branch; below it the river runs to the sea.",
    "Three yellow bicycles lean against a wall of old grey stone.",
]
OPTIONS = ["red car", "red bird", "red", "blue bicycle", "another thing"]
TOO_LONG = "word " * 3000


@dataclass(frozen=True)
class Backend:
    """A model and what it can do."""

    model: BaseChatModel
    config: ModelConfig
    sees: bool = False
    calls: bool = False  # tools, and whatever the weights the calls are valid
    calls_named: bool = False  # one tool that is named, as every endpoint does
    has_window: bool = True

    def asker(self):
        return Asker(self.model, self.config)


def loaded(config, **what):
    return Backend(load_model(config), config, **what)


def obliging_up_to_a_window(body):
    if len(text_of(body)) >= len(TOO_LONG):
        return failure(400, "the request is longer than the model's context")
    return oblige(body)


def wait_for(url, process, seconds=120):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            pytest.fail(f"the server ended: {process.stderr.read().decode()[-500:]}")
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"no server at {url} after {seconds} s")


def fake(request, folder):
    return loaded(ModelConfig(model="fake"), has_window=False, sees=True, calls=True)


def openai_stub(request, folder):
    url = request.getfixturevalue("stub").base_url
    config = ModelConfig(model="openai:stub", base_url=url, max_retries=0)
    return loaded(config, sees=True, calls_named=True)


def openai_server(request, folder):
    url = request.getfixturevalue("server")
    config = ModelConfig(model="openai:local", base_url=url, max_retries=0, timeout=300)
    return loaded(config, calls_named=True)


def llama_cpp(request, folder):
    pytest.importorskip("llama_cpp", reason="the extra llama-cpp is missing")
    gguf = request.getfixturevalue("gguf")
    return loaded(ModelConfig(model=f"llama-cpp:{gguf}", n_ctx=1024, n_threads=1), calls=True)


def llama_cpp_image(request, folder):
    pytest.importorskip("llama_cpp", reason="the extra llama-cpp is missing")
    tiny = pytest.importorskip("tests.models.tiny_gguf")
    config = ModelConfig(
        model=f"llama-cpp:{tiny.llama(folder / 'tiny.gguf')}",
        mmproj=tiny.projector(folder / "mmproj.gguf"),
        n_threads=1,
    )
    return loaded(config, sees=True, calls=True)


def transformers_text(request, folder):
    path = tiny_checkpoints().make_llama(folder)
    return loaded(ModelConfig(model=f"transformers:{path}", batch_size=2), calls=True)


def transformers_image(request, folder):
    path = tiny_checkpoints().make_llava(folder)
    return loaded(ModelConfig(model=f"transformers:{path}", batch_size=2), sees=True, calls=True)


def tiny_checkpoints():
    pytest.importorskip("transformers", reason="the extra transformers is missing")
    torch = pytest.importorskip("torch", reason="the extra transformers is missing")
    torch.set_num_threads(1)  # threads that wait for each other take seconds on a busy machine
    return importlib.import_module("tests.models.tiny")


BACKENDS = [
    fake,
    openai_stub,
    openai_server,
    llama_cpp,
    llama_cpp_image,
    transformers_text,
    transformers_image,
]


def prompt(user):
    return [SystemMessage(SYSTEM), HumanMessage(user)]


def complete(backend, requests, max_tokens=8):
    answers = dict(backend.asker().complete(requests, max_tokens))
    assert sorted(answers) == list(range(len(requests)))
    return [answers[i] for i in range(len(requests))]


def choose(backend, requests, options=OPTIONS):
    answers = dict(backend.asker().choose(requests, options))
    assert sorted(answers) == list(range(len(requests)))
    return [answers[i] for i in range(len(requests))]
