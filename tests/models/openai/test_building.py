"""What a model behind an endpoint is built from."""

import gc
import subprocess
import sys

import pytest

from agentclust.config import ModelConfig
from agentclust.errors import InputError
from agentclust.models import load_model
from agentclust.types import Request
from tests.models.openai.asking import asker, complete, config
from tests.models.stub_endpoint import (
    Stub,
    failure,
    oblige,
)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"model": "openai:"}, "names no model"),
        ({"model": "openai:x", "base_url": "localhost:8000/v1"}, "is no address"),
        ({"model": "openai:x", "base_url": "ftp://localhost/v1"}, "is no address"),
        ({"model": "openai:x", "base_url": "http://"}, "is no address"),
        ({"model": "openai:x", "base_url": "http://[::1/v1"}, "is no address"),
        ({"model": "openai:x", "base_url": "http://localhost:port/v1"}, "is no address"),
        ({"model": "openai:x", "api_key_env": "NO_SUCH_KEY"}, "NO_SUCH_KEY"),
    ],
)
def test_what_cannot_be_built_says_why(settings, said, monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(InputError, match=said):
        load_model(ModelConfig(**settings))


def test_the_key_comes_from_the_named_variable_and_a_local_server_needs_none(monkeypatch):
    monkeypatch.setenv("SOME_KEY", "s3cret")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with Stub() as stub:
        complete(stub, "with", api_key_env="SOME_KEY")
        complete(stub, "without")
    assert "authorization: bearer s3cret" in stub.heads[0].lower()
    assert "s3cret" not in stub.heads[1]


def test_the_endpoint_may_come_from_openais_own_variable(monkeypatch):
    with Stub() as stub:
        monkeypatch.setenv("OPENAI_BASE_URL", stub.base_url)
        settings = ModelConfig(model="openai:stub")
        model = load_model(settings)
        assert model.invoke("a word").text == "word"
    assert model.fingerprint == stub.base_url


def test_settings_reach_the_endpoint():
    with Stub() as stub:
        load_model(config(stub, temperature=0.5), seed=3).invoke("x", max_tokens=9, stop=["\n"])
        load_model(config(stub), seed=3).invoke("x")
    sampled, greedy = stub.requests
    assert sampled["model"] == "stub"
    assert (sampled["temperature"], sampled["seed"], sampled["max_tokens"]) == (0.5, 3, 9)
    assert sampled["stop"] == ["\n"]
    assert greedy["temperature"] == 0
    assert "seed" not in greedy


def test_openai_itself_is_asked_with_the_new_name_of_the_limit(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("SOME_KEY", "x")
    model = load_model(ModelConfig(model="openai:gpt-4o-mini", api_key_env="SOME_KEY"))
    assert model.limit_name == "max_completion_tokens"


def test_a_gateway_that_wants_the_new_name_of_the_limit_gets_it_from_then_on():
    def plan(body):
        if "max_tokens" in body:
            return failure(400, "Unsupported parameter. Use 'max_completion_tokens' instead.")
        return oblige(body)

    with Stub(plan) as stub:
        first = complete(stub, *"abcdefgh", concurrency=8)
        one = asker(stub, concurrency=1)
        list(one.complete([Request("s", "x")], 9))
        asked = len(stub.requests)
        list(one.complete([Request("s", "y")], 9))
    assert [reply.text for reply in first] == [*"abcdefgh"]
    assert len(stub.requests) == asked + 1
    assert stub.requests[-1]["max_completion_tokens"] == 9


def test_help_does_not_wait_for_the_clients():
    code = "import sys, agentclust.models.asking; print('openai' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert told.stdout.strip() == "False"


def test_connections_are_closed_with_the_model():
    with Stub() as stub:
        model = load_model(config(stub))
        model.invoke("x")
        client = model.root_client
        assert not client.is_closed()
        del model
        gc.collect()
        assert client.is_closed()
