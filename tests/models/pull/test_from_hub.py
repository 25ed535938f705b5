"""Files from the hub."""

import hashlib
import json

import pytest

from agentclust.errors import ModelError
from agentclust.models.pull import fetch
from tests.models.hub_stub import COMMIT
from tests.models.pull.entries import CONTENT, SHA256, make_entry, names, run


class TestHub:
    def test_the_file_and_its_origin(self, hub, models, told):
        assert run(make_entry(), "auto", told).read_bytes() == CONTENT
        file = json.loads((models / "tiny.json").read_text())["files"]["tiny.gguf"]
        assert file["source"] == "hub"
        assert file["from"] == [f"{hub.url}/owner/model/resolve/{COMMIT}/weights.gguf"]
        assert file["sha256"] == SHA256
        assert names(models) == ["tiny.gguf", "tiny.json"]

    def test_what_is_there_is_not_asked_for_again(self, hub, models, told):
        run(make_entry(), "hub", told)
        asked = len(hub.asked)
        run(make_entry(), "hub", told)
        assert told[-1][0] == f"{models / 'tiny.gguf'}: is there already"
        assert len(hub.asked) == asked
        (models / "tiny.gguf").write_bytes(CONTENT[:-1])
        assert run(make_entry(), "hub", told).read_bytes() == CONTENT

    def test_an_interrupted_pull_goes_on(self, hub, models, told):
        def interrupt(what, done, total):
            if total and done > 0:
                raise KeyboardInterrupt

        hub.files["weights.gguf"] = content = CONTENT * 2
        entry = make_entry(sha256=hashlib.sha256(content).hexdigest())
        with pytest.raises(KeyboardInterrupt):
            fetch(entry, "hub", interrupt)
        kept = (models / "tiny.gguf.part").stat().st_size
        assert 0 < kept < len(content)
        assert run(entry, "hub", told).read_bytes() == content
        assert hub.asked[-1] == ("/weights.gguf", f"bytes={kept}-")

    def test_without_a_known_hash_the_hubs_own_counts(self, hub, models, told):
        entry = make_entry(sha256=None, packages=None)
        assert run(entry, "hub", told).read_bytes() == CONTENT
        run(entry, "hub", told)
        assert "is there already" in told[-1][0]
        (models / "tiny.gguf").unlink()
        hub.served["weights.gguf"] = bytes(len(CONTENT))
        with pytest.raises(ModelError, match="its hash is"):
            run(entry, "hub", told)
        assert names(models) == ["tiny.json"]

    def test_another_file_is_not_even_downloaded(self, hub, told):
        with pytest.raises(ModelError, match=f"another one .SHA-256 {SHA256}, not {'0' * 64}"):
            run(make_entry(sha256="0" * 64), "hub", told)
        assert len(hub.asked) == 1

    def test_a_file_the_repository_lacks(self, hub, told):
        hub.files = {"other.gguf": b""}
        with pytest.raises(ModelError, match=r"owner/model/weights.gguf: the hub has no such file"):
            run(make_entry(), "hub", told)

    def test_more_than_the_disk_holds(self, hub, told):
        hub.size = 10**18
        with pytest.raises(ModelError, match=r"GB free, 1000000000.0 GB are needed"):
            run(make_entry(), "hub", told)
        assert len(hub.asked) == 1

    def test_a_projector_comes_along(self, hub, models, told):
        hub.files["mmproj.gguf"] = b"projector"
        entry = make_entry(mmproj={"repo": "owner/model", "file": "mmproj.gguf"})
        run(entry, "hub", told)
        assert entry.installed
        assert (models / "tiny.mmproj.gguf").read_bytes() == b"projector"
        noted = json.loads((models / "tiny.json").read_text())
        assert list(noted["files"]) == ["tiny.gguf", "tiny.mmproj.gguf"]

    def test_a_repository_for_transformers(self, hub, models, told):
        kept = {"config.json": b"{}", "tokenizer.json": b"[]", "model.safetensors": CONTENT}
        hub.files = {**kept, "pytorch_model.bin": b"twice", "README.md": b"", "onnx/x.json": b"{}"}
        hub.small = {"config.json", "tokenizer.json"}
        hub.served["tokenizer.json"] = b"no"
        entry = make_entry(backend="transformers", weights={"repo": "owner/model"})
        with pytest.raises(ModelError, match=r"tokenizer.json: its hash is \w{40}, not"):
            run(entry, "auto", told)
        assert not entry.installed
        hub.served.clear()
        hub.asked.clear()
        path = run(entry, "auto", told)
        assert path == models / "tiny"
        assert {file.name: file.read_bytes() for file in path.iterdir()} == kept
        assert "/config.json" not in [asked for asked, _ in hub.asked]
        noted = json.loads((models / "tiny.json").read_text())["files"]
        assert noted["config.json"]["sha256"] == hashlib.sha256(b"{}").hexdigest()
        assert set(noted) == set(kept)
