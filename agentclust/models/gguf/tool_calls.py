"""Tool calls for a model that only writes text: told in the system text, forced by a grammar.

It knows nothing of weights.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import ToolCall
from langchain_core.utils.json_schema import dereference_refs
from llama_cpp.llama_grammar import json_schema_to_gbnf

from agentclust.errors import InputError
from agentclust.plugins import unknown

MAX_TEXT = 400  # characters of a string argument without a limit of its own: none runs on forever
MAX_ITEMS = 64  # items of a list without a limit of its own

MUST_CALL = "Answer with one tool call."
MAY_CALL = "Answer with one tool call, or in plain words when no tool is needed."
FORM = 'A tool call is one JSON object: {"name": the tool, "arguments": its arguments}.'

# plain words that begin like a fence or a tag are mostly a call in another form
EITHER = r"root ::= call | [^{`< \t\n] .*"

Tool = dict[str, Any]  # as `convert_to_openai_tool` gives it


def admitted(tools: Sequence[Tool], choice: Any) -> tuple[list[Tool], bool]:
    """The tools a reply may call, and whether it must call one.

    Args:
        tools: The tools that are bound.
        choice: None or 'auto': a call or plain words; 'any', 'required' or True: a call; a
            tool's name, also as OpenAI's ``{"type": "function", …}``: a call of that tool;
            'none' or False: plain words.

    Raises:
        InputError: No tool has that name.
    """
    if isinstance(choice, dict):
        choice = choice.get("function", {}).get("name")
    if choice in (None, "auto"):
        return list(tools), False
    if choice in ("none", False):
        return [], False
    if choice in ("any", "required", True):
        return list(tools), True
    named = [tool for tool in tools if tool["function"]["name"] == choice]
    if not named:
        raise unknown("tool", str(choice), [tool["function"]["name"] for tool in tools])
    return named, True


def told(tools: Sequence[Tool], *, must: bool) -> str:
    """What the system text says about the tools."""
    lines = [json.dumps(tool["function"], ensure_ascii=False) for tool in tools]
    return "\n".join(["You can call these tools:", *lines, FORM, MUST_CALL if must else MAY_CALL])


def grammar(tools: Sequence[Tool], *, must: bool) -> str:
    """GBNF that admits exactly the calls of `tools` with arguments of their types.

    Numeric bounds in a schema are not part of the grammar. Strings and lists without a limit of
    their own get `MAX_TEXT` and `MAX_ITEMS`, so that a small model cannot repeat itself forever.
    Unless it `must` call, text that does not begin like a call is admitted as well.

    Raises:
        InputError: A schema that cannot be turned into a grammar.
    """
    calls = [_call_schema(tool["function"]) for tool in tools]
    try:
        rules: str = json_schema_to_gbnf(
            json.dumps({"oneOf": calls} if len(calls) > 1 else calls[0])
        )
    except (AssertionError, KeyError, TypeError, ValueError, RecursionError) as error:
        names = ", ".join(tool["function"]["name"] for tool in tools)
        why = f"the arguments' schema has no grammar ({error})"
        raise InputError(f"tool {names}", why, "use plain types, enums, lists, objects") from None
    if must:
        return rules
    rules = re.sub(r"^root ::=", "call ::=", rules, flags=re.MULTILINE)
    return f"{rules}\n{EITHER}"


def _call_schema(function: dict[str, Any]) -> dict[str, Any]:
    arguments = function.get("parameters") or {"type": "object", "properties": {}}
    arguments = _bounded(dereference_refs(arguments))
    return {
        "type": "object",
        "properties": {"name": {"const": function["name"]}, "arguments": arguments},
        "required": ["name", "arguments"],
    }


def _bounded(schema: Any) -> Any:
    """The schema with limits on strings and lists that have none."""
    if isinstance(schema, list):
        return [_bounded(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    bounded = {key: _bounded(value) for key, value in schema.items() if key != "$defs"}
    kind = schema.get("type")
    if kind == "string" and not schema.keys() & {"enum", "const", "pattern"}:
        bounded.setdefault("maxLength", MAX_TEXT)
    if kind == "array" and "items" in schema:
        bounded.setdefault("maxItems", MAX_ITEMS)
    return bounded


def call_in(text: str, number: int) -> ToolCall | None:
    """The call a reply makes, None where it is plain words.

    Args:
        text: The whole reply.
        number: Makes the call's id unique within the conversation.
    """
    if not text.startswith("{"):
        return None
    call = json.loads(text, strict=False)  # the grammar admits line breaks in strings
    return ToolCall(
        name=call["name"], args=call["arguments"], id=f"call_{number}", type="tool_call"
    )
