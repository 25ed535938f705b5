"""What `agentclust.models.llama_cpp` is made of: weights, turns, writing, tool calls, images."""

import os

# llama.cpp's threads meet hundreds of times a token. By default OpenMP lets each spin for
# milliseconds until all are there, which on a machine that is also busy otherwise costs ten times
# the work itself. A shorter wait costs nothing on an idle one. It is read when OpenMP is loaded.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
