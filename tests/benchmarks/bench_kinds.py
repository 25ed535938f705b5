"""How often words that lie near each other are of one kind, by a model's states and by an embedder.

Not collected by pytest. Run from the project's root:

    python tests/benchmarks/bench_kinds.py --llm qwen2.5-coder-1.5b --llm qwen2.5-coder-0.5b

180 words in 18 kinds; of each word the nearest and the five nearest others are looked at. The words
belong to no dataset.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from agentclust import prompts
from agentclust.config import ModelConfig
from agentclust.embedders import Vectors, load_embedder
from agentclust.ictc.kinds import reduced
from agentclust.models import load_model
from agentclust.models.asking import Asker

WORDS = {
    "clothing": "scarf mitten raincoat sandal vest beanie trousers blouse sock belt",
    "tool": "hammer pliers screwdriver chisel wrench saw drill spanner axe file",
    "drink": "lemonade coffee cider milkshake tea wine cola beer cocoa whisky",
    "job": "plumber nurse teacher baker lawyer pilot cashier carpenter surgeon farmer",
    "sport": "tennis curling fencing rowing rugby judo volleyball cricket archery golf",
    "gem or metal": "ruby opal silver copper jade iron amber topaz gold tin",
    "weather": "drizzle hail fog thunderstorm blizzard heatwave frost breeze sleet tornado",
    "vegetable": "leek spinach radish cabbage turnip celery asparagus broccoli kale onion",
    "glad": "joyful cheerful delighted gleeful merry content elated jolly pleased excited",
    "not glad": "gloomy furious mournful irritated depressed annoyed heartbroken bitter miserable "
    "enraged",
    "indoors": "kitchen attic corridor classroom bedroom office cellar bathroom lobby library",
    "outdoors": "meadow beach forest desert glacier swamp hillside riverbank canyon prairie",
    "strings": "cello banjo harp lute viola mandolin zither ukulele sitar fiddle",
    "winds": "oboe tuba bagpipes trombone piccolo bassoon cornet bugle panpipes kazoo",
    "fish": "cod herring tuna salmon eel mackerel pike sole anchovy halibut",
    "bakery": "croissant baguette bagel muffin pretzel scone brioche doughnut pie waffle",
    "on the road": "moped ambulance lorry sedan minivan jeep hearse coach taxi limousine",
    "on water": "canoe yacht ferry tanker dinghy gondola raft frigate schooner catamaran",
}
CRITERION = "what the image is about"


def alike(vectors: Vectors, kinds: list[str]) -> tuple[float, float]:
    """Share of the nearest one, and of the five nearest, that are of the same kind."""
    centred = vectors - vectors.mean(axis=0)
    near = centred @ centred.T / np.outer(*2 * [np.linalg.norm(centred, axis=1)])
    np.fill_diagonal(near, -2)
    same = np.equal.outer(kinds, kinds)
    order = np.argsort(-near, axis=1)
    shares = [float(np.take_along_axis(same, order[:, :n], 1).mean()) for n in (1, 5)]
    return shares[0], shares[1]


def main() -> None:
    """Measure each model beside the embedder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--llm", action="append", required=True)
    words = [word for group in WORDS.values() for word in group.split()]
    kinds = [kind for kind, group in WORDS.items() for _ in group.split()]
    found = {"minilm": alike(load_embedder("minilm", "text").embed(words), kinds)}
    template = prompts.load("kind")
    requests = [template.render(criterion=CRITERION, label=word) for word in words]
    for name in parser.parse_args().llm:
        config, began = ModelConfig(model=name), time.perf_counter()
        told = dict(Asker(load_model(config), config).states(requests))
        vectors = reduced(np.stack([told[i].vector for i in range(len(words))]))  # type: ignore[union-attr]
        found[f"{name} ({time.perf_counter() - began:.0f} s)"] = alike(vectors, kinds)
    for name, (first, five) in found.items():
        print(f"{name:40} nearest {first:.2f}, five nearest {five:.2f}")


if __name__ == "__main__":
    main()
