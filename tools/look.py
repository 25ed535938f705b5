"""The tool that looks at the dataset."""

from __future__ import annotations

from agentclust.work import Work

SHOWN = 3
LONGEST = 160  # characters of a caption that are shown


def look(work: Work) -> str:
    """See how many samples there are, and some captions."""
    run, samples = work.run, work.samples
    captions = run.step_rows("captions").known
    known = [captions[s.id]["caption"] if s.id in captions else s.caption for s in samples]
    shown = [text for text in known if text][:: max(1, len(samples) // SHOWN)][:SHOWN]
    lines = [
        f"{len(samples)} samples, {sum(s.file is not None for s in samples)} with an image, "
        f"{sum(bool(text) for text in known)} with a caption; criterion {run.criterion!r}, "
        f"number of groups: {run.n_clusters}"
    ]
    lines += [f"<caption>{text[:LONGEST].replace('</', '< /')}</caption>" for text in shown]
    return "\n".join(lines)
