"""Finding and loading a transformers checkpoint; whatever is wrong with it becomes one line.

It knows nothing of chats or prompts.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import accelerate  # type: ignore[import-untyped]  # noqa: F401  # device_map needs it
import torch

from agentclust.config import ModelConfig
from agentclust.errors import InputError
from agentclust.networks.checkpoints import hf, locate, quiet
from agentclust.networks.failing import first_line, loading, out_of_memory

CHOOSE = "choose a model with a chat template, for images a LLaVA-style one"


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint.

    Attributes:
        name: The repository or folder, as the person gave it.
        model: The network, in evaluation mode.
        tokenizer: Pads on the left.
        processor: Turns text and images into inputs; None for a model that reads text alone.
        window: Positions the network has, tokens; None where it does not say.
        fingerprint: Tells these weights from others.
    """

    name: str
    model: Any
    tokenizer: Any
    processor: Any | None
    window: int | None
    fingerprint: str


def load(config: ModelConfig, name: str) -> Checkpoint:
    """Load a hub repository or a local folder onto the devices that `config` asks for.

    Raises:
        InputError: There is no such checkpoint, it is no chat model, or 4-bit weights cannot be
            used on this machine.
        ModelError: It is there but cannot be loaded.
    """
    if not sys.stderr.isatty():
        hf.utils.logging.disable_progress_bar()
    where, source, fingerprint = locate(name)
    if config.n_threads:
        torch.set_num_threads(config.n_threads)
    with quiet(), loading(name), out_of_memory(name, "load_in_4bit=true or a smaller model"):
        found = hf.AutoConfig.from_pretrained(where, **source)
        reads_images = type(found) in hf.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
        # an encoder may be built as a decoder too, and says whether it is one
        writes = type(found) in hf.MODEL_FOR_CAUSAL_LM_MAPPING
        writes = writes and getattr(found, "is_decoder", True)
        if found.is_encoder_decoder or not (reads_images or writes):
            raise InputError(name, f"is of type {found.model_type!r}, no chat model", CHOOSE)
        if reads_images:
            kind = hf.AutoModelForImageTextToText
            processor = hf.AutoProcessor.from_pretrained(where, **source)
            tokenizer = getattr(processor, "tokenizer", None)
            if tokenizer is None or not hasattr(processor, "image_processor"):
                raise InputError(name, "has no image processor", "add its preprocessor_config.json")
        else:
            kind, processor = hf.AutoModelForCausalLM, None
            tokenizer = hf.AutoTokenizer.from_pretrained(where, **source)
        placement = _placement(config, found)
        model, told = kind.from_pretrained(where, **source, **placement, output_loading_info=True)
        if told["missing_keys"]:  # they would be random numbers
            lacking = ", ".join(sorted(told["missing_keys"])[:2])
            raise InputError(name, f"has no weights for {lacking}", CHOOSE)
    _keep_odd_layers_unpacked(model)
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    window = getattr(found.get_text_config(), "max_position_embeddings", None)
    return Checkpoint(name, model.eval(), tokenizer, processor, window, fingerprint)


def _placement(config: ModelConfig, found: Any) -> dict[str, Any]:
    """Devices and number format: half precision on a GPU, full on the CPU, or what is stored."""
    placement: dict[str, Any] = {"device_map": config.device_map}
    if getattr(found, "quantization_config", None):
        return placement | {"dtype": "auto"}
    device = _device(config.device_map)
    if device == "cpu":
        dtype = torch.float32
    elif device.startswith("cuda") and torch.cuda.is_available():
        dtype = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    else:
        dtype = torch.float16
    placement["dtype"] = dtype
    if config.load_in_4bit:
        _check_bitsandbytes(device)
        placement["quantization_config"] = hf.BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    return placement


def _keep_odd_layers_unpacked(model: Any) -> None:
    """Layers of odd widths fail in the format bitsandbytes packs 4-bit weights into on new CPUs."""
    for layer in model.modules():
        if getattr(layer, "support_avx512bf16_for_cpu", False):
            fits = layer.in_features % 64 == 0 and layer.out_features % 32 == 0
            layer.support_avx512bf16_for_cpu = fits


def _device(device_map: str) -> str:
    if device_map not in ("auto", "balanced", "balanced_low_0", "sequential"):
        return device_map
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _check_bitsandbytes(device: str) -> None:
    """Quantise one block for real: the package may be missing, or built without this device."""
    try:
        from bitsandbytes.functional import quantize_4bit

        quantize_4bit(torch.ones(64, 64, device=device), quant_type="nf4")
    except Exception as error:
        why = f"bitsandbytes cannot run on {device} ({first_line(error)})"
        raise InputError("load_in_4bit=true", why, "set load_in_4bit=false") from error
