import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from agentclust import service
from agentclust.config import make_config
from agentclust.embedders import normalized
from agentclust.embedders.keeping import kept, place
from agentclust.embedders.store import CHUNK, Store
from agentclust.errors import DiskError, RunError
from agentclust.files.images import read_image
from agentclust.progress import Reporter
from tests.complaints import complains

N = CHUNK * 2 + 300


class Numbers:
    """Embeds numbers, and remembers which it was asked for."""

    identity = "numbers-1"
    of = "image"
    fitted = False
    side_by_side = 3

    def __init__(self):
        self.asked = []

    def embed(self, items):
        self.asked += items
        return np.array([[np.sin(item * k) for k in (1.0, 0.3, 0.07, 0.01)] for item in items])


class Others(Numbers):
    identity = "numbers-2"


class Fails(Numbers):
    """Fails at one of the numbers."""

    def embed(self, items):
        if 2100 in items:
            raise RunError("2100", "cannot be embedded", "wait")
        return super().embed(items)


class Wrong(Numbers):
    identity = "numbers-nan"

    def embed(self, items):
        return np.where(np.arange(len(items))[:, None] == 3, np.nan, super().embed(items))


class Slow:
    """A text embedder that takes its time, for a process that is killed."""

    identity = "slow-1"
    of = "text"
    fitted = False

    def embed(self, items):
        time.sleep(0.05)
        return np.array([[len(item), item.count("1") + 1] for item in items], np.float32)


def make(folder, embedder=None, items=range(N), **how):
    items = list(items)
    ids = [f"id{item}" for item in items]
    return kept(
        folder, "numbers", embedder or Numbers(), ids, [str(i) for i in items], items, **how
    )


def test_a_store_holds_unit_rows_that_numpy_maps(tmp_path):
    ticks = []
    store = make(tmp_path / "s", advance=lambda: ticks.append(1))
    assert len(ticks) == N
    vectors = np.load(tmp_path / "s" / "vectors.npy", mmap_mode="r")
    assert (vectors.shape, vectors.dtype) == ((N, 4), np.float16)
    assert np.allclose(vectors, normalized(Numbers().embed(list(range(N)))), atol=1e-3)
    assert isinstance(store.vectors, np.memmap)
    rows = [json.loads(line) for line in (tmp_path / "s/rows.jsonl").read_text().splitlines()]
    assert rows[7] == {"id": "id7", "key": "7"}
    assert list(store.keys()) == [str(i) for i in range(N)]
    exact = make(tmp_path / "t", dtype="float32").vectors
    assert np.array_equal(exact, normalized(Numbers().embed(list(range(N)))))


def test_a_store_is_gone_on_with_after_a_failure(tmp_path):
    with complains("2100: cannot be embedded", kind=RunError):
        make(tmp_path / "s", Fails())
    with complains("is unfinished: 2048 of 2348 vectors are written", "embed` again"):
        Store(tmp_path / "s")
    rest = Numbers()
    store = make(tmp_path / "s", rest)
    assert sorted(rest.asked) == list(range(2048, N))
    assert np.array_equal(store.vectors, make(tmp_path / "whole").vectors)
    again = Numbers()
    make(tmp_path / "s", again)
    assert again.asked == []


def test_a_killed_process_loses_a_chunk_at_most(tmp_path):
    manifest, out = tmp_path / "m.jsonl", tmp_path / "s"
    with manifest.open("w") as stream:
        for i in range(4000):
            stream.write(json.dumps({"id": str(i), "caption": f"picture {i}"}) + "\n")
    name = "tests.test_store:Slow"
    words = ["embed", str(manifest), "--embedder", name, "--out", str(out)]
    code = "from agentclust.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, *words], stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        chunks = out / "chunks.jsonl"
        while process.poll() is None and (not chunks.exists() or not chunks.stat().st_size):
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    done = len(chunks.read_text().splitlines())
    assert 0 < done < 4
    before = (out / "vectors.npy").read_bytes()[: 128 + done * CHUNK * 4]
    store = service.embed(str(manifest), name, out, reporter=Reporter(quiet=True))
    assert (out / "vectors.npy").read_bytes()[: 128 + done * CHUNK * 4] == before
    texts = [f"picture {i}" for i in range(4000)]
    assert np.allclose(store.vectors, normalized(Slow().embed(texts)), atol=1e-3)


def test_equal_items_are_embedded_once_and_other_stores_are_asked_first(tmp_path):
    make(tmp_path / "a", items=range(5, 40))
    embedder = Numbers()
    keys = [1, 7, 1, 39, 2, 1]
    store = make(tmp_path / "b", embedder, keys)
    assert sorted(embedder.asked) == [1, 2]
    assert np.array_equal(store.vectors[0], store.vectors[2])
    assert np.allclose(store.vectors, normalized(Numbers().embed(keys)), atol=1e-3)
    other = Others()
    make(tmp_path / "c", other, keys)
    assert sorted(other.asked) == [1, 2, 7, 39]


