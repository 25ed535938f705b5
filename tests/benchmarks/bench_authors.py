"""TEMI beside its authors' own code, on the same vectors and settings.

    python -m tests.benchmarks.bench_authors FOLDER --temi CHECKOUT [--only cifar10:object]

FOLDER is that of bench_deep.py, CHECKOUT the repository HHU-MMBS/TEMI-official-BMVC2023. Its
`train_main.py` runs as from its command line, with its own neighbours, batches, heads, loss and
choice of a head, but on the CPU and in this process; libraries of images that are not installed, of
which vectors need nothing, are stood in for. Both sides have one thread, never stop early, and take
the teacher of the head of the least loss after the last epoch. With ``--embed-norm`` both make the
dimensions of the vectors vary alike first. Settings are the defaults of `TEMI`, but for the epochs.
Times are medians over the epochs, in seconds of the processor; ± is the standard error of a mean.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import MagicMock, patch

import numpy as np
import torch

from agentclust import metrics
from agentclust.clusterers.temi import TEMI
from agentclust.clusterers.trained import REFERENCE, paced
from agentclust.clusterers.training import Plan
from tests.benchmarks.bench_deep import image_sets

OF_IMAGES = (
    "clip",
    "matplotlib",
    "matplotlib.pyplot",
    "timm",
    "timm.models",
    "timm.models.helpers",
    "torch.utils.tensorboard",
    "torchvision",
    "torchvision.datasets",
    "torchvision.transforms",
    "torchvision.transforms.functional",
)
Outcome = tuple[np.ndarray, float]  # labels, and an epoch's seconds


def authors_code(checkout: Path) -> Any:
    """The authors' module that trains."""
    sys.path.insert(0, str(checkout.resolve()))
    for name in OF_IMAGES:
        try:
            importlib.import_module(name)
        except Exception:  # not installed, or not beside this build of PyTorch
            sys.modules[name] = MagicMock()
    return importlib.import_module("train_main")


def theirs(code: Any, X: np.ndarray, model: TEMI) -> Outcome:
    """What the authors' code makes of the vectors with the settings of a model."""
    X, near, plan = torch.from_numpy(X), model.n_neighbors, paced(model, len(X), model.momentum)
    switches = ["--precomputed", "--disable_ddp", *["--embed_norm"] * model.standardize]
    settings = as_they_are_called(model, plan, X.shape[1])
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    taken, models, epoch = [], [], code.train_one_epoch

    def timed(model: Any, *others: Any) -> Any:
        begun = time.process_time()
        found = epoch(model, *others)
        taken.append(time.process_time() - begun)
        models.append(model)
        return found

    with TemporaryDirectory() as place, contextlib.chdir(place):
        folder = Path("data", "embeddings", "CIFAR10-vectors")
        folder.mkdir(parents=True)
        vectors = {"embeddings": X, "mean": X.mean(dim=0), "std": X.std(dim=0)}
        for name, tensor in (vectors | {"label": torch.zeros(len(X))}).items():
            torch.save(tensor, folder / f"{name}.pt")
        compute_neighbors = importlib.import_module("gen_embeds").compute_neighbors
        torch.save(compute_neighbors(X, near)[1], "knn.pt")
        with (
            patch.object(sys, "argv", ["train_main.py", *switches, *words]),
            patch.object(code, "train_one_epoch", timed),
            patch.object(torch.Tensor, "cuda", lambda self, *_, **__: self),
            patch.object(torch.nn.Module, "cuda", lambda self, *_: self),
            patch.object(torch.cuda, "synchronize", lambda: None),
            contextlib.redirect_stdout(io.StringIO()),
            warnings.catch_warnings(action="ignore"),
        ):
            code.main()
    teacher = models[-1].teacher.eval()
    with torch.no_grad():
        return teacher(X).argmax(dim=1).numpy(), float(np.median(taken))


def as_they_are_called(model: TEMI, plan: Plan, width: int) -> dict[str, Any]:
    """The arguments of the authors' command for the same settings."""
    rate = plan.learning_rate * REFERENCE / plan.batch_size
    return {
        "arch": "vectors",
        "dataset": "CIFAR10",  # a name they know
        "embed_dim": width,
        "knn": model.n_neighbors,
        "knn_path": "knn.pt",
        "out_dim": model.n_clusters,
        "num_heads": model.n_heads,
        "hidden_dim": model.hidden,
        "bottleneck_dim": model.bottleneck,
        "loss-args": f"beta={model.beta}",
        "warmup_teacher_temp": model.temperature,
        "teacher_temp": model.temperature,
        "warmup_teacher_temp_epochs": 1,
        "epochs": plan.epochs,
        "batch_size": plan.batch_size,
        "lr": rate,
        "min_lr": rate,
        "warmup_epochs": plan.warmup,
        "weight_decay": plan.weight_decay,
        "weight_decay_end": plan.weight_decay,
        "momentum_teacher": plan.momentum,
        "max_momentum_teacher": plan.momentum,
        "seed": model.random_state,
        "num_workers": 0,
        "saveckp_freq": 0,
        "output_dir": "out",
    }


def ours(X: np.ndarray, model: TEMI) -> Outcome:
    marks = [time.process_time()]
    model.progress = lambda *_: marks.append(time.process_time())
    return model.fit(X).labels_, float(np.median(np.diff(marks)[1:]))


def rows(name: str, X: np.ndarray, truth: list[str], options: argparse.Namespace) -> Iterator[str]:
    """A row a seed, and one of means."""
    k = len(set(truth))
    scores, times = [], []
    for seed in range(options.seeds):
        model = TEMI(
            k,
            n_neighbors=min(20, max(1, len(X) // (2 * k))),
            hidden=options.hidden,
            bottleneck=options.bottleneck,
            epochs=options.epochs,
            standardize=options.embed_norm,
            patience=options.epochs + 1,
            compare=False,
            random_state=seed,
        )
        both = theirs(options.code, X, model), ours(X, model)
        scores.append([metrics.external(truth, labels).acc for labels, _ in both])
        times.append([seconds for _, seconds in both])
        yield row(name, str(seed), [f"{acc:.3f}" for acc in scores[-1]], times[-1], "")
    table = np.array(scores)
    means = [spread(column) for column in table.T]
    gap = spread(table[:, 1] - table[:, 0])
    yield row(name, "mean", means, np.median(times, axis=0), gap)


def row(name: str, seed: str, accs: list[str], seconds: Any, gap: str) -> str:
    them, us = seconds
    spent = f"{them:.2f} s | {us:.2f} s | {them / us:.1f}"
    return f"| {name} | {seed} | {' | '.join(accs)} | {gap} | {spent} |"


def spread(values: np.ndarray) -> str:
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{np.mean(values):.3f} ± {error:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--temi", type=Path, required=True, metavar="CHECKOUT")
    parser.add_argument("--only", action="append", metavar="SET:AXIS")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--hidden", type=int, default=TEMI().hidden)
    parser.add_argument("--bottleneck", type=int, default=TEMI().bottleneck)
    parser.add_argument("--embed-norm", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    options.code = authors_code(options.temi)
    print("| set | seed | theirs | ours | ours - theirs | an epoch, theirs | ours | times |")
    print("|---" * 8 + "|")
    only = options.only or ()
    for name, X, axes in image_sets(options.folder, only={word.split(":")[0] for word in only}):
        for axis, truth in axes.items():
            if not only or f"{name}:{axis}" in only:
                for line in rows(f"{name} {axis}", X, truth, options):
                    print(line, flush=True)


if __name__ == "__main__":
    main()
