from __future__ import annotations

import html
import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from report_pages import HOSTILE, clustering, full_view

from agentclust.report import View, write

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
FLAGS += " --disable-background-networking --disable-component-update --hide-scrollbars"
FLAGS += " --enable-logging=stderr --virtual-time-budget=20000"
MEASURE = """
for (const frame of document.querySelectorAll('iframe')) {
  const page = frame.contentDocument;
  const images = [...page.images];
  images.forEach(image => image.loading = 'eager');
  const closed = page.documentElement.scrollWidth;
  const beside = [...page.querySelectorAll('.card.pair:not(.words) summary')].map(pair => {
    const [picture, heat] = [...pair.querySelectorAll('img')].map(i => i.getBoundingClientRect());
    return heat.left >= picture.right && Math.abs(heat.top - picture.top) < 1 && heat.width > 20;
  });
  for (const card of page.querySelectorAll('details')) {
    card.name = '';  // all of them open at once
    card.open = true;
  }
  frame.result = {
    width: Number(frame.width),
    content: Math.max(closed, page.documentElement.scrollWidth),
    beyond: [...page.querySelectorAll('body *')]
      .filter(e => !e.closest('.wide') && e.getBoundingClientRect().right > Number(frame.width))
      .map(e => e.outerHTML.slice(0, 200)),
    columns: page.defaultView.getComputedStyle(page.querySelector('.gallery'))
      .gridTemplateColumns.split(' ').length,
    beside: [beside.length, beside.filter(Boolean).length],
    ran: Boolean(frame.contentWindow.ran || window.ran),
    title: page.title,
    background: page.defaultView.getComputedStyle(page.body).backgroundColor,
    images: images,
  };
}
const done = [...document.querySelectorAll('iframe')].map(frame => frame.result);
Promise.allSettled(done.flatMap(r => r.images.map(i => i.decode()))).then(() => {
  for (const r of done) r.images = [r.images.length, r.images.filter(i => i.naturalWidth).length];
  const out = document.createElement('output');
  out.textContent = JSON.stringify(done);
  document.body.append(out);
});
"""


def browse(page: Path, folder: Path, widths: list[int], dark: bool = False) -> tuple[list, str]:
    """What a browser makes of the page at several widths, and what it wrote to its console."""
    source = html.escape(page.read_text("utf-8"))
    frames = [
        f'<iframe width="{width}" height="800" srcdoc="{source}"></iframe>' for width in widths
    ]
    script = f"<script>window.onload = () => {{ {MEASURE} }}</script>"
    harness = f"<!DOCTYPE html><meta charset=utf-8><body>{''.join(frames)}{script}"
    return opened(harness, folder, dark)


def opened(page: str, folder: Path, dark: bool = False) -> tuple[Any, str]:
    """What the page leaves as JSON in its `output` element, and what was said on the console."""
    harness = folder / "harness.html"
    harness.write_text(page, "utf-8")
    flags = [*FLAGS.split(), f"--user-data-dir={folder / 'profile'}"]
    if dark:
        flags.append("--blink-settings=preferredColorScheme=0")
    process = subprocess.Popen(
        [CHROMIUM, *flags, "--dump-dom", harness.as_uri()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        dom, log = process.communicate(timeout=100)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    result = re.search(r"<output>(.*)</output>", dom.decode(), re.DOTALL)
    assert result, f"the page was not measured: {log.decode()[-2000:]}"
    console = [line for line in log.decode().splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(result[1])), "\n".join(console)


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    return write(full_view(folder, HOSTILE), folder / "report.html")


@pytest.mark.skipif(not CHROMIUM, reason="needs chromium, which is not installed")
@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_shows_the_page_at_every_width(tmp_path, hostile_page, dark):
    widths = [320, 360, 390, 768, 1280]
    frames, console = browse(hostile_page, tmp_path, widths, dark)
    assert [frame["width"] for frame in frames] == widths
    for frame in frames:
        assert frame["content"] <= frame["width"]
        assert frame["beyond"] == []
        assert frame["columns"] == (4 if frame["width"] < 700 else 8)
        assert frame["beside"][0] == frame["beside"][1] > 30  # heat maps, each by its picture
        assert frame["ran"] is False
        assert frame["title"] == f"{HOSTILE[0]} · agentclust"
        assert frame["background"] == ("rgb(21, 21, 20)" if dark else "rgb(251, 250, 248)")
        assert frame["images"][0] == frame["images"][1] > 30
    assert console == ""


# WCAG 2.1, success criterion 1.4.3: 4.5 to 1 for text


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    low, high = sorted([luminance(a), luminance(b)])
    return (high + 0.05) / (low + 0.05)


def test_text_stands_out_in_light_and_dark(tmp_path):
    page = write(View(clustering([""], [0], ["a"])), tmp_path / "report.html").read_text("utf-8")
    schemes = re.findall(r":root \{(.*?)\}", page, re.DOTALL)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+): (#\w{6})", scheme))
        for text in ("ink", "quiet", "accent"):
            for ground in ("ground", "raised"):
                assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        assert contrast(colours["ink"], colours["notice"]) >= 4.5
        rgb = [int(part) for part in re.search(r"--heat: (.*);", scheme)[1].split(",")]
        base = [int(colours["ground"][i : i + 2], 16) for i in (1, 3, 5)]
        fullest = [round(0.52 * h + 0.48 * b) for h, b in zip(rgb, base, strict=True)]
        assert contrast(colours["ink"], "#" + "".join(f"{v:02x}" for v in fullest)) >= 4.5
