import base64
import io
import json
import os
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from langchain_core.messages import (
    AIMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.utils.function_calling import convert_to_openai_tool
from PIL import Image
from pydantic import BaseModel, Field
from transformers import (
    AutoModelForCausalLM,
    AutoProcessor,
    AutoTokenizer,
    BertConfig,
    LlavaForConditionalGeneration,
    Qwen2_5_VLConfig,
    T5Config,
)
from transformers.utils import is_torchvision_available

from agentclust.config import ModelConfig
from agentclust.errors import InputError, ModelError, RequestRefused
from agentclust.models import load_model
from agentclust.models.answering import InProcess, Inward
from agentclust.models.asking import Asker
from agentclust.models.hf.chat_format import PLAIN, chat_format
from agentclust.models.hf.decoding import Sampling
from agentclust.models.tool_calls import MAX_NUMBER, MAX_TEXT, told
from agentclust.networks.failing import out_of_memory
from agentclust.types import Refusal, Reply, Request
from tests.models.tiny import CHAT, make_llama, make_llava, make_mistral

SYSTEM = "You sort pictures by their mood. Answer with one word, and write nothing else, please."
USERS = [
    "A red car stands in the rain.",
    "The blue bird sits on a branch; below it the river runs to the sea.",
    "Why?",
]
OPTIONS = ["red car", "red bird", "red", "blue bird", "blue bicycle"]


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return make_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def llava(tmp_path_factory):
    return make_llava(tmp_path_factory.mktemp("llava"))


@pytest.fixture(scope="module")
def text_model(llama):
    return load(llama)


@pytest.fixture(scope="module")
def image_model(llava):
    return load(llava)


torch.set_num_threads(1)  # networks this small only wait for a second thread


def load(folder, seed=0, **settings):
    return load_model(ModelConfig(model=f"transformers:{folder}", **settings), seed)


def ask(user, system=SYSTEM):
    return [SystemMessage(system), HumanMessage(user)]


def show(colour, user, size=(60, 40)):
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    url = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
    image = {"type": "image_url", "image_url": {"url": url}}
    return [SystemMessage(SYSTEM), HumanMessage([image, {"type": "text", "text": user}])]


def texts(answers):
    return [answer.text for answer in answers]


# The reference: one prompt, no padding, no cache, no generate(), only the network's own forward


def text_reference(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModelForCausalLM.from_pretrained(folder)

    def start(user):
        turns = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": user}]
        inputs = tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, return_tensors="pt"
        )
        return inputs["input_ids"], {}

    return tokenizer, network, start


def image_reference(folder):
    processor = AutoProcessor.from_pretrained(folder)
    network = LlavaForConditionalGeneration.from_pretrained(folder)

    def start(colour, user):
        text = CHAT_TEXT.format(system=SYSTEM, user="<image>\n" + user)
        picture = Image.new("RGB", (60, 40), colour)
        inputs = processor(text=text, images=picture, add_special_tokens=False, return_tensors="pt")
        return inputs["input_ids"], {"pixel_values": inputs["pixel_values"]}

    return processor.tokenizer, network, start


CHAT_TEXT = "<s><|turn|>system\n{system}<|end|>\n<|turn|>user\n{user}<|end|>\n<|turn|>assistant\n"


@torch.no_grad()
def next_logits(network, ids, extra, path=()):
    whole = torch.cat([ids, torch.tensor([path], dtype=torch.long)], dim=1)
    return network(input_ids=whole, **extra).logits[0, -1].double()


def greedy(tokenizer, network, ids, extra, limit):
    written = []
    while len(written) < limit:
        written.append(int(next_logits(network, ids, extra, written).argmax()))
        if written[-1] in tokenizer.convert_tokens_to_ids(["</s>", "<|end|>"]):
            break
    return tokenizer.decode(written, skip_special_tokens=True).strip(), len(written)


def constrained(tokenizer, network, ids, extra, options):
    """Every option token by token: the softmax over the tokens that any option may write there."""
    end = tokenizer.convert_tokens_to_ids("<|end|>")
    paths = [[*tokenizer.encode(o, add_special_tokens=False), end] for o in options]
    result = []
    for path in paths:
        mass = 1.0
        for depth, token in enumerate(path):
            allowed = sorted({p[depth] for p in paths if p[:depth] == path[:depth]})
            shares = next_logits(network, ids, extra, path[:depth])[allowed].softmax(0)
            mass *= float(shares[allowed.index(token)])
        result.append(mass)
    return result


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


# Choices


def test_choices_are_those_of_decoding_token_by_token(llama, text_model):
    reference = text_reference(llama)
    choices = text_model.choose([ask(user) for user in USERS], OPTIONS)
    for user, choice in zip(USERS, choices, strict=True):
        ids, extra = reference[2](user)
        expected = constrained(*reference[:2], ids, extra, OPTIONS)
        assert choice.probabilities == pytest.approx(expected, abs=1e-4)
        assert sum(choice.probabilities) == pytest.approx(1)
        assert choice.usage.prompt_tokens == ids.shape[1]  # read once, however many nodes


def test_choices_over_images_are_those_of_decoding_token_by_token(llava, image_model):
    reference = image_reference(llava)
    shown = [("red", USERS[0]), ("white", USERS[1])]
    choices = image_model.choose([show(*one) for one in shown], OPTIONS)
    for one, choice in zip(shown, choices, strict=True):
        ids, extra = reference[2](*one)
        expected = constrained(*reference[:2], ids, extra, OPTIONS)
        assert choice.probabilities == pytest.approx(expected, abs=1e-4)
        assert choice.usage.prompt_tokens == ids.shape[1]


def test_a_cache_that_cannot_be_continued_is_not(tmp_path):
    folder = make_mistral(tmp_path, sliding_window=12)
    reference, model = text_reference(folder), load(folder)
    choices = model.choose([ask(user) for user in USERS], OPTIONS)
    for user, choice in zip(USERS, choices, strict=True):
        ids, extra = reference[2](user)
        expected = constrained(*reference[:2], ids, extra, OPTIONS)
        assert choice.probabilities == pytest.approx(expected, abs=1e-4)
        assert choice.usage.prompt_tokens == 3 * ids.shape[1]  # options part at three places
        assert choice.usage.cached_prompt_tokens == 0


def test_a_choice_does_not_depend_on_its_neighbours(text_model):
    prompts = [ask(user) for user in USERS]
    together = text_model.choose(prompts, OPTIONS)
    for prompt, choice in zip(prompts, together, strict=True):
        alone = text_model.choose([prompt], OPTIONS)[0]
        assert alone.probabilities == pytest.approx(choice.probabilities, abs=1e-5)


def test_one_option_is_certain_and_no_prompt_needs_no_answer(text_model):
    assert text_model.choose([ask("?")], ["red"])[0].probabilities == (1.0,)
    assert text_model.choose([], OPTIONS) == []
    with pytest.raises(InputError, match="same tokens"):
        text_model.choose([ask("?")], ["red", "red"])


def test_all_options_may_begin_alike(llama, text_model):
    options = ["red car", "red bird"]
    reference = text_reference(llama)
    ids, extra = reference[2]("?")
    expected = constrained(*reference[:2], ids, extra, options)
    assert text_model.choose([ask("?")], options)[0].probabilities == pytest.approx(
        expected, abs=1e-4
    )


# Tools


class Cluster(BaseModel, strict=True, extra="forbid"):
    """Group the images."""

    method: Literal["k-means", "naïve"]
    n_clusters: int = Field(ge=2, le=20)
    words: list[Literal["a", "b"]] = Field(default=[], max_length=3)
    note: str | None = Field(default=None, max_length=20)


class Stop(BaseModel, strict=True, extra="forbid"):
    """End the run."""


TOOLS = {"Cluster": Cluster, "Stop": Stop}


def called(model, users, tools=(Cluster, Stop), choice="any", **how):
    """The calls of a batch, each a valid one."""
    bound = model.bind_tools(list(tools), tool_choice=choice)
    calls = []
    for message in bound.batch([ask(user) for user in users], **how):
        (call,) = message.tool_calls
        assert message.text == ""
        assert message.response_metadata["finish_reason"] == "tool_calls"
        calls.append((call["name"], call["args"]))
    return calls


@pytest.mark.parametrize("kind", ["llama", "llava"])
def test_no_weights_can_write_an_invalid_call(kind, request):
    names = set()
    for seed in range(3):
        model = load(request.getfixturevalue(kind), seed, temperature=2.0, batch_size=3)
        for name, args in called(model, USERS):
            TOOLS[name].model_validate(args)
            names.add(name)
    assert len(names) == 2


def test_a_call_does_not_depend_on_the_batch(llama):
    apart = load(llama, temperature=1.0, batch_size=1)
    together = load(llama, temperature=1.0, batch_size=3)
    calls = called(together, USERS)
    assert calls == called(apart, USERS)
    assert len({str(call) for call in calls}) > 1


def test_a_call_is_written_by_the_likeliest_tokens_that_fit(llama, text_model):
    class Choose(BaseModel):
        """Choose one."""

        option: Literal["red", "bird", "bicycle"]

    ((_, args),) = called(text_model, USERS[:1], [Choose])
    tokenizer, network, _ = text_reference(llama)
    system = f"{SYSTEM}\n\n{told([convert_to_openai_tool(Choose)], must=True)}"
    chat = CHAT_TEXT.format(system=system, user=USERS[0])
    ids = tokenizer.encode(chat, add_special_tokens=False)
    calls = [
        json.dumps({"name": "Choose", "arguments": {"option": option}}) + "<|end|>"
        for option in ("red", "bird", "bicycle")
    ]
    written = ""
    while written not in calls:
        logits = next_logits(network, torch.tensor([ids]), {})
        fits = [
            token
            for token in range(len(tokenizer))
            if any(call.startswith(written + tokenizer.decode([token])) for call in calls)
        ]
        ids.append(max(fits, key=lambda token: logits[token]))
        written += tokenizer.decode(ids[-1:])
    assert json.loads(written.removesuffix("<|end|>"))["arguments"] == args


def test_nothing_unbounded_in_a_call_runs_on(text_model):
    class Say(BaseModel):
        """Say it."""

        text: str
        count: int
        share: float
        words: list[Literal["a"]]

    ((_, args),) = called(text_model, USERS[:1], [Say], max_tokens=800)
    assert MAX_TEXT / 2 < len(args["text"]) <= MAX_TEXT
    assert abs(args["count"]) <= MAX_NUMBER
    assert len(str(args["share"])) < 25
    Say.model_validate(args)


def test_bounds_of_numbers_are_kept(llama):
    class Count(BaseModel):
        """Count."""

        low: int = Field(ge=3, le=5)
        high: int = Field(gt=10, lt=13)
        share: float = Field(ge=0.25, le=0.5)

    for seed in range(3):
        model = load(llama, seed, temperature=2.0, batch_size=3)
        for _, args in called(model, USERS, [Count]):
            Count.model_validate(args)


def test_a_named_tool_is_the_one_that_is_called(text_model):
    for choice in ("Stop", {"type": "function", "function": {"name": "Stop"}}):
        assert called(text_model, USERS[:1], choice=choice) == [("Stop", {})]


def test_an_unknown_tool_is_an_error(text_model):
    for way in ("invoke", "batch"):
        bound = text_model.bind_tools([Cluster, Stop], tool_choice="Stopp")
        with pytest.raises(InputError, match="did you mean 'Stop'"):
            getattr(bound, way)([HumanMessage("Act.")])


def test_auto_admits_plain_words_and_calls(llama):
    kinds = set()
    for seed in range(8):
        model = load(llama, seed, temperature=2.0)
        message = model.bind_tools([Stop]).invoke("Act.", max_tokens=80)
        if message.tool_calls:
            assert message.text == ""
            kinds.add("call")
        else:
            assert message.text[:1] not in ("{", "`", "<")
            kinds.add("words")
    assert "words" in kinds


def test_tools_are_told_and_may_be_off(text_model):
    plain = text_model.invoke("Act.", max_tokens=1).usage_metadata["input_tokens"]
    off = text_model.bind_tools([Cluster], tool_choice="none").invoke("Act.", max_tokens=1)
    on = text_model.bind_tools([Stop]).invoke("Act.", max_tokens=1)
    assert off.usage_metadata["input_tokens"] == plain < on.usage_metadata["input_tokens"]


def test_what_is_told_of_tools_is_read_once(llama):
    bound = load(llama).bind_tools([Cluster, Stop], tool_choice="any")
    first, second = (bound.invoke(ask(user)).usage_metadata for user in USERS[:2])
    assert first["input_token_details"]["cache_read"] == 0
    assert second["input_token_details"]["cache_read"] > second["input_tokens"] / 2


def test_a_call_that_does_not_fit_is_refused_alone(text_model):
    bound = text_model.bind_tools([Cluster], tool_choice="any")
    with pytest.raises(RequestRefused, match="longer than 4 tokens"):
        bound.invoke("Act.", max_tokens=4)
    answers = bound.batch(["Act."], return_exceptions=True, max_tokens=4)
    assert isinstance(answers[0], RequestRefused)


def test_calls_and_results_stand_in_the_conversation(text_model):
    bound = text_model.bind_tools([Stop], tool_choice="any")
    asked = HumanMessage("Act.")
    call = bound.invoke([asked])
    result = ToolMessage("5 clusters", tool_call_id=call.tool_calls[0]["id"], name="Stop")
    turns, _ = text_model._network.form.turns([asked, call, result])
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert json.loads(turns[1]["content"]) == {"name": "Stop", "arguments": {}}
    assert turns[2]["content"] == "Result of Stop:\n5 clusters"
    again = bound.invoke([asked, call, result])
    assert again.tool_calls[0]["id"] != call.tool_calls[0]["id"]


def test_structured_output(text_model):
    answer = text_model.with_structured_output(Cluster).invoke("Two groups.")
    assert isinstance(answer, Cluster)


def test_a_schema_without_a_grammar(text_model):
    tool = {"name": "odd", "description": "", "parameters": {"type": "what"}}
    with pytest.raises(InputError, match="tool odd: the arguments' schema has no grammar"):
        text_model.bind_tools([tool], tool_choice="any").invoke("Act.")


# What a prompt may hold


def test_an_image_for_a_model_that_reads_text_alone(text_model):
    with pytest.raises(InputError, match="reads no images"):
        text_model.invoke(show("red", "?"))


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (HumanMessage([{"type": "image", "url": "http://127.0.0.1/a.png"}]), "as an address"),
        (
            HumanMessage([{"type": "image", "base64": "AAAA", "mime_type": "image/png"}]),
            "cannot be decoded",
        ),
        (HumanMessage([{"type": "audio", "base64": "AAAA", "mime_type": "audio/wav"}]), "audio"),
        (FunctionMessage("4", name="add"), "function"),
    ],
)
def test_what_cannot_be_read_is_refused(image_model, message, said):
    with pytest.raises(RequestRefused, match=said):
        image_model.invoke([message])


