"""Fine-tuning: the network that embeds images learns from the clusters that were found with it."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from agentclust.clusterers.scan import SCAN
from agentclust.config import RunConfig
from agentclust.embedders import default_embedder, load_embedder
from agentclust.embedders.store import made_of
from agentclust.embedders.trainable import Trainable, trainable
from agentclust.embedders.tuned import FILE, named, save
from agentclust.errors import InputError
from agentclust.files.arrays import Checkpoint
from agentclust.ictc.embedding import Embedded, keys_of, of_images
from agentclust.networks.failing import out_of_memory
from agentclust.tuning.learning import Plan, learn, looks
from agentclust.work import Work

CHECKPOINT = "tuning.npz"  # of an attempt: what a killed fine-tuning goes on from


def check(config: RunConfig) -> None:
    """Whether fine-tuning can work with these settings, which ask for it.

    Raises:
        InputError: The method is another than SCAN, or the embedder cannot be trained.
        MissingExtra: The embedder needs an optional dependency that is not installed.
        ModelError: Its weights cannot be read.
    """
    if config.method != "scan":
        todo = "pass --method scan, or leave the setting out"
        why = f"is a step of the method scan, not of {config.method}"
        raise InputError(f"finetune={config.finetune}", why, todo)
    if config.embeddings:
        _base(made_of(config.embeddings).embedder)
    else:
        _base(config.embedder or default_embedder("image"))


def _base(name: str) -> Trainable:
    """The embedder of that name, in this process, wherever the engine has its models."""
    return trainable(name, load_embedder(name))


def tune(work: Work, model: SCAN, found: Embedded) -> Embedded:
    """Train the network further with the clusterer's head, and cluster by what it embeds then.

    The network is kept in the attempt (`agentclust.embedders.tuned.FILE`). Where it comes to
    nothing, a note says why, and network and clusters stay as they were.

    Args:
        work: The run; its settings say how.
        model: The clusterer, fitted on `found`; changed.
        found: The images, embedded by a network that can be trained.

    Returns:
        The images as they are embedded now.

    Raises:
        InputError: The network cannot be trained, or has too few blocks.
        ImageProblem: An image cannot be read.
        ModelError: Training does not fit into memory.
        DiskError: A file cannot be written.
    """
    config = work.run.config
    base, files = _base(found.by), [s.file for s in found.samples if s.file]
    plan = Plan(config.finetune, config.finetune_blocks, model.threshold, config.seed)
    digest = hashlib.sha256("".join(keys_of(found.samples)).encode()).hexdigest()
    about = {"images": digest, "identity": base.identity, "settings": str(plan)}
    checkpoint = Checkpoint(work.run.attempt / CHECKPOINT, about)
    network = base.network()
    steps = work.reporter.step("tune", looks(len(files), plan.epochs))
    with out_of_memory(found.by, "a smaller finetune_blocks"), steps as advance:
        weights, head, why = learn(network, model, files, plan, checkpoint, advance)
    if why:
        work.run.note(why)
        return found
    file = work.run.attempt / FILE
    save(file, found.by, base.identity, weights)
    with work.reporter.step("embed", len(files)) as advance:
        vectors = of_images(work, named(file), found.samples, advance)
    before = model.labels_
    moved = int((model.adopt(head, vectors).labels_ != before).sum())
    work.run.note(
        f"fine-tuning moved {moved} of {len(before)} images to another cluster: "
        "compare with a run without it"
    )
    return replace(found, vectors=vectors, by=named(file))
