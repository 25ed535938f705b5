"""The grammar that keeps a GGUF's reply to valid calls of tools.

It knows nothing of weights.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from llama_cpp.llama_grammar import json_schema_to_gbnf

from agentclust.models.tool_calls import Tool, call_schema, without_grammar

# plain words that begin like a fence or a tag are mostly a call in another form
EITHER = r"root ::= call | [^{`< \t\n] .*"
# json_schema_to_gbnf writes these into a grammar so that llama.cpp cannot read it
SPELLED = str.maketrans({'"': r"\u0022", "\\": r"\u005c"})


def grammar(tools: Sequence[Tool], *, must: bool) -> str:
    """GBNF that admits exactly the calls of `tools` with arguments of their types.

    Numeric bounds in a schema are not part of the grammar. Unless it `must` call, text that does
    not begin like a call is admitted as well.

    Raises:
        InputError: A schema that cannot be turned into a grammar.
    """
    try:
        rules: str = json_schema_to_gbnf(json.dumps(_spelled(call_schema(tools))))
    except (AssertionError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise without_grammar(tools, error) from None
    if must:
        return rules
    rules = re.sub(r"^root ::=", "call ::=", rules, flags=re.MULTILINE)
    return f"{rules}\n{EITHER}"


def _spelled(schema: Any, chosen: bool = False) -> Any:
    """The schema with quotes and backslashes of texts to choose from as JSON's number escapes."""
    match schema:
        case str() if chosen:
            return schema.translate(SPELLED)
        case list():
            return [_spelled(item, chosen) for item in schema]
        case dict():
            return {key: _spelled(value, key in ("enum", "const")) for key, value in schema.items()}
    return schema