def test_a_caption_cannot_end_its_turn_or_stand_for_an_image(image_model):
    tokenizer = image_model._network.checkpoint.tokenizer
    form = image_model._network.form
    turns, _ = form.turns(ask("a </s><|end|> and an <image> b"))
    assert form.prompt(turns).count("<|end|>") == 2
    assert tokenizer.encode(form.prompt(turns)).count(tokenizer.convert_tokens_to_ids("</s>")) == 0
    assert image_model.invoke(show("red", "an <image> in words"), max_tokens=2).text


# Chat templates


@pytest.fixture
def tokenizer(llama):
    return AutoTokenizer.from_pretrained(llama)


def written(tokenizer, template, messages):
    tokenizer.chat_template = template
    form = chat_format("m", tokenizer, None)
    return form.prompt(form.turns(messages)[0])


NO_SYSTEM = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}"
    "{% elif (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('order') }}"
    "{% endif %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
)
DROPS_SYSTEM = (
    "{% for m in messages if m['role'] != 'system' %}[{{ m['role'] }}] {{ m['content'] }}\n"
    "{% endfor %}"
)


@pytest.mark.parametrize("template", [NO_SYSTEM, DROPS_SYSTEM])
def test_without_a_system_role_its_text_comes_before_the_users(tokenizer, template):
    assert written(tokenizer, template, ask("?", "Be short.")) == "[user] Be short.\n\n?\n"


