"""How a stub is asked."""

from agentclust.config import ModelConfig
from agentclust.models import load_model
from agentclust.models.asking import Asker
from agentclust.types import Request

OPTIONS = ["red", "green", "blue"]


def config(stub, **settings):
    settings = {"max_retries": 0, "timeout": 5} | settings
    return ModelConfig(model="openai:stub", base_url=stub.base_url, **settings)


def asker(stub, **settings):
    return Asker(load_model(config(stub, **settings)), config(stub, **settings))


def complete(stub, *users, **settings):
    requests = [Request("Be brief.", user) for user in users]
    answers = dict(asker(stub, **settings).complete(requests, max_tokens=9))
    return [answers[i] for i in range(len(users))]


def choose(stub, user="the blue one", options=OPTIONS, **settings):
    return next(asker(stub, **settings).choose([Request("Choose.", user)], options))[1]
