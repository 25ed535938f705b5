"""The reference: one prompt, no padding, no cache, no generate(), the network's own forward."""

import torch
from PIL import Image
from transformers import (
    AutoModelForCausalLM,
    AutoProcessor,
    AutoTokenizer,
    LlavaForConditionalGeneration,
)

from tests.models.transformers.prompts import SYSTEM


def text_reference(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModelForCausalLM.from_pretrained(folder)

    def start(user):
        turns = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": user}]
        inputs = tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, return_tensors="pt"
        )
        return inputs["input_ids"], {}

    return tokenizer, network, start


def image_reference(folder):
    processor = AutoProcessor.from_pretrained(folder)
    network = LlavaForConditionalGeneration.from_pretrained(folder)

    def start(colour, user):
        text = CHAT_TEXT.format(system=SYSTEM, user="<image>\n" + user)
        picture = Image.new("RGB", (60, 40), colour)
        inputs = processor(text=text, images=picture, add_special_tokens=False, return_tensors="pt")
        return inputs["input_ids"], {"pixel_values": inputs["pixel_values"]}

    return processor.tokenizer, network, start


CHAT_TEXT = "<s><|turn|>system\n{system}<|end|>\n<|turn|>user\n{user}<|end|>\n<|turn|>assistant\n"


@torch.no_grad()
def next_logits(network, ids, extra, path=()):
    whole = torch.cat([ids, torch.tensor([path], dtype=torch.long)], dim=1)
    return network(input_ids=whole, **extra).logits[0, -1].double()


def greedy(tokenizer, network, ids, extra, limit):
    written = []
    while len(written) < limit:
        written.append(int(next_logits(network, ids, extra, written).argmax()))
        if written[-1] in tokenizer.convert_tokens_to_ids(["</s>", "<|end|>"]):
            break
    return tokenizer.decode(written, skip_special_tokens=True).strip(), len(written)


def constrained(tokenizer, network, ids, extra, options):
    """Every option token by token: the softmax over the tokens that any option may write there."""
    end = tokenizer.convert_tokens_to_ids("<|end|>")
    paths = [[*tokenizer.encode(o, add_special_tokens=False), end] for o in options]
    result = []
    for path in paths:
        mass = 1.0
        for depth, token in enumerate(path):
            allowed = sorted({p[depth] for p in paths if p[:depth] == path[:depth]})
            shares = next_logits(network, ids, extra, path[:depth])[allowed].softmax(0)
            mass *= float(shares[allowed.index(token)])
        result.append(mass)
    return result
