"""Files of the Hugging Face hub: what is there, and their bytes in as many tries as it takes.

It knows nothing of the catalogue. Whether the bytes are right is for the caller to check. The hub's
address is ``$HF_ENDPOINT``, a token for gated repositories ``$HF_TOKEN``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from agentclust.errors import ModelError
from agentclust.files import downloads

SOON = httpx.Timeout(10.0, connect=5.0)


class Remote(NamedTuple):
    """One file of a repository at one commit."""

    repo: str
    commit: str
    file: str
    size: int
    digest: str  # SHA-256, or git's SHA-1 of a small file that is kept in git itself

    @property
    def repository(self) -> str:
        """The page of its repository at its commit."""
        return f"{endpoint()}/{self.repo}/tree/{self.commit}"

    @property
    def address(self) -> str:
        """Where its bytes are."""
        return f"{endpoint()}/{self.repo}/resolve/{self.commit}/{quote(self.file)}"


def endpoint() -> str:
    """The hub's address."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def look(repo: str, revision: str) -> dict[str, Remote]:
    """The files of a repository by name; a hub out of reach is noticed within seconds.

    Raises:
        ModelError: The hub does not answer, or not with this repository.
    """
    url = f"{endpoint()}/api/models/{repo}/revision/{quote(revision, safe='')}"
    try:
        with _client() as client:
            response = client.get(url, params={"blobs": "true"}, timeout=SOON)
        response.raise_for_status()
        found = response.json()
        remotes = [_remote(repo, found["sha"], sibling) for sibling in found["siblings"]]
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _fault(repo, error) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            endpoint(), f"its answer is not a hub's ({error!r})", "check HF_ENDPOINT"
        ) from None
    return {remote.file: remote for remote in remotes}


def download(
    remote: Remote, part: Path, watch: Callable[[int], object], pause: float = 1.0
) -> None:
    """Append what is missing of a file to `part`, over broken connections.

    Args:
        remote: The file.
        part: What is there of it, from its first byte on; may be missing.
        watch: Called with the number of bytes that are there, as they come.
        pause: Seconds before the second try in a row; doubled for each further one.

    Raises:
        ModelError: The hub refuses, or the connection broke too often; `part` is kept.
        OSError: `part` cannot be written.
    """
    try:
        with _client() as client:
            downloads.append(
                client, remote.address, part, lambda done, _: watch(done), remote.size, pause
            )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _fault(remote.repo, error) from None


def _client() -> httpx.Client:
    headers = {"User-Agent": "agentclust", "Accept-Encoding": "identity"}
    if token := os.environ.get("HF_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    # httpx keeps the token from other hosts that the hub redirects to
    return httpx.Client(headers=headers, timeout=30.0, follow_redirects=True)


def _remote(repo: str, commit: str, sibling: dict[str, Any]) -> Remote:
    digest = sibling["lfs"]["sha256"] if sibling.get("lfs") else sibling["blobId"]
    return Remote(repo, commit, str(sibling["rfilename"]), int(sibling["size"]), str(digest))


def _fault(repo: str, error: Exception) -> ModelError:
    if not isinstance(error, httpx.HTTPStatusError):
        return ModelError(
            endpoint(),
            f"cannot be reached ({error or type(error).__name__})",
            "check the network and pull again: it goes on where it stopped",
        )
    status = error.response.status_code
    if status in (401, 403):
        return ModelError(
            repo,
            f"the hub keeps it closed ({status})",
            "accept its terms on the hub and set HF_TOKEN to a token of yours",
        )
    if status == 404:
        return ModelError(repo, "the hub does not know it (404)", "check HF_ENDPOINT")
    return ModelError(
        repo, f"the hub answers {status}", "pull again later: it goes on where it stopped"
    )
