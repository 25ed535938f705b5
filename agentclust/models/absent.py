"""``none``: no model. A run that asks it anyway is told so."""

from __future__ import annotations

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult

from agentclust.config import ModelConfig
from agentclust.errors import ModelError


class Absent(BaseChatModel):
    """A chat model that is not there."""

    @property
    def _llm_type(self) -> str:
        return "agentclust-absent"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        raise ModelError("none", "no model was given for this step", "name one: --llm M or --vlm M")


def build(config: ModelConfig, name: str, seed: int) -> Absent:
    """``none`` takes no name."""
    return Absent()
