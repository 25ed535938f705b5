"""A result is only the beginning: cluster captions, then say what should be different.

Usage: python examples/talk_about_it.py [MODEL]
"""

import json
import sys
from pathlib import Path

import agentclust

CAPTIONS = [
    "A kettle whistles on the stove.",
    "Two kettles stand on a shelf, polished and empty.",
    "Somebody stirs soup in a large pot.",
    "A pot of beans, seen from above.",
    "A wooden spoon lies beside the sink.",
    "Five spoons in a drawer.",
]

model = sys.argv[1] if len(sys.argv) > 1 else "qwen2.5-coder-1.5b"
manifest = Path("kitchen.jsonl")
rows = [json.dumps({"id": f"k{i}", "caption": text}) for i, text in enumerate(CAPTIONS)]
manifest.write_text("\n".join(rows) + "\n")

result = agentclust.cluster(manifest, criterion="kitchenware", n_clusters=3, llm=model)
with agentclust.session(result.run) as session:
    first, second, *_ = session.clustering().names
    for line in (f"merge {first} and {second}", "why is k0 here?", "undo", "/history"):
        print(f"> {line}\n{session.say(line).text}\n")
