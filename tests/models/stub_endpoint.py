"""A stub of an OpenAI-compatible endpoint on loopback: scripted faults, exact latency.

Raw asyncio, so that it costs little beside the client it is measured with. As a program it prints
its port and answers every request after ``--latency`` seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self

Body = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """One HTTP answer; ``delay`` None never answers, ``drops`` closes the connection instead."""

    body: bytes
    status: int = 200
    headers: tuple[str, ...] = ()
    content_type: str = "application/json"
    delay: float | None = 0.0
    drops: bool = False

    def bytes(self) -> bytes:
        lines = [
            f"HTTP/1.1 {self.status} Stub",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            *self.headers,
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


def completion(text: str | None, **more: Any) -> Answer:
    """A chat completion; ``more`` overrides parts of its choice."""
    message = {"role": "assistant", "content": text}
    if "tool_calls" in more:
        message["tool_calls"] = more.pop("tool_calls")
    choice = {"index": 0, "message": message, "finish_reason": "stop"} | more
    usage = {
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 2},
    }
    body = {
        "id": "stub-1",
        "object": "chat.completion",
        "created": 0,
        "model": "stub",
        "choices": [choice],
        "usage": usage,
    }
    return Answer(json.dumps(body).encode())


def failure(status: int, message: str, *headers: str) -> Answer:
    """An error in OpenAI's form."""
    error = {"error": {"message": message, "type": "stub", "param": None, "code": None}}
    return Answer(json.dumps(error).encode(), status, headers)


def options_of(body: Body) -> list[str]:
    """The options that a request's schema asks to choose from, empty without a schema."""
    form = body.get("response_format") or {}
    schema = form.get("schema") or form.get("json_schema", {}).get("schema")
    return list(schema["properties"]["answer"]["enum"]) if schema else []


def text_of(body: Body) -> str:
    """The text of the last message of a request."""
    content = body["messages"][-1]["content"]
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content if part["type"] == "text")


def images_of(body: Body) -> list[str]:
    """The image URLs of a request."""
    contents = [message["content"] for message in body["messages"]]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]


def oblige(body: Body) -> Answer:
    """What a willing model answers: a choice, a tool call, or its last word."""
    options, text = options_of(body), text_of(body)
    if options:
        best = min(options, key=lambda option: text.find(option) % (len(text) + 1))  # named first
        answer = json.dumps({"answer": best}, ensure_ascii=False)
        return completion(
            answer, **_logprobs(answer, best, options) if body.get("logprobs") else {}
        )
    if body.get("tools"):
        schema = body["tools"][0]["function"]["parameters"].get("properties", {})
        arguments = {name: (part.get("enum") or ["stub"])[0] for name, part in schema.items()}
        function = {
            "name": body["tools"][0]["function"]["name"],
            "arguments": json.dumps(arguments),
        }
        call = {"id": "call-1", "type": "function", "function": function}
        return completion(None, tool_calls=[call], finish_reason="tool_calls")
    seen = f"{len(images_of(body))} images, " if images_of(body) else ""
    return completion(seen + text.split()[-1])


def _logprobs(answer: str, best: str, options: list[str]) -> dict[str, Any]:
    """Tokens `{"answer": "`, BEST, `"}`: the best option at 0.75, the next one at 0.25."""
    other = next((option for option in options if option != best), best)
    best, other = (json.dumps(o, ensure_ascii=False)[1:-1] for o in (best, other))

    def token(text: str, *alternatives: tuple[str, float]) -> dict[str, Any]:
        top = [{"token": t, "logprob": p, "bytes": list(t.encode())} for t, p in alternatives]
        return top[0] | {"token": text, "top_logprobs": top}

    head, tail = answer.split(best, 1)
    content = [
        token(head, (head, 0.0)),
        token(best, (best, -0.287682), (other, -1.386294)),
        token(tail, (tail, 0.0)),
    ]
    return {"logprobs": {"content": content, "refusal": None}}


class _Connection(asyncio.Protocol):
    """One keep-alive connection: whole requests in, answers out in time."""

    def __init__(self, answer: Callable[[bytes, str], Answer], open_: set[_Connection]) -> None:
        self._answer, self._open = answer, open_
        self._parts: list[bytes] = []
        self._have, self._need, self._head = 0, 0, ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.discard(self)

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        self._have += len(data)
        if not self._need:
            received = b"".join(self._parts)
            head, end, _ = received.partition(b"\r\n\r\n")
            if not end:
                return
            self._parts = [received]
            self._head = head.decode()
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._need = len(head) + 4 + int(length or 0)
        if self._have < self._need:
            return
        body = b"".join(self._parts).partition(b"\r\n\r\n")[2]
        self._parts, self._have, self._need = [], 0, 0
        answer = self._answer(body, self._head)
        if answer.drops:
            self.transport.abort()
        elif answer.delay is not None:
            asyncio.get_running_loop().call_later(answer.delay, self._write, answer.bytes())

    def _write(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)


@dataclass
class Stub:
    """A running stub; ``with Stub(plan) as stub`` gives ``base_url`` and the ``requests`` it got.

    ``plan`` maps a request to its answer; a tuple of plans is gone through, its last one stays.
    ``heads`` are the requests' HTTP heads, ``most`` how many were in flight at once.
    """

    plan: Callable[[Body], Answer] | tuple[Callable[[Body], Answer] | Answer, ...] = oblige
    requests: list[Body] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    most: int = 0
    base_url: str = ""

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._open: set[_Connection] = set()
        self._in_flight = 0
        self._server = self._loop.run_until_complete(
            self._loop.create_server(lambda: _Connection(self._answer, self._open), "127.0.0.1", 0)
        )
        self.base_url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._server.close()
        for connection in list(self._open):
            connection.transport.abort()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def _answer(self, body: bytes, head: str) -> Answer:
        path = head.split(" ", 2)[1]
        if path != "/v1/chat/completions":
            return failure(404, f"no such path: {path}")
        request = json.loads(body)
        self.requests.append(request)
        self.heads.append(head)
        plans = self.plan if isinstance(self.plan, tuple) else (self.plan,)
        plan = plans[min(len(self.requests), len(plans)) - 1]
        answer = plan if isinstance(plan, Answer) else plan(request)
        self._in_flight += 1
        self.most = max(self.most, self._in_flight)
        self._loop.call_later(answer.delay or 0, self._answered)
        return answer

    def _answered(self) -> None:
        self._in_flight -= 1


async def _serve(latency: float) -> None:
    """Print the port and answer everything alike, until the process is ended."""
    always = replace(completion("a word"), delay=latency)
    make = functools.partial(_Connection, lambda body, head: always, set())
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.1)
    asyncio.run(_serve(parser.parse_args().latency))
