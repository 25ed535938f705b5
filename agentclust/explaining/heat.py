"""Heat maps: which places of a picture speak for its cluster and against the others.

What is explained is a contrast: the score of the picture's own cluster less the mean score of all
others. Against the runner-up alone, maps of drawn objects pointed at the object less often.

Knows nothing of runs: a trace and a score in, an array out.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from agentclust.embedders.traces import Attentions, Features, Trace

Heat = NDArray[np.float32]


def contrast(scores: torch.Tensor, own: int) -> torch.Tensor:
    """The score of one cluster less the mean of the others'; `scores` has shape (k,), k over 1."""
    return scores[own] - (scores.sum() - scores[own]) / (len(scores) - 1)


def heat(trace: Trace, score: torch.Tensor) -> Heat:
    """Where a picture's evidence for a score lies, of the part that the network saw.

    Args:
        trace: How the vector came about that `score` was made of.
        score: One number that can be differentiated.

    Returns:
        Shape (h, w), not negative, summing to 1; all zero where nothing speaks for the score.
    """
    found = grad_cam(trace, score) if isinstance(trace, Features) else roll_out(trace, score)
    total = found.sum()
    share = found / total if total > 0 else torch.zeros_like(found)
    return np.asarray(share.detach().float().cpu().numpy(), dtype=np.float32)


def grad_cam(trace: Features, score: torch.Tensor) -> torch.Tensor:
    """Grad-CAM (Selvaraju et al., ICCV 2017), shape (h, w), not negative.

    ReLU of the sum of the last features, each weighted by the mean over all places of the
    derivative of the score by it (equations 1 and 2).
    """
    (slopes,) = torch.autograd.grad(score, trace.maps)
    weights = slopes.mean(dim=(2, 3), keepdim=True)
    return torch.relu((weights * trace.maps).sum(dim=1))[0]


def roll_out(trace: Attentions, score: torch.Tensor) -> torch.Tensor:
    """Attention roll-out weighted by gradient, shape (h, w), not negative.

    The roll-out of Abnar and Zuidema (ACL 2020, section 3: half of a layer is attention, half the
    identity, and layers are multiplied), with the attention of each layer replaced by the mean over
    its heads of the positive part of attention times its derivative, which alone tells clusters
    apart (Chefer, Gur and Wolf, ICCV 2021, equation 5). A layer is scaled so that its largest row
    sums to 1, which makes the map independent of the scale of the score.

    It begins from the tokens that the vector is made of: from the class token, where that alone is
    pooled, else from all, by the positive part of token times derivative.
    """
    *slopes, last = torch.autograd.grad(score, (*trace.layers, trace.last))
    rolled = _pooled(trace.last[0], last[0])
    for attention, slope in zip(reversed(trace.layers), reversed(slopes), strict=True):
        weighted = torch.relu(attention * slope)[0].mean(dim=0)
        most = weighted.sum(dim=1).max()
        if most > 0:
            weighted = weighted / most
        rolled = (rolled + rolled @ weighted) / 2
    return rolled[trace.patches.to(rolled.device)]


def _pooled(tokens: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
    """The share of each token in the vector, shape (t,)."""
    used = slopes.abs().sum(dim=1) > 0
    if used.sum() == 1:  # times its derivative it is 0, as lengths do not count
        return used.to(tokens.dtype)
    found = torch.relu((tokens * slopes).sum(dim=1))
    return found / found.sum() if found.sum() > 0 else used / used.sum()
