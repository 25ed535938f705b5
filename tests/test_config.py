import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from agentclust.config import ModelConfig, RunConfig, make_config, make_model_config, names_llm
from agentclust.run import slug
from tests.complaints import complains

BASE = {"dataset": "photos", "criterion": "mood", "llm": "fake"}


def settings(tmp_path, text, name="settings.yaml"):
    file = tmp_path / name
    file.write_text(text, "utf-8")
    return file


def test_defaults():
    config = make_config(BASE)
    assert (config.n_clusters, config.method, config.mode, config.seed) == (
        "auto", "agent", "default", 0,
    )  # fmt: skip
    assert (config.vlm.model, config.llm.model) == ("builtin", "fake")
    assert config.llm.temperature == 0
    assert (config.max_calls, config.max_tokens, config.max_seconds) == (None, None, None)
    assert (config.embedder, config.clusterer, config.max_rounds) == (None, "consensus", 4)


def test_a_config_is_frozen():
    config = make_config(BASE)
    with pytest.raises(ValidationError):
        config.seed = 1
    with pytest.raises(ValidationError):
        config.llm.temperature = 1


def test_a_config_survives_run_json():
    config = make_config(BASE | {"prompts": "mine"}, ["base_url=http://localhost:1/v1"])
    assert RunConfig(**json.loads(json.dumps(config.model_dump(mode="json")))) == config


# values that do not fit: each as a person gives it, with the value, the reason and the next step

BAD = [
    ({"n_clusters": 1}, "n_clusters=1: is less than 2; ask for at least 2 clusters, or 'auto'"),
    ({"n_clusters": 0}, "n_clusters=0: is less than 2"),
    ({"n_clusters": -3}, "n_clusters=-3: is less than 2"),
    ({"n_clusters": 2.5}, "n_clusters=2.5: Input should be a valid integer"),
    ({"n_clusters": "many"}, "n_clusters='many': Input should be a valid integer"),
    ({"n_clusters": None}, "n_clusters=None: Input should be"),
    ({"criterion": ""}, "criterion='': is empty; say in plain words"),
    ({"criterion": " \t\n\u2003"}, "is empty; say in plain words"),
    ({"criterion": "\u0000\u0007"}, "is empty; say in plain words"),
    ({"criterion": "?!"}, "criterion='?!': holds no word"),
    ({"criterion": "\u200b\u200d"}, "holds no word"),
    ({"criterion": "🙂"}, "criterion='🙂': holds no word"),
    ({"criterion": "a" * 501}, "is longer than 500 characters; say it in a sentence"),
    ({"criterion": "caf\udce9"}, "criterion='caf\\udce9': is not UTF-8 text"),
    ({"criterion": None}, "criterion=None: Input should be a valid string"),
    ({"criterion": ["mood"]}, "criterion=list: Input should be a valid string"),
    ({"dataset": "caf\udce9"}, "dataset='caf\\udce9': is not UTF-8 text"),
    ({"dataset": 5}, "dataset=5: Input should be a valid string"),
    ({"mode": "papr"}, "mode='papr': Input should be 'default' or 'paper'"),
    ({"seed": -1}, "seed=-1: Input should be greater than or equal to 0"),
    ({"seed": 2**31}, "seed=2147483648: Input should be less than 2147483648"),
    ({"seed": "abc"}, "seed='abc': Input should be a valid integer"),
    ({"max_calls": 0}, "max_calls=0: Input should be greater than or equal to 1"),
    ({"max_tokens": 0}, "max_tokens=0: Input should be greater than or equal to 1"),
    ({"max_seconds": 0}, "max_seconds=0: Input should be greater than 0"),
    ({"max_rounds": -1}, "max_rounds=-1: Input should be greater than or equal to 0"),
    ({"cache": "perhaps"}, "cache='perhaps': Input should be a valid boolean"),
    ({"prompts": "caf\udce9"}, "prompts='caf\\udce9': is not UTF-8 text"),
    ({"paper_min_count": -1}, "paper_min_count=-1: Input should be greater than or equal to 0"),
    ({"llm": None}, "llm.model=None: Input should be a valid string"),
    ({"llm": 5}, "llm.model=5: Input should be a valid string"),
    ({"llm": {"base_url": "http://x"}}, "llm.model: is not given; pass --llm"),
    ({"llm.temperature": 3}, "llm.temperature=3: Input should be less than or equal to 2"),
    ({"llm.temperature": float("nan")}, "llm.temperature=nan: Input should be a finite number"),
    ({"vlm.timeout": float("inf")}, "vlm.timeout=inf: Input should be a finite number"),
    ({"timeout": 0}, "vlm.timeout=0: Input should be greater than 0"),
    ({"concurrency": 0}, "vlm.concurrency=0: Input should be greater than or equal to 1"),
    ({"llm.n_ctx": 10}, "llm.n_ctx=10: Input should be greater than or equal to 256"),
    ({"llm.base_url": "\ud83d"}, "llm.base_url='\\ud83d': is not UTF-8 text"),
    # names nobody knows
    ({"criterium": "mood"}, "criterium: unknown setting; did you mean 'criterion'?"),
    ({"modes": "paper"}, "modes: unknown setting; did you mean 'mode'?"),
    ({"base_ur": "x"}, "base_ur: unknown setting; did you mean 'base_url'?"),
    ({"llm.temprature": 0}, "temprature: unknown setting of llm; did you mean 'temperature'?"),
    ({"llm.sub.key": 0}, "sub.key: unknown setting of llm"),
    ({"vlm": {"model": "x", "modle": 1}}, "modle: unknown setting of vlm; did you mean 'model'?"),
    ({"zzz": 0}, "zzz: unknown setting; available: dataset, criterion"),
]


