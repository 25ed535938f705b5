"""Models and a captioner that are plugged in by naming ``tests.plugged:CLASS``.

Where the variable ``ASKED`` names a file, each writes what it is asked there, one line a request,
before it answers: a process that is killed leaves the line.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult

from agentclust.config import ModelConfig
from agentclust.errors import RequestRefused
from agentclust.files.images import read_image
from agentclust.models.fake import COUNTED, FakeModel
from agentclust.types import Choice


def note(**what: Any) -> None:
    """Write one request down."""
    if os.environ.get("ASKED"):
        line = json.dumps(what | {"digest": hashlib.sha256(repr(what).encode()).hexdigest()})
        file = os.open(os.environ["ASKED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{line}\n".encode())
        os.close(file)


def noted(file: Path) -> list[dict[str, Any]]:
    """The requests that were written down."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def _parts(messages: Sequence[BaseMessage]) -> dict[str, Any]:
    return {message.type: message.content for message in messages}


class Recording(FakeModel):
    """The fake model, which remembers what it is asked and waits ``LATENCY`` seconds."""

    def __init__(self, config: ModelConfig, name: str, seed: int) -> None:
        super().__init__(latency=float(os.environ.get("LATENCY", 0)))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        note(**_parts(messages))
        return super()._generate(messages, stop, run_manager, **kwargs)

    def choose(self, prompts: Sequence[list[BaseMessage]], options: Sequence[str]) -> list[Choice]:
        for prompt in prompts:
            note(**_parts(prompt), options=list(options))
        return super().choose(prompts, options)


class Refusing(FakeModel):
    """The fake model, which refuses whatever holds the word "forbidden"."""

    def __init__(self, *_: Any) -> None:
        super().__init__()

    def _generate(self, messages: list[BaseMessage], *how: Any, **kwargs: Any) -> ChatResult:
        self._refuse(messages)
        return super()._generate(messages, *how, **kwargs)

    def choose(self, prompts: Sequence[list[BaseMessage]], options: Sequence[str]) -> list[Choice]:
        for prompt in prompts:
            self._refuse(prompt)
        return super().choose(prompts, options)

    def _refuse(self, messages: Sequence[BaseMessage]) -> None:
        if "forbidden" in str(messages[-1].text):
            raise RequestRefused("the fake model", "against its policy", "ask something else")


class Proposing(FakeModel):
    """The fake model, which gives a set answer where it is asked for the names of labels."""

    proposal: str = ""

    def _generate(self, messages: list[BaseMessage], *how: Any, **kwargs: Any) -> ChatResult:
        if COUNTED.search(str(messages[-1].text)):
            return FakeModel(script=(self.proposal,))._generate(messages)
        return super()._generate(messages, *how, **kwargs)


class Colours:
    """A captioner that sees one colour, and nothing in a picture that is black."""

    identity = "colours-1"

    def caption(self, image: Path) -> str:
        note(captioned=image.name)
        pixel = read_image(image).getpixel((0, 0))
        assert isinstance(pixel, tuple)
        best = max(range(3), key=pixel.__getitem__)
        return f"the picture is {('red', 'green', 'blue')[best]}" if any(pixel) else " "


def pictures(folder: Path, colours: str) -> Path:
    """A folder with a plain picture for each letter of `colours`: r, g, b, y or k for black."""
    from PIL import Image

    folder.mkdir(parents=True)
    for number, letter in enumerate(colours):
        # no two files are equal
        shade = 255 - number
        colour = {"r": (shade, 0, 0), "g": (0, shade, 0), "b": (0, 0, shade), "k": (0, 0, 0)}
        colour["y"] = (shade, shade, 0)
        Image.new("RGB", (8 + number, 8), colour[letter]).save(folder / f"secret{number}.png")
    return folder


def manifest(file: Path, captions: Sequence[str]) -> Path:
    """A manifest of captions, with ids that say nothing."""
    rows = [{"id": f"id{number}", "caption": text} for number, text in enumerate(captions)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return file


class MeanColour:
    """An embedder of images: how red, green and blue a picture is on the whole."""

    of = "image"
    fitted = False
    identity = "mean-colour-1"

    def embed(self, items: Sequence[Path]) -> Any:
        import numpy as np

        rows = np.array([np.asarray(read_image(path)).mean(axis=(0, 1)) for path in items])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class Broken(MeanColour):
    """One whose vectors hold no numbers."""

    identity = "broken-1"

    def embed(self, items: Sequence[Path]) -> Any:
        return super().embed(items) * float("nan")