def test_the_place_tells_embedders_items_and_formats_apart(tmp_path):
    keys = ["1", "2"]
    places = {
        place(tmp_path, "numbers", Numbers(), keys),
        place(tmp_path, "numbers", Others(), keys),
        place(tmp_path, "numbers", Numbers(), keys[::-1]),
        place(tmp_path, "numbers", Numbers(), keys, "float32"),
    }
    assert len(places) == 4


def _cut(folder):
    os.truncate(folder / "vectors.npy", 1000)


def _spoil(folder):
    with (folder / "vectors.npy").open("r+b") as stream:
        stream.seek(5000)
        stream.write(b"\x01\x02\x03")


def _empty(folder):
    (folder / "vectors.npy").write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (_cut, "vectors.npy: is torn ("),
        (_empty, "vectors.npy: is torn ("),
        (_spoil, "vectors.npy: is damaged: the vectors from 0 on are not as written"),
        (lambda folder: (folder / "store.json").unlink(), "is no embedding store"),
        (lambda folder: (folder / "store.json").write_text("{}"), "does not describe a store"),
        (lambda folder: (folder / "store.json").write_text("[]"), "does not describe a store"),
    ],
)
def test_a_torn_store_is_told_from_a_whole_one(tmp_path, spoil, line):
    make(tmp_path / "s")
    spoil(tmp_path / "s")
    with complains(line):
        Store(tmp_path / "s")


def test_a_store_is_never_mixed(tmp_path):
    make(tmp_path / "s", items=range(20))
    with complains("holds vectors of another model (numbers-1); pass another --out"):
        make(tmp_path / "s", Others(), range(20))
    with complains("holds 20 float16 vectors of other samples; pass another --out"):
        make(tmp_path / "s", items=range(21))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    with complains("is not empty; pass another --out"):
        make(tmp_path / "full", items=range(20))
    with complains("numbers: has nothing to embed"):
        make(tmp_path / "none", items=[])


def test_a_number_that_is_not_finite_is_told_with_its_sample(tmp_path):
    with complains("numbers: gives a vector that is not finite for 'id3'"):
        make(tmp_path / "s", Wrong(), range(20))
    assert not (tmp_path / "s" / "store.json").exists()


def test_a_disk_that_is_too_small_is_known_at_once(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with complains("has no room for 2348 vectors of 4 float16", kind=DiskError):
            make(tmp_path / "s")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {file.name for file in (tmp_path / "s").iterdir()} <= {".lock"}
    assert len(make(tmp_path / "s").vectors) == N


# the command and the runs


def test_a_run_takes_the_store_that_it_is_given(photos, tmp_path):
    name = "tests.test_store:Shades"
    out = tmp_path / "s"
    store = service.embed(str(photos), name, out, reporter=Reporter(quiet=True))
    assert store.vectors.shape == (6, 3)
    config = _config(photos, embeddings=out)
    [found] = service.start([config], tmp_path / "run", reporter=Reporter(quiet=True))
    assert adjusted_rand_score([0, 0, 1, 1, 2, 2], found.labels_) == 1
    os.truncate(out / "vectors.npy", 140)
    with complains("is torn"):
        service.start([config], tmp_path / "r2")
    assert not (tmp_path / "r2").exists()


def test_a_store_of_another_model_or_of_other_images_is_refused(photos, tmp_path):
    out = tmp_path / "s"
    service.embed(str(photos), "tests.test_store:Shades", out, reporter=Reporter(quiet=True))
    other = _config(photos, embeddings=out, embedder="tests.test_store:Numbers")
    with complains("holds vectors of another model (tests.test_store:Shades: shades-1)"):
        service.start([other], tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with complains("tfidf: learns from the very texts", "choose another --embedder"):
        service.embed(str(_captions(tmp_path)), "tfidf", reporter=Reporter(quiet=True))
    with complains("has no captions for minilm"):
        service.embed(str(photos), "minilm", reporter=Reporter(quiet=True))


class Shades:
    """The mean colour of an image."""

    identity = "shades-1"
    of = "image"
    fitted = False

    def embed(self, items):
        return np.array([np.asarray(read_image(item)).mean(axis=(0, 1)) for item in items])


def _captions(folder: Path) -> Path:
    file = folder / "m.jsonl"
    file.write_text(json.dumps({"id": "1", "caption": "a red car"}) + "\n")
    return file


def _config(dataset, **settings):
    given = {"dataset": str(dataset), "criterion": "colour", "n_clusters": 3, "llm": "none"}
    return make_config(given | {"method": "minibatch-kmeans"} | settings)
