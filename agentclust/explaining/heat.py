"""Heat maps: which places of a picture speak for its cluster and against the others.

What is explained is a contrast: the score of the picture's own cluster less the mean score of all
others. Against the runner-up alone, maps of drawn objects pointed at the object less often. Scores
that are not linear in the vector, those of a trained head, are flat where they are sure, so that
their derivative at the vector tells little; they are made linear by integrated gradients.

Knows nothing of runs: a trace and a direction in, an array out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from agentclust.embedders.traces import Attentions, Features, Trace

Heat = NDArray[np.float32]


STEPS = 16  # on the way from nothing to the vector


def contrast(scores: torch.Tensor, own: int) -> torch.Tensor:
    """The score of one cluster less the mean of the others'.

    Args:
        scores: Shape (n, k), k over 1.
        own: The cluster.

    Returns:
        Shape (n,).
    """
    return scores[:, own] - (scores.sum(dim=1) - scores[:, own]) / (scores.shape[1] - 1)


def direction(
    scores: Callable[[torch.Tensor], torch.Tensor], vector: torch.Tensor, own: int
) -> torch.Tensor:
    """How much each number of a vector adds to the contrast, shape (d,).

    The mean derivative of the contrast on the way from zero to the vector (integrated gradients:
    Sundararajan, Taly and Yan, ICML 2017, equations 1 and 3). Of linear scores it is their weights.

    Args:
        scores: From rows of shape (n, d) to scores of shape (n, k).
        vector: Shape (d,).
        own: The cluster.
    """
    shares = (torch.arange(STEPS, device=vector.device) + 0.5) / STEPS
    way = (shares[:, None] * vector.detach()).requires_grad_()
    (slopes,) = torch.autograd.grad(contrast(scores(way), own).sum(), way)
    return slopes.mean(dim=0)


def heat(trace: Trace, towards: torch.Tensor) -> Heat:
    """Where a picture's evidence lies, of the part that the network saw.

    Args:
        trace: How its vector came about.
        towards: The `direction`; what is differentiated is its product with the vector.

    Returns:
        Shape (h, w), not negative, summing to 1; all zero where nothing speaks for the score.
    """
    score = towards @ trace.vector
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
