"use strict";
// The map: samples as dots, or as their pictures where few are in sight. Nothing is fetched; all
// text goes in as text, never as HTML.
(() => {
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const frame = document.getElementById("map-frame");
  const canvas = document.getElementById("map-canvas");
  const tip = document.getElementById("map-tip");
  const sheet = document.getElementById("map-sheet");
  const legend = document.getElementById("map-legend");
  const pen = canvas.getContext("2d");
  const n = data.x.length;
  const PAD = 24, REACH = 14, MOST_PICTURES = 160, FARTHEST = 400;
  const COLOURS = ["#4269d0", "#e08a00", "#e0453a", "#2a9d8f", "#3c9a3f", "#a463d8",
                   "#97642f", "#d8579b", "#5b8fd9", "#8a8f1e", "#13808f", "#b3541e"];
  const off = new Set();  // clusters that are not shown
  let width = 0, height = 0, scale = 1, left = 0, top = 0;
  let chosen = -1, lit = null, drag = null, asked = false, pictured = false;

  const order = data.clusters.map(cluster => cluster.index);
  const colours = new Map(order.map((index, place) => [index, index < 0 ? "#8b8b8b"
    : COLOURS[place] || `hsl(${(place * 137.508) % 360} ${55 + place % 3 * 12}% ${44 + place % 4 * 5}%)`]));
  const names = new Map(data.clusters.map(cluster => [cluster.index, cluster.name]));
  const members = new Map(order.map(index => [index, []]));
  data.c.forEach((cluster, i) => members.get(cluster).push(i));

  const across = i => left + scale * (PAD + data.x[i] * (width - 2 * PAD));
  const down = i => top + scale * (PAD + data.y[i] * (height - 2 * PAD));
  const inSight = i => {
    const x = across(i), y = down(i);
    return x > -40 && y > -40 && x < width + 40 && y < height + 40;
  };

  function draw() {
    const sharp = window.devicePixelRatio || 1;
    pen.setTransform(sharp, 0, 0, sharp, 0, 0);
    pen.clearRect(0, 0, width, height);
    const seen = [];
    for (const index of order) {
      if (off.has(index)) continue;
      for (const i of members.get(index)) if (inSight(i)) seen.push(i);
    }
    pictured = Boolean(data.columns) && sheet.complete && seen.length <= MOST_PICTURES;
    const radius = Math.min(7, (n > 600 ? 2.5 : 4) * Math.sqrt(Math.sqrt(scale)));
    if (pictured) seen.forEach(picture); else dots(seen, radius);
    if (chosen >= 0 && !off.has(data.c[chosen])) {
      pen.globalAlpha = 1;
      pen.beginPath();
      pen.arc(across(chosen), down(chosen), radius + 5, 0, 7);
      pen.lineWidth = 2.5;
      pen.strokeStyle = getComputedStyle(canvas).color;
      pen.stroke();
    }
    canvas.dataset.scale = scale.toFixed(3);
    canvas.dataset.seen = seen.length;
  }

  function dots(seen, radius) {
    let before = null;
    for (const i of seen) {
      if (data.c[i] !== before) {
        if (before !== null) pen.fill();
        before = data.c[i];
        pen.fillStyle = colours.get(before);
        pen.globalAlpha = lit === null ? 0.8 : lit === before ? 1 : 0.12;
        pen.beginPath();
      }
      const x = across(i), y = down(i);
      pen.moveTo(x + radius, y);
      pen.arc(x, y, radius, 0, 7);
    }
    if (before !== null) pen.fill();
  }

  const edgeNow = () => Math.min(56, 22 + 4 * scale);

  function picture(i) {
    const edge = edgeNow(), x = across(i) - edge / 2, y = down(i) - edge / 2;
    pen.globalAlpha = lit === null || lit === data.c[i] ? 1 : 0.2;
    pen.drawImage(sheet, i % data.columns * data.tile, Math.floor(i / data.columns) * data.tile,
                  data.tile, data.tile, x, y, edge, edge);
    pen.lineWidth = 2;
    pen.strokeStyle = colours.get(data.c[i]);
    pen.strokeRect(x, y, edge, edge);
  }

  function refresh() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; draw(); });
  }

  function resize() {
    const sharp = window.devicePixelRatio || 1;
    width = frame.clientWidth;
    height = Math.round(Math.min(620, Math.max(280, width * 0.62)));
    canvas.width = width * sharp;
    canvas.height = height * sharp;
    canvas.style.height = `${height}px`;
    bound();
    draw();  // at once: a new size has wiped the canvas
  }

  function bound() {  // some of the map stays in sight
    left = Math.min(width / 2, Math.max(width / 2 - scale * width, left));
    top = Math.min(height / 2, Math.max(height / 2 - scale * height, top));
    if (scale === 1) left = top = 0;
  }

  function zoom(by, x = width / 2, y = height / 2) {
    const next = Math.min(FARTHEST, Math.max(1, scale * by));
    left = x - (x - left) * next / scale;
    top = y - (y - top) * next / scale;
    scale = next;
    bound();
    place();
    refresh();
  }

  function reset() {
    scale = 1; left = top = 0;
    place();
    refresh();
  }

  function nearest(x, y, reach) {
    let best = -1, least = reach * reach;
    for (let i = 0; i < n; i++) {
      if (off.has(data.c[i])) continue;
      const apart = (across(i) - x) ** 2 + (down(i) - y) ** 2;
      if (apart < least) { least = apart; best = i; }
    }
    return best;
  }

  function towards(dx, dy) {  // the next sample in a direction, or the one in the middle
    if (chosen < 0) return nearest(width / 2, height / 2, Infinity);
    let best = chosen, least = Infinity;
    for (let i = 0; i < n; i++) {
      if (i === chosen || off.has(data.c[i])) continue;
      const x = across(i) - across(chosen), y = down(i) - down(chosen);
      const along = x * dx + y * dy, beside = Math.abs(x * dy) + Math.abs(y * dx);
      if (along > 0.01 && beside <= 2 * along && along + 2 * beside < least) {
        least = along + 2 * beside;
        best = i;
      }
    }
    return best;
  }

  function choose(i) {
    if (i === chosen) return;
    chosen = i;
    if (i < 0) tip.hidden = true; else tell(i);
    refresh();
  }

  function tell(i) {
    const [small, id, cluster, text] = ["picture", "id", "cluster", "text"]
      .map(part => tip.querySelector(`[data-part=${part}]`));
    small.hidden = !data.columns;
    if (data.columns) {
      const brush = small.getContext("2d");
      brush.clearRect(0, 0, small.width, small.height);
      brush.drawImage(sheet, i % data.columns * data.tile,
                      Math.floor(i / data.columns) * data.tile, data.tile, data.tile,
                      0, 0, small.width, small.height);
    }
    id.textContent = data.id[i];
    cluster.textContent = names.get(data.c[i]) + (data.c[i] < 0 ? "" : ` · ${data.p[i].toFixed(2)}`);
    text.textContent = data.text[i];
    text.hidden = !data.text[i];
    tip.hidden = false;
    place();
  }

  function place() {
    if (chosen < 0) return;
    const x = across(chosen), y = down(chosen);
    const inside = x >= 0 && y >= 0 && x <= width && y <= height;
    tip.classList.toggle("away", !inside);
    const wide = tip.offsetWidth, high = tip.offsetHeight;
    tip.style.left = `${Math.max(0, Math.min(width - wide, x + 14 + wide > width ? x - wide - 14 : x + 14))}px`;
    tip.style.top = `${Math.max(0, Math.min(height - high, y + 14 + high > height ? y - high - 14 : y + 14))}px`;
  }

  function reveal(i) {  // bring a sample into sight
    const x = across(i), y = down(i), margin = 40;
    left += Math.max(0, margin - x) - Math.max(0, x - width + margin);
    top += Math.max(0, margin - y) - Math.max(0, y - height + margin);
    bound();
    place();
  }

  canvas.addEventListener("wheel", event => {
    if (scale === 1 && event.deltaY > 0) return;  // the page scrolls on
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
  }, { passive: false });
  canvas.addEventListener("pointerdown", event => {
    drag = { x: event.clientX, y: event.clientY };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", event => {
    if (drag) {
      left += event.clientX - drag.x;
      top += event.clientY - drag.y;
      drag = { x: event.clientX, y: event.clientY };
      bound();
      place();
      refresh();
    } else {
      choose(nearest(event.offsetX, event.offsetY, pictured ? edgeNow() / 2 : REACH));
    }
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(kind, () => { drag = null; });
  }
  canvas.addEventListener("pointerleave", () => { if (!drag) choose(-1); });
  canvas.addEventListener("dblclick", event => zoom(2, event.offsetX, event.offsetY));
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const way = ways[event.key];
    if (way && event.shiftKey) {
      left -= 60 * way[0]; top -= 60 * way[1];
      bound(); place(); refresh();
    } else if (way) {
      const next = towards(...way);
      if (next >= 0) { choose(next); reveal(next); }
    } else if (event.key === "+" || event.key === "=") {
      chosen < 0 ? zoom(1.5) : zoom(1.5, across(chosen), down(chosen));
    } else if (event.key === "-") zoom(1 / 1.5);
    else if (event.key === "0" || event.key === "Home") reset();
    else if (event.key === "Escape") choose(-1);
    else return;
    event.preventDefault();
  });
  for (const [id, act] of [["in", () => zoom(1.5)], ["out", () => zoom(1 / 1.5)], ["whole", reset]]) {
    document.getElementById(`map-${id}`).addEventListener("click", act);
  }

  const buttons = data.clusters.map(cluster => {
    const button = document.createElement("button");
    const spot = document.createElement("span"), name = document.createElement("bdi");
    const size = document.createElement("span");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    spot.className = "spot";
    spot.style.background = colours.get(cluster.index);
    name.textContent = cluster.name;
    size.className = "size";
    size.textContent = members.get(cluster.index).length;
    button.append(spot, name, size);
    button.addEventListener("click", () => {
      off.has(cluster.index) ? off.delete(cluster.index) : off.add(cluster.index);
      legendChanged();
    });
    for (const [kind, value] of [["pointerenter", cluster.index], ["pointerleave", null],
                                 ["focus", cluster.index], ["blur", null]]) {
      button.addEventListener(kind, () => { lit = value; refresh(); });
    }
    legend.append(button);
    return button;
  });
  document.getElementById("map-all").addEventListener("click", () => {
    if (off.size) off.clear(); else order.forEach(index => off.add(index));
    legendChanged();
  });

  function legendChanged() {
    buttons.forEach((button, place) =>
      button.setAttribute("aria-pressed", String(!off.has(order[place]))));
    if (chosen >= 0 && off.has(data.c[chosen])) choose(-1);
    refresh();
  }

  new ResizeObserver(resize).observe(frame);
  if (!sheet.complete) sheet.addEventListener("load", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
  resize();
})();
