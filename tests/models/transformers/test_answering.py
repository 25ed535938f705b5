"""A batch answers as the network itself does, one prompt after the other."""

import pytest
import torch
from langchain_core.messages import AIMessage
from PIL import Image
from transformers import AutoTokenizer

from agentclust.config import ModelConfig
from agentclust.errors import RequestRefused
from agentclust.models import load_model
from agentclust.models.answering import InProcess, Inward
from agentclust.models.asking import Asker
from agentclust.models.hf.decoding import Sampling
from agentclust.types import Refusal, Reply, Request
from tests.models.tiny import make_llama
from tests.models.transformers.prompts import OPTIONS, SYSTEM, USERS, ask, load, show, texts
from tests.models.transformers.references import (
    CHAT_TEXT,
    greedy,
    image_reference,
    next_logits,
    text_reference,
)

# Answers


def test_satisfies_the_protocol_of_models_in_process(text_model):
    assert isinstance(text_model, InProcess)
    assert text_model.batch_size == 8


def test_a_batch_answers_as_the_network_itself_does_without_padding(llama, text_model):
    tokenizer, network, start = text_reference(llama)
    answers = text_model.batch([ask(user) for user in USERS], max_tokens=12)
    for user, answer in zip(USERS, answers, strict=True):
        ids, extra = start(user)
        text, written = greedy(tokenizer, network, ids, extra, 12)
        assert answer.text == text
        assert answer.usage_metadata["input_tokens"] == ids.shape[1]
        assert answer.usage_metadata["output_tokens"] == written


def test_images_are_answered_as_the_network_itself_does(llava, image_model):
    tokenizer, network, start = image_reference(llava)
    shown = [("red", USERS[0]), ("white", USERS[1]), ("black", USERS[1])]
    answers = image_model.batch([show(*one) for one in shown], max_tokens=12)
    for one, answer in zip(shown, answers, strict=True):
        ids, extra = start(*one)
        assert int((ids == tokenizer.convert_tokens_to_ids("<image>")).sum()) == 4
        assert answer.text == greedy(tokenizer, network, ids, extra, 12)[0]
        assert answer.usage_metadata["input_tokens"] == ids.shape[1]
    assert answers[1].text != answers[2].text


def test_a_state_is_what_the_network_reads_its_next_token_from(llama, text_model):
    _, network, start = text_reference(llama)
    assert isinstance(text_model, Inward)
    for user, state in zip(USERS, text_model.states([ask(u) for u in USERS]), strict=True):
        ids, extra = start(user)
        with torch.no_grad():
            logits = network.lm_head(torch.tensor(state.vector)[None])[0].double()
        expected = next_logits(network, ids, extra)
        assert float((logits - expected).abs().max()) < 0.01 * float(expected.abs().max())
        assert state.usage.prompt_tokens == ids.shape[1]


def test_states_of_images_are_read_too(llava, image_model):
    _, network, start = image_reference(llava)
    (state,) = image_model.states([show("red", USERS[0])])
    ids, extra = start("red", USERS[0])
    with torch.no_grad():
        logits = network.lm_head(torch.tensor(state.vector)[None])[0].double()
    expected = next_logits(network, ids, extra)
    assert float((logits - expected).abs().max()) < 0.01 * float(expected.abs().max())


def test_prompts_with_and_without_images_may_be_mixed(image_model):
    prompts = [ask(USERS[0]), show("red", "mood?"), show("blue", "mood?"), ask("mood?")]
    together = image_model.batch(prompts, max_tokens=8)
    assert texts(together) == [image_model.invoke(p, max_tokens=8).text for p in prompts]


def test_more_prompts_than_the_batch_size_keep_their_order(llama, text_model):
    prompts = [ask(f"{n} {user}") for n in range(2) for user in USERS]
    small = load(llama, batch_size=4)
    assert texts(small.batch(prompts, max_tokens=6)) == texts(
        text_model.batch(prompts, max_tokens=6)
    )


def test_a_shared_system_text_is_read_once(llama):
    model = load(llama)
    first = model.batch([ask(user) for user in USERS], max_tokens=1)
    again = model.batch([ask(user) for user in USERS[1:]], max_tokens=1)
    cached = [a.usage_metadata["input_token_details"]["cache_read"] for a in first + again]
    tokenizer = AutoTokenizer.from_pretrained(llama)
    shared = CHAT_TEXT.format(system=SYSTEM, user="\0").split("\0")[0]
    size = len(tokenizer.encode(shared, add_special_tokens=False))
    assert cached == [0, size, size, size, size]
    other = model.invoke(
        ask(USERS[0], "Another long text of the system, with as many words as that.")
    )
    assert other.usage_metadata["input_token_details"]["cache_read"] == 0


