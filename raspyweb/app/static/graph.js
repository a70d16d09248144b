// SPDX-License-Identifier: GPL-3.0-or-later
// The history of a value: a line with its least and greatest, zoom by dragging, a cursor by mouse, finger or arrow keys.

import { number, text } from "./shown.js";

const NS = "http://www.w3.org/2000/svg";
const LEFT = 52, RIGHT = 12, TOP = 12, BOTTOM = 28, HEIGHT = 300;
const SHORTEST_S = 600;
const STEPS_S = [60, 300, 600, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 2 * 86400, 7 * 86400, 14 * 86400, 30 * 86400, 61 * 86400];

const card = document.getElementById("graph");
const box = card.querySelector(".chart");
let series = card.dataset.series;
let span = Number(card.dataset.span);
let range = null; // [start, end] while zoomed
let chart = null;
let cursor = -1;

function element(name, attributes = {}, words = "") {
  const made = document.createElementNS(NS, name);
  for (const [key, given] of Object.entries(attributes)) made.setAttribute(key, given);
  if (words) made.textContent = words;
  return made;
}

async function load() {
  const [start, end] = range ?? [-span, ""];
  box.classList.add("busy");
  try {
    const answer = await fetch(`/ajax/series?key=${encodeURIComponent(series)}&start=${start}&end=${end}`);
    chart = answer.ok ? await answer.json() : null;
    if (!answer.ok) say(answer.status === 404 ? box.dataset.empty : box.dataset.away);
  } catch {
    chart = null;
    say(box.dataset.away);
  }
  box.classList.remove("busy");
  if (chart) draw();
}

function say(words) {
  const line = document.createElement("p");
  line.className = "empty";
  line.textContent = words;
  box.replaceChildren(line);
}

/** Round numbers that divide what is shown into about five. */
function ticks(low, high) {
  const rough = (high - low) / 5 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) found.push(Number(at.toPrecision(12)));
  return found;
}

function timeTicks(start, end, width) {
  const step = STEPS_S.find((one) => (end - start) / one <= width / 90) ?? 122 * 86400;
  const zone = new Date(start * 1000).getTimezoneOffset() * 60;
  const found = [];
  for (let at = Math.ceil((start - zone) / step) * step + zone; at <= end; at += step) found.push(at);
  return found;
}

function moment(at, whole) {
  const wide = chart.end - chart.start;
  const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }, day = { day: "numeric", month: "short" };
  const form = whole ? { ...day, ...clock } : wide <= 2 * 86400 ? clock : wide <= 200 * 86400 ? day : { month: "short", year: "2-digit" };
  return new Date(at * 1000).toLocaleString(document.documentElement.lang, form);
}