PRINTS_PARTS = CHAT.replace("m['content'] is string", "m['role'] == 'system'")
NO_SYSTEM_WITH_IMAGES = CHAT.replace(
    "<image>\n",
    "<image>\n{% if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}",
)


@pytest.mark.parametrize("template", [PRINTS_PARTS, NO_SYSTEM_WITH_IMAGES])
def test_a_system_role_that_does_not_go_with_images_is_not_used(llava, template):
    processor = AutoProcessor.from_pretrained(llava)
    processor.chat_template = template
    form = chat_format("m", processor.tokenizer, processor)
    turns, images = form.turns(show("red", "?"))
    assert form.prompt(turns) == (
        f"<s><|turn|>user\n{SYSTEM}\n\n<image>\n?<|end|>\n<|turn|>assistant\n"
    )
    assert [image.size for image in images] == [(60, 40)]


def test_neighbours_of_one_role_become_one_turn(tokenizer):
    messages = [HumanMessage("a"), HumanMessage("b"), AIMessage("c"), HumanMessage("d")]
    assert written(tokenizer, NO_SYSTEM, messages) == "[user] a\n\nb\n[assistant] c\n[user] d\n"


def test_a_template_that_refuses_a_conversation(tokenizer):
    tokenizer.chat_template = NO_SYSTEM
    form = chat_format("m", tokenizer, None)
    with pytest.raises(RequestRefused, match=r"refuses it \(order\)"):
        form.prompt(form.turns([AIMessage("c"), HumanMessage("d")])[0])
    with pytest.raises(InputError, match="chat template refuses it"):
        written(tokenizer, "{{ messages.nothing.at.all }}", ask("?"))


