"""``python -m agentclust`` is the command ``agentclust``."""

from agentclust.cli import main

main()