@pytest.mark.parametrize(("values", "line"), BAD, ids=[line[:60] for _, line in BAD])
def test_a_bad_value(values, line):
    with complains(line):
        make_config(BASE | values)


@pytest.mark.parametrize("missing", BASE)
def test_a_missing_value(missing):
    values = {name: value for name, value in BASE.items() if name != missing}
    with complains(f"{missing}: is not given; pass --{missing}"):
        make_config(values)


def test_a_long_value_is_not_repeated_in_full():
    with pytest.raises(Exception, match="is longer than 500") as caught:
        make_config(BASE | {"criterion": "mood " * 10_000})
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  mood \n of the\tscene ", "mood of the scene"),
        ("mo\x07od\x1b[31m", "mood[31m"),
        ("Stimmung: düster?", "Stimmung: düster?"),
        ("色", "色"),
        ("می‌خواهم", "می‌خواهم"),
        ("2", "2"),
        ("a" * 500, "a" * 500),
    ],
)
def test_a_criterion_is_one_line(given, kept):
    assert make_config(BASE | {"criterion": given}).criterion == kept


@pytest.mark.parametrize(
    ("criterion", "folder"),
    [
        ("Mood of the scene!", "mood-of-the-scene"),
        ("../../etc/passwd", "etc-passwd"),
        ("色 と 形", "色-と-形"),
        ("word " * 40, "word-word-word-word-word-word-word-word"),
    ],
)
def test_slug(criterion, folder):
    assert slug(criterion) == folder


# where settings come from


def test_set_takes_yaml_values():
    config = make_config(
        BASE, ["n_clusters=7", "cache=false", "seed = 3", "max_calls=", "mode=paper"]
    )
    assert (config.n_clusters, config.cache, config.seed) == (7, False, 3)
    assert (config.max_calls, config.mode) == (None, "paper")


def test_a_setting_of_one_model_and_of_both():
    config = make_config(BASE, ["concurrency=32", "llm.concurrency=4", "vlm=openai:eyes"])
    assert (config.vlm.concurrency, config.llm.concurrency) == (32, 4)
    assert (config.vlm.model, config.llm.model) == ("openai:eyes", "fake")


def test_a_setting_of_the_vlm_keeps_its_default_model():
    assert make_config(BASE, ["vlm.image_edge=64"]).vlm.model == "builtin"
    assert make_config(BASE, ["image_edge=64"]).vlm == ModelConfig(model="builtin", image_edge=64)


def test_a_value_with_an_equals_sign():
    config = make_config(BASE, ["base_url=http://localhost/v1?a=b"])
    assert config.llm.base_url == "http://localhost/v1?a=b"


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("mode", "--set mode: is not KEY=VALUE; write for example --set mode=paper"),
        ("", "--set: is not KEY=VALUE"),
        ("=paper", "--set =paper: is not KEY=VALUE"),
        ("mode=[", "mode=[: its value is no YAML; put quotation marks"),
        ("base_url=*x", "base_url=*x: its value is no YAML"),
        ("seed=2024-13-45", "seed=2024-13-45: its value is no YAML"),
        ("seed=" + "[" * 400, "its value is no YAML"),
        ("seed=2024-11-05", "seed=date: Input should be a valid integer"),
        ("criterion=a: b", "criterion=dict: Input should be a valid string"),
        ("llm.model=", "llm.model=None: Input should be a valid string"),
        ("mdoe=paper", "mdoe: unknown setting; did you mean 'mode'?"),
    ],
)
def test_a_bad_setting(setting, line):
    with complains(line):
        make_config(BASE, [setting])


