"""Both clusterers, made small."""

import pytest

from agentclust.clusterers.scan import SCAN
from agentclust.clusterers.temi import TEMI

SMALL = {
    TEMI: {"n_heads": 3, "hidden": 32, "bottleneck": 16},
    SCAN: {"n_heads": 3, "threshold": 0.6},
}
EACH = pytest.mark.parametrize("kind", [TEMI, SCAN])


def made(kind, n_clusters, **settings):
    return kind(n_clusters, **{"random_state": 0} | SMALL[kind] | settings)
