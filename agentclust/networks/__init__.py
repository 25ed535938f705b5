"""Networks of PyTorch: the built-in one, checkpoints of transformers, threads."""
