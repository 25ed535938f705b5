import json
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest

from agentclust import plugins
from agentclust.captioners import load_captioner
from agentclust.config import ModelConfig
from agentclust.datasets import prepare
from agentclust.datasets.recipe import Recipe
from agentclust.models import load_model
from agentclust.models.fake import FakeModel
from tests.complaints import check, complains

COMMAND = Path(sysconfig.get_path("scripts"), "agentclust")


# names


def test_the_built_in_parts_that_need_nothing_load():
    assert {"fake", "llama-cpp", "openai", "transformers"} <= set(plugins.names("models"))
    assert "builtin" in plugins.names("captioners")
    assert "clevr4-mini" in plugins.names("datasets")
    for group, parts in plugins.BUILT_IN.items():
        for name, (_, extra) in parts.items():
            found = None if extra else plugins.find(group, name)
            assert extra or callable(found) or isinstance(found, Recipe)


@pytest.mark.parametrize(
    ("group", "name", "line"),
    [
        ("models", "fakee", "fakee: unknown model; did you mean 'fake'? available: fake, "),
        ("models", "zzz", "zzz: unknown model; available: fake, "),
        ("captioners", "built-in", "built-in: unknown captioner; did you mean 'builtin'?"),
        ("datasets", "", "unknown dataset"),
        ("embedders", "zzz", "zzz: unknown embedder; available: efficientnet, minilm, moco-v3, "),
        ("gardens", "zzz", "zzz: unknown garden; available: none"),
        ("models", "module:", "module:: unknown model"),
        ("models", ":Class", ":Class: unknown model"),
        ("models", "a b:C", "a b:C: unknown model"),
        ("models", ".module:C", ".module:C: unknown model"),
        ("models", "module:C:D", "module:C:D: unknown model"),
        ("models", "os:nothing", "os:nothing: os:nothing cannot be loaded (AttributeError: "),
        ("models", "no_such.module:C", "cannot be loaded (ModuleNotFoundError: No module named"),
    ],
)
def test_a_name_nobody_knows(group, name, line):
    if not name:
        with pytest.raises(Exception, match="unknown dataset; available: cifar10"):
            plugins.find(group, name)
        return
    with complains(line):
        plugins.find(group, name)


def test_a_class_by_its_path():
    assert plugins.find("models", "agentclust.models.fake:FakeModel") is FakeModel
    nested = plugins.find("models", "agentclust.models.fake:FakeModel.choose")
    assert nested is FakeModel.choose


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("agentclust.models.fake:FakeModel", "cannot be built (TypeError: "),
        ("agentclust.errors:MissingExtra", "cannot be built (TypeError: "),
        ("agentclust.types:Usage", "cannot be built (it is a Usage, and no LangChain chat model)"),
        ("agentclust.cache:home", "cannot be built (TypeError: "),
    ],
)
def test_what_builds_no_model(name, line):
    with complains(f"{name}: {line}", "name a function of config, name and seed"):
        load_model(ModelConfig(model=name))


# missing extras

WITHOUT = """
import json, sys
for package in sys.argv[1:]:
    sys.modules[package] = None  # importing it fails as if it were not installed
from agentclust import plugins
from agentclust.captioners import load_captioner
from agentclust.config import ModelConfig
from agentclust.errors import MissingExtra
from agentclust.models import load_model
for load, name in (
    (lambda name: load_model(ModelConfig(model=name)), "llama-cpp:a.gguf"),
    (lambda name: load_model(ModelConfig(model=name)), "transformers:a/b"),
    (load_captioner, "builtin"),
    (lambda name: plugins.find("engines", name), "ray"),
):
    try:
        load(name)
    except MissingExtra as error:
        print(error)
load_model(ModelConfig(model="fake"))
"""


def test_a_missing_extra_names_its_install_line():
    packages = ("llama_cpp", "transformers", "torch", "skimage", "ray")
    done = subprocess.run(
        (sys.executable, "-c", WITHOUT, *packages), capture_output=True, text=True
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    for line in lines:
        check(line, "which is not installed; run: pip install 'agentclust[")
    extras = [line.partition("agentclust[")[2].partition("]")[0] for line in lines]
    assert extras == ["llama-cpp", "transformers", "builtin", "ray"]


# an installed package of somebody else

CODE = """
from PIL import Image
from agentclust.models.fake import FakeModel


class Rake(FakeModel):
    def __init__(self, config, name, seed):
        super().__init__(fingerprint=f"{name} {seed} {config.batch_size}")


class Leaf:
    identity = "leaf-1"

    def caption(self, image):
        with Image.open(image) as picture:
            red, green, _ = picture.convert("RGB").getpixel((0, 0))
        return "a red leaf" if red > green else "a leaf that is green"


def plot(folder):
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for number, colour in enumerate(("red", "green") * 3):
        Image.new("RGB", (8, 8), colour).save(images / f"{number}.png")
    return folder
"""
ENTRIES = """
[agentclust.models]
rake = garden.shed:Rake
rotten = garden.rotten:Rake
lost = garden.shed:Spade
fake = garden.shed:Rake

[agentclust.captioners]
leaf = garden.shed:Leaf

[agentclust.datasets]
plot = garden.shed:plot
"""


@pytest.fixture
def garden(tmp_path):
    """The folder of a distribution as an installer leaves it."""
    site = tmp_path / "site"
    about = site / "garden-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "garden").mkdir()
    (site / "garden" / "shed.py").write_text(CODE)
    (site / "garden" / "rotten.py").write_text("import no_such_package_at_all\n")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: garden\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(ENTRIES)
    return site


def test_the_parts_of_an_installed_package_load(garden, monkeypatch):
    monkeypatch.syspath_prepend(str(garden))
    assert {"rake", "rotten", "lost"} <= set(plugins.names("models"))
    model = load_model(ModelConfig(model="rake:sharp", batch_size=3), seed=7)
    assert model.fingerprint == "sharp 7 3"
    assert load_model(ModelConfig(model="garden.shed:Rake"), 3).fingerprint == "Rake 3 8"
    assert load_captioner("leaf").identity == "leaf-1"
    assert len(list(prepare("plot").glob("images/*.png"))) == 6
    assert type(load_model(ModelConfig(model="fake"))) is FakeModel  # ours cannot be replaced
    with complains("rotten: garden.rotten:Rake cannot be loaded (ModuleNotFoundError: No module"):
        load_model(ModelConfig(model="rotten"))
    with complains("lost: garden.shed:Spade cannot be loaded (AttributeError: "):
        load_model(ModelConfig(model="lost"))
    with complains("raker: unknown model; did you mean 'rake'?"):
        load_model(ModelConfig(model="raker"))


def test_the_command_line_runs_an_installed_package(garden, home, tmp_path):
    words = """
    run plot --criterion colour --n-clusters 2 --vlm leaf --llm rake:sharp --out run
    """
    done = subprocess.run(
        (COMMAND, *textwrap.dedent(words).split()),
        cwd=tmp_path,
        env={"PATH": "/usr/bin", "PYTHONPATH": str(garden), "AGENTCLUST_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rows = (tmp_path / "run" / "assignments.csv").read_text("utf-8").splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == [f"{number}.png" for number in range(6)]
    names = [row.split(",")[3] for row in rows]
    assert len(set(names)) == 2
    assert names == names[:2] * 3
    state = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))
    assert (state["status"], state["config"]["llm"]["model"]) == ("done", "rake:sharp")
