"""A result taken out of its run: as a table, for other tools, or as folders of the images.

Knows nothing of runs: a clustering in, files out. Nothing is ever overwritten.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from agentclust import plugins
from agentclust.errors import InputError
from agentclust.files.journal import cannot_write
from agentclust.types import Clustering

__all__ = ["must_be_empty", "write"]


def write(clustering: Clustering, to: str, out: Path) -> Path:
    """Write a clustering in the format `to` into a new or empty folder, all of it or nothing.

    Args:
        clustering: The result.
        to: ``csv``, ``parquet``, ``datasets``, ``fiftyone``, or the name of an installed exporter
            (entry points ``agentclust.exporters``: takes the clustering and an empty folder).
        out: The folder.

    Returns:
        The folder.

    Raises:
        InputError: Nobody knows the format, or the folder holds something.
        MissingExtra: The format needs an optional dependency that is not installed.
        RunError: The folder cannot be written.
    """
    exporter = plugins.find("exporters", to)
    must_be_empty(out)
    part = out.with_name(f".{out.name}.agentclust-part")
    try:
        shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
        part.mkdir(parents=True)
        exporter(clustering, part)
        part.replace(out)  # fails where somebody has put something there meanwhile
    except OSError as error:
        raise cannot_write(out, error) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return out


def must_be_empty(out: Path) -> None:
    """Check that a folder is not there yet, or is empty.

    Raises:
        InputError: It holds something, or is a file.
    """
    try:
        if next(out.iterdir(), None) is not None:
            raise InputError(out, "is not empty, and nothing is overwritten", "pass another --out")
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise InputError(out, "is a file, not a folder", "pass another --out") from None
    except OSError as error:
        raise InputError(out, f"cannot be read ({error.strerror})", "pass another --out") from None
