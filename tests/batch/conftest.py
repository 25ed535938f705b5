from __future__ import annotations

import json

import pytest
import yaml

SHAPES = ("ball", "cone", "cube")


@pytest.fixture
def file(tmp_path):
    for name in ("shapes", "broken"):
        folder = tmp_path / name
        folder.mkdir()
        rows = [{"id": f"i{n}", "caption": f"It is a {SHAPES[n % 3]}"} for n in range(12)]
        text = "\n".join(map(json.dumps, rows))
        (folder / "captions.jsonl").write_text(text if name == "shapes" else "{not json")
        lines = [f"i{n},{SHAPES[n % 3]}" for n in range(12)]
        (folder / "labels.csv").write_text("\n".join(["id,label", *lines]))
    (tmp_path / "published.csv").write_text(
        "dataset,llm,acc,nmi,ari,note\nshapes,gpt,0.5,0.4,0.3,by hand\nother,gpt,0.1,0.1,0.1,\n"
    )
    values = {
        "title": "Shapes",
        "settings": {"llm": "fake", "method": "ictc"},
        "datasets": [
            {
                "name": name,
                "dataset": f"{name}/captions.jsonl",
                "labels": f"{name}/labels.csv",
                "criterion": "shape",
                "n_clusters": 3,
                "published": {"file": "published.csv", "dataset": name},
            }
            for name in ("shapes", "broken")
        ],
        "methods": [
            {"name": "default"},
            {"name": "words", "settings": {"method": "kmeans", "embedder": "tfidf"}},
        ],
        "seeds": [0, 1],
        "exclude": ["broken/words/*", "broken/*/1", "shapes/words/1"],
    }
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(values))
    return tmp_path / "grid.yaml"
