"""Taking the result of a run out of its folder, and taking that back."""

from __future__ import annotations

from pathlib import Path

from agentclust import export as exports
from agentclust import plugins
from agentclust.errors import InputError, RunError
from agentclust.export import folders
from agentclust.progress import Reporter
from agentclust.run.record import read_clustering

FOLDERS = "folders"


def formats() -> list[str]:
    """What a result can be exported to."""
    return sorted([FOLDERS, *plugins.names("exporters")])


def export(
    folder: Path,
    to: str,
    out: Path | None = None,
    by: folders.By = "copy",
    reporter: Reporter | None = None,
) -> Path:
    """Export the result of a run; nothing is ever overwritten.

    Args:
        folder: The run directory.
        to: One of `formats`.
        out: A new or empty folder; by default one beside the run's. An export to folders that was
            cut off goes on.
        by: For folders, how images get there.
        reporter: Where progress goes.

    Returns:
        The folder.

    Raises:
        AgentclustError: As its message says.
    """
    out = out or default_out(folder, to)
    if to != FOLDERS:
        if to not in formats():
            raise plugins.unknown("format", to, formats())
        return exports.write(read_clustering(folder), to, out)
    planned = folders.plan(read_clustering(folder), by)
    with (reporter or Reporter()).step(by, len(planned.steps)) as advance:
        return folders.carry_out(planned, out, advance)


def preview(folder: Path, by: folders.By) -> folders.Plan:
    """What an export to folders would do.

    Raises:
        InputError: The run has no result, or no images.
    """
    return folders.plan(read_clustering(folder), by)


def undo_export(folder: Path, out: Path | None = None, reporter: Reporter | None = None) -> Path:
    """Take an export to folders back.

    Args:
        folder: The run directory.
        out: The folder that it was exported to; by default the one that `export` takes.
        reporter: Where progress and what stays go.

    Returns:
        The folder, which is gone if nothing else was in it.

    Raises:
        InputError: There is no export.
        RunError: Something was changed since, and stays.
    """
    out, reporter = out or default_out(folder, FOLDERS), reporter or Reporter()
    with reporter.step("undo", folders.size_of(out)) as advance:
        kept = folders.undo(out, advance)
    for problem in kept:
        reporter.say(problem)
    if kept:
        why = "could not be taken back, for the reasons above"
        raise RunError(f"{len(kept)} images", why, "see to them, then --undo again")
    return out


def default_out(folder: Path, to: str) -> Path:
    """The folder that a run is exported to where none is given: beside it.

    Raises:
        InputError: The run's folder has no name.
    """
    whole = folder.absolute()
    if not whole.name:
        raise InputError(folder, "is no run directory", "pass the folder of a run")
    return whole.with_name(f"{whole.name}-{to}")
