"""Archives are fetched, gone on with, and checked before they get their name."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from filelock import FileLock
from official import archived, clevr4, members, pack

from agentclust.datasets import archives, load, preparing
from agentclust.datasets.clevr4 import CLEVR4_100K
from agentclust.datasets.recipe import Archive, Wishes
from agentclust.errors import RunError
from agentclust.progress import Reporter
from tests.complaints import complains
from tests.models.hub_stub import HubStub

FILE = "clevr_4_100k_v1.zip"


@pytest.fixture
def content(tmp_path):
    """The bytes of the archive, with enough beside the pictures to come in several pieces."""
    held = clevr4() | {"README.md": bytes(range(256)) * 12_000}
    return pack(tmp_path / "built.zip", held).read_bytes()


@pytest.fixture
def stub(content, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    listed = f"{'0' * 128}  other.zip\n{hashlib.sha512(content).hexdigest()}  {FILE}\n"
    stub = HubStub("no/repository", {FILE: content, "SHA512SUMS": listed.encode()})
    with stub.running():
        yield stub


def recipe(stub, **changes):
    known = Archive(FILE, f"{stub.bytes_url}/{FILE}", sums=f"{stub.bytes_url}/SHA512SUMS")
    return replace(CLEVR4_100K, archives=(known._replace(**changes),))


def prepare(recipe, tmp_path, wishes=Wishes()):  # noqa: B008
    root = tmp_path / "root" / "clevr4-100k"
    return preparing.prepare(recipe, "clevr4-100k", root, wishes, Reporter(quiet=True))


def kept(tmp_path):
    return sorted(p.name for p in (tmp_path / "root" / "archives").glob("[!.]*"))


def test_an_archive_is_fetched_and_kept(stub, tmp_path):
    root = prepare(recipe(stub), tmp_path)
    assert len(load(str(root))) == 20
    assert kept(tmp_path) == [FILE]
    asked = len(stub.asked)
    root.rename(tmp_path / "away")
    prepare(recipe(stub), tmp_path)  # nothing is fetched twice
    assert len(stub.asked) == asked


def test_broken_connections_are_taken_up_where_they_broke(stub, tmp_path, content):
    stub.cuts = [len(content), 1_300_000]  # of the list of checksums, and of the archive
    prepare(recipe(stub), tmp_path)
    starts = [asked for path, asked in stub.asked if path == f"/{FILE}"]
    assert starts[0] == ""
    assert starts[1].startswith("bytes=1")


def test_another_call_goes_on_where_one_gave_up(stub, tmp_path, content):
    part = tmp_path / "root" / "archives" / f"{FILE}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(content[:2_000_000])
    prepare(recipe(stub), tmp_path)
    assert [asked for path, asked in stub.asked if path == f"/{FILE}"] == ["bytes=2000000-"]
    assert kept(tmp_path) == [FILE]


def test_wrong_bytes_get_no_name(stub, tmp_path, content):
    stub.served[FILE] = content[:-1] + b"x"
    with complains(f"{FILE}: its SHA512 is ", "fetch it again"):
        prepare(recipe(stub), tmp_path)
    assert kept(tmp_path) == []
    assert not (tmp_path / "root" / "clevr4-100k").exists()
    stub.served.clear()
    prepare(recipe(stub), tmp_path)


def test_the_checksum_of_the_recipe_and_of_a_person(stub, tmp_path, content):
    wrong = recipe(stub, checksum="0" * 32)
    with complains("its MD5 is ", "not 00000000000000000000000000000000"):
        prepare(wrong, tmp_path)
    right = hashlib.sha256(content).hexdigest()
    prepare(wrong, tmp_path, Wishes(checksums=(right,)))


def test_an_archive_that_is_kept_is_checked_again(stub, tmp_path, content):
    folder = tmp_path / "root" / "archives"
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(content[:-5])
    known = recipe(stub, checksum=hashlib.sha512(content).hexdigest())
    with complains(f"archives/{FILE}: its SHA512 is ", "remove the file"):
        prepare(known, tmp_path)
    assert (folder / FILE).exists()


def test_a_list_that_does_not_know_the_archive(stub, tmp_path):
    stub.files["SHA512SUMS"] = b"0000  other.zip\n"
    with complains(f"lists no {FILE}", "--checksum HEX"):
        prepare(recipe(stub), tmp_path)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/a.zip", "nowhere"])
def test_an_address_that_does_not_answer(tmp_path, url):
    with complains(f"{url}: cannot be reached", "--from", kind=RunError):
        archives.fetch(Archive(FILE, url), tmp_path, "", lambda *told: None, pause=0.01)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


def test_an_archive_that_is_gone(stub, tmp_path):
    address = f"{stub.url}/gone.zip"  # the hub answers 404
    with complains(f"{address}: answers 404", "pass it with --from", kind=RunError):
        prepare(recipe(stub, url=address), tmp_path)


def test_two_at_once(stub, tmp_path):
    folder = tmp_path / "root" / "archives"
    folder.mkdir(parents=True)
    with (
        FileLock(folder / f".{FILE}.lock"),
        complains("another process is fetching it", kind=RunError),
    ):
        prepare(recipe(stub), tmp_path)


def test_what_is_given_is_not_fetched(stub, tmp_path):
    wish = archived(tmp_path / "mine", members("clevr4-100k"))
    prepare(recipe(stub), tmp_path, wish)
    assert stub.asked == []
