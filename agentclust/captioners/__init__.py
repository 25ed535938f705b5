"""Captioners: what turns an image into text without being a chat model."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from agentclust import plugins


class Captioner(Protocol):
    """Describes an image without knowing the criterion, so that criteria share its captions.

    It may have an attribute ``cannot_see``: words for what its captions tell nothing about; and
    ``side_by_side``: how many threads may call `caption` at once.
    """

    identity: str  # name, version and weights: whatever decides a caption

    def caption(self, image: Path) -> str:
        """One plain sentence about the image."""
        ...


def load_captioner(name: str) -> Captioner | None:
    """The captioner of that name; None where it names none, so it is a chat model.

    Known are the built-in one, those of installed packages, and ``package.module:Class`` where the
    class has a method ``caption``.

    Raises:
        InputError: It cannot be loaded.
        MissingExtra: It needs an optional dependency that is not installed.
    """
    return plugins.find("captioners", name)() if is_captioner(name) else None


def is_captioner(name: str) -> bool:
    """Whether a name is that of a captioner.

    Raises:
        InputError: What it names cannot be loaded.
    """
    if name in plugins.names("captioners"):
        return True
    if "." not in name.partition(":")[0] or ":" not in name:
        return False
    return hasattr(plugins.find("captioners", name), "caption")
