"""What every backend promises to the steps, asked of all of them in the same words."""

import importlib
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from typing import Literal

import httpx
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.utils.function_calling import convert_to_openai_tool
from PIL import Image
from pydantic import BaseModel, Field

from agentclust.config import ModelConfig
from agentclust.errors import AgentclustError, ModelError
from agentclust.models import load_model
from agentclust.models.answering import InProcess
from agentclust.models.asking import Asker
from agentclust.types import Call, Choice, Refusal, Reply, Request
from tests.models.stub_endpoint import Stub, completion, failure, oblige, text_of

SYSTEM = "You sort pictures. Answer with one word."
USERS = [
    "A red car stands in the rain.",
    "The blue bird sits on a branch; below it the river runs to the sea.",
    "Three yellow bicycles lean against a wall of old grey stone.",
]
OPTIONS = ["red car", "red bird", "red", "blue bicycle", "another thing"]
TOO_LONG = "word " * 3000


class Count(BaseModel, strict=True, extra="forbid"):
    """Count the things of one colour."""

    colour: Literal["red", "blue"]


class Sort(BaseModel, strict=True, extra="forbid"):
    """Sort them."""

    how: Literal["mood", "Größe"]
    k: int
    share: float
    names: list[Literal["cat", "dog"]] = Field(max_length=2)
    note: str | None = Field(max_length=6)


class Stop(BaseModel, strict=True, extra="forbid"):
    """End the run."""


ACT = ["Act.", "What now?", "Go on."]
TOOLS = {"Count": Count, "Sort": Sort, "Stop": Stop}


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


@pytest.fixture(scope="module")
def stub():
    with Stub(obliging_up_to_a_window) as running:
        yield running


