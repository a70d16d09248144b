// SPDX-License-Identifier: GPL-3.0-or-later
// Values as they change, on every page that has them: what has data-key shows the value of that key.

import { csrf, follow } from "./live.js";
import { asker, duration, text, value } from "./shown.js";

const BADGES = { good: "good", stale: "warn", fault: "bad" };
const STALE_POLLS = 3;

const shown = new Map();
for (const element of document.querySelectorAll("[data-key]"))
  if (element.dataset.key) shown.set(element.dataset.key, [...(shown.get(element.dataset.key) ?? []), element]);

// The server's clock may differ from ours: ages are by the server's.
const now = document.querySelector("[data-now]");
const ahead = now ? Number(now.dataset.now) - Date.now() / 1000 : 0;
const serverTime = () => Date.now() / 1000 + ahead;

function part(element, name) {
  return element.querySelector(`[data-part="${name}"]`);
}

function put(element, words) {
  if (element && element.textContent !== words) element.textContent = words;
}

function show(element, body) {
  put(part(element, "value"), value(body));
  put(part(element, "unit"), body?.unit ?? "");
  put(part(element, "error"), body?.error ?? "");
  const error = part(element, "error");
  if (error) error.hidden = !body?.error;
  element.dataset.polled = body?.polled ?? "";
  element.dataset.poll = body?.poll ?? 0;
  judge(element, body?.quality ?? "none");
  pressed(element, body);
}

/** Show the quality: what was not heard of for three polls is stale, whatever it said last. */
function judge(element, quality) {
  element.dataset.quality = quality;
  const polled = Number(element.dataset.polled), poll = Number(element.dataset.poll);
  const late = quality === "good" && poll > 0 && serverTime() - polled > STALE_POLLS * poll + 2;
  const seen = late ? "stale" : quality;
  element.classList.remove("good", "stale", "fault", "none");
  element.classList.add(seen);
  const badge = part(element, "quality");
  if (!badge) return;
  put(badge, text(seen === "none" ? "no value yet" : seen));
  badge.className = `badge ${BADGES[seen] ?? ""}`;
}

function pressed(element, body) {
  for (const button of element.querySelectorAll(".switch button[name=value]"))
    button.setAttribute("aria-pressed", String(button.value === String(body?.value)));
  const range = element.querySelector('input[type="range"]');
  if (range && document.activeElement !== range && typeof body?.value === "number") range.value = body.value;
}

function ages() {
  for (const elements of shown.values())
    for (const element of elements) {
      const age = part(element, "age"), polled = Number(element.dataset.polled);
      if (age && polled) put(age, text("{span} ago", { span: duration(Math.max(0, serverTime() - polled)) }));
      if (element.dataset.quality) judge(element, element.dataset.quality);
      held(element);
    }
}

function held(element) {
  const line = part(element, "held");
  if (!line || line.hidden || !line.dataset.until) return;
  const left = Number(line.dataset.until) - serverTime();
  line.hidden = left <= 0;
  put(line, text("held by {who}, {span} left", { who: line.dataset.who, span: duration(left) }));
}

function heldNow(element, state) {
  const line = part(element, "held");
  if (!line) return;
  line.dataset.until = state?.until ?? "";
  line.dataset.who = asker(state?.held_by);
  line.hidden = !state?.held_by || !state?.until;
  held(element);
}

// ---- controls: sent in the background; without a script the form does it ----

for (const form of document.querySelectorAll("form[data-control]"))
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const said = form.querySelector(".said");
    const data = new FormData(form);
    if (event.submitter?.name) data.set(event.submitter.name, event.submitter.value);
    form.classList.add("busy");
    let words = "";
    try {
      const answer = await fetch(form.action, {
        method: "POST", body: new URLSearchParams(data),
        headers: { Accept: "application/json", "X-CSRF-Token": csrf() },
      });
      const body = await answer.json().catch(() => ({}));
      if (!answer.ok) words = text("It did not work: {reason}", { reason: body.error ?? answer.statusText });
      else {
        const tile = form.closest("[data-key]");
        show(tile, body);
        heldNow(tile, body.state);
      }
    } catch {
      words = text("It did not work: {reason}", { reason: text("no answer") });
    }
    form.classList.remove("busy");
    said.hidden = !words;
    put(said, words);
  });

// ---- the small lines ----

const WIDTH = 120, HEIGHT = 32, MARGIN = 3;

function draw(svg, points) {
  const known = points.filter((point) => point !== null);
  if (known.length < 2) return;
  const least = Math.min(...known), span = Math.max(...known) - least || 1;
  const step = WIDTH / (points.length - 1);
  let path = "", pen = "M";
  points.forEach((point, place) => {
    if (point === null) { pen = "M"; return; }
    path += `${pen}${(place * step).toFixed(1)} ${(HEIGHT - MARGIN - ((point - least) / span) * (HEIGHT - 2 * MARGIN)).toFixed(1)}`;
    pen = "L";
  });
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.replaceChildren(line);
}

const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries)
    if (isIntersecting) {
      seen.unobserve(target);
      fetch(`/ajax/spark?key=${encodeURIComponent(target.dataset.series)}`)
        .then((answer) => (answer.ok ? answer.json() : []))
        .then((points) => draw(target, points), () => {});
    }
});
for (const svg of document.querySelectorAll("svg[data-series]")) seen.observe(svg);

follow((key, body) => {
  for (const element of shown.get(key) ?? []) show(element, body);
});
setInterval(ages, 1000);
