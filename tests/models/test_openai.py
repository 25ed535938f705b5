import gc
import json
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from PIL import Image

from agentclust.cache import Answers
from agentclust.config import ModelConfig
from agentclust.errors import InputError, ModelError, RequestRefused, RunError
from agentclust.models import load_model, schema
from agentclust.models.asking import Asker
from agentclust.models.faults import mapped
from agentclust.models.logprobs import distribution
from agentclust.models.schema import choose_by_schema
from agentclust.types import Choice, Refusal, Reply, Request, Usage
from tests.models.stub_endpoint import (
    Answer,
    Stub,
    completion,
    failure,
    images_of,
    oblige,
    options_of,
    text_of,
)

OPTIONS = ["red", "green", "blue"]
HTML = Answer(b"<html>Not here</html>", content_type="text/html")


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


# building


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


# asking


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


# faults


FATAL = {
    "garbage": (Answer(b"{not json"), "no chat completion"),
    "html": (HTML, "no chat completion"),
    "empty": (Answer(b""), "no chat completion"),
    "list": (Answer(b"[]"), "no chat completion"),
    "no choices": (Answer(b'{"choices": []}'), "no chat completion"),
    "null choices": (Answer(b'{"choices": null}'), "no chat completion"),
    "null message": (Answer(b'{"choices": [{"message": null}]}'), "no chat completion"),
    "bytes": (Answer(b"\xff\xfe\x00"), "no chat completion"),
    "error in 200": (Answer(b'{"error": {"message": "slow", "code": 429}}'), r"\(slow\)"),
    "401": (failure(401, "bad key"), "OPENAI_API_KEY"),
    "402": (failure(402, "no money"), r"status 402 \(no money\)"),
    "403": (failure(403, "not yours"), "refuses the key"),
    "404": (failure(404, "no model stub"), r"no model stub\); check the model's name"),
    "429": (failure(429, "slow down"), "lower concurrency"),
    "500": (failure(500, "broken"), r"status 500 after 0 retries \(broken\)"),
    "502": (replace(HTML, status=502), "failed with status 502"),
}


@pytest.mark.parametrize(("answer", "said"), FATAL.values(), ids=FATAL.keys())
def test_a_fault_of_the_endpoint_stops_with_one_clear_line(answer, said):
    with Stub((answer,)) as stub, pytest.raises(ModelError, match=said) as caught:
        complete(stub, "x")
    line = str(caught.value)
    assert stub.base_url in line
    assert "\n" not in line
    assert line.count("; ") >= 1
    assert len(line) < 500


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:9/v1", "refuses the connection"),
        ("http://no-such-host.invalid/v1", "unknown host"),
    ],
)
def test_an_endpoint_that_is_not_there(url, said):
    settings = ModelConfig(model="openai:x", base_url=url, max_retries=0)
    with pytest.raises(ModelError, match=f"{url}: {said}"):
        next(Asker(load_model(settings), settings).complete([Request("s", "u")], 9))


def test_a_wrong_path_and_a_wrong_scheme_say_so():
    with Stub() as stub:
        settings = config(stub).model_copy(update={"base_url": stub.base_url + "/chat"})
        with pytest.raises(ModelError, match="mostly ends in /v1"):
            next(Asker(load_model(settings), settings).complete([Request("s", "u")], 9))


def test_an_endpoint_that_hangs_is_given_up_after_its_retries():
    said = r"no answer within 0\.2 s after 1 retries"
    hanging = replace(completion("late"), delay=None)
    started = time.perf_counter()
    with Stub((hanging,)) as stub, pytest.raises(ModelError, match=said):
        complete(stub, "x", timeout=0.2, max_retries=1)
    assert time.perf_counter() - started < 10
    assert len(stub.requests) == 2


def test_500_forever_ends_after_the_retries():
    broken = failure(500, "broken")
    with Stub((broken,)) as stub, pytest.raises(ModelError, match="after 2 retries"):
        complete(stub, "x", max_retries=2)
    assert len(stub.requests) == 3


