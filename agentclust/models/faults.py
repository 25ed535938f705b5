"""What went wrong at a model, in plain words: any provider's exception becomes one of ours.

It knows nothing of prompts or answers. Exceptions are told apart by LangChain's own classes, by
HTTP status, and by the system error at the bottom of their chain of causes.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Any

from langchain_core import exceptions as langchain_errors

from agentclust.config import ModelConfig
from agentclust.errors import AgentclustError, ModelError, RequestRefused

THIS_REQUEST = {400, 413, 414, 415, 422, 451}  # the others may well be answered
# what LangChain and the JSON reader raise over a body they cannot use
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError)


def mapped(error: Exception, config: ModelConfig) -> AgentclustError:
    """The error to raise, or to note for one request, after a model's exception.

    Args:
        error: What the model raised; ours pass as they are.
        config: The model's settings: its endpoint or its name is the value at fault.

    Returns:
        `RequestRefused` where the fault lies in this one request, `ModelError` where the next
        request would fail as well.
    """
    if isinstance(error, AgentclustError):
        return error
    status = status_of(error)
    if status is not None:
        return _by_status(status, error, config)
    if isinstance(error, langchain_errors.ContextOverflowError):
        return RequestRefused(config.model, "the request is longer than its context", _SHORTER)
    return _by_connection(error, config) or _unknown(error, config)


_SHORTER = "shorten the prompt or take a model with a larger context"
_PROVIDER = "see what the provider says and resume the run"


def status_of(error: BaseException) -> int | None:
    """The HTTP status behind an exception, None where no HTTP answer came."""
    for link in _chain(error):
        body = link.args[0] if link.args and isinstance(link.args[0], dict) else {}
        response = getattr(link, "response", None)
        for value in (
            getattr(link, "status_code", None),
            getattr(response, "status_code", None),
            getattr(link, "code", None),
            body.get("code"),  # an error object inside an answer with status 200
        ):
            if isinstance(value, int) and 400 <= value <= 599:
                return value
    return None


def _by_status(status: int, error: Exception, config: ModelConfig) -> AgentclustError:
    said = _first_line(error)
    where = config.base_url or config.model
    if status in (401, 403):
        todo = f"put a valid key into the variable {config.api_key_env} and resume the run"
        return ModelError(where, f"refuses the key, status {status} ({said})", todo)
    if status == 404:
        todo = "check the model's name, and base_url, which mostly ends in /v1"
        return ModelError(where, f"knows no such model or path, status 404 ({said})", todo)
    if status in THIS_REQUEST:
        return RequestRefused(config.model, f"refused the request ({said})", "change the request")
    tried = f"after {config.max_retries} retries"
    if status == 429:
        todo = "lower concurrency, wait, or raise the quota, then resume the run"
        return ModelError(where, f"too many requests or no quota left {tried} ({said})", todo)
    if status == 408 or status >= 500:
        todo = "see the endpoint's log, wait, then resume the run"
        return ModelError(where, f"failed with status {status} {tried} ({said})", todo)
    return ModelError(where, f"answered with status {status} ({said})", _PROVIDER)


def _by_connection(error: Exception, config: ModelConfig) -> AgentclustError | None:
    where = config.base_url or config.model
    tried = f"after {config.max_retries} retries"
    chain = list(_chain(error))

    def is_a(*kinds: type[BaseException]) -> bool:
        return any(isinstance(link, kinds) for link in chain)

    if is_a(TimeoutError, langchain_errors.ModelTimeoutError):
        why = f"no answer within {config.timeout:g} s {tried}"
        return ModelError(where, why, "raise timeout or lower concurrency, then resume the run")
    if is_a(ConnectionRefusedError):
        return ModelError(where, f"refuses the connection {tried}", "start the server there")
    if is_a(socket.gaierror):
        return ModelError(where, "unknown host", "check base_url and the network")
    if is_a(ssl.SSLError):
        why = f"no secure connection ({_first_line(chain[-1])})"
        return ModelError(where, why, "check base_url (http or https) and the certificate")
    if is_a(ConnectionError, langchain_errors.ModelConnectionError):
        why = f"lost the connection {tried} ({_first_line(chain[-1])})"
        return ModelError(where, why, "check the server and the network, then resume the run")
    return None


def _unknown(error: Exception, config: ModelConfig) -> AgentclustError:
    said = f"{type(error).__name__}: {_first_line(error)}"
    if config.base_url and isinstance(error, UNREADABLE):
        todo = "check base_url, which mostly ends in /v1"
        return ModelError(config.base_url, f"its answer is no chat completion ({said})", todo)
    return ModelError(config.model, said, _PROVIDER)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and what caused it, down to the first cause."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__  # httpx raises "from None" over socket errors


def _first_line(error: BaseException, limit: int = 200) -> str:
    body: Any = getattr(error, "body", None)
    said = body.get("message") if isinstance(body, dict) else None
    if not said and error.args and isinstance(error.args[0], dict):
        said = error.args[0].get("message")
    text = str(said or error).strip() or type(error).__name__
    line = " ".join(text.splitlines()[0].split())
    line = line if len(line) <= limit else line[: limit - 1] + "…"
    return ": ".join([line, *getattr(error, "__notes__", ())])
