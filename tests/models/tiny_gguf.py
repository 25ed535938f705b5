"""Random-weight GGUF files of a few hundred kilobytes: the real format, code path and tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from gguf import GGUFWriter, TokenType

N_CTX, WIDTH, LAYERS, HEADS, HIDDEN = 1024, 64, 2, 4, 128
CHATML = """\
{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
NO_SYSTEM = """\
{{ bos_token }}\
{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}\
{% for m in messages %}<|im_start|>{{ 'model' if m.role == 'assistant' else m.role }}
{{ m.content | trim }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>model
{% endif %}"""
DROPS_SYSTEM = CHATML.replace("messages %}", "messages if m.role != 'system' %}")

CONTROL = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
LETTERS = [chr(code) for code in range(33, 127)]
WORDS = ["\u2581", "th", "\u2581th", "tr", "tru", "truc", "truck", "us", "er", "user"]


def llama(file: Path, template: str | None = CHATML, seed: int = 0) -> Path:
    """A model of the Llama architecture."""
    writer = _writer(file, "llama", template)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS // 2)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    add = _adder(writer, seed)
    n_vocab = _vocabulary_size()
    add("token_embd.weight", n_vocab, WIDTH)
    add("output.weight", n_vocab, WIDTH, scale=3)
    _ones(writer, "output_norm.weight", WIDTH)
    for i in range(LAYERS):
        _ones(writer, f"blk.{i}.attn_norm.weight", WIDTH)
        _ones(writer, f"blk.{i}.ffn_norm.weight", WIDTH)
        add(f"blk.{i}.attn_q.weight", WIDTH, WIDTH)
        add(f"blk.{i}.attn_k.weight", WIDTH // 2, WIDTH)
        add(f"blk.{i}.attn_v.weight", WIDTH // 2, WIDTH)
        add(f"blk.{i}.attn_output.weight", WIDTH, WIDTH)
        add(f"blk.{i}.ffn_gate.weight", HIDDEN, WIDTH)
        add(f"blk.{i}.ffn_up.weight", HIDDEN, WIDTH)
        add(f"blk.{i}.ffn_down.weight", WIDTH, HIDDEN)
    return _write(writer, file)


def mamba(file: Path) -> Path:
    """A recurrent model, whose memory cannot go back."""
    inner, state, rank, kernel = 2 * WIDTH, 16, 4, 4
    writer = _writer(file, "mamba", CHATML)
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_ssm_conv_kernel(kernel)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(state)
    writer.add_ssm_time_step_rank(rank)
    add = _adder(writer, 0)
    add("token_embd.weight", _vocabulary_size(), WIDTH)
    _ones(writer, "output_norm.weight", WIDTH)
    for i in range(LAYERS):
        _ones(writer, f"blk.{i}.attn_norm.weight", WIDTH)
        add(f"blk.{i}.ssm_in.weight", 2 * inner, WIDTH)
        add(f"blk.{i}.ssm_conv1d.weight", inner, kernel)
        add(f"blk.{i}.ssm_conv1d.bias", inner)
        add(f"blk.{i}.ssm_x.weight", rank + 2 * state, inner)
        add(f"blk.{i}.ssm_dt.weight", inner, rank)
        add(f"blk.{i}.ssm_dt.bias", inner)
        writer.add_tensor(f"blk.{i}.ssm_a", -np.ones((inner, state), np.float32))
        _ones(writer, f"blk.{i}.ssm_d", inner)
        add(f"blk.{i}.ssm_out.weight", WIDTH, inner)
    return _write(writer, file)


def projector(file: Path) -> Path:
    """A LLaVA 1.5 projector, 4 image tokens, for the model of `llama`."""
    width, patch, side, heads = 32, 14, 28, 2
    writer = GGUFWriter(file, "clip")
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type("mlp")
    writer.add_vision_image_size(side)
    writer.add_vision_patch_size(patch)
    writer.add_vision_embedding_length(width)
    writer.add_vision_feed_forward_length(2 * width)
    writer.add_vision_block_count(2)
    writer.add_vision_head_count(heads)
    writer.add_vision_attention_layernorm_eps(1e-5)
    writer.add_vision_projection_dim(WIDTH)
    writer.add_vision_image_mean([0.5, 0.5, 0.5])
    writer.add_vision_image_std([0.5, 0.5, 0.5])
    writer.add_vision_use_gelu(False)
    add = _adder(writer, 0)
    add("v.class_embd", width)
    add("v.patch_embd.weight", width, 3, patch, patch)
    add("v.position_embd.weight", (side // patch) ** 2 + 1, width)
    for norm in ("v.pre_ln", *(f"v.blk.{i}.ln{j}" for i in range(2) for j in (1, 2))):
        _ones(writer, f"{norm}.weight", width)
        add(f"{norm}.bias", width)
    for i in range(2):
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            add(f"v.blk.{i}.{name}.weight", width, width)
            add(f"v.blk.{i}.{name}.bias", width)
        for name, rows, columns in (("ffn_up", 2 * width, width), ("ffn_down", width, 2 * width)):
            add(f"v.blk.{i}.{name}.weight", rows, columns)
            add(f"v.blk.{i}.{name}.bias", rows)
    add("mm.0.weight", WIDTH, width)
    add("mm.0.bias", WIDTH)
    add("mm.2.weight", WIDTH, WIDTH)
    add("mm.2.bias", WIDTH)
    return _write(writer, file)


def _writer(file: Path, architecture: str, template: str | None) -> GGUFWriter:
    """A writer with the settings all language models share, and a SentencePiece vocabulary."""
    writer = GGUFWriter(file, architecture)
    writer.add_context_length(N_CTX)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_layer_norm_rms_eps(1e-5)
    words = [*BYTES, *LETTERS, *WORDS]
    kinds = [TokenType.BYTE] * len(BYTES) + [TokenType.NORMAL] * (len(LETTERS) + len(WORDS))
    writer.add_tokenizer_model("llama")
    writer.add_token_list([*CONTROL, *words])
    writer.add_token_scores([0.0] * len(CONTROL) + [float(len(word)) for word in words])
    writer.add_token_types([TokenType.UNKNOWN] + [TokenType.CONTROL] * 4 + kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(4)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    if template is not None:
        writer.add_chat_template(template)
    return writer


def _vocabulary_size() -> int:
    return len(CONTROL) + len(BYTES) + len(LETTERS) + len(WORDS)


def _adder(writer: GGUFWriter, seed: int) -> Callable[..., None]:
    rng = np.random.default_rng(seed)

    def add(name: str, *shape: int, scale: float = 1) -> None:
        values = rng.standard_normal(shape) * scale / np.sqrt(shape[-1])
        writer.add_tensor(name, values.astype(np.float32))

    return add


def _ones(writer: GGUFWriter, name: str, *shape: int) -> None:
    writer.add_tensor(name, np.ones(shape, np.float32))


def _write(writer: GGUFWriter, file: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file
