"""The tool that compares two attempts."""

from __future__ import annotations

from sklearn.metrics import normalized_mutual_info_score

from agentclust.plugins import unknown
from agentclust.work import Work


def compare(work: Work, first: str, second: str) -> str:
    """See how two attempts differ: their names, their scores, and how many samples moved.

    Args:
        work: The run.
        first: The folder of an attempt.
        second: The folder of another one.
    """
    run = work.run
    known = [a["folder"] for a in run.state["attempts"] if run.read_of(a["folder"], "scores.json")]
    for folder in (first, second):
        if folder not in known:
            raise unknown("attempt", folder, known)
    rows = [run.rows(f"{folder}/assignments.jsonl").known for folder in (first, second)]
    pairs = [[found[s.id]["name"] for s in work.samples] for found in rows]
    moved = sum(a != b for a, b in zip(*pairs, strict=True))
    lines = [
        f"{folder}: {', '.join(run.read_of(folder, 'clusters.json')['names'])}; quality "
        f"{run.read_of(folder, 'scores.json').get('quality', 0):.3f}"
        for folder in (first, second)
    ]
    agreement = normalized_mutual_info_score(*pairs)
    return "\n".join([*lines, f"{moved} samples differ in name, NMI {agreement:.3f}"])
