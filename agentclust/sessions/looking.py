"""What a person can look at: the groups, why a sample is where it is, attempts, edits.

Each takes the run, the grouping and the command's arguments, and gives a text and the ids in it.
"""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agentclust import edits, pages
from agentclust.commands import VERBS
from agentclust.edits import Edit, Grouping
from agentclust.errors import AgentclustError, InputError
from agentclust.files.journal import cannot_write
from agentclust.ictc import counted_labels, naming
from agentclust.work import Work

Args = Mapping[str, Any]
Looked = tuple[str, list[str]]

LISTED = 12  # samples that one answer lists
LONGEST_CAPTION = 300
COLUMNS = ["id", "path", "cluster", "name", "confidence"]
BY = {
    "label": "by its raw label",
    "caption": "by its caption",
    "image": "by its image",
    "likeness": "by its likeness to others",
    "embedding": "by its embedding",
    "person": "you put it there",
}


def show(work: Work, grouping: Grouping, args: Args) -> Looked:
    """The groups and their sizes, those under a parent below it."""
    count = len(edits.active(edits.log(work).known.values()))
    edited = f", {count} edit{'s' if count != 1 else ''}" if count else ""
    first = f"{len(grouping.rows)} images by {work.run.criterion!r}{edited}:"
    return "\n".join([first, *tree(grouping)]), []


def tree(grouping: Grouping) -> Iterator[str]:
    """A line a group: its size and name, indented below what it is a kind of."""
    sizes = grouping.sizes()
    children: dict[str, list[str]] = {}
    for name in grouping.names:
        if name in grouping.parents:
            children.setdefault(grouping.parents[name], []).append(name)
    headings = [parent for parent in children if parent not in grouping.names]

    def held(name: str) -> int:
        return sizes.get(name, 0) + sum(held(child) for child in children.get(name, ()))

    def lines(name: str, depth: int) -> Iterator[str]:
        yield f"{held(name):6d}  {'  ' * depth}{name}"
        for child in children.get(name, ()):
            yield from lines(child, depth + 1)

    for name in [*headings, *(n for n in grouping.names if n not in grouping.parents)]:
        yield from lines(name, 0)
    left = len(grouping.members(""))
    if left:
        yield f"{left:6d}  unassigned"


def group(work: Work, grouping: Grouping, args: Args) -> Looked:
    """What is in one group: its raw labels, and some samples."""
    name = args["group"]
    members = grouping.members(name)
    if not members:
        return f"{name} is empty.", []
    labels, _ = counted_labels(work)
    counts = Counter(labels.get(i, "no raw label") for i in members)
    most = ", ".join(f"{text} ({n})" for text, n in counts.most_common(6))
    members.sort(key=lambda i: -grouping.rows[i]["confidence"])
    shown = members[:LISTED]
    more = f"\n  … and {len(members) - LISTED} more" if len(members) > LISTED else ""
    lines = [f"{name}: {_images(len(members))}; raw labels: {most}"]
    return "\n".join([*lines, *_sampled(grouping, shown)]) + more, shown


def why(work: Work, grouping: Grouping, args: Args) -> Looked:
    """Why a sample is where it is: caption, raw label, probabilities, and the edits since."""
    sample = args["sample"]
    row = grouping.rows[sample]
    lines = [f"{sample} is in {_place(row)}"]
    captions = work.run.step_rows("captions").known
    labels = work.run.step_rows("labels").known
    if sample in captions:
        caption = " ".join(captions[sample]["caption"].split())
        cut = "…" if len(caption) > LONGEST_CAPTION else ""
        lines.append(f'  caption: "{caption[:LONGEST_CAPTION]}{cut}"')
    if sample in labels:
        lines.append(f'  raw label: "{labels[sample]["label"]}"')
    lines += _probable(work, sample)
    name = None
    for edit, after in edits.replayed(work):
        found = after.rows[sample]["name"]
        if edit and found != name and name is not None:
            lines.append(f"  then you {edits.described(edit)}: {found or 'unassigned'}")
        name = found
    return "\n".join(lines), [sample]


def _probable(work: Work, sample: str) -> list[str]:
    """How probable the groups of the attempt were, as a line, or why there is nothing to weigh."""
    base = edits.grouping_of(work)
    by = base.rows[sample]["by"]
    if by == "label" and (label := counted_labels(work)[0].get(sample, "")) in base.names:
        return [f"  the raw label is the name of the group {label!r}"]
    found = probabilities(work, sample)
    listed = ", ".join(f"{name} {p:.2f}" for name, p in list(found.items())[:5])
    return [f"  probabilities {BY[by]}: {listed}"] if found else []


