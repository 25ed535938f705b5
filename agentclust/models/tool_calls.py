"""Tool calls for a model that only writes text: told in the system text, written as JSON.

It knows nothing of weights or of grammars: how a model is kept to `call_schema` is its own affair.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, ToolCall
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_core.utils.json_schema import dereference_refs

from agentclust.errors import InputError
from agentclust.plugins import unknown

# for arguments without a limit of their own: none runs on forever
MAX_TEXT = 400  # characters of a string
MAX_ITEMS = 64  # items of a list
MAX_NUMBER = 10**15  # either way of 0: a double holds every integer up to there
NUMBER_STEP = 1e-6  # what a number is a multiple of

MUST_CALL = "Answer with one tool call."
MAY_CALL = "Answer with one tool call, or in plain words when no tool is needed."
FORM = 'A tool call is one JSON object: {"name": the tool, "arguments": its arguments}.'

Tool = dict[str, Any]  # as `convert_to_openai_tool` gives it


class ToolCaller(BaseChatModel):
    """A chat model that reads the tools it may call from the arguments of a call."""

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Let replies be calls of `tools`.

        Args:
            tools: What LangChain takes for a tool.
            tool_choice: As in `admitted`.
            kwargs: Further arguments of the call.
        """
        formatted = [convert_to_openai_tool(tool) for tool in tools]
        return self.bind(tools=formatted, tool_choice=tool_choice, **kwargs)


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


def call_schema(tools: Sequence[Tool]) -> dict[str, Any]:
    """The JSON schema of a call of one of the tools.

    Arguments without a limit of their own get `MAX_TEXT`, `MAX_ITEMS`, `MAX_NUMBER` and
    `NUMBER_STEP`, so that a small model cannot repeat itself forever, and objects have no
    properties but those named.
    """
    calls = [_call_of(tool["function"]) for tool in tools]
    return {"anyOf": calls} if len(calls) > 1 else calls[0]


def without_grammar(tools: Sequence[Tool], error: object) -> InputError:
    """The error for tools whose arguments no grammar can be made of."""
    names = ", ".join(tool["function"]["name"] for tool in tools)
    why = f"the arguments' schema has no grammar ({error})"
    return InputError(f"tool {names}", why, "use plain types, enums, lists, objects")


def arguments_of(function: dict[str, Any]) -> dict[str, Any]:
    """The schema of a tool's arguments, without references."""
    arguments = function.get("parameters") or {"type": "object", "properties": {}}
    return dict(dereference_refs(arguments))


def _call_of(function: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "name": {"const": function["name"]},
            "arguments": _bounded(arguments_of(function)),
        },
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _bounded(schema: Any) -> Any:
    """The schema with limits where it has none."""
    if isinstance(schema, list):
        return [_bounded(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    bounded = {key: _bounded(value) for key, value in schema.items() if key != "$defs"}
    if schema.keys() & {"enum", "const", "pattern"}:
        return bounded
    match schema.get("type"):
        case "string":
            limits: dict[str, Any] = {"maxLength": MAX_TEXT}
        case "array" if "items" in schema:
            limits = {"maxItems": MAX_ITEMS}
        case "object" if "properties" in schema:
            limits = {"additionalProperties": False}
        case "object" if schema.get("additionalProperties"):
            limits = {"maxProperties": MAX_ITEMS}
        case "integer":
            limits = {"minimum": -MAX_NUMBER, "maximum": MAX_NUMBER}
        case "number":
            step = {"multipleOf": NUMBER_STEP}
            limits = {"minimum": -MAX_NUMBER, "maximum": MAX_NUMBER, **step}
        case _:
            limits = {}
    return limits | bounded


def call_text(name: str, arguments: dict[str, Any]) -> str:
    """A call as a model writes it."""
    return json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)


def call_in(text: str, number: int) -> ToolCall | None:
    """The call a reply makes, None where it is plain words.

    Args:
        text: The whole reply.
        number: Makes the call's id unique within the conversation.
    """
    if not text.startswith("{"):
        return None
    call = json.loads(text, strict=False)  # a grammar may admit line breaks in strings
    return ToolCall(
        name=call["name"], args=call["arguments"], id=f"call_{number}", type="tool_call"
    )
