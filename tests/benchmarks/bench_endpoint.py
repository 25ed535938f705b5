"""How near `Asker` comes to the ideal throughput at an endpoint with a fixed latency.

Not collected by pytest. Run from the project's root:

    python tests/benchmarks/bench_endpoint.py [--images 2000] [--concurrency 32] [--latency 0.1]

It draws the images, starts the stub endpoint in a process of its own, measures a bare client
(prepared bytes, no image work: what stub and machine allow), then `Asker.complete` with its cache.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from agentclust.cache import Answers
from agentclust.config import ModelConfig
from agentclust.files.images import data_url
from agentclust.models import load_model
from agentclust.models.asking import Asker
from agentclust.types import Reply, Request

STUB = Path(__file__).parents[1] / "models" / "stub_endpoint.py"


def draw(folder: Path, count: int, size: tuple[int, int]) -> None:
    """`count` JPEGs of coloured discs on a smooth ground."""
    rng = np.random.default_rng(0)
    for index in range(count):
        ground = Image.fromarray(rng.integers(0, 255, (4, 5, 3), dtype=np.uint8))
        image = ground.resize(size, Image.Resampling.BICUBIC)
        pen = ImageDraw.Draw(image)
        for _ in range(8):
            x, y, r = (int(v) for v in rng.integers(0, 400, 3))
            pen.ellipse((x, y, x + r, y + r), fill=tuple(rng.integers(0, 255, 3).tolist()))
        image.save(folder / f"{index:05d}.jpg", quality=90)


async def bare(port: int, body: bytes, count: int, concurrency: int) -> float:
    """Seconds that `count` requests take over `concurrency` plain connections."""
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: stub\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    message = head.encode() + body
    left = iter(range(count))

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in left:
            writer.write(message)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
        writer.close()
        await writer.wait_closed()

    started = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(concurrency)))
    return time.perf_counter() - started


def ours(port: int, files: list[Path], concurrency: int, edge: int, home: Path) -> dict[str, float]:
    """Wall and CPU seconds of `Asker.complete` over the files."""
    config = ModelConfig(
        model="openai:stub",
        base_url=f"http://127.0.0.1:{port}/v1",
        concurrency=concurrency,
        image_edge=edge,
    )
    requests = [
        Request("Describe.", "What is it?", file, hashlib.sha256(file.read_bytes()).hexdigest())
        for file in files
    ]
    asker = Asker(load_model(config), config, Answers(home / "answers.sqlite"))
    warm = Request("Warm up.", "Are you there?")
    assert all(isinstance(answer, Reply) for _, answer in asker.complete([warm], 8))
    before, started = sum(os.times()[:2]), time.perf_counter()
    answers = list(asker.complete(requests, max_tokens=64))
    seconds = time.perf_counter() - started
    assert len(answers) == len(files)
    assert all(isinstance(answer, Reply) for _, answer in answers)
    return {"seconds": seconds, "cpu": sum(os.times()[:2]) - before}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--edge", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--draw", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    width, height = (int(side) for side in args.size.split("x"))
    if args.draw:
        draw(args.draw, args.images, (width, height))
        return
    ideal = args.concurrency / args.latency
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        # drawn by another process, so that it does not count in this one's peak memory
        subprocess.run([sys.executable, *sys.argv, "--draw", temporary], check=True)
        files = sorted(folder.glob("*.jpg"))
        body = b'{"image": "' + data_url(files[0], args.edge).encode() + b'"}'
        print(f"{len(files)} images of {args.size}, {len(body):,} bytes each; ideal {ideal:.0f}/s")
        command = [sys.executable, str(STUB), "--latency", str(args.latency)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as stub:
            assert stub.stdout
            port = int(stub.stdout.readline())
            for number in range(args.rounds):
                home = folder / f"home-{number}"
                plain = asyncio.run(bare(port, body, len(files), args.concurrency))
                told = ours(port, files, args.concurrency, args.edge, home)
                line = {
                    "load": round(os.getloadavg()[0], 1),
                    "bare_per_s": round(len(files) / plain, 1),
                    "ours_per_s": round(len(files) / told["seconds"], 1),
                    "of_ideal": round(len(files) / told["seconds"] / ideal, 3),
                    "of_bare": round(plain / told["seconds"], 3),
                    "cpu_ms_per_call": round(told["cpu"] / len(files) * 1000, 2),
                    "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
                }
                print(json.dumps(line), flush=True)
            stub.terminate()


if __name__ == "__main__":
    main()
