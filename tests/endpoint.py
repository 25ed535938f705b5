"""The public fake model behind an endpoint on loopback."""

from __future__ import annotations

import json

from langchain_core.messages import HumanMessage

from agentclust.models.fake import FakeModel, answer
from tests.models.stub_endpoint import Answer, Body, completion, options_of, text_of


def as_fake(body: Body) -> Answer:
    """What the fake model answers to a request."""
    options, text = options_of(body), text_of(body)
    if not options:
        return completion(answer(text))
    best = FakeModel().choose([[HumanMessage(text)]], options)[0].best
    assert best is not None
    return completion(json.dumps({"answer": options[best]}))
