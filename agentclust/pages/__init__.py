"""A run as a person sees it: what `show` prints and what the report page holds."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentclust import report
from agentclust.edits import active, described
from agentclust.files.journal import read_json, whole_rows
from agentclust.files.known import Column, Places
from agentclust.pages import evaluations, mapping
from agentclust.pages.plots import CURVES, NO_ORDER, Point, counted, curves, points
from agentclust.report.evidence import evidence
from agentclust.run.opening import is_open
from agentclust.run.record import (
    attempt_of,
    read_clustering,
    read_left_out,
    read_rows,
    read_state,
    read_usage,
)
from agentclust.types import Clustering, Usage

__all__ = ["CURVES", "NO_ORDER", "Point", "as_text", "points", "show", "told", "write_report"]

STEPS = ("caption", "label", "name", "assign")
MANY = 10_000  # samples of which no copy is to be left behind


def show(folder: Path) -> dict[str, Any]:
    """One object about a run: status, criterion, clusters, unassigned, usage and the like.

    Raises:
        InputError: The folder is no run.
    """
    state = read_state(folder)
    config = state["config"]
    done = (folder / "assignments.csv").exists()
    clustering = read_clustering(folder) if done else None
    usage = sum(read_usage(folder).values(), Usage())
    sizes = clustering.sizes() if clustering else {}
    compared = evaluations.kept(folder, clustering) if clustering else []
    status, reason = state["status"], state["reason"]
    if status == "running" and not is_open(folder):
        status, reason = "interrupted", "its process was ended"
    return {
        "status": status,
        "reason": reason,
        "criterion": attempt_of(state)["asked"],
        "method": config["method"],
        "by": attempt_of(state)["by"],
        "mode": config["mode"],
        "vlm": config["vlm"]["model"],
        "llm": config["llm"]["model"],
        "n_samples": state["dataset"]["n_samples"],
        "left_out": state["dataset"]["left_out"],
        "clusters": [{"name": name, "size": size} for name, size in sizes.items()],
        "unassigned": int((clustering.labels_ < 0).sum()) if clustering else None,
        "parents": state.get("parents", {}),
        "attempts": [_attempt_row(folder, state, about) for about in state["attempts"]],
        "edits": _edits(folder),
        "fallbacks": state["fallbacks"],
        "stopped": state.get("stopped", ""),
        "notes": state["notes"],
        "usage": {name: getattr(usage, name) for name in Usage.__slots__},
        "scores": read_json(folder / state["attempt"] / "scores.json") or {},
        "evaluation": compared[-1]["scores"] if compared else None,
        "evaluations": {one["axis"] or "": one["scores"] for one in compared},
    }


def as_text(shown: Mapping[str, Any]) -> str:
    """What `show` found, as lines for a person."""
    usage = shown["usage"]
    lines = [
        f"{shown['criterion']}: {shown['status']}"
        + (f" ({shown['reason']})" if shown["reason"] else ""),
        f"{shown['n_samples']} samples, {shown['left_out']} files left out",
        f"method {shown['method']}, grouped by {shown['by']}, mode {shown['mode']}, "
        f"vlm {shown['vlm']}, llm {shown['llm']}",
        *(f"note: {note}" for note in told(shown)),
        *_story(shown),
        *(f"{cluster['size']:6d}  {cluster['name']}" for cluster in shown["clusters"]),
    ]
    if shown["unassigned"]:
        lines.append(f"{shown['unassigned']:6d}  unassigned")
    lines.append(
        f"{usage['calls']} calls, {usage['prompt_tokens']} prompt tokens "
        f"({usage['cached_prompt_tokens']} cached), {usage['completion_tokens']} completion "
        f"tokens, {usage['seconds']:.1f} s"
    )
    return "\n".join(lines)


def told(state: Mapping[str, Any]) -> tuple[str, ...]:
    """What a person must read beside the result: fallbacks, an early end, and notes."""
    stopped = state.get("stopped", "")
    early = [f"ended early, with the best attempt so far: {stopped}"] if stopped else []
    return (*(state["fallbacks"] or early), *state["notes"])


def _story(shown: Mapping[str, Any]) -> list[str]:
    """What was tried and changed, where there is more to tell than one attempt."""
    attempts = shown["attempts"] if len(shown["attempts"]) > 1 else []
    lines = [
        f"{'*' if attempt['is_result'] else ' '} {attempt['folder']}: {attempt['why']}"
        + (f", quality {attempt['quality']:.3f}" if attempt["quality"] is not None else "")
        for attempt in attempts
    ]
    return lines + [f"edit: {edit}" for edit in shown["edits"]]


def _attempt_row(
    folder: Path, state: Mapping[str, Any], about: Mapping[str, Any]
) -> dict[str, Any]:
    """An attempt as `show` and the report tell it."""
    where = folder / about["folder"]
    return {
        "folder": about["folder"],
        "why": about["why"],
        "criterion": about["criterion"],
        "names": (read_json(where / "clusters.json") or {}).get("names", []),
        "quality": (read_json(where / "scores.json") or {}).get("quality"),
        "is_result": about["folder"] == state["attempt"],
        "failed": about.get("failed", ""),
    }


def _edits(folder: Path) -> list[str]:
    return [described(edit) for edit in active(whole_rows(folder / "edits.jsonl"))]


def write_report(folder: Path) -> Path:
    """Write report.html of a run.

    Raises:
        InputError: The folder is no run, or has no result yet.
        RunError: The page cannot be written.
    """
    state = read_state(folder)
    config = state["config"]
    clustering = read_clustering(folder)
    places = Places(clustering.ids)
    labels = read_rows(folder, "labels", places)
    assignments = read_rows(folder, "assignments", places)
    captions = read_rows(folder, "captions", places)
    usage = read_usage(folder)
    compared = tuple(evaluations.agreement(one) for one in evaluations.kept(folder, clustering))
    view = report.View(
        clustering=clustering,
        captions=Column(captions, "caption"),
        raw_labels=Column(labels, "raw_label"),
        reasons={i: row["reason"] for i, row in assignments.items() if row["reason"]},
        evidence=evidence(clustering),
        dataset=Path(state["dataset"]["name"]).name,
        status=state["status"],
        mode=config["mode"],
        notes=told(state),
        attempts=tuple(
            report.Attempt(
                found["why"],
                tuple(found["names"]),
                found["quality"],
                found["is_result"],
                found["failed"],
            )
            for found in (_attempt_row(folder, state, about) for about in state["attempts"])
        ),
        edits=tuple(_edits(folder)),
        left_out=read_left_out(folder),
        models={role: Path(config[role]["model"]).name for role in ("vlm", "llm")},
        settings={"seed": str(config["seed"]), "clusters": str(config["n_clusters"])},
        prompts=tuple(
            report.Prompt(name, str(known["version"]), known["sha256"])
            for name, known in state["prompts"].items()
        ),
        usage={step: usage.get(step, Usage()) for step in dict.fromkeys((*STEPS, *usage))},
        scores=read_json(folder / state["attempt"] / "scores.json") or {},
        agreements=compared,
        **_pictured(folder, folder / state["attempt"], clustering, bool(compared)),
        created=state["created"],
        version=state["versions"].get("agentclust", ""),
    )
    file = report.write(view, folder / "report.html")
    if len(clustering) > MANY:
        del view, clustering, places, labels, assignments, captions
        gc.collect()  # Jinja's macros and contexts hold each other, and with them all of the above
    return file


def _pictured(
    folder: Path, attempt: Path, clustering: Clustering, compared: bool
) -> dict[str, Any]:
    """The plots of a report, its map, and what is central to the clusters."""
    plots = {"curves": curves(folder, attempt) if compared else (), "counted": counted(attempt)}
    placed = mapping.read(folder)
    if placed is None:
        return plots
    central = mapping.central(clustering, placed)
    return plots | {"map": mapping.shown(folder, placed), "central": central}
