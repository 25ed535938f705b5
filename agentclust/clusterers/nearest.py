"""The nearest centre of each row, as exact as single precision, by the fastest products there are.

On a GPU products are made there. Processors that multiply bfloat16 numbers several times as fast
find the candidates so, and where the two nearest centres are closer than such numbers can tell, the
row is multiplied once more in single precision. Without PyTorch, or on other processors, NumPy
multiplies all of them in single precision.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Block = NDArray[np.float32]
Labels = NDArray[np.int64]

# labels, their confidence, and which of them single precision has to settle
Found = tuple[Labels, Block | float, NDArray[np.bool_] | bool]

STEP = 1024  # rows of a product: its scores stay in the cache of a processor
ROUNDING = 2.0**-7  # of a difference of two scores, relative to them; numbers round to 2**-9


@dataclass(frozen=True)
class Centers:
    """Centres, ready to be compared with many rows.

    Attributes:
        points: Shape (k, d).
        halves: Half their squared lengths, shape (k,).
        turned: The same as a tensor of shape (d, k), None where NumPy multiplies.
        bias: The negative halves as a tensor.
    """

    points: Block
    halves: Block
    turned: torch.Tensor | None = None
    bias: torch.Tensor | None = None


def ready(points: Block) -> Centers:
    """Centres of shape (k, d), ready to be compared with many rows."""
    points = np.ascontiguousarray(points, dtype=np.float32)
    halves = squares(points) * np.float32(0.5)
    where = _fast()
    if where is None:
        return Centers(points, halves)
    import torch

    device, kind = where
    turned = torch.from_numpy(points).to(device, kind).T.contiguous()
    return Centers(points, halves, turned, torch.from_numpy(-halves).to(device, kind))


def _fast() -> tuple[str, torch.dtype] | None:
    """Where PyTorch multiplies faster than NumPy, and in which numbers."""
    if find_spec("torch") is None:
        return None
    import torch

    from agentclust.networks.devices import fastest

    if fastest() == "cuda":
        return "cuda", torch.float32
    # emulated, such numbers gain nothing; earlier versions of PyTorch do not tell
    known: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return ("cpu", torch.bfloat16) if known.get("amx_bf16") or known.get("avx512_bf16") else None


def squares(rows: Block) -> Block:
    """The squared length of each row, shape (m,)."""
    return np.asarray(np.einsum("ij,ij->i", rows, rows))


def nearest(
    rows: Block, centers: Centers, temperature: float | None = None
) -> tuple[Labels, Block, Block]:
    """The nearest centre of each row.

    Args:
        rows: Shape (m, d).
        centers: Of `ready`.
        temperature: For the confidence.

    Returns:
        The index of the nearest centre, shape (m,); its squared distance, shape (m,); and the
        softmax of minus half the squared distances over the temperature, at the nearest centre,
        shape (m,), which is 0 where no temperature is given. Indices and distances are exact to
        single precision, the softmax to a few hundredths where bfloat16 numbers are multiplied.
    """
    labels = np.empty(len(rows), dtype=np.int64)
    sure = np.zeros(len(rows), dtype=np.float32)
    close = np.zeros(len(rows), dtype=bool)
    on_gpu = centers.turned is not None and centers.turned.is_cuda
    with nullcontext() if centers.turned is None else _one_thread():
        for start in range(0, len(rows), STEP):
            part = slice(start, start + STEP)
            find = _by_gpu if on_gpu else _by_processor
            labels[part], sure[part], close[part] = find(rows[part], centers, temperature)
    if close.any():
        labels[close] = (rows[close] @ centers.points.T - centers.halves).argmax(axis=1)
    best = np.einsum("ij,ij->i", rows, centers.points[labels]) - centers.halves[labels]
    return labels, np.maximum(squares(rows) - 2 * best, 0), sure


def _one_thread() -> AbstractContextManager[None]:
    """Blocks are compared side by side, each on one core."""
    from agentclust.networks.threads import one_thread

    return one_thread()


def _by_processor(rows: Block, centers: Centers, temperature: float | None) -> Found:
    if centers.turned is None or centers.bias is None:
        scores = rows @ centers.points.T
        scores -= centers.halves
    else:
        import torch

        given = torch.from_numpy(rows).to(centers.turned)
        scores = torch.addmm(centers.bias, given, centers.turned).float().numpy()
    every = np.arange(len(rows))
    labels = scores.argmax(axis=1)
    best = scores[every, labels]
    sure: Block | float = 0.0
    if temperature is not None:
        sure = 1 / np.exp((scores - best[:, None]) * (1 / temperature)).sum(axis=1)
    if centers.turned is None:
        return labels, sure, False
    scores[every, labels] = -np.inf
    reach = np.abs(best) + centers.halves.max()
    return labels, sure, best - scores.max(axis=1) <= ROUNDING * reach


def _by_gpu(rows: Block, centers: Centers, temperature: float | None) -> Found:
    import torch

    assert centers.turned is not None
    assert centers.bias is not None
    given = torch.from_numpy(rows).to(centers.turned)
    scores = torch.addmm(centers.bias, given, centers.turned)
    best, labels = scores.max(dim=1)
    if temperature is None:
        return labels.cpu().numpy(), 0.0, False
    apart = (scores - best[:, None]) / temperature
    return labels.cpu().numpy(), (1 / apart.exp().sum(dim=1)).cpu().numpy(), False
