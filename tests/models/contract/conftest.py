import socket
import subprocess
import sys

import pytest
from PIL import Image

from tests.models.contract.backends import BACKENDS, obliging_up_to_a_window, wait_for
from tests.models.stub_endpoint import Stub


@pytest.fixture(scope="package")
def stub():
    with Stub(obliging_up_to_a_window) as running:
        yield running


@pytest.fixture(scope="package")
def server(gguf):
    """A real OpenAI-compatible server with a real GGUF."""
    pytest.importorskip("starlette_context", reason="the extra llama-cpp-python[server] is missing")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"model": gguf, "port": port, "n_ctx": 1024, "n_threads": 1, "verbose": False}
    command = [sys.executable, "-m", "llama_cpp.server", "--host", "127.0.0.1"]
    for name, value in settings.items():
        command += [f"--{name}", str(value)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        url = f"http://127.0.0.1:{port}/v1"
        try:
            wait_for(f"{url}/models", process)
            yield url
        finally:
            process.terminate()


@pytest.fixture(scope="package", params=BACKENDS, ids=lambda make: make.__name__)
def backend(request, tmp_path_factory):
    return request.param(request, tmp_path_factory.mktemp(request.param.__name__))


@pytest.fixture
def image(tmp_path):
    Image.new("RGB", (60, 40), "red").save(tmp_path / "a.png")
    return tmp_path / "a.png"
