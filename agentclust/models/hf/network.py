"""Prompts in batches through a network: padding, the shared prefix, logits along option tokens.

It knows nothing of LangChain's interface or of options.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np
import torch
import transformers
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from numpy.typing import NDArray
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from agentclust.errors import InputError, RequestRefused
from agentclust.models.hf.chat_format import ChatFormat
from agentclust.models.hf.checkpoint import Checkpoint
from agentclust.models.hf.decoding import Forced

Prompt = list[BaseMessage]

MIN_PREFIX = 16  # tokens a shared system text needs to be worth keeping
# after these inputs the cache holds all there is to know of a prompt
CACHED_INPUTS = {"input_ids", "attention_mask", "pixel_values", "image_sizes"}


@dataclass(frozen=True)
class Batch:
    """Prompts as inputs of the network, padded on the left, or behind the prefix in `cache`.

    Attributes:
        inputs: ``input_ids`` and ``attention_mask`` of shape (rows, width), and pixels.
        lengths: Tokens of each prompt without padding.
        cached: How many of these come from the cache.
        cache: The shared prefix for every row; whoever runs the batch changes it.
    """

    inputs: dict[str, torch.Tensor]
    lengths: list[int]
    cached: list[int]
    cache: DynamicCache | None = None

    @property
    def width(self) -> int:
        """Columns before the answer."""
        return self.inputs["input_ids"].shape[1]


class Network:
    """A checkpoint with its chat format, ready to run batches.

    Args:
        checkpoint: The weights. Their stored generation settings are replaced by greedy decoding:
            only this tool's own settings decide an answer.
        form: The chat format.
        window: Tokens a prompt and its answer may have together.
    """

    def __init__(self, checkpoint: Checkpoint, form: ChatFormat, window: int) -> None:
        self.checkpoint, self.form, self.window = checkpoint, form, window
        model, tokenizer = checkpoint.model, checkpoint.tokenizer
        stored = model.generation_config.eos_token_id
        ends = set(stored if isinstance(stored, list) else [stored]) | {tokenizer.eos_token_id}
        self.end = self._end_of_answer(ends)
        self.ends = (ends | {self.end}) - {None}
        settings: Any = transformers.GenerationConfig
        model.generation_config = settings(
            eos_token_id=sorted(self.ends), pad_token_id=tokenizer.pad_token_id
        )
        self._prefix: tuple[str, list[int], DynamicCache | None] = ("", [], None)

    def _end_of_answer(self, ends: set[int | None]) -> int:
        """The token the chat template writes behind an answer."""
        tokenizer = self.checkpoint.tokenizer
        after = tokenizer.encode(self.form.after.strip(), add_special_tokens=False)[:1]
        if after and after[0] in ends | set(tokenizer.all_special_ids):
            return int(after[0])
        if tokenizer.eos_token_id is None:
            todo = "choose a model made for chats"
            raise InputError(self.checkpoint.name, "has no token that ends an answer", todo)
        return int(tokenizer.eos_token_id)

    def option_tokens(self, option: str) -> list[int]:
        """An option's tokens where it follows a prompt, with the end of the answer."""
        encode = self.checkpoint.tokenizer.encode
        prompt = self.form.prompt(self.form.turns([HumanMessage("?")])[0])
        head = encode(prompt, add_special_tokens=False)
        whole = encode(prompt + self.form.before + option, add_special_tokens=False)
        if whole[: len(head)] == head:
            return [*whole[len(head) :], self.end]
        return [*encode(self.form.before + option, add_special_tokens=False), self.end]

    def batches(self, prompts: Sequence[Prompt], least: int, most: int) -> list[Batch]:
        """The prompts as one batch, or each alone where their answers would depend on the others.

        Args:
            prompts: In the order of the rows.
            least: Tokens an answer needs at least.
            most: Tokens an answer may have: prompts too long for that get shorter answers.

        Raises:
            RequestRefused: A prompt does not fit into the window, or cannot be read.
        """
        if len({_has_image(prompt) for prompt in prompts}) == 1:
            batch = self._batch(prompts, least)
            if len(prompts) == 1 or max(batch.lengths) + most <= self.window:
                return [batch]
        return [self._batch([prompt], least) for prompt in prompts]

    def _batch(self, prompts: Sequence[Prompt], least: int) -> Batch:
        chats = [self.form.turns(prompt) for prompt in prompts]
        texts = [self.form.prompt(turns) for turns, _ in chats]
        batch = self._padded(texts, [images for _, images in chats])
        longest = max(batch.lengths)
        if longest + least > self.window:
            why = f"{longest} tokens and an answer of {least} exceed the window of {self.window}"
            todo = "shorten the prompt, or raise n_ctx if the model's own window is larger"
            raise RequestRefused("prompt", why, todo)
        systems = {str(p[0].text) if p[0].type == "system" else "" for p in prompts}
        if self.checkpoint.processor is None and len(systems) == 1:
            return self._behind_prefix(batch, systems.pop())
        return batch

    def _padded(self, texts: list[str], images: list[list[Any]]) -> Batch:
        tokenizer, processor = self.checkpoint.tokenizer, self.checkpoint.processor
        how: dict[str, Any] = {"padding": True, "return_tensors": "pt"}
        if processor is None:
            read = tokenizer(texts, add_special_tokens=False, **how)
            read = {key: read[key] for key in ("input_ids", "attention_mask")}
        else:
            # a processor's template leaves out the first token where the tokenizer adds it
            starts = bool(tokenizer.bos_token) and texts[0].startswith(tokenizer.bos_token)
            shown = images if images[0] else None
            read = processor(text=texts, images=shown, add_special_tokens=not starts, **how)
        model = self.checkpoint.model
        inputs = {
            key: value.to(model.device, model.dtype if value.is_floating_point() else None)
            for key, value in read.items()
            if isinstance(value, torch.Tensor)
        }
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        return Batch(inputs, lengths, [0] * len(texts))

    def _behind_prefix(self, batch: Batch, system: str) -> Batch:
        """The batch with the tokens of the system text first, from the cache, then the padding.

        Attention masks out the padding and positions do not count it, so that the answers are the
        same as with the padding in front.
        """
        fresh = self._prefix[0] != system
        if fresh:
            self._prefix = (system, *self._read_prefix(system))
        _, prefix, cache = self._prefix
        size = len(prefix)
        ids, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"].bool()
        rows = [row[real].tolist() for row, real in zip(ids, mask, strict=True)]
        if cache is None or any(r[:size] != prefix or len(r) == size for r in rows):
            return batch
        columns = torch.arange(batch.width, device=ids.device)
        padding = (~mask).sum(dim=1, keepdim=True)
        moved = (columns < size) | (columns >= size + padding)
        ids = ids.masked_fill(~moved, self.checkpoint.tokenizer.pad_token_id)
        ids[:, :size] = ids.new_tensor(prefix)
        cache = copy.deepcopy(cache)
        cache.batch_repeat_interleave(len(rows))
        return Batch(
            {"input_ids": ids, "attention_mask": moved.long()},
            batch.lengths,
            [0 if fresh and row == 0 else size for row in range(len(rows))],
            cache,
        )

    def _read_prefix(self, system: str) -> tuple[list[int], DynamicCache | None]:
        """The tokens that every prompt with this system text begins with, and their cache."""
        tokenizer = self.checkpoint.tokenizer
        a, b = (
            tokenizer.encode(self.form.prompt(self.form.turns(prompt)[0]), add_special_tokens=False)
            for prompt in ([SystemMessage(system), HumanMessage(user)] for user in "ab")
        )
        pairs = takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False))
        prefix = [token for token, _ in pairs]
        if len(prefix) < MIN_PREFIX:
            return [], None
        ids = torch.tensor([prefix], device=self.checkpoint.model.device)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        cache = self.run(inputs, None, max_new_tokens=1).past_key_values
        return (prefix, cache) if _extensible(cache) else ([], None)

    def run(
        self, inputs: dict[str, torch.Tensor], cache: DynamicCache | None, **options: Any
    ) -> Any:
        """Generate greedily; `options` are those of transformers' ``generate``."""
        return self.checkpoint.model.generate(
            **inputs, past_key_values=cache, return_dict_in_generate=True, **options
        )

    def states(self, batch: Batch) -> NDArray[np.float32]:
        """The last layer's hidden states before the answers, shape (rows, d)."""
        out = self.run(batch.inputs, batch.cache, max_new_tokens=1, output_hidden_states=True)
        last: torch.Tensor = out.hidden_states[0][-1][:, -1]  # of the first token that is written
        return last.float().cpu().numpy()


