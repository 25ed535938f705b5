import pytest
import torch

from agentclust.clusterers.scan import SCAN
from agentclust.embedders import load_embedder
from tests.plugged import pictures
from tests.test_transformers_embedders import clip, convnext, siglip, vit
from tests.tuning.starting import COLOURS, configured, started


@pytest.fixture(scope="package")
def networks(tmp_path_factory):
    """Tiny networks with random weights, which tell colours apart."""
    root = tmp_path_factory.mktemp("networks")
    torch.manual_seed(0)
    for kind in (clip, convnext, siglip, vit):
        for part in kind():
            part.save_pretrained(root / kind.__name__)
    return root


@pytest.fixture(scope="package")
def photos(tmp_path_factory):
    return sorted(pictures(tmp_path_factory.mktemp("drawn") / "photos", COLOURS).iterdir())


@pytest.fixture
def vits(networks, photos):
    """An embedder, and a clusterer that is fitted on its vectors."""
    embedder = load_embedder(f"transformers:{networks / 'vit'}")
    model = SCAN(3, n_heads=2, random_state=0, threshold=0.6).fit(embedder.embed(photos))
    return embedder, model


@pytest.fixture(scope="package")
def tuned(networks, photos, tmp_path_factory):
    """A run with its embedder's name."""
    name = f"transformers:{networks / 'convnext'}"
    config = configured(photos[0].parent, name, "finetune_blocks=2", "clusterer.threshold=0.6")
    return started(config, tmp_path_factory.mktemp("runs") / "run"), name
