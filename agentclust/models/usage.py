"""What an answer cost, as the model says."""

from __future__ import annotations

from langchain_core.messages import AIMessage

from agentclust.types import Usage


def usage_of(message: AIMessage) -> Usage:
    """The token counts a chat model reports with its answer."""
    usage = message.usage_metadata
    if not usage:
        return Usage(calls=1)
    details = usage.get("input_token_details") or {}
    return Usage(
        calls=1,
        prompt_tokens=usage["input_tokens"],
        cached_prompt_tokens=details.get("cache_read") or 0,
        completion_tokens=usage["output_tokens"],
    )