class Logits:
    """Next-token logits of a batch's rows after paths of option tokens; no path is run twice.

    The prompts are read once and continued from their cache. Where the cache cannot be continued
    (sliding windows, recurrent states, inputs beyond `CACHED_INPUTS`) they are read again, with
    the path forced, for each path.

    Attributes:
        readings: How often the prompts were read.
    """

    def __init__(self, network: Network, batch: Batch) -> None:
        self._network, self._batch = network, batch
        self._known: dict[tuple[int, ...], NDArray[np.float32]] = {}
        self._cache: DynamicCache | None = None
        self.readings = 0

    def after(self, path: tuple[int, ...]) -> NDArray[np.float32]:
        """Logits after the prompts and `path`, shape (rows, vocabulary)."""
        if not self._known and path:
            self.after(())
        if path not in self._known:
            last = self._continued(path) if path and self._cache else self._read(path)
            self._known[path] = last.float().cpu().numpy()
        return self._known[path]

    def _read(self, path: tuple[int, ...]) -> Any:
        batch = self._batch
        forced = [Forced(path, batch.width)] if path else []
        out = self._network.run(
            batch.inputs,
            batch.cache,
            max_new_tokens=len(path) + 1,
            logits_processor=forced,
            output_logits=True,
        )
        self.readings += 1
        if not path and _extensible(out.past_key_values) and set(batch.inputs) <= CACHED_INPUTS:
            self._cache = out.past_key_values
        return out.logits[-1]

    def _continued(self, path: tuple[int, ...]) -> Any:
        ids, mask = self._batch.inputs["input_ids"], self._batch.inputs["attention_mask"]
        more = ids.new_tensor(path).expand(len(ids), -1)
        inputs = {
            "input_ids": torch.cat([ids, more], dim=1),
            "attention_mask": torch.cat([mask, torch.ones_like(more)], dim=1),
        }
        out = self._network.run(
            inputs, copy.deepcopy(self._cache), max_new_tokens=1, output_logits=True
        )
        return out.logits[-1]


def _extensible(cache: Any) -> bool:
    """Whether the cache keeps every position, so that padding and repeating it are exact."""
    return isinstance(cache, DynamicCache) and all(type(x) is DynamicLayer for x in cache.layers)


def _has_image(prompt: Prompt) -> bool:
    return any(block["type"] == "image" for m in prompt for block in m.content_blocks)
