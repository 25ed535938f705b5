"""Answers depend on nothing but their request; a shared prefix is read once."""

import threading
from contextlib import closing

import numpy as np
import pytest
from langchain_core.messages import AIMessage, HumanMessage

from agentclust.config import ModelConfig
from agentclust.errors import RequestRefused
from agentclust.models import load_model
from agentclust.models.answering import Inward
from agentclust.models.asking import Asker
from agentclust.models.gguf.turns import turns_of
from agentclust.types import Refusal, Reply, Request
from tests.models.llama_cpp.prompts import (
    CAPTIONS,
    LONG,
    OPTIONS,
    PROMPTS,
    SHORT,
    brute_force,
    cached,
    evaluated,
    logits_of,
    make,
    path_logits_afresh,
    prompt,
)

tiny_gguf = pytest.importorskip("tests.models.tiny_gguf", reason="the package gguf is missing")


GGUFReader = pytest.importorskip("gguf").GGUFReader


# answers depend on nothing but their request


def test_bit_identical_whatever_was_asked_before(gguf, model):
    alone = []
    for messages in PROMPTS:
        with closing(make(gguf)) as fresh:
            alone.append(
                (
                    logits_of(fresh, messages),
                    fresh.choose([messages], OPTIONS)[0].probabilities,
                    fresh.invoke(messages, max_tokens=6).text,
                    fresh.states([messages])[0].data,
                )
            )
    asks = [
        logits_of,
        lambda model, messages: model.choose([messages], OPTIONS)[0].probabilities,
        lambda model, messages: model.invoke(messages, max_tokens=6).text,
        lambda model, messages: model.states([messages])[0].data,
    ]
    rng = np.random.default_rng(0)
    for _ in range(60):
        which, how = rng.integers(len(PROMPTS)), rng.integers(len(asks))
        assert asks[how](model, PROMPTS[which]) == alone[which][how]


@pytest.mark.parametrize("kind", ["llama", "mamba"])
def test_a_state_is_what_the_logits_are_read_from(tmp_path, kind):
    file = getattr(tiny_gguf, kind)(tmp_path / "tiny.gguf")
    tensors = {tensor.name: tensor.data for tensor in GGUFReader(file).tensors}
    with closing(make(file)) as model:
        assert isinstance(model, Inward)
        for messages, state in zip(PROMPTS, model.states(PROMPTS), strict=True):
            with model._reading(messages, 1):
                logits = model._gguf.logits()
            read = tensors.get("output.weight", tensors["token_embd.weight"]) @ state.vector
            assert read == pytest.approx(logits, abs=0.02 * float(np.abs(logits).max()))
            assert state.usage.prompt_tokens > state.usage.cached_prompt_tokens
            assert state.usage.completion_tokens == 0
        with pytest.raises(RequestRefused, match="do not fit"):
            model.states([prompt(SHORT, "word " * 3000)])


def test_a_conversation_is_the_same_whether_it_grew_or_came_at_once(gguf, model):
    turns = [*prompt(LONG, "Begin."), AIMessage("One."), HumanMessage("Go on."), AIMessage("Two.")]
    whole = [*turns, HumanMessage("And now?")]
    for length in (2, 4):
        model.invoke(turns[:length], max_tokens=4)
    grown = logits_of(model, whole)
    with closing(make(gguf)) as fresh:
        assert logits_of(fresh, whole) == grown


def test_threads_may_share_a_model(model):
    expected = [model.choose([messages], OPTIONS)[0].probabilities for messages in PROMPTS]
    answers = {}

    def ask(i):
        answers[i] = model.choose([PROMPTS[i]], OPTIONS)[0].probabilities

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(PROMPTS))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answers[i] for i in range(len(PROMPTS))] == expected


# the shared prefix is read once


def test_only_the_last_message_is_read_again(model):
    first = model.invoke(prompt(LONG, CAPTIONS[0]), max_tokens=3)
    before = evaluated(model)
    second = model.invoke(prompt(LONG, CAPTIONS[1]), max_tokens=1)
    new = second.usage_metadata["input_tokens"] - cached(second)
    assert evaluated(model) - before == new
    assert cached(second) == cached(model.invoke(prompt(LONG, CAPTIONS[2]), max_tokens=1))
    own = len(model._gguf.tokens(CAPTIONS[1]))
    after = len(model._gguf.tokens("<|im_end|>\n<|im_start|>assistant\n", special=True))
    assert own <= new <= own + after + 1
    assert cached(second) > len(model._gguf.tokens(LONG))
    assert first.usage_metadata["input_tokens"] > cached(second)


