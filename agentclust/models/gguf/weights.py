"""A GGUF file in memory: tokens in, logits out.

It knows nothing of chats. A prompt is read in parts, each in a decode of its own; the leading
parts that a prompt shares with the one before it are still in the KV cache and are not read again.
Floating-point sums depend on how tokens are batched, so what is kept always ends where a part ends:
the same prompt gives bit-identical logits whatever was asked before.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import threading
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from jinja2 import TemplateError
from numpy.typing import NDArray

from agentclust.errors import InputError, ModelError

MIB = 1 << 20
ERROR = 4  # ggml_log_level

_complaints: deque[str] = deque(maxlen=8)
_loading = threading.Lock()  # while it loads, llama-cpp-python points the process's output away


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _keep_complaints(level: int, text: bytes, _: Any) -> None:
    if level == ERROR:
        _complaints.append(text.decode("utf-8", "replace").strip())


def silence(*setters: Callable[[Any, Any], None]) -> None:
    """Keep llama.cpp's errors for our own messages and drop the rest of what it logs."""
    _complaints.clear()
    for setter in setters:
        setter(_keep_complaints, ctypes.c_void_p(0))


def complaint(otherwise: str) -> str:
    """The reason llama.cpp gave for the last failure, which comes before its consequences."""
    said = next((line for line in _complaints if line), otherwise)
    return said.rpartition("error loading model: ")[2]


def check_file(path: Path) -> None:
    """Prove that `path` is a GGUF before llama.cpp sees it.

    Raises:
        InputError: There is no such file, or it is a folder, or something else than a GGUF.
    """
    try:
        with path.open("rb") as stream:
            magic = stream.read(4)
    except FileNotFoundError:
        todo = "check the path, or see `agentclust models list`"
        raise InputError(path, "no such file", todo) from None
    except IsADirectoryError:
        raise InputError(path, "is a folder", "name the .gguf file in it") from None
    except OSError as error:
        raise InputError(path, f"cannot be read ({error})", "check the file's mode") from None
    if magic != b"GGUF":
        why = "is not a GGUF file (its first bytes are not 'GGUF')"
        raise InputError(path, why, "give a .gguf file, or see `agentclust models list`")


def fingerprint(path: Path) -> str:
    """A digest of the file's size and its first and last MiB, 16 hex digits.

    Enough to tell weights apart without reading gigabytes: the first MiB holds the metadata, and
    files quantised or tuned differently differ in their last tensors.
    """
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        digest = hashlib.sha256(str(size).encode())
        for start in (0, max(0, size - MIB)):
            stream.seek(start)
            digest.update(stream.read(MIB))
    return digest.hexdigest()[:16]