def probabilities(work: Work, sample: str) -> dict[str, float]:
    """How probable the model took the groups of the attempt to be, the likeliest first.

    The answers that were given then cost nothing. Empty where it was not asked about the sample's
    label or caption, or is not there.
    """
    base = edits.grouping_of(work)
    by = base.rows[sample]["by"]
    if by not in ("label", "caption") or not edits.has_model(work):
        return {}
    try:
        with work.paying("why"):
            if by == "caption":
                choice = edits.choose_captions(work, [sample], base.names).get(sample)
            elif (label := counted_labels(work)[0].get(sample, "")) in base.names:
                return {}
            else:
                choice = naming.choose_labels(work, [label], base.names).get(0)
    except AgentclustError:  # the answers were thrown away, and the model is gone
        return {}
    if choice is None:
        return {}
    found = zip(choice.probabilities, [*base.names, naming.NONE], strict=True)
    return {name: p for p, name in sorted(found, reverse=True)}


def uncertain(work: Work, grouping: Grouping, args: Args) -> Looked:
    """The samples whose group is least certain."""
    rows = [r for r in grouping.rows.values() if r["cluster"] >= 0 and r["by"] != "person"]
    shown = [row["id"] for row in sorted(rows, key=lambda row: row["confidence"])[: args["n"]]]
    left = grouping.members("")
    more = [f"{_images(len(left))} in no group"] if left else []
    if not shown:
        return "\n".join(["No image is in doubt.", *more]), []
    return "\n".join(["Least certain:", *_sampled(grouping, shown), *more]), shown


def history(work: Work, grouping: Grouping, args: Args) -> Looked:
    """The edits that stand, and those that can be made again."""
    rows = list(edits.log(work).known.values())
    done, back = edits.active(rows), edits.undone(rows)
    if not done and not back:
        return "No edits yet.", []
    lines = [f"{number:4d}  {_said(edit)}" for number, edit in enumerate(done, 1)]
    lines += [f"   -  {_said(edit)}; taken back, /redo makes it again" for edit in reversed(back)]
    return "\n".join(lines), []


def _said(edit: Edit) -> str:
    said = edit.get("said", "")
    return edits.described(edit) + (f' ("{said}")' if said else "")


def save(work: Work, grouping: Grouping, args: Args) -> Looked:
    """The result as a table, in the run or elsewhere."""
    table = work.run.folder / "assignments.csv"
    target = Path(args["path"]).expanduser() if args["path"] else table
    if target.is_dir():
        target /= table.name
    if target.resolve() != table.resolve():
        if target.exists() and not _is_ours(target):
            raise InputError(target, "is another file", "choose another name")
        if not target.parent.is_dir():
            raise InputError(target.parent, "is no folder", "make it, or choose another")
        try:
            shutil.copyfile(table, target)
        except OSError as error:
            raise cannot_write(target, error) from None
    return f"Saved {_images(len(grouping.rows))} to {target}", []


def _is_ours(file: Path) -> bool:
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            return next(csv.reader(stream), []) == COLUMNS
    except (OSError, UnicodeDecodeError, csv.Error):
        return False


def report(work: Work, grouping: Grouping, args: Args) -> Looked:
    """The report page."""
    return f"Report: {pages.write_report(work.run.folder)}", []


def explain(work: Work, grouping: Grouping, args: Args) -> Looked:
    """What can be typed."""
    if args["verb"]:
        verb = VERBS[args["verb"]]
        return f"{verb.usage}\n  {verb.help}\n  for example: {verb.example}", []
    width = max(len(verb.usage) for verb in VERBS.values())
    lines = [f"{verb.usage:{width}}  {verb.help}" for verb in VERBS.values()]
    return "\n".join(["Say it in plain words, or type:", *lines]), []


def effect(edit: Edit, before: Grouping, after: Grouping, *, anew: bool) -> str:
    """What an edit did: a sentence, and the groups whose size changed; all of them if `anew`."""
    sentence = edits.described(edit)
    if "of" in edit:
        sentence = f"{'took back' if edit['edit'] == 'undo' else 'made again'}: {edit['of']}"
    sentence = sentence[0].upper() + sentence[1:]
    if anew:
        return "\n".join([f"{sentence}:", *tree(after)])
    old, new = before.sizes(), after.sizes()
    old["unassigned"], new["unassigned"] = len(before.members("")), len(after.members(""))
    changed = [f"{n} {size}" for n, size in new.items() if size != old.get(n, 0 if size else -1)]
    gone = [f"no {name} any more" for name in before.names if name not in after.names]
    told = ", ".join([*changed, *gone])
    return sentence + (f" ({told})." if told else ".")


def _place(row: Mapping[str, Any]) -> str:
    if row["cluster"] < 0:
        return f"no group: {row['reason'] or 'unassigned'}"
    how = BY.get(row["by"], f"by your edit: {row['by']}" if row["by"] else "")
    how = f", {how}" if how else ""
    return f"{row['name']} (confidence {row['confidence']:.2f}{how})"


def _sampled(grouping: Grouping, ids: list[str]) -> list[str]:
    width = min(40, max((len(i) for i in ids), default=0))
    return [
        f"  {i:{width}}  {grouping.rows[i]['confidence']:.2f}  {grouping.rows[i]['name']}"
        for i in ids
    ]


def _images(count: int) -> str:
    return f"{count} image{'s' if count != 1 else ''}"