function draw() {
  const line = chart.series[0];
  const known = line ? [...line.minimum, ...line.maximum, ...line.average].filter((one) => one !== null) : [];
  if (!known.length) return say(box.dataset.empty);
  const width = Math.max(280, box.clientWidth);
  let low = Math.min(...known), high = Math.max(...known);
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  low -= room; high += room;
  const x = (at) => LEFT + ((at - chart.start) / (chart.end - chart.start)) * (width - LEFT - RIGHT);
  const y = (given) => TOP + ((high - given) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const svg = element("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, tabindex: 0, role: "img" });
  svg.setAttribute("aria-label", `${box.dataset.label}: ${summary(line)}`);
  for (const [from, to] of chart.nights ?? [])
    svg.append(element("rect", { class: "night", x: x(from), y: TOP, width: Math.max(0, x(to) - x(from)), height: HEIGHT - TOP - BOTTOM }));
  for (const at of ticks(low, high)) {
    svg.append(element("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(at), y2: y(at) }));
    svg.append(element("text", { x: LEFT - 6, y: y(at) + 4, "text-anchor": "end" }, number(at)));
  }
  for (const at of timeTicks(chart.start, chart.end, width)) {
    svg.append(element("line", { class: "grid", x1: x(at), x2: x(at), y1: TOP, y2: HEIGHT - BOTTOM }));
    svg.append(element("text", { x: x(at), y: HEIGHT - 8, "text-anchor": "middle" }, moment(at)));
  }
  svg.append(element("path", { class: "band", d: band(line, x, y) }), element("path", { class: "line", d: path(line.time, line.average, x, y) }));
  const picked = element("g", { class: "cursor", visibility: "hidden" });
  const chosen = element("rect", { class: "zoom", y: TOP, height: HEIGHT - TOP - BOTTOM, width: 0, visibility: "hidden" });
  svg.append(picked, chosen);
  const told = document.createElement("p");
  told.className = "told";
  told.setAttribute("role", "status");
  told.textContent = summary(line);
  box.replaceChildren(svg, told);
  listen(svg, picked, chosen, told, line, x, y, width);
}

function summary(line) {
  const { last, min, avg, max } = line.summary;
  const unit = line.unit ? ` ${line.unit}` : "";
  const one = (words, given) => (given === null ? "" : `${words} ${number(given)}${unit}`);
  return [one(line.label, last), one(text("least"), min), one(text("average"), avg), one(text("greatest"), max)].filter(Boolean).join(" · ");
}

function path(times, values, x, y) {
  let made = "", pen = "M";
  values.forEach((given, place) => {
    if (given === null) { pen = "M"; return; }
    made += `${pen}${x(times[place]).toFixed(1)} ${y(given).toFixed(1)}`;
    // A value without a neighbour is a dot.
    if (pen === "M" && (values[place + 1] ?? null) === null) made += "h0";
    pen = "L";
  });
  return made;
}

/** The area between least and greatest, in pieces where something is known. */
function band(line, x, y) {
  let made = "", piece = [];
  const close = () => {
    if (piece.length > 1) {
      const up = piece.map((n) => `${x(line.time[n]).toFixed(1)} ${y(line.maximum[n]).toFixed(1)}`);
      const down = piece.reverse().map((n) => `${x(line.time[n]).toFixed(1)} ${y(line.minimum[n]).toFixed(1)}`);
      made += `M${up.join("L")}L${down.join("L")}Z`;
    }
    piece = [];
  };
  line.time.forEach((_, n) => (line.minimum[n] === null || line.maximum[n] === null ? close() : piece.push(n)));
  close();
  return made;
}

function listen(svg, picked, chosen, told, line, x, y, width) {
  const timeAt = (event) => {
    const frame = svg.getBoundingClientRect();
    const place = (event.clientX - frame.left) * (width / frame.width);
    return chart.start + ((place - LEFT) / (width - LEFT - RIGHT)) * (chart.end - chart.start);
  };
  const point = (place) => {
    if (place < 0 || place >= line.time.length) return;
    cursor = place;
    const at = line.time[place], given = line.average[place];
    picked.replaceChildren(element("line", { x1: x(at), x2: x(at), y1: TOP, y2: HEIGHT - BOTTOM }));
    if (given !== null) picked.append(element("circle", { cx: x(at), cy: y(given), r: 4 }));
    picked.setAttribute("visibility", "visible");
    const unit = line.unit ? ` ${line.unit}` : "";
    told.textContent = `${moment(at, true)}: ${given === null ? "–" : number(given) + unit} (${text("least")} ${number(line.minimum[place] ?? NaN)}, ${text("greatest")} ${number(line.maximum[place] ?? NaN)})`;
  };
  let from = null;
  svg.addEventListener("pointermove", (event) => {
    const at = timeAt(event);
    point(line.time.reduce((best, one, n) => (Math.abs(one - at) < Math.abs(line.time[best] - at) ? n : best), 0));
    if (from === null) return;
    const [a, b] = [Math.min(from, at), Math.max(from, at)];
    chosen.setAttribute("x", x(a));
    chosen.setAttribute("width", Math.max(0, x(b) - x(a)));
    chosen.setAttribute("visibility", "visible");
  });
  svg.addEventListener("pointerdown", (event) => { from = timeAt(event); });
  svg.addEventListener("pointerup", (event) => {
    const to = timeAt(event), began = from;
    from = null;
    chosen.setAttribute("visibility", "hidden");
    if (began !== null && Math.abs(to - began) >= SHORTEST_S) zoom(Math.min(began, to), Math.max(began, to));
  });
  svg.addEventListener("pointerleave", () => {
    from = null;
    chosen.setAttribute("visibility", "hidden");
    picked.setAttribute("visibility", "hidden");
    told.textContent = summary(line);
  });
  svg.addEventListener("dblclick", () => zoomOut());
  svg.addEventListener("keydown", (event) => {
    const last = line.time.length - 1;
    if (event.key === "ArrowLeft") point(Math.max(0, (cursor < 0 ? last + 1 : cursor) - 1));
    else if (event.key === "ArrowRight") point(Math.min(last, cursor + 1));
    else if (event.key === "Escape") zoomOut();
    else return;
    event.preventDefault();
  });
}

function zoom(start, end) {
  range = [Math.round(Math.max(chart.start, start)), Math.round(Math.min(chart.end, end))];
  cursor = -1;
  load();
}

function zoomOut() {
  if (range === null) return;
  range = null;
  cursor = -1;
  load();
}

for (const button of card.querySelectorAll("button[data-span]"))
  button.addEventListener("click", () => {
    for (const other of card.querySelectorAll("button[data-span]")) other.setAttribute("aria-pressed", String(other === button));
    span = Number(button.dataset.span);
    range = null;
    cursor = -1;
    load();
  });
card.querySelector("[data-choose=series]")?.addEventListener("change", (event) => {
  series = event.target.value;
  load();
});
new ResizeObserver(() => chart && draw()).observe(card);
setInterval(() => { if (!document.hidden && range === null) load(); }, 60000);
load();
