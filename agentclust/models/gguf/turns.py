"""From messages to the parts of a prompt, through the chat template a GGUF carries.

It knows nothing of logits. A part ends where the text of a message begins, so that everything
before the last message is a run of parts which the next prompt may share.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise, takewhile
from typing import Any, NamedTuple

from langchain_core.messages import BaseMessage, ToolMessage
from llama_cpp.llama_chat_format import CHATML_CHAT_TEMPLATE, Jinja2ChatFormatter

from agentclust.errors import RequestRefused
from agentclust.models.gguf.weights import Gguf
from agentclust.models.tool_calls import call_text

# what LLaVA 1.5 was trained with; its files mostly carry no template
VICUNA_TEMPLATE = """\
{% for message in messages %}{% if message.role == 'system' %}{{ message.content }} {% endif %}\
{% if message.role == 'user' %}USER: {{ message.content }} {% endif %}\
{% if message.role == 'assistant' %}ASSISTANT: {{ message.content }}{{ eos_token }}{% endif %}\
{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"""

SOME_DAY = datetime(2024, 7, 26)  # a template that prints the date must not change every day
PROBE = "Xyzzy"


class Turn(NamedTuple):
    """One message as a chat template takes it."""

    role: str
    text: str


def turns_of(
    messages: Sequence[BaseMessage], system: str = "", marker: str = ""
) -> tuple[list[Turn], list[str]]:
    """The turns of a conversation, one system turn first, and the images' data URLs.

    Calls of tools stand as JSON in the assistant's turn and their results in the user's, and
    neighbours of one role are one turn, so that any template can carry them.

    Args:
        messages: The conversation.
        system: Text to add to the system turn.
        marker: What stands for an image in a text.

    Raises:
        RequestRefused: A message holds neither text nor an image with its bytes.
    """
    systems: list[str] = []
    turns: list[Turn] = []
    images: list[str] = []
    for message in messages:
        text = "\n".join(_part(block, images, marker) for block in message.content_blocks)
        role = {"system": "system", "ai": "assistant"}.get(message.type, "user")
        if isinstance(message, ToolMessage):
            text = f"Result of {message.name or 'the tool'}:\n{text}"
        if role == "system":
            systems.append(text)
        elif turns and turns[-1].role == role:
            turns[-1] = Turn(role, f"{turns[-1].text}\n\n{text}")
        else:
            turns.append(Turn(role, text))
    told = "\n\n".join(text for text in [*systems, system] if text)
    return ([Turn("system", told), *turns] if told else turns), images


def _part(block: Any, images: list[str], marker: str) -> str:
    kind = block["type"]
    if kind == "text":
        return str(block["text"])
    if kind == "tool_call":
        return call_text(block["name"], block["args"])
    if kind == "image" and "base64" in block:
        images.append(f"data:{block.get('mime_type', 'image/jpeg')};base64,{block['base64']}")
        return marker
    if kind == "image":
        raise RequestRefused("image", "is given as an address", "send it as a data URL")
    raise RequestRefused(kind, "is no kind of content it can read", "send text and images")


class ChatTemplate:
    """Writes turns the way a model was trained on.

    A template without a system role gets the system text before the first user's. A file without
    a template gets ChatML, or Vicuna's form where the model reads images.

    Args:
        gguf: The model.
        sees: Whether it reads images.
    """

    def __init__(self, gguf: Gguf, *, sees: bool = False) -> None:
        self._gguf = gguf
        carried = gguf.llama.metadata.get("tokenizer.chat_template")
        template = carried or (VICUNA_TEMPLATE if sees else CHATML_CHAT_TEMPLATE)
        self._begin_text, end_text = (
            gguf.piece(token, special=True).decode("utf-8", "replace") if token >= 0 else ""
            for token in (gguf.llama.token_bos(), gguf.llama.token_eos())
        )
        self._formatter = Jinja2ChatFormatter(template, end_text, self._begin_text)
        self._formatter.strftime_now = SOME_DAY.strftime  # type: ignore[method-assign, assignment]
        self._has_system = True
        try:
            self._has_system = PROBE in self._text([Turn("system", PROBE), Turn("user", "?")])
        except RequestRefused:
            self._has_system = False

    def text(self, turns: Sequence[Turn]) -> str:
        """The prompt up to where the answer begins, without the token every prompt begins with.

        Raises:
            RequestRefused: The template refuses the turns.
        """
        harmless = [Turn(turn.role, self._harmless(turn.text)) for turn in turns]
        return self._text(harmless).removeprefix(self._begin_text)

    def parts(self, turns: Sequence[Turn]) -> list[list[int]]:
        """The prompt's tokens; each part but the first begins where a message's text does.

        The place is where the tokens stop being the same whatever the text is.

        Raises:
            RequestRefused: The template refuses the turns.
        """
        turns = [Turn(turn.role, self._harmless(turn.text)) for turn in turns]
        tokens = self._tokens(turns)
        cuts = {0, len(tokens)}
        for i, turn in enumerate(turns):
            if turn.role != "system":
                others = [[*turns[:i], Turn(turn.role, text), *turns[i + 1 :]] for text in "AB"]
                columns = zip(tokens, *map(self._tokens, others), strict=False)
                cuts.add(sum(1 for _ in takewhile(lambda column: len({*column}) == 1, columns)))
        return [tokens[start:stop] for start, stop in pairwise(sorted(cuts))]

    def _harmless(self, text: str) -> str:
        """The text with control tokens broken up: a caption must not end a turn."""
        for token in set(self._gguf.tokens(text, special=True)):
            if self._gguf.is_control(token):
                written = self._gguf.piece(token, special=True).decode("utf-8", "replace")
                text = text.replace(written, f"{written[:1]} {written[1:]}")
        return text

    def _tokens(self, turns: Sequence[Turn]) -> list[int]:
        tokens = self._gguf.tokens(self._text(turns), special=True)
        begin = self._gguf.begin
        return tokens if begin < 0 or tokens[:1] == [begin] else [begin, *tokens]

    def _text(self, turns: Sequence[Turn]) -> str:
        if not self._has_system and turns and turns[0].role == "system":
            asked = turns[1].text if turns[1:] and turns[1].role == "user" else ""
            user = f"{turns[0].text}\n\n{asked}".strip()
            turns = [Turn("user", user), *(turns[2:] if asked else turns[1:])]
        try:
            return self._formatter(
                messages=[{"role": turn.role, "content": turn.text} for turn in turns],  # type: ignore[misc]
                enable_thinking=False,  # an answer must begin at once
            ).prompt
        except Exception as error:  # a template raises what it likes
            why = f"the model's chat template refuses it ({error})"
            raise RequestRefused("conversation", why, "change the order of messages") from None