def test_a_template_neither_thinks_aloud_nor_tells_the_day(tokenizer):
    template = CHAT + "{% if enable_thinking is false %}no{% endif %}{{ strftime_now('%d %b %Y') }}"
    assert written(tokenizer, template, ask("?")).endswith("no26 Jul 2024")


@pytest.mark.parametrize(
    ("template", "before", "after"),
    [
        (CHAT, "", "<|end|>\n"),
        (PLAIN, " ", "</s>"),
        ("{% for m in messages %}{{ m['content'] }} => {% endfor %}", "", " => "),
    ],
)
def test_what_stands_around_an_answer_is_read_from_the_template(tokenizer, template, before, after):
    tokenizer.chat_template = template
    form = chat_format("m", tokenizer, None)
    assert (form.before, form.after) == (before, after)


def test_options_are_read_as_they_follow_the_prompt(tmp_path):
    model = load(make_llama(tmp_path, template=None))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    expected = [*tokenizer.encode(" red car", add_special_tokens=False), tokenizer.eos_token_id]
    assert model._network.option_tokens("red car") == expected


@pytest.mark.parametrize("make", [make_llama, make_llava])
def test_a_checkpoint_without_a_template_gets_a_plain_one(make, tmp_path):
    model = load(make(tmp_path, template=None))
    prompts = [ask(user) for user in USERS]
    if make is make_llava:
        prompts = [show("red", user) for user in USERS]
    answers = model.batch(prompts, max_tokens=6)
    assert texts(answers) == [model.invoke(p, max_tokens=6).text for p in prompts]
    assert sum(model.choose(prompts, OPTIONS)[0].probabilities) == pytest.approx(1)
    form = model._network.form
    text = form.prompt(form.turns(prompts[0])[0])
    assert text.startswith(f"<s>{SYSTEM}\nUSER: ")
    assert text.endswith(f"{USERS[0]}\nASSISTANT:")
    assert text.count("<image>") == (make is make_llava)


