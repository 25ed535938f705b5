"""Images for a GGUF with a vision projector, through llama.cpp's multimodal library (mtmd)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llama_cpp import mtmd_cpp
from llama_cpp.llama_chat_format import MTMDChatHandler

from agentclust.errors import ModelError, RequestRefused
from agentclust.models.gguf.weights import Gguf, complaint, silence

MARKER = mtmd_cpp.mtmd_default_marker().decode()


class Eyes:
    """Reads prompts with images into the KV cache of a model.

    Args:
        gguf: The model.
        mmproj: Its projector, for whatever vision encoder llama.cpp knows.

    Raises:
        ModelError: The file is no projector for images, or belongs to another model.
    """

    def __init__(self, gguf: Gguf, mmproj: Path) -> None:
        self._gguf = gguf
        self._handler = _Rendered(str(mmproj), verbose=False)
        silence(mtmd_cpp.mtmd_log_set, mtmd_cpp.mtmd_helper_log_set)
        try:
            self._handler._init_mtmd_context(gguf.llama)
        except ValueError as error:
            why = f"is no vision projector for {gguf.name} ({complaint(str(error))})"
            raise ModelError(mmproj, why, "give the mmproj file of the same model") from None

    def read(self, prompt: str, images: Sequence[str]) -> None:
        """Read a prompt in which `MARKER` stands for each image, a data URL.

        Raises:
            RequestRefused: An image cannot be decoded, or the prompt does not fit.
        """
        parts = [{"type": "image_url", "image_url": {"url": url}} for url in images]

        def reader(llama: Any) -> None:
            self._handler(
                llama=llama,
                messages=[{"role": "user", "content": parts}],  # type: ignore[list-item, misc]
                prompt=prompt,
                max_tokens=1,  # the token is thrown away: the logits are what counts
                temperature=0.0,
            )

        try:
            self._gguf.read_by(reader)
        except ValueError as error:
            todo = "send a JPEG or PNG, a smaller one, or raise n_ctx"
            raise RequestRefused("image", f"cannot be read ({error})", todo) from None


class _Rendered(MTMDChatHandler):
    """The library's handler, given a prompt that is rendered already."""

    def _get_chat_template(self, llama_model: Any) -> str:
        return "{{ prompt }}"
