"""What the command line, the page and Python callers all call: start, resume, evaluate, report.

It owns the order of things and the status of a run; the steps themselves are tools.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from agentclust import datasets, metrics, plugins, prompts
from agentclust.config import RunConfig, make_config
from agentclust.datasets.labels import read_labels
from agentclust.errors import AgentclustError, InputError, RunError
from agentclust.journal import write_json
from agentclust.models import catalogue
from agentclust.models.budget import Budget
from agentclust.opening import create, must_be_free, open_run
from agentclust.pages import write_report
from agentclust.progress import Reporter
from agentclust.record import read_clustering
from agentclust.run import Run, now, slug
from agentclust.tools.assign import assign
from agentclust.tools.caption import caption
from agentclust.tools.label import label
from agentclust.tools.name import name
from agentclust.tools.score import score
from agentclust.types import Clustering, Dataset, Sample
from agentclust.working import Models, budget_of, working

METHODS = {
    "agent": (caption, label, name, assign, score),
    "ictc": (caption, label, name, assign, score),
}


def start(
    configs: Sequence[RunConfig],
    out: Path,
    dataset: Dataset | None = None,
    reporter: Reporter | None = None,
) -> list[Clustering]:
    """Cluster a dataset by the criteria of `configs`, which differ in nothing else.

    Args:
        configs: One a criterion.
        out: The run directory; for several criteria the folder of their run directories.
        dataset: The samples; read from where the configs say if not given.
        reporter: Where progress goes.

    Raises:
        AgentclustError: As its message says. What was paid for is kept.
    """
    reporter = reporter or Reporter()
    _check(configs)
    folders = [out] if len(configs) == 1 else [out / slug(c.criterion) for c in configs]
    for folder in folders:
        must_be_free(folder)
    with reporter.counted("read") as progress:
        dataset = dataset or datasets.load(configs[0].dataset, progress)
    for problem in dataset.left_out[:3]:
        reporter.say(f"left out {problem.file}: {problem.reason}")
    if len(dataset.left_out) > 3:
        reporter.say(f"left out {len(dataset.left_out)} files in all; they are listed in the run")
    k = configs[0].n_clusters
    if isinstance(k, int) and k > len(dataset):
        raise InputError(
            f"n_clusters={k}", f"is more than the {len(dataset)} samples", "ask for fewer clusters"
        )
    models = Models(reporter)
    for config in configs:
        models.load(config, dataset.samples)
    reporter.say(f"run directory: {out}")
    with ExitStack() as open_runs:
        # all of them first, so that an interrupted call is resumed with all of its criteria
        runs = [
            open_runs.enter_context(create(folder, config, dataset))
            for config, folder in zip(configs, folders, strict=True)
        ]
        budget = budget_of(configs[0])
        return [_execute(run, models, budget, reporter) for run in runs]


def resume(
    folder: Path, reporter: Reporter | None = None, max_calls: int | None = None
) -> list[Clustering]:
    """Go on with a run, or with every run in a folder of runs; nothing is paid for twice.

    Args:
        folder: The run directory, or the folder of several.
        reporter: Where progress goes.
        max_calls: How many model calls this session may make; by default as many as the first.

    Raises:
        AgentclustError: As `start`.
    """
    reporter = reporter or Reporter()
    models = Models(reporter)
    budget = None
    results = []
    for path in runs_in(folder):
        with open_run(path) as run:
            if max_calls is not None:
                run.config = make_config(run.config.model_dump() | {"max_calls": max_calls})
                run.update(config=run.config.model_dump(mode="json"))
            budget = budget or budget_of(run.config)
            results.append(_execute(run, models, budget, reporter))
    return results


def runs_in(folder: Path) -> list[Path]:
    """The run itself, or the runs in a folder of several criteria.

    Raises:
        InputError: There is no run.
    """
    if (folder / "run.json").exists():
        return [folder]
    found = sorted(file.parent for file in folder.glob("*/run.json"))
    if not found:
        raise InputError(folder, "is no run directory (no run.json)", "pass the folder of a run")
    return found


def default_llm() -> str:
    """The language model to use where a person names none: the best one on this machine.

    Raises:
        InputError: There is none.
    """
    best = catalogue.default_llm()
    if best is None:
        raise InputError(
            "--llm",
            "no language model was named and none is on this machine",
            "run: agentclust models pull qwen2.5-coder-1.5b, or pass --llm openai:NAME",
        )
    return best


def free_folder(criteria: Sequence[str]) -> Path:
    """A run directory that does not exist yet, below ``runs``."""
    base = Path("runs") / (slug(criteria[0]) if len(criteria) == 1 else "criteria")
    number = 1
    folder = base
    while folder.exists():
        number += 1
        folder = base.with_name(f"{base.name}-{number}")
    return folder


def evaluate(folder: Path, labels: Path, axis: str | None = None) -> metrics.External:
    """Compare a finished run with true labels, and show the comparison in its report.

    Raises:
        InputError: The run has no result, or the labels do not fit it.
    """
    clustering = read_clustering(folder)
    truth = read_labels(labels, clustering.ids, axis, clustering.files)
    chosen = [i for i, sample_id in enumerate(clustering.ids) if sample_id in truth]
    found = metrics.external(
        [truth[clustering.ids[i]] for i in chosen],
        clustering.labels_[chosen],
        clustering.confidences[chosen],
        clustering.n_clusters,
    )
    write_json(
        folder / "evaluation.json",
        {
            "labels": labels.name,
            "axis": axis,
            "scores": found.summary(),
            "classes": found.classes,
            "counts": found.counts.tolist(),
            "matching": {str(row): column for row, column in found.matching.items()},
        },
    )
    write_report(folder)
    return found


def _check(configs: Sequence[RunConfig]) -> None:
    for config in configs:
        if config.method not in METHODS:
            raise plugins.unknown("method", config.method, METHODS)
        if config.mode == "paper" and config.n_clusters == "auto":
            raise InputError("n_clusters=auto", "mode=paper needs a number", "pass --n-clusters K")
        if config.prompts:
            prompts.check_folder(config.prompts)
    slugs = [slug(config.criterion) for config in configs]
    twice = next((s for s in slugs if slugs.count(s) > 1), None)
    if twice:
        raise InputError(twice, "is the folder of two criteria", "word the criteria apart")


def _execute(run: Run, models: Models, budget: Budget, reporter: Reporter) -> Clustering:
    if run.state["status"] == "done":
        if not (run.folder / "report.html").exists():
            write_report(run.folder)
        return read_clustering(run.folder)
    with _status(run), working(run, models, budget, reporter) as work:
        for tool in METHODS[run.config.method]:
            reporter.say(f"{run.criterion} · {tool.__name__}: {tool(work)}")
        _export(run, work.samples)
    write_report(run.folder)
    return read_clustering(run.folder)


@contextmanager
def _status(run: Run) -> Iterator[None]:
    """Keep run.json's status true, whatever happens to the steps."""
    run.update(status="running", reason="")
    try:
        yield
    except KeyboardInterrupt:
        run.update(status="interrupted", reason="stopped by a person")
        raise
    except BaseException as error:
        why = str(error) if isinstance(error, AgentclustError) else repr(error)
        try:
            run.update(status="failed", reason=why)
        except RunError:  # a full disk must not hide the error that it caused
            raise error from None
        raise
    run.update(status="done", reason="", finished=now())


def _export(run: Run, samples: Sequence[Sample]) -> None:
    rows = run.step_rows("assignments").known
    run.export(
        [
            {
                "id": sample.id,
                "path": os.fspath(sample.file) if sample.file else "",
                "cluster": rows[sample.id]["cluster"],
                "name": rows[sample.id]["name"],
                "confidence": rows[sample.id]["confidence"],
            }
            for sample in samples
        ],
        run.read("clusters.json")["names"],
    )
