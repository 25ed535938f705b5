"""What a run directory says, for reading alone: nothing is locked and nothing changes."""

from __future__ import annotations

import csv
import sys
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from agentclust.errors import InputError
from agentclust.files.journal import known_rows, read_json, whole_rows
from agentclust.files.known import Known, Places
from agentclust.types import Clustering, LeftOut, Sample, Usage

FORMAT = 2
SAMPLES = "samples.jsonl"
NO_SIZE = (0, 0)  # one for all that have no image: of many samples, each byte counts


def read_state(folder: Path) -> dict[str, Any]:
    """What run.json says.

    Raises:
        InputError: The folder is no run, or one of another format.
    """
    state = read_json(folder / "run.json")
    if not isinstance(state, dict) or "config" not in state:
        raise InputError(folder, "is no run directory (no run.json)", "pass the folder of a run")
    if state.get("format") != FORMAT:
        raise InputError(
            folder, f"has format {state.get('format')}, not {FORMAT}", "use a matching agentclust"
        )
    return state


def read_samples(folder: Path) -> tuple[Sample, ...]:
    """The samples of a run.

    Raises:
        InputError: samples.jsonl is missing or damaged.
    """
    samples = []
    try:
        for row in whole_rows(folder / SAMPLES):
            if "reason" in row:
                continue
            path = Path(row["path"]) if row["path"] else None
            width, height = row["size"]
            size = (width, height) if width else NO_SIZE
            label = row.get("raw_label")
            samples.append(
                Sample(
                    id=row["id"],
                    file=path,
                    sha256=row["sha256"],
                    size=size,
                    caption=row.get("caption"),
                    raw_label=None if label is None else sys.intern(label),
                )
            )
        expected = read_state(folder)["dataset"]["n_samples"]
        if len(samples) != expected:
            raise ValueError(f"{len(samples)} samples, where run.json says {expected}")
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(folder / SAMPLES, error) from None
    return tuple(samples)


def read_left_out(folder: Path) -> tuple[LeftOut, ...]:
    """The files that are no samples of a run, with the reasons."""
    rows = whole_rows(folder / SAMPLES)
    return tuple(LeftOut(row["file"], row["reason"]) for row in rows if "reason" in row)


def attempt_of(state: Mapping[str, Any], attempt: str = "") -> dict[str, Any]:
    """What run.json says of an attempt, by default of the current one."""
    wanted = attempt or state["attempt"]
    found: dict[str, Any] = next(a for a in state["attempts"] if a["folder"] == wanted)
    return found


def read_rows(folder: Path, step: str, places: Places | None = None) -> Known:
    """The rows a step of the current attempt has written so far, by sample id.

    Args:
        folder: The run directory.
        step: The step.
        places: Numbers of the samples, to be shared by several steps.
    """
    return known_rows(folder / str(read_state(folder)["attempt"]) / f"{step}.jsonl", places)


def read_usage(folder: Path) -> dict[str, Usage]:
    """What each step of a run cost."""
    total: dict[str, Usage] = {}
    for row in whole_rows(folder / "usage.jsonl"):
        step = str(row.pop("step"))
        total[step] = total.get(step, Usage()) + Usage(**row)
    return total


def read_clustering(folder: Path) -> Clustering:
    """The result of a run.

    Raises:
        InputError: The folder is no run, has no result yet, or its result is damaged.
    """
    state = read_state(folder)
    table = folder / "assignments.csv"
    if not table.exists() or "clusters" not in state:
        raise InputError(
            folder, f"has no result yet (status: {state['status']})", f"agentclust resume {folder}"
        )
    try:
        names = tuple(state["clusters"])
        ids, files = list[str](), list[str]()
        clusters, confidences = array("q"), array("d")
        with table.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                ids.append(row["id"])
                files.append(row["path"])
                clusters.append(int(row["cluster"]))
                confidences.append(float(row["confidence"]))
        if not all(-1 <= cluster < len(names) for cluster in clusters):
            raise ValueError(f"clusters are -1 to {len(names) - 1}")
        about = attempt_of(state)
        return Clustering(
            criterion=about["asked"],
            method=about["by"],
            ids=tuple(ids),
            files=tuple(files),
            labels_=np.array(clusters, dtype=np.int64),
            names=names,
            confidences=np.array(confidences, dtype=np.float64),
            run=folder,
        )
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise _damaged(table, error) from None


def _damaged(file: Path, error: Exception) -> InputError:
    found = f"no {error}" if isinstance(error, KeyError) else error
    return InputError(file, f"is damaged ({found})", "restore the file, or start another run")
