"""How a transformers checkpoint writes a chat, found out by rendering its template.

It knows nothing of networks.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage, ToolMessage
from PIL import Image

from agentclust.errors import InputError, RequestRefused
from agentclust.models.tool_calls import call_text

Turn = dict[str, Any]  # role, content: text, or a list of parts where the template wants parts

ROLES = {"system": "system", "human": "user", "ai": "assistant", "tool": "user"}
PROBE = "Xyzzy"
IMAGE = "<image>"
# a template that prints the date must not change every day
SOME_DAY = "{% macro strftime_now(format) %}26 Jul 2024{% endmacro %}"

# for checkpoints that carry no template: the form LLaVA 1.5 was trained with
PLAIN = """\
{{ bos_token }}{% for turn in messages %}\
{{ {'system': '', 'user': 'USER: ', 'assistant': 'ASSISTANT: '}[turn['role']] }}\
{% if turn['content'] is string %}{{ turn['content'] }}{% else %}\
{% for part in turn['content'] %}\
{{ '<image>\n' if part['type'] == 'image' else part['text'] }}{% endfor %}{% endif %}\
{{ eos_token if turn['role'] == 'assistant' else '\n' }}{% endfor %}\
{% if add_generation_prompt %}ASSISTANT:{% endif %}"""


@dataclass(frozen=True)
class ChatFormat:
    """A chat template and what it can do.

    Attributes:
        name: The model's name, for messages.
        renderer: A tokenizer or a processor.
        reads_images: Content is a list of parts, some of them images.
        has_system: There is a system role; else the system text goes before the user's.
        control: Texts that only the template may write.
        before: What stands between a prompt and its answer.
        after: What the template writes behind an answer.
    """

    name: str
    renderer: Any
    reads_images: bool
    has_system: bool = True
    control: tuple[str, ...] = ()
    before: str = ""
    after: str = ""

    def prompt(self, turns: Sequence[Turn]) -> str:
        """The chat as text, up to where the answer begins.

        Raises:
            RequestRefused: The template refuses the turns.
        """
        return self.render(turns, add_generation_prompt=True)

    def render(self, turns: Sequence[Turn], *, add_generation_prompt: bool) -> str:
        """The chat as text.

        Raises:
            RequestRefused: The template refuses the turns.
        """
        options: dict[str, Any] = {"add_generation_prompt": add_generation_prompt}
        if "enable_thinking" in str(self.renderer.chat_template):
            options["enable_thinking"] = False  # an answer must begin at once
        try:
            return str(self.renderer.apply_chat_template(list(turns), tokenize=False, **options))
        except Exception as error:  # a template raises what it likes
            why = f"the model's chat template refuses it ({error})"
            raise RequestRefused("conversation", why, "change the order of messages") from None

    def turns(self, messages: Sequence[BaseMessage]) -> tuple[list[Turn], list[Image.Image]]:
        """Messages as the template wants them, and the images in their order.

        Calls of tools stand as JSON in the assistant's turn and their results in the user's, and
        neighbours of one role become one turn, so that any template can carry them.

        Raises:
            InputError: There is an image, and the model reads text alone.
            RequestRefused: A message holds what no template can write.
        """
        turns: list[Turn] = []
        images: list[Image.Image] = []
        for message in messages:
            if message.type not in ROLES:
                todo = "send system, human, AI and tool messages"
                raise RequestRefused(message.type, "is no kind of message it can read", todo)
            role = ROLES[message.type]
            content = [self._part(block, images) for block in message.content_blocks]
            if isinstance(message, ToolMessage):
                head = f"Result of {message.name or 'the tool'}:\n"
                content.insert(0, {"type": "text", "text": head})
            if role == "system" and not self.has_system:
                role = "user"
            if turns and turns[-1]["role"] == role:
                turns[-1]["content"] += [{"type": "text", "text": "\n\n"}, *content]
            else:
                turns.append({"role": role, "content": content})
        if not self.reads_images:
            for turn in turns:
                turn["content"] = "".join(part["text"] for part in turn["content"])
        return turns, images

    def _part(self, block: Any, images: list[Image.Image]) -> dict[str, str]:
        if block["type"] == "text":
            return {"type": "text", "text": self._harmless(block["text"])}
        if block["type"] == "tool_call":
            text = call_text(block["name"], block["args"])
            return {"type": "text", "text": self._harmless(text)}
        if block["type"] != "image":
            raise RequestRefused(block["type"], "is no kind of content it can read", "send text")
        if not self.reads_images:
            raise InputError(self.name, "reads no images", "choose a vision-language model")
        images.append(_image(block))
        return {"type": "image"}

    def _harmless(self, text: str) -> str:
        """The text with control tokens broken up: a caption must not end a turn or be an image."""
        for token in self.control:
            text = text.replace(token, f"{token[:1]} {token[1:]}")
        return text


def chat_format(name: str, tokenizer: Any, processor: Any | None) -> ChatFormat:
    """Find out what a checkpoint's template can do; one without a template gets `PLAIN`.

    Raises:
        InputError: The template cannot write the simplest chat.
    """
    renderer = processor or tokenizer
    if not renderer.chat_template:
        image = getattr(processor, "image_token", IMAGE)
        renderer.chat_template = tokenizer.chat_template or PLAIN.replace(IMAGE, image)
    if "strftime_now" in renderer.chat_template:
        renderer.chat_template = SOME_DAY + renderer.chat_template
    form = ChatFormat(name, renderer, processor is not None)
    try:
        before, after = _around_answer(form)
    except RequestRefused as error:
        raise InputError(name, error.why, "choose a model made for chats") from None
    added = tokenizer.added_tokens_decoder.values()
    control = tuple(token.content for token in added if token.special and token.content.strip())
    return ChatFormat(name, renderer, form.reads_images, _has_system(form), control, before, after)


def _turn(form: ChatFormat, role: str, text: str) -> Turn:
    return {
        "role": role,
        "content": [{"type": "text", "text": text}] if form.reads_images else text,
    }


def _has_system(form: ChatFormat) -> bool:
    """Some templates refuse a system turn, drop it in silence, or print its parts as code."""
    asked = _turn(form, "user", "?")
    if form.reads_images:
        asked["content"].insert(0, {"type": "image"})
    try:
        text = form.prompt([_turn(form, "system", PROBE), asked])
    except RequestRefused:
        return False
    return PROBE in text and "'type'" not in text


def _around_answer(form: ChatFormat) -> tuple[str, str]:
    """What the template writes between a prompt and its answer, and behind the answer."""
    asked = _turn(form, "user", "?")
    prompt = form.prompt([asked])
    whole = form.render([asked, _turn(form, "assistant", PROBE)], add_generation_prompt=False)
    head, _, after = whole.partition(PROBE)
    if head.startswith(prompt):
        return head[len(prompt) :], after
    # the prompt opens what a finished turn does not show, as an empty train of thought
    return "" if prompt[-1:].isspace() or prompt.endswith((">", "]")) else " ", after


def _image(block: Any) -> Image.Image:
    """The picture of a content block that carries its bytes."""
    if "base64" not in block:
        raise RequestRefused("image", "is given as an address", "send it as a data URL")
    try:
        return Image.open(io.BytesIO(base64.b64decode(block["base64"]))).convert("RGB")
    except (OSError, ValueError) as error:
        raise RequestRefused("image", f"cannot be decoded ({error})", "send JPEG or PNG") from None
