"""The tool that rewrites the criterion."""

from __future__ import annotations

from agentclust import attempts, ictc
from agentclust.attempts import judging
from agentclust.config import RunConfig
from agentclust.errors import RunError
from agentclust.models.asking import Asker
from agentclust.work import Work


def refine(work: Work, criterion: str) -> str:
    """Word the criterion more exactly, in the person's sense, and do every step again with it.

    Args:
        work: The run.
        criterion: The new wording, such as "the musical instrument being played" for "instrument".
    """
    run = work.run
    changed = RunConfig(**run.config.model_dump() | {"criterion": criterion}).criterion
    begun = run.begun()
    others = [about for about in run.state["attempts"] if about != begun]
    if changed.lower() in {about["criterion"].lower() for about in others}:
        raise RunError(changed, "was tried before", "word it otherwise")
    # captions that were given, or that know no criterion, stay what they are
    keep = () if isinstance(work.captioner, Asker) else ("captions",)
    run.begin(f"refined the criterion to {changed!r}", keep, criterion=changed)
    ictc.caption(work)
    ictc.label(work)
    found = judging.answerable(work)
    if found:
        run.turn_to(run.base())
        raise RunError(changed, found.text, "word it otherwise, or fall back")
    ictc.name(work)
    ictc.assign(work)
    judging.score(work)
    return attempts.settle(work)
