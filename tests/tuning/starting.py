"""How a network learns here, and how a run with one is started."""

from agentclust import service
from agentclust.config import make_config
from agentclust.files.arrays import Checkpoint
from agentclust.tuning.learning import Plan, learn
from tests.test_clustered_runs import QUIET, SMALL

COLOURS = "rgb" * 8


def learned(vits, photos, folder, advance=lambda: None, **changes):
    embedder, model = vits
    plan = Plan(**{"epochs": 3, "blocks": 1, "threshold": 0.6, "seed": 0} | changes)
    checkpoint = Checkpoint(folder / "tuning.npz", {"plan": str(plan)})
    return learn(embedder.network(), model, photos, plan, checkpoint, advance)


def configured(photos, embedder, *settings, **values):
    values = {"criterion": "colour", "n_clusters": 3, "method": "scan", "llm": "none",
              "vlm": "none", "dataset": str(photos), "embedder": embedder} | values  # fmt: skip
    return make_config(values, [*SMALL["scan"], "finetune=2", *settings])


def started(config, out):
    return service.start([config], out, reporter=QUIET)[0]