def test_a_model_as_a_config():
    model = ModelConfig(model="openai:x", base_url="http://one", concurrency=3)
    config = make_config(BASE | {"llm": model, "base_url": "http://two"})
    assert config.llm == model.model_copy(update={"base_url": "http://two"})


def test_paths_are_made_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = make_config(BASE | {"prompts": "mine", "llm.mmproj": Path("eyes.gguf")})
    assert (config.prompts, config.llm.mmproj) == (tmp_path / "mine", tmp_path / "eyes.gguf")


# files


def test_a_file(tmp_path):
    text = """
    seed: 4
    n_clusters: 3
    llm: {model: "openai:x", base_url: "http://one"}
    base_url: http://two
    vlm.model: openai:eyes
    """
    config = make_config({"dataset": "photos", "criterion": "mood"}, [], settings(tmp_path, text))
    assert (config.seed, config.n_clusters, config.llm.model) == (4, 3, "openai:x")
    assert (config.llm.base_url, config.vlm.base_url) == ("http://one", "http://two")
    assert config.vlm.model == "openai:eyes"


def test_the_call_overrules_the_file_and_a_setting_both(tmp_path):
    file = settings(tmp_path, "seed: 1\nn_clusters: 3\nmode: paper\nllm: openai:x\n")
    config = make_config(BASE | {"seed": 2, "n_clusters": 4}, ["seed=5"], file)
    assert (config.seed, config.n_clusters, config.mode, config.llm.model) == (
        5,
        4,
        "paper",
        "fake",
    )


def test_the_call_names_another_model_and_keeps_its_settings(tmp_path):
    file = settings(tmp_path, "llm: {model: openai:x, base_url: http://one}")
    assert make_config(BASE | {"llm": "openai:y"}, [], file).llm.base_url == "http://one"


def test_an_empty_file_and_a_byte_order_mark(tmp_path):
    assert make_config(BASE, [], settings(tmp_path, "")) == make_config(BASE)
    assert make_config(BASE, [], settings(tmp_path, "\ufeffseed: 3")).seed == 3


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("seed: [", "settings.yaml: cannot be read ("),
        ("seed: 2024-13-45", "settings.yaml: cannot be read (month must be in 1..12)"),
        ("- seed", "settings.yaml: is not a YAML mapping; write one 'key: value' a line"),
        ("seed", "settings.yaml: is not a YAML mapping"),
        ("sede: 1", "sede: unknown setting; did you mean 'seed'?"),
        ("1: 2", "1: unknown setting"),
        ("llm: {modle: x}", "modle: unknown setting of llm; did you mean 'model'?"),
        ("llm: {1: x}", "1: unknown setting of llm"),
        ("llm: [x]", "llm.model=list: Input should be a valid string"),
        ("n_clusters: 1", "n_clusters=1: is less than 2"),
        ("run: !!python/object/apply:os.getcwd []", "settings.yaml: cannot be read ("),
    ],
)
def test_a_bad_file(tmp_path, text, line):
    with complains(line):
        make_config({"dataset": "photos", "criterion": "mood"}, [], settings(tmp_path, text))


def test_a_file_that_cannot_be_read(tmp_path):
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("criterion: Käse".encode("latin-1"))
    for file in (tmp_path, tmp_path / "no.yaml", latin):
        with complains(f"{file}: cannot be read (", "give a YAML file of settings"):
            make_config(BASE, [], file)


def test_names_llm(tmp_path):
    assert names_llm(["llm=fake"], None)
    assert names_llm(["seed=1", " llm.model = fake"], None)
    assert not names_llm(["llm.base_url=http://x", "vlm=fake"], None)
    assert not names_llm([], settings(tmp_path, "vlm: fake"))
    assert names_llm([], settings(tmp_path, "llm: {model: fake}"))
    assert names_llm([], settings(tmp_path, "llm.model: fake"))


def test_one_model_alone():
    config = make_model_config("openai:x", ["base_url=http://one", "timeout=3"])
    assert config == ModelConfig(model="openai:x", base_url="http://one", timeout=3)
    with complains("modle: unknown setting of llm"):
        make_model_config("fake", ["modle=x"])
    with complains("llm.timeout=0: Input should be greater than 0"):
        make_model_config("fake", ["timeout=0"])
