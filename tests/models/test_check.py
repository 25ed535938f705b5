import pytest

from agentclust.config import ModelConfig
from agentclust.errors import InputError, ModelError
from agentclust.models.catalogue import path_of
from agentclust.models.check import check
from tests.models.stub_endpoint import Stub, completion, failure, images_of, oblige

HERE = path_of("smollm2-135m")  # before the tests have a home of their own


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")


def endpoint(stub):
    return ModelConfig(model="openai:stub", base_url=stub.base_url, max_retries=0)


def test_one_prompt_and_one_picture():
    with Stub() as stub:
        told = check(endpoint(stub))
    assert told["model"] == "openai:stub"
    assert told["text"]["answer"] == "wool?"
    assert told["picture"]["answer"] == "1 images, colour?"
    assert (told["text"]["prompt_tokens"], told["text"]["completion_tokens"]) == (7, 3)
    assert told["text"]["tokens_per_second"] > 0
    first, second = stub.requests
    assert images_of(first) == []
    assert images_of(second)[0].startswith("data:image/")


@pytest.mark.parametrize("status", [400, 500])
def test_a_model_that_takes_no_images(status):
    def blind(body):
        return failure(status, "no eyes") if images_of(body) else oblige(body)

    with Stub(blind) as stub:
        told = check(endpoint(stub))
    assert told["text"]["answer"] == "wool?"
    assert set(told["picture"]) == {"refused"}


def test_a_model_that_does_not_answer():
    with (
        Stub(lambda body: failure(400, "no")) as stub,
        pytest.raises(ModelError, match="no answer"),
    ):
        check(endpoint(stub))
    with Stub(lambda body: completion("  ")) as stub, pytest.raises(ModelError, match="no answer"):
        check(endpoint(stub))


def test_a_model_nobody_knows():
    with pytest.raises(InputError, match="unknown model"):
        check(ModelConfig(model="nobody"))


def test_the_fake_model():
    told = check(ModelConfig(model="fake"))
    assert told["text"]["answer"]
    assert told["load_seconds"] >= 0


@pytest.mark.skipif(HERE is None, reason="needs: agentclust models pull smollm2-135m")
def test_a_local_model_by_its_name():
    told = check(ModelConfig(model="smollm2-135m", n_threads=1))
    assert len(told["text"]["answer"].split()) > 1
    assert told["text"]["completion_tokens"] > 1
    assert told["picture"] is None
