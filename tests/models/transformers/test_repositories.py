"""Repositories of the hub, by a hub on loopback."""

import json
import os
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"

HUB_SCRIPT = """
import sys
from agentclust.config import ModelConfig
from agentclust.errors import AgentclustError
from agentclust.models import load_model
for line in sys.stdin:
    try:
        model = load_model(ModelConfig(model=f"transformers:{line.strip()}"))
        model.invoke("Why?", max_tokens=2)
        print(model.fingerprint, flush=True)
    except AgentclustError as error:
        print(type(error).__name__, error, flush=True)
"""


@contextmanager
def hub(folder):
    """The hub's answers on loopback: one repository, gated ones, one that hangs up."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.split("?")[0].removeprefix("/api/models").strip("/")
            owner, repository, *rest = path.split("/")
            file = folder / (rest[-1] if rest else "")
            commit = {"X-Repo-Commit": COMMIT}
            if owner == "down":
                self.close_connection = True
            elif repository == "nothing":
                self.reply(404, {"X-Error-Code": "RepoNotFound"})
            elif not rest:
                self.reply(200, {}, json.dumps({"id": path, "sha": COMMIT}).encode())
            elif owner == "gated":
                self.reply(403, {"X-Error-Code": "GatedRepo"})
            elif rest[0] == "resolve" and owner == "tiny" and file.is_file():
                self.reply(200, commit | {"ETag": f'"{file.name}"'}, file.read_bytes())
            else:
                self.reply(404, commit | {"X-Error-Code": "EntryNotFound"})

        do_HEAD = do_GET

        def reply(self, status, headers, body=b""):
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *_):
            """Be silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@contextmanager
def process_with_hub(address, home):
    """A function that tells what comes of loading a name, in a process of its own."""
    environment = os.environ | {"HF_ENDPOINT": address, "HF_HOME": str(home)}
    environment.pop("HF_HUB_OFFLINE", None)
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", HUB_SCRIPT],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def load_there(name):
        process.stdin.write(f"{name}\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    try:
        yield load_there
        assert process.communicate(timeout=60)[1] == ""
    finally:
        process.kill()


def test_repositories_of_the_hub(llama, tmp_path):
    expected = {
        "tiny/llama": COMMIT,
        "gated/llama": "InputError gated/llama: is gated",
        "tiny/nothing": "InputError tiny/nothing: is not on the hub",
        "empty/repository": "InputError empty/repository: has no config.json",
        "down/llama": "InputError down/llama: is not on this machine, and the hub gives no answer",
        "no such name": "InputError no such name: is neither a folder nor a repository's name",
        "": "InputError transformers:: names no model",
    }
    with ExitStack() as process:
        with hub(llama) as address:
            load_there = process.enter_context(process_with_hub(address, tmp_path))
            for name, start in expected.items():
                assert load_there(name).startswith(start)
        # the hub is gone: what was fetched stays usable
        assert load_there("tiny/llama") == COMMIT
        assert load_there("tiny/other").startswith("InputError tiny/other: is not on this machine")
