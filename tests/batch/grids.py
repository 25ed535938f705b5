"""How a batch file is changed and read."""

from __future__ import annotations

import yaml

from agentclust.progress import Reporter
from agentclust.service.grid import read_grid


def changed(file, **values):
    known = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump(known | values))
    return read_grid(file)


def quiet():
    return Reporter(quiet=True)
