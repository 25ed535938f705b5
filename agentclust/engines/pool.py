"""The workers of one model: more where there is room, another where one is lost.

A task goes to the worker with the least to do. Nothing waits in Ray's queues but one task a
worker, so that a task that is not needed any more was never sent.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from agentclust.engines.cluster import Cluster, Need
from agentclust.engines.worker import Facts, NotHere, Part, Task, Worker
from agentclust.errors import AgentclustError, InputError, ModelError, RunError
from agentclust.progress import Reporter

LIVES = 3  # workers that may die of the same task
TOLD = 10.0  # seconds without a worker after which that is said, …
PATIENCE = 600.0  # … and after which it is given up


@dataclass
class Hand:
    """A worker as the pool sees it."""

    actor: Any
    facts: Facts | None = None  # once it has loaded its part
    tasks: int = 0
    sees: bool = True  # whether its machine has the files of this one


class Pool:
    """Workers of one part.

    Args:
        cluster: Where they are.
        part: What they load.
        need: What each takes.
        most: How many there may be.
        threads: Tasks that each has at work at once.
        reporter: Told when there is no room.

    Attributes:
        side_by_side: Tasks that all of them have: those at work, and one that waits for each.
        need: As given.
        workers: Those that there are, also those that are still loading.
        at_work: Threads that wait for a worker's answer.
    """

    def __init__(
        self,
        cluster: Cluster,
        part: Part,
        need: Need,
        most: int,
        threads: int,
        reporter: Reporter,
    ) -> None:
        self.need, self.workers = need, list[Hand]()
        self._cluster, self._part, self._most, self._reporter = cluster, part, most, reporter
        self._changed = cluster.changed
        self._threads, self.side_by_side = threads, (threads + 1) * most
        self._waiting = self._lost = self.at_work = 0
        self._failed: AgentclustError | None = None
        self._known: Facts | None = None
        with self._changed:
            cluster.pools.append(self)
            self._taken().tasks -= 1

    @property
    def facts(self) -> Facts:
        """What the first worker told."""
        assert self._known is not None  # the pool is made when it has told
        return self._known

    def do(self, task: Task) -> Any:
        """The outcome of a task, whoever dies of it meanwhile; threads may call it at once.

        Raises:
            AgentclustError: What the part says, or workers die of the task again and again.
        """
        reason = ""
        for _ in range(LIVES):
            with self._changed:
                hand = self._taken()
                self.at_work += 1
            try:
                outcome = self._outcome(hand, task)
            except RayTaskError as error:
                raise RunError(self._part.name, f"fails on a worker ({_line(error)})",
                               "see Ray's logs there") from error  # fmt: skip
            except RayError as error:
                reason = _line(error)
                self._drop(hand)
                continue
            finally:
                with self._changed:
                    hand.tasks -= 1
                    self.at_work -= 1
                    self._changed.notify_all()
            if isinstance(outcome, AgentclustError):
                raise outcome
            with self._changed:
                self._lost = 0
            return outcome
        why = f"its worker died {LIVES} times at the same task ({reason})"
        raise ModelError(self._part.name, why, "give a worker more memory, then resume the run")

    def let_go(self) -> bool:
        """End an idle worker, if there is one; the lock is held."""
        hand = next((h for h in self.workers if h.facts and not h.tasks), None)
        if hand is not None:
            self._end(hand)
        return hand is not None

    def end(self) -> None:
        """End all workers; the lock is held."""
        for hand in list(self.workers):
            self._end(hand)

    def _outcome(self, hand: Hand, task: Task) -> Any:
        sent = task if hand.sees else task.sent()
        outcome = ray.get(hand.actor.do.remote(sent))
        if isinstance(outcome, NotHere):
            hand.sees = False
            outcome = ray.get(hand.actor.do.remote(task.sent()))
        return outcome

    def _taken(self) -> Hand:
        """The worker with the least to do, with one task more; the lock is held."""
        began, told = time.monotonic(), False
        self._waiting += 1
        try:
            while True:
                if self._cluster.closed:
                    raise RunError("the Ray cluster", "is left", "resume the run")
                if self._failed:
                    raise self._failed
                ready = [hand for hand in self.workers if hand.facts]
                best = min(ready, key=lambda hand: hand.tasks, default=None)
                if best is None or best.tasks >= self._threads:
                    self._grow()
                if best is not None and best.tasks <= self._threads:
                    best.tasks += 1
                    return best
                waited = time.monotonic() - began
                if not ready and waited > TOLD and not told:
                    self._reporter.say(f"waiting for {self._told()} of the Ray cluster")
                    self._cluster.make_room(self.need, self)
                    told = True
                if not ready and waited > PATIENCE:
                    why = f"found no {self._told()} on the Ray cluster in {PATIENCE:.0f} s"
                    raise RunError(self._part.name, why, "free some of it, then resume the run")
                self._changed.wait(1.0)
        finally:
            self._waiting -= 1

    def _told(self) -> str:
        gpus = f" and {self.need.gpus:g} GPUs" if self.need.gpus else ""
        return f"{self.need.cpus:g} CPUs{gpus}"

    def _grow(self) -> None:
        """Begin another worker, where one is wanted and there is room."""
        loading = sum(hand.facts is None for hand in self.workers)
        if len(self.workers) >= self._most or loading >= self._waiting:
            return
        if not self._cluster.make_room(self.need, self) and self.workers:
            return
        actor = ray.remote(Worker).options(
            num_cpus=self.need.cpus,
            num_gpus=self.need.gpus,
            max_concurrency=self._threads,
            max_restarts=0,  # another may be on a machine that has room
        )
        hand = Hand(actor.remote())
        self.workers.append(hand)
        self.at_work += 1
        threading.Thread(target=self._load, args=(hand,), daemon=True).start()

    def _load(self, hand: Hand) -> None:
        """Wait until a worker has loaded its part."""
        try:
            call = hand.actor.load.remote(self._part, self.need.cpus, self.need.gpus, os.getcwd())
            found: Any = ray.get(call)
        except Exception as error:  # the worker died, or has not even begun
            found = error
        with self._changed:
            self.at_work -= 1
            self._changed.notify_all()
            if self._cluster.closed:
                return
            if not isinstance(found, Facts | AgentclustError):
                found = self._stillborn(found)
            if isinstance(found, Facts):
                found = self._checked(found)
            if isinstance(found, Facts):
                self._known, hand.facts = self._known or found, found
            elif hand in self.workers:
                self._end(hand)
                self._failed = found

    def _stillborn(self, error: Exception) -> AgentclustError | None:
        """What it means that a worker died while it loaded: nothing yet where it is the first."""
        said = str(error)
        if "ModuleNotFoundError" in said or "ImportError" in said:
            why = f"its workers cannot import agentclust ({_line(error)})"
            todo = "install the same agentclust on every machine"
            return InputError("the Ray cluster", why, todo)
        self._lost += 1
        if self._lost < LIVES:
            return None
        why = f"{LIVES} workers died one after another while they loaded it ({_line(error)})"
        return ModelError(self._part.name, why, "give a worker more memory, or take fewer workers")

    def _checked(self, facts: Facts) -> Facts | AgentclustError:
        """Whether a worker would answer as this process would, and as the first one does."""
        here = version("agentclust")
        if facts.version != here:
            why = f"has agentclust {facts.version}, and this machine {here}"
            return InputError(facts.machine, why, "install the same on every machine")
        if self._known and (facts.identity, facts.about) != (self._known.identity,
                                                            self._known.about):  # fmt: skip
            why = f"is another model on {facts.machine} than on {self._known.machine}"
            return InputError(self._part.name, why, "put the same files onto every machine")
        return facts

    def _drop(self, hand: Hand) -> None:
        with self._changed:
            if hand in self.workers and not self._cluster.closed:
                self._end(hand)
                self._reporter.say(f"a worker of {self._part.name} was lost; its task is done anew")

    def _end(self, hand: Hand) -> None:
        self.workers.remove(hand)
        ray.kill(hand.actor)


def _line(error: Exception, limit: int = 200) -> str:
    """The line of Ray's long texts that says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = next((line for line in reversed(lines) if "Error" in line.partition(":")[0]), lines[0])
    return told if len(told) <= limit else f"{told[: limit - 1]}…"
