"""Folders that are a chat model, and folders that are none."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, Qwen2_5_VLConfig, T5Config
from transformers.utils import is_torchvision_available

from agentclust.errors import InputError, ModelError
from agentclust.networks.failing import out_of_memory
from tests.models.tiny import make_llama, make_llava
from tests.models.transformers.prompts import OPTIONS, USERS, ask, load, show, texts
from tests.models.transformers.references import text_reference


def four_bit_runs():
    try:
        from bitsandbytes.functional import quantize_4bit

        quantize_4bit(torch.ones(64, 64), quant_type="nf4")
    except Exception:
        return False
    return True


@pytest.mark.skipif(not four_bit_runs(), reason="bitsandbytes does not run on this CPU")
@pytest.mark.parametrize("make", [make_llama, make_llava])
def test_weights_in_four_bits(make, tmp_path):
    from bitsandbytes.nn import Linear4bit

    model = load(make(tmp_path), load_in_4bit=True, device_map="cpu")
    layers = [m for m in model._network.checkpoint.model.modules() if isinstance(m, Linear4bit)]
    assert len(layers) >= 14
    assert {layer.weight.quant_type for layer in layers} == {"nf4"}
    prompts = [ask(user) for user in USERS]
    if make is make_llava:
        prompts = [show("red", user) for user in USERS]
    answers = model.batch(prompts, max_tokens=8)
    assert texts(answers) == [model.invoke(p, max_tokens=8).text for p in prompts]
    four, full = model.choose(prompts, OPTIONS), load(tmp_path).choose(prompts, OPTIONS)
    alone = [model.choose([prompt], OPTIONS)[0].probabilities for prompt in prompts]
    assert np.array([c.probabilities for c in four]) == pytest.approx(np.array(alone), abs=1e-3)
    assert four[0].probabilities != pytest.approx(full[0].probabilities, abs=1e-3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has what the test lacks")
def test_four_bits_where_bitsandbytes_cannot_run(llama):
    with pytest.raises(InputError, match=r"load_in_4bit=true: bitsandbytes cannot run on cuda"):
        load(llama, load_in_4bit=True, device_map="cuda")


def broken(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def test_folders_that_are_no_chat_model(llama, tmp_path):
    cases = {
        "empty": ({}, "has no config.json"),
        "bert": ({"config__json": BertConfig().to_json_string()}, "of type 'bert', no chat model"),
        "t5": ({"config__json": T5Config().to_json_string()}, "no chat model"),
    }
    for name, (files, said) in cases.items():
        (tmp_path / name).mkdir()
        with pytest.raises(InputError, match=said) as caught:
            load(broken(tmp_path / name, **files))
        assert "\n" not in str(caught.value)


def test_folders_that_cannot_be_loaded(tmp_path):
    half = make_llama(tmp_path / "half")
    weights = half / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    unknown = broken(make_llama(tmp_path / "unknown"), config__json='{"model_type": "newest"}')
    garbage = broken(make_llama(tmp_path / "garbage"), config__json="{")
    weightless = make_llama(tmp_path / "weightless")
    (weightless / "model.safetensors").unlink()
    for folder in (half, unknown, garbage, weightless):
        with pytest.raises(ModelError, match="cannot be loaded") as caught:
            load(folder)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 600


@pytest.mark.skipif(is_torchvision_available(), reason="this machine has what the test lacks")
def test_a_model_that_needs_torchvision(tmp_path):
    named = {
        "processor_class": "Qwen2_5_VLProcessor",
        "image_processor_type": "Qwen2VLImageProcessor",
    }
    make_llama(tmp_path)
    broken(
        tmp_path,
        config__json=Qwen2_5_VLConfig().to_json_string(),
        preprocessor_config__json=json.dumps(named),
    )
    with pytest.raises(InputError, match=r"needs torchvision; install the torchvision made for"):
        load(tmp_path)


def test_weights_that_are_missing_are_not_made_up(llama, tmp_path):
    tokenizer, network, _ = text_reference(llama)
    network.model.save_pretrained(tmp_path)  # as checkpoints for embeddings are: without a head
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"has no weights for lm_head.weight"):
        load(tmp_path)


def test_a_checkpoint_with_a_program_of_its_own_is_not_run(tmp_path):
    config = {"model_type": "own", "auto_map": {"AutoConfig": "own.OwnConfig"}}
    broken(tmp_path, config__json=json.dumps(config), own__py="raise SystemExit('ran')")
    with pytest.raises(InputError, match="brings its own program, which is never run"):
        load(tmp_path)


def test_a_failed_allocation_is_one_line():
    with (
        pytest.raises(ModelError, match=r"m: does not fit into memory; try a smaller batch_size"),
        out_of_memory("m", "a smaller batch_size"),
    ):
        torch.empty(1 << 55)
    with pytest.raises(RuntimeError, match="shape"), out_of_memory("m", "nothing"):
        torch.empty(2).reshape(3)


def test_a_folders_fingerprint_tells_weights_apart(llama, text_model, tmp_path):
    assert load(llama).fingerprint == text_model.fingerprint
    other = make_llama(tmp_path)
    assert load(other).fingerprint == text_model.fingerprint
    config = other / "config.json"
    config.write_text(config.read_text().replace('"rms_norm_eps": 1e-06', '"rms_norm_eps": 1e-05'))
    assert load(other).fingerprint != text_model.fingerprint


def test_nothing_is_written_to_the_terminal(llama, llava, capfd):
    for folder in (llama, llava):
        load(folder).batch([ask(user) for user in USERS], max_tokens=2)
    out, err = capfd.readouterr()
    assert out + err == ""
