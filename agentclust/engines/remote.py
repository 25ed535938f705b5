"""The engine whose models are workers of a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any, Self

from langchain_core.language_models import BaseChatModel

from agentclust.captioners import Captioner, is_captioner
from agentclust.config import ModelConfig
from agentclust.embedders import Embedder, Kind, Vectors, load_embedder
from agentclust.embedders.tuned import FAMILY
from agentclust.engines import Place
from agentclust.engines.cluster import Cluster, Need, joined
from agentclust.engines.pool import Pool
from agentclust.engines.worker import File, Part, Task
from agentclust.errors import InputError
from agentclust.models import in_process, load_model
from agentclust.models.answering import Answerer, Question
from agentclust.progress import Reporter
from agentclust.types import Request

WITHOUT_GPU = ("builtin", "efficientnet")
FITTED = ("tfidf",)  # of the built-in embedders: no worker need be asked


class Chat:
    """A chat model on the workers, as an `Answerer`."""

    in_order = True  # rows stand where those of a model in this process would

    def __init__(self, pool: Pool, most: int) -> None:
        self._pool, self.fingerprint = pool, pool.facts.identity
        self.in_process: bool = pool.facts.about["in_process"]
        self.inward: bool = pool.facts.about["inward"]
        self.batch_size: int = pool.facts.about["batch_size"]
        self.side_by_side = min(pool.side_by_side, most)

    def prompt(self, request: Request) -> tuple[Request, File | None]:
        """The request, and where its image is: it is read where it is asked about."""
        return request, File.at(request.image) if request.image else None

    def answer(
        self, question: Question, prompts: Sequence[tuple[Request, File | None]]
    ) -> list[Any]:
        """A reply, choice, call or state for each prompt."""
        requests, files = zip(*prompts, strict=True)
        return list(self._pool.do(Task(requests, files, question)))


class Captions:
    """A captioner on the workers."""

    def __init__(self, pool: Pool) -> None:
        self._pool, self.identity = pool, pool.facts.identity
        self.cannot_see = pool.facts.about["cannot_see"]
        self.side_by_side = pool.side_by_side

    def caption(self, image: Path) -> str:
        """One plain sentence about the image."""
        return str(self._pool.do(Task([None], [File.at(image)]))[0])


class Embeddings:
    """An embedder on the workers."""

    def __init__(self, pool: Pool) -> None:
        self._pool, self.identity = pool, pool.facts.identity
        self.of: Kind = pool.facts.about["of"]
        self.fitted: bool = pool.facts.about["fitted"]
        self.side_by_side = pool.side_by_side

    def embed(self, items: Sequence[Any]) -> Vectors:
        """Unit rows, shape (n, d), for n texts or n paths of images."""
        if self.of == "text":
            task = Task(list(items), [None] * len(items))
        else:
            task = Task([None] * len(items), [File.at(Path(item)) for item in items])
        vectors: Vectors = self._pool.do(task)
        return vectors


class Machines:
    """Models on the workers of a cluster; what learns from all items at once stays here.

    Args:
        cluster: The machines.
        place: How many workers, and what each may take.
        reporter: Where messages go.
    """

    def __init__(self, cluster: Cluster, place: Place, reporter: Reporter) -> None:
        self._cluster, self._place, self._reporter = cluster, place, reporter
        self._embedders: dict[str, Embedder] = {}
        self._gpus = sum(gpus for _, gpus in cluster.machines())
        asked = place.worker_gpus or 0
        if asked > self._gpus:
            has = f"has {self._gpus:g} GPUs" if self._gpus else "has no GPU"
            raise InputError(f"--worker-gpus {asked:g}", f"the Ray cluster {has}", "ask for fewer")

    def chat(self, config: ModelConfig, seed: int = 0) -> BaseChatModel | Answerer:
        """The chat model of a config."""
        if config.model == "none":
            return load_model(config, seed)
        part = Part(config.model, config, seed)
        if in_process(config.model):
            pool = self._pool(part, self._need(config.model, heavy=True, threads=config.n_threads))
            return Chat(pool, pool.side_by_side)
        return Chat(self._pool(part, self._need("builtin"), config.concurrency), config.concurrency)

    def captioner(self, name: str) -> Captioner | None:
        """The captioner of that name, if it names one."""
        if not is_captioner(name):
            return None
        return Captions(self._pool(Part(name), self._need(name)))

    def embedder(self, name: str, of: Kind | None = None) -> Embedder:
        """The embedder of that name."""
        if name not in self._embedders:
            found: Embedder | None = None
            if name not in FITTED and not name.startswith(f"{FAMILY}:"):  # its file is here
                found = Embeddings(self._pool(Part(name, embeds=True, of=of), self._need(name)))
            if found is None or found.fitted:
                found = load_embedder(name, of)
            self._embedders[name] = found
        return self._embedders[name]

    def _need(self, name: str, *, heavy: bool = False, threads: int | None = None) -> Need:
        """What a worker takes: a GPU if there are any, else a CPU.

        A language model without a GPU takes the CPUs of the smallest machine.
        """
        gpus = self._place.worker_gpus
        if gpus is None:
            gpus = 1.0 if self._gpus else 0.0
        if name in WITHOUT_GPU:
            gpus = 0.0
        cpus = self._place.worker_cpus
        if cpus is None:
            smallest = min((c for c, _ in self._cluster.machines() if c), default=1.0)
            cpus = float(threads or smallest) if heavy and not gpus else 1.0
        return Need(cpus, gpus)

    def _pool(self, part: Part, need: Need, side_by_side: int | None = None) -> Pool:
        """As many workers as there is room for, with so many tasks at work in all."""
        room = self._cluster.holds(need)
        if not room:
            why = f"no machine of the Ray cluster has {need.cpus:g} CPUs and {need.gpus:g} GPUs"
            raise InputError(part.name, why, "ask for less with --worker-cpus and --worker-gpus")
        most = min(room, self._place.workers or room, side_by_side or room)
        threads = ceil((side_by_side or most) / most)
        return Pool(self._cluster, part, need, most, threads, self._reporter)

    @classmethod
    @contextmanager
    def opened(cls, place: Place, reporter: Reporter) -> Iterator[Self]:
        """The engine of a cluster that is there, or that is started on this machine.

        Raises:
            InputError: Nobody answers at the address, or there are no such GPUs.
        """
        cluster = Cluster()
        with joined(place.address):
            try:
                yield cls(cluster, place, reporter)
            finally:
                cluster.close()

    @classmethod
    @contextmanager
    def held(cls, place: Place) -> Iterator[Place]:
        """A cluster that several processes join one after another, as they come."""
        with joined(place.address) as address:
            yield replace(place, address=address)