def _cores() -> int:
    """Cores this process may use: more threads than that slow llama.cpp down badly."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Gguf:
    """The weights, their tokenizer, and one KV cache.

    Args:
        path: The file.
        n_ctx: Context window in tokens; more than the model was trained with is not used.
        n_gpu_layers: Layers on the GPU, -1 for all.
        n_threads: CPU threads, None for all cores this process may use.

    Raises:
        InputError: The file is missing, no GGUF, truncated, of an unknown architecture, or its
            chat template cannot be read.
        ModelError: There is not enough memory for the context.
    """

    def __init__(
        self, path: Path, n_ctx: int, n_gpu_layers: int = -1, n_threads: int | None = None
    ) -> None:
        check_file(path)
        self.name = path.name
        threads = n_threads or _cores()
        silence(llama_cpp.llama_log_set)
        try:
            with _loading:
                self.llama = llama_cpp.Llama(
                    str(path),
                    n_ctx=n_ctx,
                    n_gpu_layers=n_gpu_layers,
                    n_threads=threads,
                    n_threads_batch=threads,
                    swa_full=True,  # else a model with a sliding window cannot keep a prefix
                    verbose=False,
                )
        except TemplateError as error:
            why = f"its chat template cannot be read ({error})"
            raise InputError(path, why, "take another file") from None
        except ValueError as error:
            why = f"llama.cpp cannot load it ({complaint(str(error))})"
            if str(error).startswith("Failed to create"):
                raise ModelError(path, why, "lower n_ctx or take a smaller model") from None
            todo = "fetch the file again, or upgrade llama-cpp-python if it is whole"
            raise InputError(path, why, todo) from None
        self.vocab = llama_cpp.llama_model_get_vocab(self.llama.model)
        self._memory = llama_cpp.llama_get_memory(self.llama.ctx)
        self._parts: list[list[int]] = []  # of the prompt that is in the KV cache
        self._read_again: Callable[[], object] = lambda: None
        self._inward = False
        self.n_ctx: int = min(n_ctx, llama_cpp.llama_model_n_ctx_train(self.llama.model))
        if not self._memory:
            self.close()
            raise InputError(path, "is not a model that writes text", "give a chat model")

    def close(self) -> None:
        """Free the memory."""
        self.llama.close()

    # tokens

    def tokens(self, text: str, special: bool = False) -> list[int]:
        """Token ids of a text; control tokens are read as such only where `special`."""
        data = text.encode("utf-8", "replace")
        return list(self.llama.tokenize(data, add_bos=False, special=special))

    def piece(self, token: int, special: bool = False) -> bytes:
        """The bytes of a token; those of a control token only where `special`."""
        size = 32
        while True:
            buffer = ctypes.create_string_buffer(size)
            length: int = llama_cpp.llama_token_to_piece(
                self.vocab, token, buffer, size, 0, special
            )
            if length >= 0:
                return buffer.raw[:length]
            size = -length

    def is_end(self, token: int) -> bool:
        """Whether a token ends an answer."""
        return bool(llama_cpp.llama_vocab_is_eog(self.vocab, token))

    def is_control(self, token: int) -> bool:
        """Whether a token is none of the text, such as the start of a turn."""
        return bool(llama_cpp.llama_vocab_is_control(self.vocab, token))

    @property
    def begin(self) -> int:
        """The token every prompt must begin with, -1 if there is none."""
        return self.llama.token_bos() if llama_cpp.llama_vocab_get_add_bos(self.vocab) else -1

    @property
    def end(self) -> int:
        """The token that ends an answer in a chat."""
        turn: int = llama_cpp.llama_vocab_eot(self.vocab)
        return turn if turn >= 0 else self.llama.token_eos()

    # reading

    def read(self, parts: Sequence[Sequence[int]]) -> int:
        """Read a prompt; the logits after it can then be asked for.

        Args:
            parts: Token ids, part by part; the last one is always read.

        Returns:
            How many leading tokens were in the cache and were not read again.
        """
        wanted = [list(part) for part in parts if part]
        self._read_again = lambda: self.read(wanted)
        pairs = zip(self._parts, wanted[:-1], strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        del self._parts[same:]
        self._rewind(self.n_read)
        kept = self.n_read
        for part in wanted[len(self._parts) :]:
            self.llama.eval(part)
            self._parts.append(part)
        return kept

    def read_by(self, reader: Callable[[llama_cpp.Llama], object]) -> None:
        """Let `reader` fill the KV cache with a prompt that is more than tokens."""
        self._read_again = lambda: self.read_by(reader)
        self._rewind(0)
        reader(self.llama)
        self._parts = [[-1] * self.llama.n_tokens]  # equal to no part of another prompt

    @property
    def n_read(self) -> int:
        """Tokens of the prompt that was read last."""
        return sum(map(len, self._parts))

    def logits(self, path: Sequence[int] = ()) -> NDArray[np.float32]:
        """Next-token logits after the prompt that was read and `path`, shape (n_vocab,)."""
        if self.llama.n_tokens != self.n_read and not (path and self._rewind(self.n_read)):
            self._read_again()
        if path:
            self.llama.eval(path)
        return self._last_logits()

    def turn_inward(self, inward: bool) -> None:
        """Choose what is kept of what is read next: hidden states, or nothing but logits.

        llama.cpp plans its memory anew at each change, which takes a second.
        """
        if inward != self._inward:
            llama_cpp.llama_set_embeddings(self.llama.ctx, inward)
            self._inward = inward

    def state(self) -> NDArray[np.float32]:
        """The last layer's hidden state at the last token that was read, shape (n_embd,)."""
        pointer = llama_cpp.llama_get_embeddings_ith(self.llama.ctx, -1)
        return np.ctypeslib.as_array(pointer, shape=(self.llama.n_embd(),)).copy()

    def go_on(self, token: int) -> NDArray[np.float32]:
        """Next-token logits after one token more than those before."""
        self.llama.eval([token])
        return self._last_logits()

    @property
    def checksum(self) -> int:
        """A number that depends on the prompt that was read last."""
        return zlib.crc32(repr(self._parts).encode())

    def _rewind(self, length: int) -> bool:
        """Drop all but the first `length` tokens; a recurrent memory can only drop all.

        Returns:
            Whether `length` tokens are left.
        """
        if length and llama_cpp.llama_memory_seq_rm(self._memory, 0, length, -1):
            self.llama.n_tokens = length
            return True
        self.llama.reset()  # type: ignore[no-untyped-call]
        llama_cpp.llama_memory_clear(self._memory, True)
        self._parts = []
        return not length

    def _last_logits(self) -> NDArray[np.float32]:
        pointer = llama_cpp.llama_get_logits_ith(self.llama.ctx, -1)
        return np.ctypeslib.as_array(pointer, shape=(self.llama.n_vocab(),)).copy()
