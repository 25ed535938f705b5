"""Which folder holds a run, and which is free for one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agentclust.errors import InputError
from agentclust.run import slug


def runs_in(folder: Path) -> list[Path]:
    """The run itself, or the runs in a folder of several criteria.

    Raises:
        InputError: There is no run.
    """
    if (folder / "run.json").exists():
        return [folder]
    found = sorted(file.parent for file in folder.glob("*/run.json"))
    if not found:
        raise InputError(folder, "is no run directory (no run.json)", "pass the folder of a run")
    return found


def free_folder(criteria: Sequence[str]) -> Path:
    """A run directory that does not exist yet, below ``runs``."""
    base = Path("runs") / (slug(criteria[0]) if len(criteria) == 1 else "criteria")
    number = 1
    folder = base
    while folder.exists():
        number += 1
        folder = base.with_name(f"{base.name}-{number}")
    return folder


def beside(folder: Path) -> Path:
    """A run directory for new images that does not exist yet, beside that of the run."""
    number = 1
    while (found := folder.with_name(f"{folder.name}-new{number}")).exists():
        number += 1
    return found
