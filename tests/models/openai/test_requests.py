"""What is sent, and what an answer says."""

import json
import time
from dataclasses import replace

from langchain_core.messages import HumanMessage
from PIL import Image

from agentclust.models import load_model
from agentclust.types import Reply, Request
from tests.models.openai.asking import asker, complete, config
from tests.models.stub_endpoint import Stub, completion, images_of, oblige, text_of


def test_images_are_sent_small_and_without_their_path(tmp_path):
    Image.new("RGB", (800, 400), "red").save(tmp_path / "secret-label.png")
    with Stub() as stub:
        request = Request("s", "What?", tmp_path / "secret-label.png", "0")
        reply = next(asker(stub, image_edge=64).complete([request], 9))[1]
    assert reply.text == "1 images, What?"
    (url,) = images_of(stub.requests[0])
    assert url.startswith("data:image/jpeg;base64,")
    assert len(url) < 2000
    assert "secret" not in json.dumps(stub.requests) + stub.heads[0]


def test_parts_in_langchains_form_are_converted():
    block = {"type": "image", "base64": "AAAA", "mime_type": "image/png"}
    with Stub() as stub:
        load_model(config(stub)).invoke([HumanMessage([block, {"type": "text", "text": "What?"}])])
    assert images_of(stub.requests[0]) == ["data:image/png;base64,AAAA"]


def test_requests_go_side_by_side_up_to_the_limit():
    def plan(body):
        return replace(oblige(body), delay=0.05)

    with Stub(plan) as stub:
        started = time.perf_counter()
        replies = complete(stub, *(str(i) for i in range(40)), concurrency=8)
        seconds = time.perf_counter() - started
    assert [reply.text for reply in replies] == [str(i) for i in range(40)]
    assert stub.most == 8
    assert seconds < 40 * 0.05


def test_the_same_client_serves_langchains_own_structured_output():
    word = {"type": "object", "properties": {"word": {"type": "string"}}}
    tool = {"name": "say", "description": "Say it.", "parameters": word}

    def plan(body):
        return completion('{"word": "hi"}') if "response_format" in body else oblige(body)

    with Stub(plan) as stub:
        model = load_model(config(stub))
        titled = {"title": "w", **word}
        by_schema = model.with_structured_output(titled, method="json_schema").invoke("x")
        call = model.bind_tools([tool]).invoke("x").tool_calls[0]
    assert by_schema == {"word": "hi"}
    assert (call["name"], call["args"]) == ("say", {"word": "stub"})


def test_replies_know_their_usage():
    with Stub() as stub:
        (reply,) = complete(stub, "a word")
    assert reply == Reply("word", replace(reply.usage, calls=1, prompt_tokens=7))
    assert reply.usage.seconds > 0


def test_no_thread_asks_on_after_ctrl_c():
    def plan(body):
        return replace(oblige(body), delay=0.01 if text_of(body) == "0" else 0.4)

    with Stub(plan) as stub:
        requests = [Request("s", str(i)) for i in range(99)]
        answers = asker(stub, concurrency=8).complete(requests, 9)
        assert next(answers)[0] == 0
        answers.close()  # eight more wait for a thread
        time.sleep(0.8)
    assert 8 <= len(stub.requests) < 12
