"""Do explanations point at what tells the groups? On drawn pictures and captions, to be sure.

    python -m tests.benchmarks.bench_explain [--images 160]

Each picture holds one of four objects and a grey square, which says nothing of the group. They are
clustered on embeddings of EfficientNet-Lite0 (weights of its package), and of small
vision transformers that are trained here on other such pictures for about a minute, as no weights
of large ones are at hand. "points": the share of pictures whose hottest point lies in the box
around the object (the pointing game of Zhang et al., IJCV 2018, without its tolerance); "mass": the
share of the heat in the box; "chance": the share of the area. "hottest", "coldest": how far the
contrast falls when an eighth of the places is painted over, those or these; "any": when as many
random ones are. Contrasts are of cosines, and of logits with TEMI and SCAN.

The captions tell who does what and where, and are grouped by where. Told is how often the word that
decides most is one of the place, and the share of the place's words in the falls of all.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
import transformers as hf

from agentclust.clusterers import load_clusterer
from agentclust.embedders import load_embedder
from agentclust.explaining.heat import contrast, direction, heat
from agentclust.explaining.scoring import scorer
from agentclust.explaining.words import deciding, without
from tests.objects import KINDS, masked, picture, pictures, pointing
from tests.scenes import PLACES, scenes

EDGE, PATCH, WIDTH = 112, 16, 64
TAUGHT, EPOCHS = 1200, 12


def taught(folder: Path, pooled: str) -> str:
    """A small vision transformer that tells the objects apart, saved in the folder."""
    torch.manual_seed(0)
    random = np.random.default_rng(99)
    drawn = [picture(i % len(KINDS), random)[0].resize((EDGE, EDGE)) for i in range(TAUGHT)]
    pixels = torch.tensor(np.stack([np.asarray(d, np.float32) for d in drawn])).permute(0, 3, 1, 2)
    pixels, kinds = pixels / 127.5 - 1, torch.arange(TAUGHT) % len(KINDS)
    shape = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_hidden_layers": 4,
             "num_attention_heads": 4, "image_size": EDGE, "patch_size": PATCH}  # fmt: skip
    if pooled == "class token":
        model = hf.ViTModel(hf.ViTConfig(**shape), add_pooling_layer=False)
    else:
        model = hf.SiglipVisionModel(hf.SiglipVisionConfig(**shape))
    head = torch.nn.Linear(WIDTH, len(KINDS))
    optimizer = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=1e-3)
    for _ in range(EPOCHS):
        for rows in torch.randperm(TAUGHT).split(32):
            out = model(pixel_values=pixels[rows])
            seen = out.last_hidden_state[:, 0] if pooled == "class token" else out.pooler_output
            loss = torch.nn.functional.cross_entropy(head(seen), kinds[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.save_pretrained(folder)
    hf.ViTImageProcessorPil(size={"height": EDGE, "width": EDGE}).save_pretrained(folder)
    return f"transformers:{folder}"


def measured(embedder_name: str, method: str, folder: Path, boxes: dict) -> dict[str, float]:
    embedder = load_embedder(embedder_name)
    files = [folder / name for name in boxes]
    vectors = embedder.embed(files)
    model = load_clusterer(method, len(KINDS), 0).fit(vectors)

    def scores(rows):
        if hasattr(model, "logits"):
            return model.logits(rows)
        return rows @ torch.tensor(model.centers_, dtype=torch.float32).T

    random = np.random.default_rng(0)
    found = {word: [] for word in ("points", "mass", "chance", "hottest", "coldest", "any")}
    for file, box, own in zip(files, boxes.values(), model.labels_, strict=True):
        trace = embedder.trace(file)
        warm = heat(trace, direction(scores, trace.vector, int(own)))
        score = contrast(scores(trace.vector[None].detach()), int(own))
        for word, value in zip(found, pointing(warm, trace.seen, box), strict=False):
            found[word].append(value)
        order = np.argsort(-warm, axis=None, kind="stable")
        count = max(1, warm.size // 8)
        for word, places in (("hottest", order[:count]), ("coldest", order[-count:]),
                             ("any", random.permutation(order)[:count])):  # fmt: skip
            grid = [divmod(int(place), warm.shape[1]) for place in places]
            other = masked(file, grid, warm.shape, trace.seen, folder.parent / "masked.png")
            left = contrast(scores(torch.from_numpy(embedder.embed([other]))), int(own))
            found[word].append(float(score - left))
    purity = len({(i % len(KINDS), int(label)) for i, label in enumerate(model.labels_)})
    return {word: float(np.mean(values)) for word, values in found.items()} | {
        "groups": purity == len(KINDS)
    }


def words(count: int) -> str:
    captions, places = scenes(count)
    embedder = load_embedder("minilm")
    vectors = embedder.embed(captions)
    labels = np.array([list(PLACES).index(place) for place in places])
    found = scorer(None, embedder, vectors, labels)
    first, share = [], []
    rows = zip(captions, places, found.scores(vectors), labels, strict=True)
    for caption, place, row, own in rows:
        rival = int(np.argmax(np.where(np.arange(len(row)) == own, -np.inf, row)))
        left = without(caption)
        others = found.scores(embedder.embed(list(left.values())))
        falls = deciding(left, row[own] - row[rival], others[:, own] - others[:, rival])
        telling = set(" ".join(PLACES[place]).split())
        first.append(bool(falls) and falls[0][0] in telling)
        share.append(sum(f for w, f in falls if w in telling) / sum(f for _, f in falls))
    return f"{count} captions: told {np.mean(first):.3f}, share {np.mean(share):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=160)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        boxes = pictures(root / "photos", options.images)
        methods = ("kmeans", "temi", "scan")
        rows = [("EfficientNet-Lite0", "efficientnet", method) for method in methods]
        for pooled in ("class token", "attention"):
            name = taught(root / pooled.replace(" ", "-"), pooled)
            rows.append((f"small ViT, {pooled} pooled", name, "kmeans"))
        print("| network | clusterer | points | mass | chance | hottest | coldest | any |")
        print("|---|---|---|---|---|---|---|---|")
        for title, name, method in rows:
            row = measured(name, method, root / "photos", boxes)
            note = "" if row.pop("groups") else " (groups are not the objects)"
            print(
                f"| {title}{note} | {method} | "
                + " | ".join(f"{v:.3f}" for v in row.values())
                + " |"
            )
        print(words(300))


if __name__ == "__main__":
    main()
