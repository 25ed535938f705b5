"""What `agentclust.models.llama_cpp` is made of: weights, turns, writing, tool calls, images."""
