"""Makers of tiny checkpoints with random weights, in the layout of the real ones.

The weights are spread wide, so that answers depend on the prompt and options differ clearly.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

SENTENCES = [
    "A red car stands in front of a house, and two people walk by in the rain.",
    "The blue bird sits on a branch; below it the river runs to the sea.",
    "What is the mood of the picture? Answer with one word, please.",
    "Three yellow bicycles lean against a wall of old grey stone.",
    "green car, red bicycle, red bird, quiet street, busy market: name the group.",
]
SPECIAL = ["<pad>", "<s>", "</s>", "<|turn|>", "<|end|>", "<image>"]

CHAT = (
    "{{ bos_token }}{% for m in messages %}<|turn|>{{ m['role'] }}\n"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{% for part in m['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)


def make_llama(folder: Path, template: str | None = CHAT, positions: int = 1024) -> Path:
    """A text model of 128,000 weights; the folder is returned."""
    return _save(folder, LlamaForCausalLM, LlamaConfig, template, positions)


def make_mistral(folder: Path, sliding_window: int = 12) -> Path:
    """A text model that attends to the last few tokens alone; the folder is returned."""
    return _save(
        folder, MistralForCausalLM, MistralConfig, CHAT, 1024, sliding_window=sliding_window
    )


def make_llava(folder: Path, template: str | None = CHAT, positions: int = 1024) -> Path:
    """A LLaVA of 170,000 weights that reads an image as 4 tokens; the folder is returned."""
    tokenizer = _tokenizer(None)
    torch.manual_seed(7)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=28,
            patch_size=14,
            projection_dim=32,
            initializer_range=0.5,
        ),
        text_config=_text_config(LlamaConfig, tokenizer, positions),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        initializer_range=0.2,
    )
    model = LlavaForConditionalGeneration(config)
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids(["</s>", "<|end|>"])
    model.save_pretrained(folder)
    LlavaProcessor(
        image_processor=CLIPImageProcessorPil(
            size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}
        ),
        tokenizer=tokenizer,
        patch_size=14,
        num_additional_image_tokens=1,
        vision_feature_select_strategy="default",
        chat_template=template,
    ).save_pretrained(folder)
    return folder


def _save(
    folder: Path, kind: Any, config: Any, template: str | None, positions: int, **settings: Any
) -> Path:
    tokenizer = _tokenizer(template)
    torch.manual_seed(7)
    model = kind(_text_config(config, tokenizer, positions, **settings))
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids(["</s>", "<|end|>"])
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _text_config(
    kind: Any, tokenizer: PreTrainedTokenizerFast, positions: int, **settings: Any
) -> Any:
    return kind(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=positions,
        initializer_range=0.2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **settings,
    )


def _tokenizer(template: str | None) -> PreTrainedTokenizerFast:
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(SENTENCES, trainer)
    bpe.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", bpe.token_to_id("<s>"))]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=["<|turn|>", "<|end|>", "<image>"],
    )
    tokenizer.chat_template = template
    return tokenizer