def test_the_token_a_text_begins_with_is_there_once(llava, image_model, tmp_path):
    model = load(make_llava(tmp_path, template=CHAT.replace("{{ bos_token }}", "")))
    prompts = [show("red", user) for user in USERS]
    for one, other in zip(
        model.batch(prompts, max_tokens=6), image_model.batch(prompts, max_tokens=6), strict=True
    ):
        assert one.text == other.text
        assert one.usage_metadata["input_tokens"] == other.usage_metadata["input_tokens"]


# Loading


def four_bit_runs():
    try:
        from bitsandbytes.functional import quantize_4bit

        quantize_4bit(torch.ones(64, 64), quant_type="nf4")
    except Exception:
        return False
    return True


@pytest.mark.skipif(not four_bit_runs(), reason="bitsandbytes does not run on this CPU")
@pytest.mark.parametrize("make", [make_llama, make_llava])
def test_weights_in_four_bits(make, tmp_path):
    from bitsandbytes.nn import Linear4bit

    model = load(make(tmp_path), load_in_4bit=True, device_map="cpu")
    layers = [m for m in model._network.checkpoint.model.modules() if isinstance(m, Linear4bit)]
    assert len(layers) >= 14
    assert {layer.weight.quant_type for layer in layers} == {"nf4"}
    prompts = [ask(user) for user in USERS]
    if make is make_llava:
        prompts = [show("red", user) for user in USERS]
    answers = model.batch(prompts, max_tokens=8)
    assert texts(answers) == [model.invoke(p, max_tokens=8).text for p in prompts]
    four, full = model.choose(prompts, OPTIONS), load(tmp_path).choose(prompts, OPTIONS)
    alone = [model.choose([prompt], OPTIONS)[0].probabilities for prompt in prompts]
    assert np.array([c.probabilities for c in four]) == pytest.approx(np.array(alone), abs=1e-3)
    assert four[0].probabilities != pytest.approx(full[0].probabilities, abs=1e-3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has what the test lacks")
def test_four_bits_where_bitsandbytes_cannot_run(llama):
    with pytest.raises(InputError, match=r"load_in_4bit=true: bitsandbytes cannot run on cuda"):
        load(llama, load_in_4bit=True, device_map="cuda")


def broken(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def test_folders_that_are_no_chat_model(llama, tmp_path):
    cases = {
        "empty": ({}, "has no config.json"),
        "bert": ({"config__json": BertConfig().to_json_string()}, "of type 'bert', no chat model"),
        "t5": ({"config__json": T5Config().to_json_string()}, "no chat model"),
    }
    for name, (files, said) in cases.items():
        (tmp_path / name).mkdir()
        with pytest.raises(InputError, match=said) as caught:
            load(broken(tmp_path / name, **files))
        assert "\n" not in str(caught.value)


def test_folders_that_cannot_be_loaded(tmp_path):
    half = make_llama(tmp_path / "half")
    weights = half / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    unknown = broken(make_llama(tmp_path / "unknown"), config__json='{"model_type": "newest"}')
    garbage = broken(make_llama(tmp_path / "garbage"), config__json="{")
    weightless = make_llama(tmp_path / "weightless")
    (weightless / "model.safetensors").unlink()
    for folder in (half, unknown, garbage, weightless):
        with pytest.raises(ModelError, match="cannot be loaded") as caught:
            load(folder)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 600


@pytest.mark.skipif(is_torchvision_available(), reason="this machine has what the test lacks")
def test_a_model_that_needs_torchvision(tmp_path):
    named = {
        "processor_class": "Qwen2_5_VLProcessor",
        "image_processor_type": "Qwen2VLImageProcessor",
    }
    make_llama(tmp_path)
    broken(
        tmp_path,
        config__json=Qwen2_5_VLConfig().to_json_string(),
        preprocessor_config__json=json.dumps(named),
    )
    with pytest.raises(InputError, match=r"needs torchvision; install the torchvision made for"):
        load(tmp_path)


def test_weights_that_are_missing_are_not_made_up(llama, tmp_path):
    tokenizer, network, _ = text_reference(llama)
    network.model.save_pretrained(tmp_path)  # as checkpoints for embeddings are: without a head
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"has no weights for lm_head.weight"):
        load(tmp_path)


def test_a_checkpoint_with_a_program_of_its_own_is_not_run(tmp_path):
    config = {"model_type": "own", "auto_map": {"AutoConfig": "own.OwnConfig"}}
    broken(tmp_path, config__json=json.dumps(config), own__py="raise SystemExit('ran')")
    with pytest.raises(InputError, match="brings its own program, which is never run"):
        load(tmp_path)


def test_a_failed_allocation_is_one_line():
    with (
        pytest.raises(ModelError, match=r"m: does not fit into memory; try a smaller batch_size"),
        out_of_memory("m", "a smaller batch_size"),
    ):
        torch.empty(1 << 55)
    with pytest.raises(RuntimeError, match="shape"), out_of_memory("m", "nothing"):
        torch.empty(2).reshape(3)


def test_a_folders_fingerprint_tells_weights_apart(llama, text_model, tmp_path):
    assert load(llama).fingerprint == text_model.fingerprint
    other = make_llama(tmp_path)
    assert load(other).fingerprint == text_model.fingerprint
    config = other / "config.json"
    config.write_text(config.read_text().replace('"rms_norm_eps": 1e-06', '"rms_norm_eps": 1e-05'))
    assert load(other).fingerprint != text_model.fingerprint


def test_nothing_is_written_to_the_terminal(llama, llava, capfd):
    for folder in (llama, llava):
        load(folder).batch([ask(user) for user in USERS], max_tokens=2)
    out, err = capfd.readouterr()
    assert out + err == ""


COMMIT = "0123456789abcdef0123456789abcdef01234567"

HUB_SCRIPT = """
import sys
from agentclust.config import ModelConfig
from agentclust.errors import AgentclustError
from agentclust.models import load_model
for line in sys.stdin:
    try:
        model = load_model(ModelConfig(model=f"transformers:{line.strip()}"))
        model.invoke("Why?", max_tokens=2)
        print(model.fingerprint, flush=True)
    except AgentclustError as error:
        print(type(error).__name__, error, flush=True)
"""


@contextmanager
def hub(folder):
    """The hub's answers on loopback: one repository, gated ones, one that hangs up."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.split("?")[0].removeprefix("/api/models").strip("/")
            owner, repository, *rest = path.split("/")
            file = folder / (rest[-1] if rest else "")
            commit = {"X-Repo-Commit": COMMIT}
            if owner == "down":
                self.close_connection = True
            elif repository == "nothing":
                self.reply(404, {"X-Error-Code": "RepoNotFound"})
            elif not rest:
                self.reply(200, {}, json.dumps({"id": path, "sha": COMMIT}).encode())
            elif owner == "gated":
                self.reply(403, {"X-Error-Code": "GatedRepo"})
            elif rest[0] == "resolve" and owner == "tiny" and file.is_file():
                self.reply(200, commit | {"ETag": f'"{file.name}"'}, file.read_bytes())
            else:
                self.reply(404, commit | {"X-Error-Code": "EntryNotFound"})

        do_HEAD = do_GET

        def reply(self, status, headers, body=b""):
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *_):
            """Be silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@contextmanager
def process_with_hub(address, home):
    """A function that tells what comes of loading a name, in a process of its own."""
    environment = os.environ | {"HF_ENDPOINT": address, "HF_HOME": str(home)}
    environment.pop("HF_HUB_OFFLINE", None)
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", HUB_SCRIPT],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def load_there(name):
        process.stdin.write(f"{name}\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    try:
        yield load_there
        assert process.communicate(timeout=60)[1] == ""
    finally:
        process.kill()


def test_repositories_of_the_hub(llama, tmp_path):
    expected = {
        "tiny/llama": COMMIT,
        "gated/llama": "InputError gated/llama: is gated",
        "tiny/nothing": "InputError tiny/nothing: is not on the hub",
        "empty/repository": "InputError empty/repository: has no config.json",
        "down/llama": "InputError down/llama: is not on this machine, and the hub gives no answer",
        "no such name": "InputError no such name: is neither a folder nor a repository's name",
        "": "InputError transformers:: names no model",
    }
    with ExitStack() as process:
        with hub(llama) as address:
            load_there = process.enter_context(process_with_hub(address, tmp_path))
            for name, start in expected.items():
                assert load_there(name).startswith(start)
        # the hub is gone: what was fetched stays usable
        assert load_there("tiny/llama") == COMMIT
        assert load_there("tiny/other").startswith("InputError tiny/other: is not on this machine")


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