def test_max_tokens_and_stop_texts_end_an_answer(text_model):
    prompts = [ask(user) for user in USERS]
    whole = text_model.batch(prompts, max_tokens=16)
    assert {a.response_metadata["finish_reason"] for a in whole} == {"length"}
    assert {a.usage_metadata["output_tokens"] for a in whole} == {16}
    stop = whole[0].text[4:6]
    cut = text_model.batch(prompts, max_tokens=16, stop=[stop])
    assert texts(cut) == [text.split(stop)[0].strip() for text in texts(whole)]
    assert cut[0].response_metadata["finish_reason"] == "stop"
    assert 0 < cut[0].usage_metadata["output_tokens"] < 16
    assert text_model.invoke(prompts[0], max_tokens=16, stop=[stop]).text == cut[0].text
    asked = text_model.invoke(prompts[0], max_tokens=16, stop=["rain"])  # the prompt has it
    assert asked.text == whole[0].text


@pytest.mark.parametrize("told_by", ["template", "tokenizer", "generation config"])
def test_an_answer_ends_with_a_token_that_ends_it(llama, tmp_path, told_by):
    tokenizer, network, start = text_reference(llama)
    ids, extra = start(USERS[0])
    tokens = []
    while len(tokens) < 3:
        tokens.append(int(next_logits(network, ids, extra, tokens).argmax()))
    end = {"template": 4, "tokenizer": 2}.get(told_by, tokens[2])
    network.generation_config.eos_token_id = tokens[2] if told_by == "generation config" else None
    with torch.no_grad():  # from now on the third token is the end
        network.lm_head.weight[[tokens[2], end]] = network.lm_head.weight[[end, tokens[2]]]
    network.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    answers = load(tmp_path).batch([ask(user) for user in USERS], max_tokens=9)
    assert answers[0].text == tokenizer.decode(tokens[:2]).strip()
    assert answers[0].usage_metadata["output_tokens"] == 3
    assert answers[0].response_metadata["finish_reason"] == "stop"
    assert max(a.usage_metadata["output_tokens"] for a in answers) == 9


def test_a_prompt_longer_than_the_window_is_refused_with_numbers(llama):
    model = load(llama, n_ctx=256)
    long = ask("rain " * 300)
    with pytest.raises(RequestRefused, match=r"\d{3,} tokens and an answer of 1 exceed .* 256"):
        model.invoke(long)
    with pytest.raises(RequestRefused, match="window of 256"):
        model.choose([long], OPTIONS)
    answers = model.batch(
        [ask(USERS[0]), long, ask(USERS[2])], return_exceptions=True, max_tokens=4
    )
    assert isinstance(answers[1], RequestRefused)
    assert [type(a) for a in answers[::2]] == [AIMessage, AIMessage]


def test_a_prompt_near_the_window_gets_a_shorter_answer_and_its_neighbours_do_not(llama):
    model = load(llama, n_ctx=256)
    near = ask("rain " * 167)
    alone = model.invoke(near, max_tokens=40)
    room = 256 - alone.usage_metadata["input_tokens"]
    assert 0 < room < 40
    assert alone.usage_metadata["output_tokens"] == room
    together = model.batch([ask(USERS[0]), near], max_tokens=40)
    assert [a.usage_metadata["output_tokens"] for a in together] == [40, room]


def test_the_smaller_of_the_two_windows_counts(tmp_path):
    model = load(make_llama(tmp_path, positions=128))
    with pytest.raises(RequestRefused, match="window of 128"):
        model.invoke(ask("rain " * 120))


# Sampling


def test_sampling_is_seeded_and_does_not_depend_on_the_batch(llama, text_model):
    prompts = [ask(user) for user in USERS]
    drawn = texts(load(llama, temperature=1.0).batch(prompts, max_tokens=10))
    assert drawn != texts(text_model.batch(prompts, max_tokens=10))
    again = load(llama, temperature=1.0)
    assert texts(again.batch(prompts[::-1], max_tokens=10)) == drawn[::-1]
    assert again.invoke(prompts[1], max_tokens=10).text == drawn[1]
    assert texts(load(llama, seed=1, temperature=1.0).batch(prompts, max_tokens=10)) != drawn


def test_sampling_draws_from_the_softmax():
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0])
    draws = Sampling(0.5, range(4000))(torch.zeros(4000, 1), logits.expand(4000, -1)).argmax(1)
    shares = torch.bincount(draws, minlength=4) / 4000
    assert shares.numpy() == pytest.approx((logits / 0.5).softmax(0).numpy(), abs=0.025)


# Together with the asker


def test_the_asker_batches_refuses_one_and_stores(llava, tmp_path):
    Image.new("RGB", (50, 50), "red").save(tmp_path / "red.png")
    config = ModelConfig(model=f"transformers:{llava}", batch_size=4, n_ctx=256)
    asker = Asker(load_model(config), config)
    requests = [
        Request(SYSTEM, "mood?", tmp_path / "red.png", "1"),
        Request(SYSTEM, "rain " * 300),
        Request(SYSTEM, "mood?"),
    ]
    replies = dict(asker.complete(requests, 6))
    assert [type(replies[i]) for i in range(3)] == [Reply, Refusal, Reply]
    assert "tokens" in replies[1].reason
    choices = dict(asker.choose(requests[::2], OPTIONS))
    assert [len(choices[i].probabilities) for i in range(2)] == [5, 5]
