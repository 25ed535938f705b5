"""New images into the groups of a finished run: its names, prompts and a person's edits hold."""

from __future__ import annotations

import shutil
from pathlib import Path

from agentclust import edits, embedded
from agentclust.edits import Edit
from agentclust.errors import InputError
from agentclust.files.journal import read_json, whole_rows
from agentclust.run import Run
from agentclust.run.record import attempt_of, read_samples, read_state
from agentclust.tools.assign import assign
from agentclust.tools.caption import caption
from agentclust.tools.label import label
from agentclust.tools.score import score
from agentclust.work import Work

BY_SAMPLE = ("move", "wrong")  # edits that name samples


def seed(run: Run, folder: Path) -> None:
    """Let a new run begin with the names and prompts that a finished run ended with.

    Args:
        run: The new run.
        folder: The finished run.

    Raises:
        InputError: It has no result.
    """
    state = read_state(folder)
    base, _ = _standing(folder)
    clusters = read_json(folder / base / "clusters.json")
    if not clusters or not (folder / "assignments.csv").exists():
        todo = f"run: agentclust resume {folder}"
        raise InputError(folder, f"has no result yet (status: {state['status']})", todo)
    about = attempt_of(state, base)
    first = run.about() | {name: about[name] for name in ("criterion", "asked", "by")}
    why = f"into the groups of {folder.name}"
    run.write("clusters.json", clusters | {"source": why, "candidates": []})
    shutil.copytree(folder / "prompts", run.folder / "prompts", dirs_exist_ok=True)
    run.update(
        attempts=[first | {"why": why}], prompts=state["prompts"], groups_of=str(folder.absolute())
    )


def place(work: Work) -> None:
    """Assign the samples of a seeded run, then make the person's edits once more over them."""
    folder = Path(work.run.state["groups_of"])
    base, standing = _standing(folder)
    if work.run.about()["by"] in ("ictc", "paper", "ictc and neighbours"):
        for tool in (caption, label, assign):
            work.reporter.say(f"{work.run.criterion} · {tool.__name__}: {tool(work)}")
    else:
        known = {row["id"]: row for row in whole_rows(folder / base / "assignments.jsonl")}
        captions = {row["id"]: row for row in whole_rows(folder / base / "captions.jsonl")}
        # what was grouped by its looks alone needs no words
        if captions and not any(s.raw_label for s in work.samples):
            caption(work)
        fitted = folder / base / embedded.FITTED
        embedded.place(work, read_samples(folder), captions, known, fitted)
    score(work)
    rows = edits.log(work)
    grouping = edits.edited(work)
    ids = {sample.id for sample in work.samples}
    for edit in _meant_for(standing, ids)[len(rows.known) :]:
        decided = edits.decide(work, grouping, edit, fresh=ids)
        grouping = edits.apply(work, grouping, decided)
        rows.append(decided)


def _standing(folder: Path) -> tuple[str, list[Edit]]:
    """The attempt that a run's result stands on, and the active edits after it."""
    active = edits.active(whole_rows(folder / "edits.jsonl"))
    begun = [i for i, edit in enumerate(active) if "attempt" in edit]
    if begun:
        return str(active[begun[-1]]["attempt"]), active[begun[-1] + 1 :]
    state = read_state(folder)
    return str(state["result"] or state["attempt"]), active


def _meant_for(standing: list[Edit], ids: set[str]) -> list[Edit]:
    """The edits that say something about these samples."""
    kept: list[Edit] = []
    for edit in standing:
        if edit["edit"] not in BY_SAMPLE:
            kept.append(edit)
        elif here := [sample_id for sample_id in edit["samples"] if sample_id in ids]:
            kept.append({**edit, "samples": here})
    return kept