def test_another_system_text_is_another_prefix(model):
    model.invoke(prompt(SHORT, CAPTIONS[0]), max_tokens=1)
    assert cached(model.invoke(prompt(LONG, CAPTIONS[0]), max_tokens=1)) < 16
    assert cached(model.invoke(prompt(LONG, CAPTIONS[0]), max_tokens=1)) > 16


def test_a_conversation_reads_its_new_messages_alone(model):
    turns = [*prompt(LONG, "Begin."), AIMessage("One."), HumanMessage("Go on.")]
    before = model.invoke(turns[:2], max_tokens=1).usage_metadata["input_tokens"]
    assert cached(model.invoke(turns, max_tokens=1)) >= before


def test_a_recurrent_model_reads_everything_each_time(tmp_path):
    with closing(make(tiny_gguf.mamba(tmp_path / "mamba.gguf"))) as model:
        once = [model.choose([messages], OPTIONS)[0] for messages in PROMPTS]
        again = [model.choose([messages], OPTIONS)[0] for messages in PROMPTS[::-1]][::-1]
        assert [c.probabilities for c in once] == [c.probabilities for c in again]
        assert {c.usage.cached_prompt_tokens for c in [*once, *again]} == {0}
        for choice, messages in list(zip(once, PROMPTS, strict=True))[:2]:
            tokens = [t for part in model._template.parts(turns_of(messages)[0]) for t in part]
            expected = brute_force(model, tokens, lambda path: path_logits_afresh(model, path))
            assert choice.probabilities == pytest.approx(expected, abs=5e-3)


# writing


def test_usage_and_finish_reason(model):
    message = model.invoke(PROMPTS[0], max_tokens=3)
    assert message.usage_metadata["output_tokens"] == 3
    assert message.response_metadata["finish_reason"] == "length"
    assert message.usage_metadata["total_tokens"] == message.usage_metadata["input_tokens"] + 3


def test_a_stop_text_ends_the_answer_and_is_no_part_of_it(model):
    whole = model.invoke(PROMPTS[0], max_tokens=20).text
    stop = whole[4:6]
    message = model.invoke(PROMPTS[0], max_tokens=20, stop=["never written", stop])
    assert message.text == whole[: whole.index(stop)].strip()
    assert message.response_metadata["finish_reason"] == "stop"


def test_sampling_depends_on_seed_and_prompt_alone(gguf):
    def sampled(seed, order):
        with closing(make(gguf, temperature=1.5, seed=seed)) as model:
            texts = {i: model.invoke(PROMPTS[i], max_tokens=8).text for i in order}
        return [texts[i] for i in sorted(texts)]

    first = sampled(1, [0, 1, 2])
    assert sampled(1, [2, 0, 1]) == first
    assert sampled(2, [0, 1, 2]) != first


def test_a_prompt_that_does_not_fit_is_refused_with_numbers(tiny):
    with closing(make(tiny, n_ctx=256)) as model:
        length = model.invoke(PROMPTS[0], max_tokens=1).usage_metadata["input_tokens"]
        with pytest.raises(RequestRefused, match=f"{length} tokens and 250 .* into 256"):
            model.invoke(PROMPTS[0], max_tokens=250)
        with pytest.raises(RequestRefused, match="do not fit into 256"):
            model.invoke(prompt(SHORT, "z" * 300))
        with pytest.raises(RequestRefused, match="do not fit into 256"):
            model.choose([PROMPTS[0]], ["z" * 250, "y"])
        assert model.invoke(PROMPTS[0]).usage_metadata["total_tokens"] <= 256


def test_more_context_than_the_model_knows_is_not_used(tiny):
    with closing(make(tiny, n_ctx=4096)) as model, pytest.raises(RequestRefused, match="into 1024"):
        model.invoke(prompt(SHORT, "z" * 1500))


# through the one door


def test_asked_through_the_asker(gguf):
    config = ModelConfig(model=f"llama-cpp:{gguf}", n_ctx=512, n_threads=1)
    with closing(load_model(config)) as model:
        asker = Asker(model, config)
        requests = [Request(SHORT, text) for text in (CAPTIONS[0], "z" * 4000, CAPTIONS[0])]
        answers = dict(asker.complete(requests, max_tokens=4))
        assert isinstance(answers[0], Reply)
        assert answers[0].text == answers[2].text
        assert isinstance(answers[1], Refusal)
        assert "do not fit into 512" in answers[1].reason
        assert [answers[i].usage.calls for i in (0, 2)] == [1, 0]
