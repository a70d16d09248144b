// SPDX-License-Identifier: GPL-3.0-or-later
// The figures as they change, and how fast the counters grow. Only servers whose table is open are asked.

import { poll } from "./poll.js";

const PAUSE_MS = 2000;

const opened = () => [...document.querySelectorAll("details[data-server][open]")];

/** A number with at most three digits behind the point. */
const shown = (number) => (Number.isInteger(number) ? String(number) : number.toFixed(3).replace(/0+$/, "").replace(/\.$/, ""));

function update(table, one) {
  const seconds = one.at - Number(table.dataset.at);
  table.dataset.at = one.at;
  for (const row of table.querySelectorAll("tr[data-oid]")) {
    const figure = one.figures[row.dataset.oid];
    if (figure === undefined) continue;
    row.querySelector(".value").textContent = typeof figure.value === "number" ? shown(figure.value) : figure.value;
    if (row.dataset.kind === "counter" && seconds > 0) {
      let grown = figure.value - Number(row.dataset.value);
      // It began again from 0: at its overflow, or because the server did.
      if (grown < 0) grown = Number(row.dataset.value) > figure.overflow / 2 ? grown + figure.overflow : figure.value;
      row.querySelector(".rate").textContent = shown(grown / seconds);
    }
    row.dataset.value = figure.value;
  }
}

poll(() => `/ajax/statistics?${new URLSearchParams(opened().map((server) => ["server", server.dataset.server]))}`, (answer) => {
  for (const server of opened()) {
    const table = server.querySelector("table");
    if (table !== null && answer[server.dataset.server]?.error === "") update(table, answer[server.dataset.server]);
  }
}, PAUSE_MS);
