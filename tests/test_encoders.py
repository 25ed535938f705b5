"""What encoders of all libraries share, and what is said where a library is not to be had."""

from __future__ import annotations

import sys

import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from torch import nn

from agentclust.embedders import load_embedder
from agentclust.embedders.encoders import fingerprint, grid
from agentclust.errors import MissingExtra, ModelError
from agentclust.networks.failing import UNREACHED, loading
from agentclust.networks.listening import answers, attention
from tests.complaints import complains


@pytest.mark.parametrize("batch_first", [True, False])
def test_the_attention_of_a_layer_of_pytorch_is_heard(batch_first):
    """It is the layer's own, and the answer, which is the same, can be differentiated by it."""
    torch.manual_seed(0)
    layer = nn.MultiheadAttention(12, 3, batch_first=batch_first).eval()
    tokens = torch.randn(1, 5, 12)
    given = tokens if batch_first else tokens.transpose(0, 1)
    expected, weights = layer(given, given, given, average_attn_weights=False)
    with attention(nn.Sequential(layer)) as heard, answers(layer) as answered:
        answer, _ = layer(given, given, given, need_weights=False)
    assert torch.allclose(answer, expected, atol=1e-6)
    assert torch.allclose(heard[0], weights, atol=1e-6)
    assert answered[0][0] is answer
    (slope,) = torch.autograd.grad(answer.sum(), heard[0])
    assert slope.abs().max() > 0
    layer(given, given, given)
    assert (len(heard), len(answered)) == (1, 1)  # nobody listens any more


def test_patches_are_told_only_where_all_tokens_heed_each_other():
    last, whole = torch.zeros(1, 6, 4), torch.zeros(1, 2, 6, 6)
    assert grid(last, (whole, whole), 2, 2).tolist() == [[2, 3], [4, 5]]
    assert grid(last, (whole, whole[..., :5]), 2, 2) is None  # pooled by a query of its own
    assert grid(last, (), 2, 2) is None
    assert grid(last, (whole,), 2, 4) is None  # more patches than tokens


def test_a_fingerprint_tells_whatever_decides_a_vector():
    def network(*between, dtype=torch.float32):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(2, 2), *between, nn.BatchNorm1d(2)).to(dtype)

    about = {"mean": (0.5, 0.5), "size": 32}
    one = fingerprint(network(), about)
    assert fingerprint(network(), {"size": 32, "mean": [0.5, 0.5]}) == one
    changed = network()
    with torch.no_grad():
        changed[0].bias[1] += 1e-6
    counted = network()
    counted[1].running_var += 1
    others = [changed, counted, network(nn.GELU()), network(dtype=torch.bfloat16)]
    found = {fingerprint(other, about) for other in others} | {one, fingerprint(network(), {})}
    assert len(found) == 6


def test_a_hub_out_of_reach_is_told_as_such():
    """open_clip raises an error of its own while it handles the hub's."""
    with complains(UNREACHED, "go online to fetch it"), loading("open_clip:RN50/x", "open_clip"):
        try:
            raise LocalEntryNotFoundError("no connection")
        except LocalEntryNotFoundError:
            raise RuntimeError("failed to download") from None
    with complains("this version of timm", kind=ModelError), loading("timm:x", "timm"):
        raise RuntimeError("size mismatch")


@pytest.mark.parametrize(("family", "extra"), [("timm", "timm"), ("open_clip", "open-clip")])
def test_a_library_that_is_missing_or_does_not_load(tmp_path, monkeypatch, family, extra):
    """A package of that name which imports as it does without torchvision, or with a wrong one."""
    package = tmp_path / family / "__init__.py"
    package.parent.mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    said = [
        ("import torchvision_is_not_here", MissingExtra, f"pip install 'agentclust[{extra}]'"),
        ("raise RuntimeError('operator torchvision::nms does not exist')", ModelError,
         "the torchvision that is installed does not fit torch (operator torchvision::nms"),
        ("raise ImportError('torchvision/_C.so: undefined symbol')", ModelError,
         "install the one that was made for it"),
        ("1 / 0", ModelError, f"{family} cannot be imported (division by zero)"),
    ]  # fmt: skip
    for program, kind, line in said:
        monkeypatch.delitem(sys.modules, family, raising=False)
        package.write_text(program)
        with complains(f"{family}:resnet18/x", line, kind=kind):
            load_embedder(f"{family}:resnet18/x")
