"""Libraries that import torchvision, which does not load beside every build of PyTorch."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest


def library(name: str) -> Any:
    """The module, where it is installed and loads; else the module of tests is skipped."""
    try:
        return import_module(name)
    except Exception as error:  # torchvision's compiled operators may not be there
        reason = f"{name} is not installed, or does not load ({type(error).__name__})"
        pytest.skip(reason, allow_module_level=True)
