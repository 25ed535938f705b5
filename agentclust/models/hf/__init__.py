"""What `agentclust.models.transformers` is made of: checkpoint, chat format, network, decoding."""
