"""What a prompt may hold, and what a chat template makes of it."""

import pytest
from langchain_core.messages import AIMessage, FunctionMessage, HumanMessage
from transformers import AutoProcessor, AutoTokenizer

from agentclust.errors import InputError, RequestRefused
from agentclust.models.hf.chat_format import PLAIN, chat_format
from tests.models.tiny import CHAT, make_llama, make_llava
from tests.models.transformers.prompts import OPTIONS, SYSTEM, USERS, ask, load, show, texts

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
