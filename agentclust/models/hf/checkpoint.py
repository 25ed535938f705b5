"""Finding and loading a transformers checkpoint; whatever is wrong with it becomes one line.

It knows nothing of chats or prompts.
"""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import accelerate  # type: ignore[import-untyped]  # noqa: F401  # device_map needs it
import torch
import transformers
from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache
from huggingface_hub import errors as hub_errors

from agentclust.config import ModelConfig
from agentclust.errors import AgentclustError, InputError, ModelError

hf: Any = transformers  # it types its classes in part only

PATIENCE = 10.0  # seconds for the hub to answer at all
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
    where, source, fingerprint = _locate(name)
    if config.n_threads:
        torch.set_num_threads(config.n_threads)
    with quiet(), _loading(name), out_of_memory(name, "load_in_4bit=true or a smaller model"):
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


def _locate(name: str) -> tuple[str, dict[str, Any], str]:
    """Where to load from, how to ask for its files, and the fingerprint."""
    folder = Path(name).expanduser()
    if not name:
        raise InputError("transformers:", "names no model", "write transformers:OWNER/NAME")
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise InputError(name, "has no config.json", "give the folder of a saved checkpoint")
        return str(folder), {}, _digest(folder)
    with quiet():
        commit, fetched = _newest(name)
    return name, {"revision": commit, "local_files_only": fetched}, commit


def _newest(name: str) -> tuple[str, bool]:
    """The newest commit of a repository; out of the hub's reach the one fetched last, and True."""
    try:
        HfApi().model_info(name, timeout=PATIENCE)  # the download would try for half a minute
        return Path(hf_hub_download(name, "config.json")).parent.name, False
    except hub_errors.HFValidationError:
        todo = "write transformers:OWNER/NAME or an existing folder"
        raise InputError(name, "is neither a folder nor a repository's name", todo) from None
    except hub_errors.GatedRepoError:
        todo = "accept its terms on its page, then log in with `hf auth login`"
        raise InputError(name, "is gated: its owner grants access", todo) from None
    except hub_errors.RepositoryNotFoundError:
        todo = "check the name; for a private one log in with `hf auth login`"
        raise InputError(name, "is not on the hub", todo) from None
    except Exception as error:
        cached = try_to_load_from_cache(name, "config.json")
        if isinstance(cached, str):
            return Path(cached).parent.name, True
        local = isinstance(error, hub_errors.LocalEntryNotFoundError)
        if isinstance(error, hub_errors.EntryNotFoundError) and not local:
            raise InputError(name, "has no config.json", "choose another checkpoint") from None
        why = f"is not on this machine, and the hub gives no answer ({_first_line(error)})"
        raise InputError(name, why, "go online to fetch it, or give a local folder") from error


def _digest(folder: Path) -> str:
    """Names and sizes of the files, and what config.json says: cheap, unlike hashing weights."""
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for file in sorted(folder.iterdir()):
        if file.is_file():
            digest.update(f"\0{file.name}\0{file.stat().st_size}".encode())
    return digest.hexdigest()


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
        why = f"bitsandbytes cannot run on {device} ({_first_line(error)})"
        raise InputError("load_in_4bit=true", why, "set load_in_4bit=false") from error


@contextmanager
def _loading(name: str) -> Iterator[None]:
    """Whatever a library raises over a checkpoint becomes a `ModelError`."""
    try:
        yield
    except AgentclustError:
        raise
    except Exception as error:
        if "trust_remote_code" in str(error):
            why = "brings its own program, which is never run"
            raise InputError(name, why, "choose an architecture transformers knows") from None
        if "torchvision" in str(error).lower():
            todo = "install the torchvision made for your torch, or choose a model without videos"
            raise InputError(name, "needs torchvision", todo) from None
        said = _first_line(error)
        todo = "check its files, and that this version of transformers knows its architecture"
        raise ModelError(name, f"cannot be loaded ({said})", todo) from error


@contextmanager
def out_of_memory(name: str, todo: str) -> Iterator[None]:
    """Make a `ModelError` of a GPU or CPU allocation that failed; `todo` names what to lower."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise ModelError(name, "does not fit into the GPU's memory", f"try {todo}") from error
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate memory" not in str(error):
            raise
        raise ModelError(name, "does not fit into memory", f"try {todo}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries' chatter off standard error."""
    ours = hf.utils.logging
    verbosity = ours.get_verbosity()
    others = [logging.getLogger(name) for name in ("accelerate", "bitsandbytes", "huggingface_hub")]
    levels = [logger.level for logger in others]
    try:
        ours.set_verbosity_error()
        for logger in others:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        ours.set_verbosity(verbosity)
        for logger, level in zip(others, levels, strict=True):
            logger.setLevel(level)


def _first_line(error: BaseException, limit: int = 200) -> str:
    line = " ".join(str(error).strip().split("\n", 1)[0].split()) or type(error).__name__
    return line if len(line) <= limit else line[: limit - 1] + "…"
