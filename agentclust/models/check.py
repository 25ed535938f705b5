"""Trying a model: load it, let it answer one prompt and, if it may see, describe one picture."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image, ImageDraw

from agentclust.config import ModelConfig
from agentclust.errors import ModelError
from agentclust.models import load_model
from agentclust.models.asking import Asker
from agentclust.models.catalogue import entries
from agentclust.types import Refusal, Reply, Request

TEXT = Request("Answer in one short sentence.", "Which animals give us wool?")
PICTURE = Request("Answer in one short sentence.", "What is drawn here, and in what colour?")
MAX_TOKENS = 48


def check(config: ModelConfig, seed: int = 0) -> dict[str, Any]:
    """Load a model and ask it.

    Returns:
        ``model``, ``load_seconds``, ``text`` and ``picture``. The latter two hold ``answer``,
        ``seconds``, ``prompt_tokens``, ``completion_tokens`` and ``tokens_per_second`` (answer
        tokens over the whole call); ``picture`` holds ``refused``, the reason, where the model
        takes no images, and is None where that is known beforehand.

    Raises:
        InputError, MissingExtra, ModelError: As `load_model`; or the model does not answer.
    """
    started = time.perf_counter()
    asker = Asker(load_model(config, seed), config, seed=seed)
    load_seconds = round(time.perf_counter() - started, 3)
    reply = _ask(asker, TEXT)
    if isinstance(reply, Refusal) or not reply.text.strip():
        why = reply.reason if isinstance(reply, Refusal) else "the text is empty"
        raise ModelError(config.model, f"gives no answer ({why})", "choose another model")
    picture = _look(asker) if _may_see(config) else None
    return {
        "model": config.model,
        "load_seconds": load_seconds,
        "text": _told(reply),
        "picture": picture,
    }


def _may_see(config: ModelConfig) -> bool:
    entry = entries().get(config.model)
    if entry:
        return entry.role == "vlm"
    return config.mmproj is not None or not config.model.startswith("llama-cpp:")


def _look(asker: Asker) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        file = Path(folder, "picture.png")
        image = Image.new("RGB", (224, 224), "white")
        ImageDraw.Draw(image).ellipse((48, 48, 176, 176), fill="red")
        image.save(file)
        try:
            reply = _ask(asker, replace(PICTURE, image=file))
        except ModelError as error:
            # some servers answer an image they cannot read with a fault of their own
            return {"refused": error.why}
    return {"refused": reply.reason} if isinstance(reply, Refusal) else _told(reply)


def _ask(asker: Asker, request: Request) -> Reply | Refusal:
    return next(reply for _, reply in asker.complete([request], MAX_TOKENS))


def _told(reply: Reply) -> dict[str, Any]:
    usage = reply.usage
    return {
        "answer": reply.text.strip(),
        "seconds": round(usage.seconds, 3),
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "tokens_per_second": round(usage.completion_tokens / max(usage.seconds, 1e-9), 1),
    }
