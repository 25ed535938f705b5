"""What the settings of a clusterer that is trained may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentclust.errors import InputError

WHOLE = {"n_neighbors", "n_heads", "hidden", "bottleneck", "epochs", "batch_size", "patience"}
POSITIVE = {"beta", "temperature"}
NOT_NEGATIVE = {"learning_rate", "entropy_weight", "warmup"}
SHARES = {"n_components", "momentum", "threshold"}
AUTO = {"learning_rate", "momentum"}  # which may also be "auto"
SWITCHES = {"compare", "self_label", "standardize"}


def check_ranges(settings: Mapping[str, Any]) -> None:
    """Look at each setting of `settings` that is known here.

    Raises:
        InputError: One is no number, out of its range, or no switch.
    """
    for name in sorted(SWITCHES & settings.keys()):
        if not isinstance(settings[name], bool):
            raise InputError(
                f"{name}={settings[name]!r}", "is neither true nor false", "write one of them"
            )
    kinds = (
        (WHOLE, "a whole number from 1", lambda v: isinstance(v, int) and v >= 1),
        (POSITIVE, "a number over 0", lambda v: v > 0),
        (NOT_NEGATIVE, "a number from 0", lambda v: v >= 0),
        (SHARES, "a number from 0 to 1", lambda v: 0 <= v <= 1),
    )
    for names, kind, fits in kinds:
        for name in sorted(names & settings.keys()):
            value = settings[name]
            if value == "auto" and name in AUTO:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not fits(value):
                raise InputError(f"{name}={value!r}", f"is not {kind}", "write such a number")
