// SPDX-License-Identifier: GPL-3.0-or-later
// What changes on the page of a scenario: its state, the last result, the journal of a run, the entries.

import { poll } from "./poll.js";

const LIVE_MS = 1000;

const live = document.getElementById("live");
const list = document.getElementById("lines");

/** Show the state in a badge, with the texts that the badge brings. */
function badge(element, state) {
  const colour = JSON.parse(element.dataset.colours)[state] ?? "";
  element.textContent = JSON.parse(element.dataset.texts)[state] ?? state;
  element.className = `badge state ${colour}`;
}

/** Two digits of a date. */
const two = (number) => String(number).padStart(2, "0");

function moment(seconds) {
  const at = new Date(seconds * 1000);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** The journal: keep its end in view, unless somebody has scrolled up to read. */
function journal(lines) {
  const last = lines.length ? `${lines.length} ${lines.at(-1).time} ${lines.at(-1).text}` : "";
  if (list.dataset.last === last) return;
  list.dataset.last = last;
  const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 8;
  const items = lines.map((line) => {
    const item = document.createElement("li");
    const time = document.createElement("time");
    const text = document.createElement("span");
    time.textContent = moment(line.time);
    time.dateTime = new Date(line.time * 1000).toISOString();
    text.textContent = line.text;
    item.className = `level-${line.level}`;
    item.append(time, " ", text);
    return item;
  });
  if (!items.length) items.push(Object.assign(document.createElement("li"), { className: "soft", textContent: list.dataset.empty }));
  list.replaceChildren(...items);
  if (atEnd) list.scrollTop = list.scrollHeight;
}

const COLOURS = { good: "good", stale: "warn", missing: "warn", fault: "bad" };

function seen(entries) {
  const table = document.querySelector("table.seen");
  if (table === null) return;
  for (const row of table.querySelectorAll("tr[data-entry]")) {
    const entry = entries[row.dataset.entry];
    if (entry === undefined) continue;
    row.querySelector(".value").textContent = entry.shown;
    const quality = row.querySelector(".quality");
    quality.textContent = JSON.parse(table.dataset.qualities)[entry.quality] ?? entry.quality;
    quality.className = `badge quality ${COLOURS[entry.quality] ?? ""}`;
    quality.title = entry.error ?? "";
    row.querySelector(".holds").textContent = entry.holds ? table.dataset.yes : table.dataset.no;
  }
}

list.scrollTop = list.scrollHeight;
poll(() => live.dataset.url, (answer) => {
  badge(document.querySelector(".state"), answer.state);
  document.querySelector(".last").innerHTML = answer.last;
  journal(answer.lines);
  seen(answer.entries);
}, LIVE_MS);
