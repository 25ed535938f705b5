"""Choosing among options at a model behind an API, by a JSON schema with an enum."""

from __future__ import annotations

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

from agentclust.types import Choice


def choose_by_schema(model: BaseChatModel, prompt: list[BaseMessage], options: list[str]) -> Choice:
    """A distribution over the options."""
    raise NotImplementedError
