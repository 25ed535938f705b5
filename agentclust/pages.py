"""A run as a person sees it: what `show` prints and what the report page holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from agentclust import report
from agentclust.journal import read_json
from agentclust.opening import is_open
from agentclust.record import (
    read_clustering,
    read_rows,
    read_samples,
    read_state,
    read_usage,
)
from agentclust.types import Usage

STEPS = ("caption", "label", "name", "assign")


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
    status, reason = state["status"], state["reason"]
    if status == "running" and not is_open(folder):
        status, reason = "interrupted", "its process was ended"
    return {
        "status": status,
        "reason": reason,
        "criterion": config["criterion"],
        "method": config["method"],
        "mode": config["mode"],
        "vlm": config["vlm"]["model"],
        "llm": config["llm"]["model"],
        "n_samples": state["dataset"]["n_samples"],
        "left_out": state["dataset"]["left_out"],
        "clusters": [{"name": name, "size": size} for name, size in sizes.items()],
        "unassigned": int((clustering.labels_ < 0).sum()) if clustering else None,
        "fallbacks": state["fallbacks"],
        "notes": state["notes"],
        "usage": {name: getattr(usage, name) for name in Usage.__slots__},
        "scores": read_json(folder / state["attempt"] / "scores.json") or {},
        "evaluation": (read_json(folder / "evaluation.json") or {}).get("scores"),
    }


def as_text(shown: Mapping[str, Any]) -> str:
    """What `show` found, as lines for a person."""
    usage = shown["usage"]
    lines = [
        f"{shown['criterion']}: {shown['status']}"
        + (f" ({shown['reason']})" if shown["reason"] else ""),
        f"{shown['n_samples']} samples, {shown['left_out']} files left out",
        f"method {shown['method']}, mode {shown['mode']}, vlm {shown['vlm']}, llm {shown['llm']}",
        *(f"note: {note}" for note in (*shown["fallbacks"], *shown["notes"])),
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


def write_report(folder: Path) -> Path:
    """Write report.html of a run.

    Raises:
        InputError: The folder is no run, or has no result yet.
        RunError: The page cannot be written.
    """
    state = read_state(folder)
    config = state["config"]
    labels = read_rows(folder, "labels")
    assignments = read_rows(folder, "assignments")
    captions = read_rows(folder, "captions")
    usage = read_usage(folder)
    view = report.View(
        clustering=read_clustering(folder),
        captions={i: row["caption"] for i, row in captions.items()},
        raw_labels={i: row["raw_label"] for i, row in labels.items()},
        reasons={i: row["reason"] for i, row in assignments.items() if row["reason"]},
        dataset=Path(state["dataset"]["name"]).name,
        status=state["status"],
        mode=config["mode"],
        notes=(*state["fallbacks"], *state["notes"]),
        left_out=read_samples(folder)[1],
        models={role: Path(config[role]["model"]).name for role in ("vlm", "llm")},
        settings={"seed": str(config["seed"]), "clusters": str(config["n_clusters"])},
        prompts=tuple(
            report.Prompt(name, str(known["version"]), known["sha256"])
            for name, known in state["prompts"].items()
        ),
        usage={step: usage.get(step, Usage()) for step in STEPS},
        scores=read_json(folder / state["attempt"] / "scores.json") or {},
        agreement=_agreement(folder),
        created=state["created"],
        version=state["versions"].get("agentclust", ""),
    )
    return report.write(view, folder / "report.html")


def _agreement(folder: Path) -> report.Agreement | None:
    found = read_json(folder / "evaluation.json")
    if found is None:
        return None
    return report.Agreement(
        scores=found["scores"],
        classes=tuple(found["classes"]),
        counts=np.array(found["counts"], dtype=np.int64),
        matching={int(row): column for row, column in found["matching"].items()},
    )
