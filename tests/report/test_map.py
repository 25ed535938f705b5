"""The map of a page, in a real browser, and the data that it is drawn from."""

from __future__ import annotations

import html
import io
import json

import numpy as np
import pytest
from PIL import Image
from report_pages import HOSTILE, clustering, draw, mapped, read
from test_browser import CHROMIUM, opened

from agentclust.report import View, write
from agentclust.report.thumbnails import TILE, columns, sheet

BROWSER = pytest.mark.skipif(not CHROMIUM, reason="needs chromium, which is not installed")
# each step waits for the frame that the one before asked for
TRY = """
const attempt = async () => {
  const frame = document.querySelector('iframe'), page = frame.contentDocument;
  const own = frame.contentWindow;
  const $ = id => page.getElementById(id), canvas = $('map-canvas'), tip = $('map-tip');
  const drawn = () => new Promise(done => own.requestAnimationFrame(() => setTimeout(done)));
  own.requestAnimationFrame = act => own.setTimeout(act, 16);  // headless, frames soon end
  const seen = () => Number(canvas.dataset.seen), scale = () => Number(canvas.dataset.scale);
  const point = (kind, x, y, more) => {
    const box = canvas.getBoundingClientRect();
    canvas.dispatchEvent(new own.PointerEvent(kind,
      {clientX: box.left + x, clientY: box.top + y, pointerId: 1, bubbles: true, ...more}));
  };
  const key = (name, more) => canvas.dispatchEvent(
    new own.KeyboardEvent('keydown', {key: name, bubbles: true, cancelable: true, ...more}));
  const told = part => tip.querySelector(`[data-part=${part}]`).textContent;
  const colours = () => new Set(new Uint32Array(
    canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size;
  const found = {};
  canvas.setPointerCapture = () => {};  // no pointer is really there
  await drawn();
  found.whole = [seen(), scale(), canvas.clientWidth > 500, colours() > 5, tip.hidden];
  const high = canvas.clientHeight;
  point('pointermove', 25, 25);
  await drawn();
  found.first = [tip.hidden, told('id'), told('cluster'), told('text')];
  const small = tip.querySelector('canvas').getContext('2d').getImageData(56, 56, 1, 1).data;
  found.picture = [...small];
  point('pointermove', canvas.clientWidth / 2, 5);
  await drawn();
  found.nothing = tip.hidden;
  canvas.dispatchEvent(new own.WheelEvent('wheel', {deltaY: -900, clientX:
    canvas.getBoundingClientRect().left + 24, clientY: canvas.getBoundingClientRect().top + 24,
    cancelable: true, bubbles: true}));
  await drawn();
  found.closer = [seen(), scale() > 5];
  const before = canvas.toDataURL();
  point('pointerdown', 300, 200); point('pointermove', 260, 180); point('pointerup', 260, 180);
  await drawn();
  found.moved = canvas.toDataURL() !== before;
  $('map-whole').click();
  await drawn();
  found.again = [seen(), scale()];
  canvas.focus();
  found.focus = page.activeElement === canvas;
  key('ArrowRight'); await drawn();
  const one = told('id');
  key('ArrowRight'); await drawn();
  found.keys = [tip.hidden, one, told('id')];
  key('+'); key('+'); await drawn();
  found.keyed = scale();
  key('ArrowLeft', {shiftKey: true}); key('-'); key('0'); key('Escape'); await drawn();
  found.escaped = [scale(), tip.hidden];
  const legend = [...$('map-legend').children];
  found.legend = legend.map(button => button.textContent);
  legend[0].click(); await drawn();
  found.without = [seen(), legend[0].getAttribute('aria-pressed')];
  $('map-all').click(); await drawn();
  found.all = [seen(), legend[0].getAttribute('aria-pressed')];
  found.ran = Boolean(own.ran || window.ran);
  return found;
};
window.onload = async () => {
  const out = document.createElement('output');
  out.textContent = JSON.stringify(await attempt().catch(error => ({error: String(error)})));
  document.body.append(out);
};
"""


def tried(page, folder):
    source = html.escape(page.read_text("utf-8"))
    frame = f'<iframe width="800" height="900" srcdoc="{source}"></iframe>'
    return opened(f"<!DOCTYPE html><meta charset=utf-8>{frame}<script>{TRY}</script>", folder)


