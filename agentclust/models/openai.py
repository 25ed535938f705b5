"""Models behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import os
import weakref
from typing import Any, cast
from urllib.parse import urlsplit

import openai
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.outputs import ChatResult
from langchain_openai.chat_models.base import BaseChatOpenAI
from pydantic import SecretStr

from agentclust.config import ModelConfig
from agentclust.errors import InputError, RequestRefused

SHORT_WAY = {"max_tokens", "extra_body", "logprobs", "top_logprobs", "max_retries"}
NEW_LIMIT = "max_completion_tokens"  # OpenAI's name; most compatible servers know only the old one
# how a model that reads only text may fail over an image
BLIND = (openai.BadRequestError, openai.UnprocessableEntityError, openai.InternalServerError)
OPENAI_HOSTS = ("api.openai.com", ".openai.azure.com")


class Endpoint(BaseChatOpenAI):
    """Chat completions at any OpenAI-compatible endpoint, cheap enough for hundreds a second.

    ChatOpenAI spends most of a call's CPU time on checking the request against types and on
    building typed answers. Plain questions go past that here; whatever else LangChain can ask
    (tools, its own structured output, streaming) takes LangChain's way.

    Args:
        limit_name: What the endpoint calls the limit of an answer's tokens.
        fingerprint: The endpoint's address, a part of the key under which answers are kept.
    """

    limit_name: str = "max_tokens"
    fingerprint: str = ""

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        payload = super()._get_request_payload(input_, stop=stop, **kwargs)
        if "max_tokens" in payload:
            payload[self.limit_name] = payload.pop("max_tokens")
        return cast("dict[str, Any]", payload)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        plain = kwargs.keys() <= SHORT_WAY and not self.use_responses_api
        ask = self._ask if plain else super()._generate
        limit_name = self.limit_name
        try:
            return ask(messages, stop, run_manager, **kwargs)
        except openai.BadRequestError as error:
            if NEW_LIMIT not in str(error) or limit_name == NEW_LIMIT:
                raise
            self.limit_name = NEW_LIMIT  # a gateway to a model that knows only the new name
            return ask(messages, stop, run_manager, **kwargs)

    def _ask(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        run_manager: CallbackManagerForLLMRun | None,
        max_retries: int | None = None,
        extra_body: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        # contents in the endpoint's own form need no conversion
        contents = [_ready_content(message) for message in messages]
        blank = [
            message.model_copy(update={"content": ""}) if content else message
            for message, content in zip(messages, contents, strict=True)
        ]
        payload = self._get_request_payload(blank, stop=stop, **kwargs)
        for message, content in zip(payload["messages"], contents, strict=True):
            if content:
                message["content"] = content
        try:
            answer = self.root_client.post(
                "/chat/completions",
                body=payload | (extra_body or {}),
                cast_to=object,
                options={} if max_retries is None else {"max_retries": max_retries},
            )
        except BLIND as error:
            if any(contents):
                error.add_note("the model may not see images")
            raise
        result = self._create_chat_result(answer)
        if not result.generations:
            raise ValueError("no choices")
        first = result.generations[0]
        if not first.text and (first.generation_info or {}).get("finish_reason") == "length":
            why = f"{payload.get(self.limit_name)} tokens of answer ended before its first word"
            raise RequestRefused(self.model_name, why, "switch its reasoning off")
        return result


def _ready_content(message: BaseMessage) -> list[str | dict[str, Any]] | None:
    """The parts of a message if the endpoint takes them as they are."""
    if not isinstance(message, HumanMessage) or not isinstance(message.content, list):
        return None
    ready = all(
        isinstance(part, dict)
        and (part.keys() == {"type", "text"} or part.get("type") == "image_url")
        for part in message.content
    )
    return message.content if ready else None


def build(config: ModelConfig, name: str, seed: int) -> Endpoint:
    """The chat model `name` at ``base_url``, or at OpenAI.

    Requests that fail by 429, 5xx, a time-out or a lost connection are repeated ``max_retries``
    times, after the wait the server asks for or one that doubles from half a second to eight.

    Raises:
        InputError: No name, a ``base_url`` that is no address, or no key for OpenAI.
    """
    if not name:
        raise InputError(config.model, "names no model", "write openai:NAME")
    base_url = config.base_url or os.environ.get("OPENAI_BASE_URL") or None
    host = _host(base_url) if base_url else "api.openai.com"
    key = os.environ.get(config.api_key_env)
    if not key and not base_url:
        raise InputError(
            config.model,
            f"needs a key in the variable {config.api_key_env}, which is not set",
            "set it, or give a base_url",
        )
    limits = type(openai.DEFAULT_CONNECTION_LIMITS)(
        max_connections=config.concurrency, max_keepalive_connections=config.concurrency
    )
    client = openai.DefaultHttpxClient(timeout=config.timeout, limits=limits)
    at_openai = host.endswith(OPENAI_HOSTS)
    model = Endpoint(
        model=name,
        base_url=base_url,
        api_key=SecretStr(key or "none"),  # a local server mostly wants none, the client does
        timeout=config.timeout,
        max_retries=config.max_retries,
        temperature=config.temperature,
        seed=seed if config.temperature else None,  # some endpoints refuse what others ignore
        http_client=client,
        use_responses_api=None if at_openai else False,
        limit_name=NEW_LIMIT if at_openai else "max_tokens",
        fingerprint=base_url or "",
    )
    weakref.finalize(model, client.close)
    return model


def _host(url: str) -> str:
    try:
        address = urlsplit(url)
        valid = address.scheme in ("http", "https") and (address.port is None or address.port > 0)
    except ValueError:
        valid = False
    if not valid or not address.hostname:
        raise InputError(
            f"base_url={url}", "is no address", "write for example http://localhost:8000/v1"
        )
    return address.hostname
