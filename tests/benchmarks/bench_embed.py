"""`agentclust embed` beside a plain loop over a PyTorch DataLoader with the same network.

Not collected by pytest. Run from the project's root:

    python tests/benchmarks/bench_embed.py [--images 200] [--size 640x480] [--rounds 3]

It draws JPEGs and embeds them by EfficientNet-Lite0 in turns: a DataLoader with two worker
processes (Pillow, the same crop) and batches of 32, PyTorch's threads as many as there are cores;
then the project's own way into a store. Vectors of both are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from agentclust.embedders import load_embedder, normalized
from agentclust.embedders.keeping import kept
from agentclust.networks.efficientnet import load_network, prepared
from tests.benchmarks.bench_endpoint import draw


class Pictures(Dataset):  # type: ignore[type-arg]
    """Files as the network wants them."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> torch.Tensor:
        return prepared(Image.open(self.files[index]).convert("RGB"))[0]


def plain(files: list[Path]) -> np.ndarray:
    """What one writes in ten lines."""
    network, _ = load_network()
    found = []
    with torch.inference_mode():
        for batch in DataLoader(Pictures(files), batch_size=32, num_workers=2):
            found.append(network.extract_features(batch).mean(dim=(2, 3)).numpy())
    return normalized(np.concatenate(found))


def ours(files: list[Path], folder: Path) -> np.ndarray:
    """Into a store, with its checksums, from nothing."""
    load_embedder.cache_clear()
    names = [file.name for file in files]
    embedder = load_embedder("efficientnet")
    return kept(folder, "efficientnet", embedder, names, names, files).vectors


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    width, height = (int(side) for side in args.size.split("x"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "images").mkdir()
        draw(folder / "images", args.images, (width, height))
        files = sorted((folder / "images").glob("*.jpg"))
        for number in range(args.rounds):
            load = os.getloadavg()[0]
            began = time.perf_counter()
            theirs = plain(files)
            between = time.perf_counter()
            found = ours(files, folder / "stores" / str(number) / "s")
            ended = time.perf_counter()
            cosines = (theirs * np.asarray(found, dtype=np.float32)).sum(axis=1)
            line = {
                "load": round(load, 1),
                "plain_per_s": round(len(files) / (between - began), 1),
                "ours_per_s": round(len(files) / (ended - between), 1),
                "times_as_fast": round((between - began) / (ended - between), 2),
                "least_cosine": round(float(cosines.min()), 4),
            }
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