@BROWSER
def test_the_map_is_hovered_zoomed_dragged_and_walked_by_keys(tmp_path):
    labels = np.arange(400) % 4 - 1
    files = draw(tmp_path, 4, (60, 60)) * 100
    ids = [f"{i}-{HOSTILE[i % 8]}" for i in range(400)]
    result = clustering(files, labels, [HOSTILE[0], "b", "c"], ids=ids)
    captions = dict.fromkeys(ids, HOSTILE[1])
    page = write(View(result, captions, map=mapped(result)), tmp_path / "report.html")
    found, console = tried(page, tmp_path)
    assert found["whole"] == [400, 1, True, True, True]
    assert found["first"] == [False, ids[0], "unassigned", HOSTILE[1]]
    assert found["picture"][0] > 100 > found["picture"][1]  # firebrick
    assert found["nothing"] is True
    assert found["closer"][0] < 400
    assert found["closer"][1] is True
    assert found["moved"] is True
    assert found["again"] == [400, 1]
    assert found["focus"] is True
    hidden, one, other = found["keys"]
    assert (hidden, int(other.split("-")[0])) == (False, int(one.split("-")[0]) + 1)
    assert found["keyed"] == pytest.approx(2.25)
    assert found["escaped"] == [1, True]
    assert found["legend"] == [f"{HOSTILE[0]}100", "b100", "c100", "unassigned100"]
    assert found["without"] == [300, "false"]
    assert found["all"] == [400, "true"]
    assert found["ran"] is False
    assert console == ""


def test_a_sheet_holds_the_middle_of_each_picture_and_blanks(tmp_path):
    files = [*draw(tmp_path, 2, (300, 100)), "", str(tmp_path / "gone.png"), ""]
    with Image.open(io.BytesIO(sheet(files))) as found:
        assert found.size == (columns(5) * TILE, 2 * TILE) == (3 * TILE, 2 * TILE)
        bottom = [found.getpixel((TILE * i + 5, 5)) for i in range(3)]
        assert bottom[0][0] > 100 > bottom[0][1]  # firebrick
        assert bottom[1][1] > 100 > bottom[1][0]  # seagreen
        assert min(bottom[2]) > 250
        assert min(found.getpixel((5, TILE + 5))) > 250


def test_the_data_of_a_map_is_no_html(tmp_path):
    names = ["</script><script>window.ran = true</script>", "caf\udce9"]
    result = clustering(["", ""], [0, 1], names, ids=["<!--", "\ud800"])
    page = read(write(View(result, map=mapped(result)), tmp_path / "report.html"))
    assert len(page.all("script")) == 2
    assert page.all("script", type="application/json")
    assert [tag for tag, _ in page.elements].count("canvas") == 2
    assert page.all("img", id="map-sheet")[0].get("src") is not None or not any(result.files)


@pytest.mark.parametrize("places", [[[0, 0]], [[3, 3], [3, 3]], [[0, 0], [1e-12, 5]]])
def test_places_fill_the_map_or_lie_at_its_edge(tmp_path, places):
    n = len(places)
    result = clustering([""] * n, [0] * n, ["a"])
    found = mapped(result)
    at = type(found)(found.rows, np.array(places, dtype=np.float32), "by hand", b"", TILE)
    text = write(View(result, map=at), tmp_path / "report.html").read_text("utf-8")
    data = json.loads(text.split('id="map-data">')[1].split("</script>")[0])
    assert all(0 <= value <= 1 for axis in "xy" for value in data[axis])
    assert data["columns"] == 0


def test_a_part_of_the_samples_is_called_so(tmp_path):
    result = clustering([""] * 9, [0] * 9, ["a"])
    found = mapped(result)
    some = type(found)(found.rows[::3], found.places[::3], "by UMAP", b"", TILE)
    page = read(write(View(result, map=some), tmp_path / "report.html"))
    assert "3 of the 9, drawn at random, laid out by UMAP." in page.words()
    page = read(write(View(result, map=found), tmp_path / "report.html"))
    assert "All of them, laid out by hand." in page.words()
