"""The grammar that keeps a checkpoint's reply to valid calls of tools, token by token.

It knows nothing of networks. llguidance walks the grammar; `decoding.Admitted` asks it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from langchain_core.messages import BaseMessage, SystemMessage, ToolCall
from llguidance import LLMatcher, LLTokenizer
from llguidance.hf import from_tokenizer

from agentclust.errors import InputError, RequestRefused
from agentclust.models.tool_calls import Tool, call_in, call_schema, without_grammar

# lenient: what no grammar can hold, such as uniqueItems, is not part of it
FORM = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "lenient": True,
}
# plain words that begin like a fence or a tag are mostly a call in another form
EITHER = r"""start: call | words
words: / ?[^{`< \t\n](.|\n)*/
call: %json """
MUST = """start: call
call: %json """


class Spelling:
    """How a tokenizer's tokens spell a text, which grammars over tokens need.

    Args:
        name: The model's name, for messages.
        tokenizer: A fast tokenizer.
        ends: The tokens that end an answer.

    Raises:
        InputError: The tokenizer does not tell how its tokens are spelt.
    """

    def __init__(self, name: str, tokenizer: Any, ends: Collection[int]) -> None:
        try:
            self._tokens: LLTokenizer = from_tokenizer(tokenizer, eos_token=sorted(ends))
        except ValueError as error:
            why = f"its tokenizer cannot be kept to a grammar ({error})"
            raise InputError(name, why, "choose a model with a fast tokenizer") from None

    def text(self, tokens: Sequence[int]) -> str:
        """What the tokens spell, to the letter."""
        return str(self._tokens.decode_str(list(tokens)))

    def grammar(self, tools: Sequence[Tool], *, must: bool) -> LLMatcher:
        """What admits exactly the calls of `tools` with arguments that fit their schemas.

        Unless a reply `must` call, text that does not begin like a call is admitted as well.

        Raises:
            InputError: A schema that cannot be turned into a grammar.
        """
        try:
            schema = json.dumps(call_schema(tools) | {"x-guidance": FORM})
        except (KeyError, RecursionError) as error:
            raise without_grammar(tools, error) from None
        rules = LLMatcher.grammar_from_lark((MUST if must else EITHER) + schema)
        matcher = LLMatcher(self._tokens, rules, log_level=0)
        if matcher.is_error():
            raise without_grammar(tools, matcher.get_error().partition("\n")[0])
        return matcher


def whole_call(text: str, ended: bool, tokens: int, number: int) -> ToolCall | None:
    """The tool call that an answer is, None where it is plain words.

    Raises:
        RequestRefused: It broke off.
    """
    if text.startswith("{") and not ended:
        why = f"a tool call is longer than {tokens} tokens"
        raise RequestRefused("answer", why, "raise max_tokens or n_ctx")
    try:
        return call_in(text, number)
    except ValueError:  # llguidance ends an answer where its grammar takes too much work
        raise RequestRefused("answer", "a tool call broke off", "use simpler tools") from None


def telling(prompt: list[BaseMessage], text: str) -> list[BaseMessage]:
    """The prompt with a text at the end of its system text."""
    if prompt and prompt[0].type == "system":
        return [SystemMessage(f"{prompt[0].text}\n\n{text}"), *prompt[1:]]
    return [SystemMessage(text), *prompt]