@pytest.mark.parametrize("status", [400, 413, 422])
def test_one_refused_request_does_not_stop_the_others(status):
    def plan(body):
        bad = "bad" in text_of(body)
        return failure(status, "this picture is not allowed") if bad else oblige(body)

    with Stub(plan) as stub:
        replies = complete(stub, "one", "bad", "three")
    assert [reply.text for reply in (replies[0], replies[2])] == ["one", "three"]
    assert isinstance(replies[1], Refusal)
    assert "this picture is not allowed" in replies[1].reason
    assert len(stub.requests) == 3


def test_an_endpoint_that_refuses_everything_stops_the_run():
    said = "temperature is not supported"
    with Stub((failure(400, said),)) as stub, pytest.raises(ModelError, match=said):
        complete(stub, *(str(i) for i in range(50)), concurrency=2)
    assert len(stub.requests) < 20


def test_a_model_that_thinks_past_its_limit_is_refused():
    with Stub((completion("", finish_reason="length"),)) as stub:
        (refusal,) = complete(stub, "x")
    assert refusal == Refusal("9 tokens of answer ended before its first word")


def test_a_model_that_cannot_see_is_named_as_the_likely_cause(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    said = "can only concatenate str.*may not see images"
    blind = failure(500, "can only concatenate str")
    with Stub((blind,)) as stub, pytest.raises(ModelError, match=said):
        list(asker(stub).complete([Request("s", "u", tmp_path / "a.png", "0")], 9))


def test_an_unreadable_image_is_refused_alone(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with Stub() as stub:
        requests = [Request("s", "u", tmp_path / "a.jpg", "0"), Request("s", "a word")]
        answers = dict(asker(stub).complete(requests, 9))
    assert answers[0] == Refusal("not an image Pillow can read")
    assert answers[1].text == "word"


@pytest.mark.parametrize("error", [RunError("a", "b", "c"), RequestRefused("a", "b", "c")])
def test_our_own_errors_pass(error):
    assert mapped(error, ModelConfig(model="fake")) is error


def test_an_unknown_error_keeps_its_name_and_first_line():
    fault = mapped(RuntimeError("first\nsecond"), ModelConfig(model="anthropic:x"))
    assert isinstance(fault, ModelError)
    assert str(fault).startswith("anthropic:x: RuntimeError: first; ")


def test_answers_are_stored_and_not_paid_for_twice(tmp_path):
    with Stub() as stub:
        answers = Answers(tmp_path / "answers.sqlite")
        for _ in range(2):
            one = Asker(load_model(config(stub)), config(stub), answers)
            assert next(one.complete([Request("s", "a word")], 9))[1].text == "word"
        answers.close()
    assert len(stub.requests) == 1


# choosing


def test_the_tokens_probabilities_become_the_options():
    with Stub() as stub:
        choice = choose(stub)
    assert choice.probabilities == pytest.approx((0.25, 0.0, 0.75), abs=1e-5)
    assert choice.usage.calls == 1
    assert (choice.usage.prompt_tokens, choice.usage.cached_prompt_tokens) == (7, 2)
    body = stub.requests[0]
    assert body["response_format"]["json_schema"]["strict"] is True
    assert options_of(body) == OPTIONS
    assert body["logprobs"] is True


def refusing(status, *names):
    """An endpoint that refuses parameters by name: json_schema, json_object or logprobs."""

    def plan(body):
        form = (body.get("response_format") or {}).get("type")
        for name in names:
            if name == form or name in body:
                return failure(status, f"unknown parameter {name}")
        if not form:  # a plain instruction
            return completion('Sure! {"answer": "blue"}')
        return oblige(body)

    return plan


@pytest.mark.parametrize("status", [400, 422, 500])
@pytest.mark.parametrize(
    ("refused", "searches", "form", "certain"),
    [
        (["logprobs"], 2, "json_schema", True),
        (["json_schema"], 3, "json_object", False),
        (["json_schema", "logprobs"], 4, "json_object", True),
        (["json_schema", "json_object"], 5, None, True),
    ],
)
def test_the_way_an_endpoint_takes_is_found_once(status, refused, searches, form, certain):
    with Stub(refusing(status, *refused)) as stub:
        one = asker(stub)
        first = next(one.choose([Request("s", "the blue one")], OPTIONS))[1]
        asked = len(stub.requests)
        second = next(one.choose([Request("s", "again the blue one")], OPTIONS))[1]
    assert first.probabilities == second.probabilities
    assert first.best == 2
    assert (max(first.probabilities) == 1) == certain
    assert first.usage.calls == searches
    # a 500 may pass, so it is asked again
    assert asked == (2 * (searches - 1) + 1 if status == 500 else searches)
    assert len(stub.requests) == asked + 1
    assert (stub.requests[-1].get("response_format") or {}).get("type") == form


def test_many_threads_search_once():
    with Stub(refusing(422, "json_schema")) as stub:
        requests = [Request("s", f"{i} is blue") for i in range(20)]
        choices = dict(asker(stub, concurrency=8).choose(requests, OPTIONS))
    assert {choice.best for choice in choices.values()} == {2}
    assert len(stub.requests) == 22


def test_an_endpoint_that_ignores_the_schema_is_told_in_words():
    def plan(body):
        told = "exactly one of" in text_of(body)
        return completion('{"answer": "blue"}' if told else "It is as blue as the sea.")

    with Stub(plan) as stub:
        one = asker(stub)
        choices = [next(one.choose([Request("s", str(i))], OPTIONS))[1] for i in range(2)]
    assert [choice.best for choice in choices] == [2, 2]
    assert len(stub.requests) == 4


def test_an_outage_does_not_change_the_way():
    with Stub((failure(503, "later"), failure(503, "later"), oblige)) as stub:
        choice = choose(stub, max_retries=3)
    assert choice.best == 2
    assert stub.requests[-1]["logprobs"] is True
    assert stub.requests[-1]["response_format"]["type"] == "json_schema"


def test_a_request_that_no_way_answers_is_refused_alone():
    def plan(body):
        bad = "bad" in text_of(body)
        return failure(400, "content filter") if bad else oblige(body)

    with Stub(plan) as stub:
        requests = [Request("s", "bad"), Request("s", "the blue one")]
        answers = dict(asker(stub, concurrency=1).choose(requests, OPTIONS))
    assert isinstance(answers[0], Refusal)
    assert answers[1].probabilities == pytest.approx((0.25, 0.0, 0.75), abs=1e-5)


@pytest.mark.parametrize("said", ["blue", " Blue ", "'blue'", '{"answer": "BLUE"}', "blue."])
def test_case_and_quotes_around_an_answer_do_not_matter(said):
    with Stub((completion(said),)) as stub:
        assert choose(stub).probabilities == (0.0, 0.0, 1.0)


def test_an_answer_outside_the_options_gets_one_more_try():
    outside = completion('{"answer": "purple"}')
    with Stub((outside, oblige)) as stub:
        choice = choose(stub)
    assert choice.best is not None
    assert choice.usage.calls == 2
    assert choice.usage.prompt_tokens == 14
    assert "purple" in stub.requests[1]["messages"][-2]["content"]
    assert "none of the options" in stub.requests[1]["messages"][-1]["content"]


def test_an_answer_outside_the_options_twice_is_no_answer():
    with Stub((completion('{"answer": "purple"}'),)) as stub:
        choice = choose(stub)
    assert choice == Choice((), choice.usage)
    assert choice.best is None
    assert choice.usage.calls == len(stub.requests) == 2


def test_an_empty_answer_is_no_answer_and_says_nothing_of_the_way():
    with Stub((completion(None), completion(""), oblige)) as stub:
        one = asker(stub)
        assert next(one.choose([Request("s", "a")], OPTIONS))[1].probabilities == ()
        assert next(one.choose([Request("s", "the blue one")], OPTIONS))[1].best == 2
    assert stub.requests[-1]["response_format"]["type"] == "json_schema"


def test_options_may_hold_quotes_and_any_script():
    options = ['a "b" \\ c', "красный", "赤い", "naïve"]
    with Stub() as stub:
        for i, said in enumerate(["a 'b' / c", *options[1:]]):
            choice = choose(stub, f"the {said} one", options)
            assert choice.best == i
            assert sum(choice.probabilities) == pytest.approx(1)
    assert options_of(stub.requests[0])[0] == "a 'b' / c"


def token(text, logprob, *others):
    top = [{"token": t, "logprob": p, "bytes": None} for t, p in [(text, logprob), *others]]
    return top[0] | {"top_logprobs": top}


def test_options_that_share_tokens_are_told_apart():
    text = '{"answer": "light red"}'
    tokens = [
        token('{"', -3.0),
        token('answer": "', 0.0),
        token("light", -0.51083, ("dark", -0.91629), ("The", -0.1)),  # .6 .4, others not options
        token(" red", -0.28768, (" blue", -1.38629)),  # .75 .25
        token('"}', -5.0),
    ]
    options = ["light red", "light blue", "dark red", "dark blue", "grey"]
    span = (text.index("light"), text.index('"}'))
    told = distribution(tokens, text, span, options)
    assert told == pytest.approx((0.45, 0.15, 0.2, 0.2, 0.0), abs=1e-4)


def test_an_option_that_begins_another_is_told_apart_by_the_closing_quote():
    text = '{"answer": "red"}'
    tokens = [token('{"answer": "', 0.0), token("red", 0.0), token('"}', -0.10536, (" wine", -2.3))]
    told = distribution(tokens, text, (12, 15), ["red", "red wine"])
    assert told == pytest.approx((0.9, 0.1), abs=1e-3)


def test_tokens_of_a_few_bytes_of_a_character():
    text = '{"answer": "赤"}'
    first, rest = "赤".encode()[:1], "赤".encode()[1:]
    tokens = [token('{"answer": "', 0.0), token("?", 0.0), token("?", 0.0), token('"}', 0.0)]
    tokens[1]["bytes"], tokens[2]["bytes"] = list(first), list(rest)
    assert distribution(tokens, text, (12, 13), ["青", "赤"]) == pytest.approx((0.0, 1.0))


@pytest.mark.parametrize("tokens", [[], [token("something else", 0.0)]])
def test_tokens_that_are_not_the_text_tell_nothing(tokens):
    assert distribution(tokens, '{"answer": "red"}', (12, 15), ["red", "blue"]) is None


class Other(BaseChatModel):
    """A provider of its own that knows no schema: answers with what the prompt ends in."""

    @property
    def _llm_type(self):
        return "other"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        told = messages[-1].text.rpartition("exactly one of: ")[2]
        return ChatResult(generations=[ChatGeneration(message=AIMessage(told.split(", ")[0]))])


class Structured(Other):
    """A provider that has its own way to structured output."""

    def with_structured_output(self, schema, *, include_raw=False, **kwargs):
        assert include_raw
        self.bind(schema=schema)

        def answer(messages):
            raw = AIMessage("", usage_metadata=usage)
            return {"raw": raw, "parsed": {"answer": schema["properties"]["answer"]["enum"][1]}}

        from langchain_core.runnables import RunnableLambda

        usage = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
        return RunnableLambda(answer)


def test_other_providers_use_their_own_structured_output():
    choice = choose_by_schema(Structured(), [HumanMessage("x")], OPTIONS)
    assert choice == Choice((0.0, 1.0, 0.0), Usage(1, 5, 0, 2))


def test_a_provider_without_structured_output_is_told_in_words():
    choice = choose_by_schema(Other(), [HumanMessage("x")], OPTIONS)
    assert choice.probabilities == (1.0, 0.0, 0.0)


def test_what_was_found_is_forgotten_with_the_model():
    model = Other()
    choose_by_schema(model, [HumanMessage("x")], OPTIONS)
    assert id(model) in schema._found
    number = id(model)
    del model
    gc.collect()
    assert number not in schema._found


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
