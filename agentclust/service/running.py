"""Starting runs and going on with them.

It owns the order of things and the status of a run; the steps themselves are tools.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from langchain_core.language_models import BaseChatModel

from agentclust import agent, captioned, datasets, edits, embedded, ictc, plugins, prompts
from agentclust.clusterers import load_clusterer, needs_a_number
from agentclust.config import RunConfig, make_config
from agentclust.engines import Place, opened
from agentclust.errors import AgentclustError, InputError, RunError
from agentclust.ictc import embedding
from agentclust.models.answering import Answerer
from agentclust.models.budget import Budget
from agentclust.pages import mapping, told, write_report
from agentclust.progress import Reporter
from agentclust.run import Run, now, slug
from agentclust.run.opening import create, must_be_free, open_run
from agentclust.run.record import read_clustering, read_state
from agentclust.service import newcomers
from agentclust.service.estimate import estimate
from agentclust.service.folders import runs_in
from agentclust.tools.score import score
from agentclust.types import Clustering, Dataset
from agentclust.work import Work
from agentclust.working import Models, budget_of, working

Person = Callable[[str], str]  # a question in, the answer out

HERE = Place()
METHODS = ("agent", "ictc")  # and every clusterer by its name


def start(
    configs: Sequence[RunConfig],
    out: Path,
    dataset: Dataset | None = None,
    reporter: Reporter | None = None,
    person: Person | None = None,
    place: Place = HERE,
) -> list[Clustering]:
    """Cluster a dataset by the criteria of `configs`, which differ in nothing else.

    Args:
        configs: One a criterion.
        out: The run directory; for several criteria the folder of their run directories.
        dataset: The samples; read from where the configs say if not given.
        reporter: Where progress goes.
        person: Answers a question of the agent, where somebody is there.
        place: Where the models work.

    Raises:
        AgentclustError: As its message says. What was paid for is kept.
    """
    reporter = reporter or Reporter()
    _check(configs)
    folders = [out] if len(configs) == 1 else [out / slug(c.criterion) for c in configs]
    for folder in folders:
        must_be_free(folder)
    with opened(place, reporter) as engine:
        return _start(configs, folders, dataset, Models(reporter, engine), reporter, person)


def _start(
    configs: Sequence[RunConfig],
    folders: Sequence[Path],
    dataset: Dataset | None,
    models: Models,
    reporter: Reporter,
    person: Person | None,
) -> list[Clustering]:
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
    blind = next((s.id for s in dataset.samples if not s.file), "")
    if configs[0].finetune and blind:
        why = f"needs an image of each sample, and {blind!r} has none"
        raise InputError(f"finetune={configs[0].finetune}", why, "leave the setting out")
    for config in configs:
        _, eyes = models.load(config, dataset.samples)
        if config.method in METHODS:
            sees = isinstance(eyes, BaseChatModel | Answerer)
            part = captioned.looked_at(config, dataset.samples)
            reporter.say(f"{config.criterion}: {estimate(config, part, sees)}")
    reporter.say(f"run directory: {os.path.commonpath(folders)}")
    with ExitStack() as open_runs:
        # all of them first, so that an interrupted call is resumed with all of its criteria
        runs = [
            open_runs.enter_context(create(folder, config, dataset))
            for config, folder in zip(configs, folders, strict=True)
        ]
        del dataset  # each run reads its samples from its own folder
        budget = budget_of(configs[0])
        return [_execute(run, models, budget, reporter, person) for run in runs]


def resume(
    folder: Path,
    reporter: Reporter | None = None,
    place: Place = HERE,
    **limits: float | None,
) -> list[Clustering]:
    """Go on with a run, or with every run in a folder of runs; nothing is paid for twice.

    Args:
        folder: The run directory, or the folder of several.
        reporter: Where progress goes.
        place: Where the models work; it need not be where they did before.
        limits: ``max_calls``, ``max_tokens``, ``max_seconds``: what this session may spend; by
            default as much as the first.

    Raises:
        AgentclustError: As `start`.
    """
    reporter = reporter or Reporter()
    paths = runs_in(folder)
    budget = None
    results = []
    with opened(place, reporter) as engine:
        models = Models(reporter, engine)
        for path in paths:
            with open_run(path) as run:
                changed = {name: limit for name, limit in limits.items() if limit is not None}
                if changed:
                    run.config = make_config(run.config.model_dump() | changed)
                    run.update(config=run.config.model_dump(mode="json"))
                budget = budget or budget_of(run.config)
                results.append(_execute(run, models, budget, reporter))
    return results


def assign(
    folder: Path,
    images: str,
    out: Path,
    reporter: Reporter | None = None,
    place: Place = HERE,
) -> Clustering:
    """Put new images into the groups of a finished run, as a run of their own.

    The names, the prompts and the edits of the finished run hold; nothing is named anew.

    Args:
        folder: The finished run.
        images: A dataset, as `agentclust.datasets.load` knows it.
        out: The run directory of the new images, new or empty.
        reporter: Where progress goes.
        place: Where the models work.

    Raises:
        AgentclustError: As `start`.
    """
    reporter = reporter or Reporter()
    config = make_config(read_state(folder)["config"] | {"dataset": images})
    must_be_free(out)
    with reporter.counted("read") as progress:
        dataset = datasets.load(images, progress)
    with opened(place, reporter) as engine:
        models = Models(reporter, engine)
        models.load(config, dataset.samples)
        with create(out, config, dataset) as run:
            newcomers.seed(run, folder)
            return _execute(run, models, budget_of(config), reporter)


def _check(configs: Sequence[RunConfig]) -> None:
    for config in configs:
        _check_clusterer(config)
        if config.captioned != "all" and config.method not in METHODS:
            why = f"is a part for IC|TC, and --method {config.method} takes all images"
            todo = "leave the setting out, or take --method agent"
            raise InputError(f"captioned={config.captioned}", why, todo)
        captioned.check(config)
        if config.mode == "paper" and config.n_clusters == "auto":
            raise InputError("n_clusters=auto", "mode=paper needs a number", "pass --n-clusters K")
        embedding.given_store(config)
        if config.prompts:
            prompts.check_folder(config.prompts)
    slugs = [slug(config.criterion) for config in configs]
    twice = next((s for s in slugs if slugs.count(s) > 1), None)
    if twice:
        raise InputError(twice, "is the folder of two criteria", "word the criteria apart")


def _check_clusterer(config: RunConfig) -> None:
    """Whether the method, or what the agent falls back to, can be built with these settings."""
    known = (*METHODS, *plugins.names("clusterers"))
    if config.method not in known and ":" not in config.method:
        raise plugins.unknown("method", config.method, known)
    name = config.clusterer if config.method in METHODS else config.method
    auto = config.n_clusters == "auto" and needs_a_number(name)
    wanted = 2 if auto else config.n_clusters  # k-means will tell
    load_clusterer(name, wanted, config.seed, config.clusterer_settings)
    if config.finetune:
        # not for other runs: PyTorch takes its time
        from agentclust import tuning

        tuning.check(config)


def _execute(
    run: Run, models: Models, budget: Budget, reporter: Reporter, person: Person | None = None
) -> Clustering:
    agent.reopen(run)
    if run.state["status"] == "done":
        if not (run.folder / "report.html").exists():
            write_report(run.folder)
        return read_clustering(run.folder)
    with _status(run), working(run, models, budget, reporter) as work:
        work.person = person
        _cluster(work)
        edits.export(work, edits.edited(work))
        _map(work)
    del work  # with its samples: the report reads what it shows
    run.put_away()
    for note in told(run.state):
        reporter.say(f"note: {note}")
    write_report(run.folder)
    return read_clustering(run.folder)


def _cluster(work: Work) -> None:
    """Bring the run to its result by the method that its settings name."""
    run, config = work.run, work.run.config
    if run.state.get("groups_of"):
        newcomers.place(work)
    elif config.method in METHODS:
        part = captioned.part_of(work)
        (agent.drive if config.method == "agent" else agent.in_fixed_order)(part)
        captioned.place_others(work, part)
    else:
        of = embedding.wanted(work)
        if of == "text":
            ictc.caption(work)
        embedded.cluster(work, config.method, embedding.embed(work, of))
        score(work)


def _map(work: Work) -> None:
    """Lay the samples out for the report; a result without a map is still a result."""
    try:
        mapping.keep(work)
    except AgentclustError as error:
        work.reporter.say(f"no map: {error}")


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
