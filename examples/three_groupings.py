"""One folder, three ideas: draw pictures and sort them by colour, by shape and by number.

Usage: python examples/three_groupings.py [MODEL]
"""

import sys
from pathlib import Path

import agentclust
from agentclust import datasets

model = sys.argv[1] if len(sys.argv) > 1 else "qwen2.5-coder-1.5b"
pictures = datasets.prepare("clevr4-mini", Path("pictures")) / "images"
for criterion in ("colour", "shape", "number of objects"):
    print(agentclust.cluster(pictures, criterion=criterion, n_clusters=10, llm=model))
