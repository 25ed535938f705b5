"""Chat models: every one is a LangChain `BaseChatModel`."""

from __future__ import annotations

from typing import Any

from langchain_core.language_models import BaseChatModel

from agentclust import plugins
from agentclust.config import ModelConfig
from agentclust.errors import AgentclustError, InputError
from agentclust.models.catalogue import entries, located

__all__ = ["load_model"]


def load_model(config: ModelConfig, seed: int = 0) -> BaseChatModel:
    """The chat model a config names.

    Known are ``fake``, ``openai:NAME``, ``llama-cpp:FILE.gguf``, ``transformers:REPO``, a name
    from ``agentclust models list``, any ``provider:name`` that LangChain knows, and
    ``package.module:Class``.

    Raises:
        InputError: Nobody knows the name, or the model behind it cannot be used.
        MissingExtra: Its backend is not installed.
        ModelError: It was found but cannot be loaded.
    """
    entry = entries().get(config.model)
    if entry:
        config = located(entry, config)
    provider, _, name = config.model.partition(":")
    if provider in plugins.BUILT_IN["models"]:
        return plugins.find("models", provider)(config, name, seed)  # type: ignore[no-any-return]
    if provider in plugins.names("models"):
        return _built(plugins.find("models", provider), config, name, seed)
    if ":" not in config.model:
        known = [*entries(), *plugins.names("models")]
        raise plugins.unknown("model", config.model, known)
    if "." in provider:
        return _built(plugins.find("models", config.model), config, name, seed)
    return _langchain_model(config)


def in_process(model: str) -> bool:
    """Whether a model's weights are, or for all one knows may be, in this process."""
    provider = model.partition(":")[0]
    if model in entries() or provider in ("llama-cpp", "transformers") or "." in provider:
        return True
    return provider in plugins.names("models") and provider not in plugins.BUILT_IN["models"]


def _built(build: Any, config: ModelConfig, name: str, seed: int) -> BaseChatModel:
    """What the code of others builds."""
    try:
        model = build(config, name, seed)
    except AgentclustError:
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    else:
        if isinstance(model, BaseChatModel):
            return model
        why = f"it is a {type(model).__name__}, and no LangChain chat model"
    todo = "name a function of config, name and seed that returns one"
    raise InputError(config.model, f"cannot be built ({why})", todo)


def _langchain_model(config: ModelConfig) -> BaseChatModel:
    from langchain.chat_models import init_chat_model

    try:
        return init_chat_model(
            config.model, temperature=config.temperature, max_retries=config.max_retries
        )
    except (ValueError, ImportError) as error:
        raise InputError(
            config.model, f"LangChain cannot load it ({error})", "see `agentclust models list`"
        ) from None