@pytest.fixture(scope="module")
def server(gguf):
    """A real OpenAI-compatible server with a real GGUF."""
    pytest.importorskip("starlette_context", reason="the extra llama-cpp-python[server] is missing")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"model": gguf, "port": port, "n_ctx": 1024, "n_threads": 1, "verbose": False}
    command = [sys.executable, "-m", "llama_cpp.server", "--host", "127.0.0.1"]
    for name, value in settings.items():
        command += [f"--{name}", str(value)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        url = f"http://127.0.0.1:{port}/v1"
        try:
            wait_for(f"{url}/models", process)
            yield url
        finally:
            process.terminate()


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


@pytest.fixture(scope="module", params=BACKENDS, ids=lambda make: make.__name__)
def backend(request, tmp_path_factory):
    return request.param(request, tmp_path_factory.mktemp(request.param.__name__))


@pytest.fixture
def image(tmp_path):
    Image.new("RGB", (60, 40), "red").save(tmp_path / "a.png")
    return tmp_path / "a.png"


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


def test_it_is_a_langchain_chat_model(backend):
    assert isinstance(backend.model, BaseChatModel)
    message = backend.model.invoke(prompt(USERS[0]), max_tokens=8)
    assert message.type == "ai"
    assert isinstance(message.text, str)


def test_text_is_the_same_each_time(backend):
    requests = [Request(SYSTEM, user) for user in USERS]
    first, second = complete(backend, requests), complete(backend, requests[::-1])[::-1]
    assert all(isinstance(reply, Reply) for reply in first)
    assert [reply.text for reply in first] == [reply.text for reply in second]
    assert any(reply.text for reply in first)


def test_a_batch_answers_as_one_by_one(backend):
    together = backend.model.batch([prompt(user) for user in USERS], max_tokens=8)
    alone = [backend.model.invoke(prompt(user), max_tokens=8) for user in USERS]
    assert [message.text for message in together] == [message.text for message in alone]


def test_an_answer_keeps_to_its_length(backend):
    (short,) = complete(backend, [Request(SYSTEM, USERS[1])], max_tokens=2)
    assert short.usage.completion_tokens <= 3  # the stub always counts 3


def test_usage_is_counted(backend):
    replies = complete(backend, [Request(SYSTEM, user) for user in USERS])
    for reply in replies:
        assert reply.usage.calls == 1
        assert reply.usage.prompt_tokens > 0
        assert reply.usage.completion_tokens > 0
        assert 0 <= reply.usage.cached_prompt_tokens <= reply.usage.prompt_tokens
        assert reply.usage.seconds > 0


def test_a_choice_is_a_distribution_over_the_options(backend):
    requests = [Request(SYSTEM, f"{user} Which is it? {OPTIONS}") for user in USERS]
    choices = choose(backend, requests)
    for choice in choices:
        assert isinstance(choice, Choice)
        assert len(choice.probabilities) == len(OPTIONS)
        assert sum(choice.probabilities) == pytest.approx(1)
        assert min(choice.probabilities) >= 0
        assert choice.best in range(len(OPTIONS))
        assert choice.usage.calls >= 1
        assert choice.usage.prompt_tokens > 0
    again = choose(backend, requests)
    for first, second in zip(choices, again, strict=True):
        assert first.best == second.best
        assert first.probabilities == pytest.approx(second.probabilities, abs=1e-3)


def test_a_choice_of_one(backend):
    (choice,) = choose(backend, [Request(SYSTEM, USERS[0])], ["only this"])
    assert choice.probabilities == pytest.approx((1.0,))


def test_options_in_any_script(backend):
    options = ['a "quoted" thing', "赤い車", "naïve"]
    (choice,) = choose(backend, [Request(SYSTEM, USERS[0])], options)
    assert sum(choice.probabilities) == pytest.approx(1)


def test_a_model_that_sees_reads_an_image(backend, image):
    if not backend.sees:
        pytest.skip("a text model")
    request = Request(SYSTEM, "What is on the picture?", image, "0")
    (reply,) = complete(backend, [request])
    (choice,) = choose(backend, [request])
    assert isinstance(reply, Reply)
    assert sum(choice.probabilities) == pytest.approx(1)


def test_a_text_model_refuses_an_image_clearly(backend, image):
    if backend.sees:
        pytest.skip("a model that sees")
    request = Request(SYSTEM, "What is on the picture?", image, "0")
    try:
        (answer,) = complete(backend, [request])
    except AgentclustError as error:
        said = str(error)
    else:
        assert isinstance(answer, Refusal)
        said = answer.reason
    assert "image" in said
    assert "\n" not in said


def test_a_request_that_is_too_long_is_refused_alone(backend):
    if not backend.has_window:
        pytest.skip("a model without a limit")
    requests = [Request(SYSTEM, text) for text in (USERS[0], TOO_LONG, USERS[1])]
    first, second, third = complete(backend, requests)
    assert isinstance(second, Refusal)
    assert second.reason
    assert isinstance(first, Reply)
    assert isinstance(third, Reply)


def calling(backend, user, tools=(Sort, Stop), choice="any", model=None):
    """The answer of the model with the tools bound."""
    bound = (model or backend.model).bind_tools(list(tools), tool_choice=choice)
    return bound.invoke(prompt(user), max_tokens=200)


def check(message):
    """That the answer is one valid call."""
    (call,) = message.tool_calls
    TOOLS[call["name"]].model_validate(call["args"])
    assert call["id"]
    assert message.text == ""
    assert message.usage_metadata["input_tokens"] > 0
    assert 0 < message.usage_metadata["output_tokens"] <= 200


@pytest.fixture
def caller(backend):
    if not backend.calls:
        pytest.skip("a model that is not kept to a grammar")
    return backend


def test_a_named_tool_is_called(backend):
    if not backend.calls and not backend.calls_named:
        pytest.skip("a model without tools")
    check(calling(backend, "Count the red things.", [Count], "Count"))


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_a_forced_call_has_arguments_of_their_types(caller, tool):
    for user in ACT:
        check(calling(caller, user, [tool]))


def test_a_forced_call_is_one_of_the_tools(caller):
    for user in ACT:
        check(calling(caller, user))


def test_with_auto_there_are_words_or_a_valid_call(caller):
    for user in ACT:
        message = calling(caller, user, choice="auto")
        if message.tool_calls:
            check(message)
        else:
            assert message.text
            assert not message.text.startswith("{")


def test_the_same_seed_gives_the_same_call(caller):
    warm = caller.config.model_copy(update={"temperature": 2.0})
    one, two = load_model(warm, 5), load_model(warm, 5)
    calls = [calling(caller, user, model=one) for user in ACT]
    again = [calling(caller, user, model=two) for user in reversed(ACT)]
    for first, second in zip(calls, reversed(again), strict=True):
        check(first)
        assert first.tool_calls == second.tool_calls


def test_the_asker_gets_the_call_and_its_usage(caller):
    tools = [convert_to_openai_tool(tool) for tool in (Sort, Stop)]
    call = caller.asker().call(Request(SYSTEM, "Stop."), tools)
    assert isinstance(call, Call)
    TOOLS[call.name].model_validate(call.args)
    assert call.usage.calls == 1
    assert call.usage.prompt_tokens > 0
    assert call.usage.completion_tokens > 0


def test_the_cache_knows_where_an_answer_came_from(backend):
    assert isinstance(backend.model, InProcess) == (not backend.config.base_url)
    assert backend.model.fingerprint


@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        (failure(429, "slow down", "Retry-After: 0.9"), 0.9),
        (failure(429, "slow down"), 0.3),
        (failure(500, "broken"), 0.3),
        (failure(503, "later"), 0.3),
        (replace(completion("late"), delay=None), 0.6),
        (replace(completion("late"), drops=True), 0.3),
    ],
    ids=["429 with Retry-After", "429", "500", "503", "time-out", "lost connection"],
)
def test_an_api_model_tries_again_after_a_wait(fault, wait):
    with Stub((fault, oblige)) as stub:
        url = stub.base_url
        config = ModelConfig(model="openai:stub", base_url=url, max_retries=1, timeout=0.3)
        started = time.perf_counter()
        (reply,) = complete(loaded(config), [Request(SYSTEM, "a word")])
        seconds = time.perf_counter() - started
    assert reply.text == "word"
    assert len(stub.requests) == 2
    assert wait <= seconds < wait + 3


def test_an_api_model_gives_up_in_the_end():
    with Stub((failure(503, "never"),)) as stub:
        config = ModelConfig(model="openai:stub", base_url=stub.base_url, max_retries=1)
        with pytest.raises(ModelError, match="after 1 retries"):
            complete(loaded(config), [Request(SYSTEM, "a word")])
    assert len(stub.requests) == 2
