// SPDX-License-Identifier: GPL-3.0-or-later
// The editor of a cron job: shows only the fields of what is chosen, and what the job means while it is edited.

import { csrf } from "./live.js";
import { choose } from "./choose.js";

const PAUSE_MS = 400;

const form = document.getElementById("job");
const preview = document.getElementById("preview");
let timer = 0;
let number = 0;

/** Mark the fields that are wrong, and only these. */
function mark(errors) {
  for (const old of form.querySelectorAll(".error.live")) old.remove();
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  for (const [name, why] of Object.entries(errors)) {
    const field = form.elements[name];
    if (!(field instanceof HTMLElement)) continue;
    field.setAttribute("aria-invalid", "true");
    const line = document.createElement("p");
    line.className = "error live";
    line.textContent = why;
    field.closest(".field").append(line);
  }
}

/** Ask core what the form means as it stands. */
async function ask() {
  const mine = ++number;
  let answer;
  try {
    const reply = await fetch(preview.dataset.url, {
      method: "POST",
      headers: { "X-CSRF-Token": csrf() },
      body: new FormData(form),
    });
    answer = await reply.json();
  } catch {
    return; // The broker or the dashboard is away; saving will say so.
  }
  if (mine !== number) return;
  const good = Boolean(answer.when);
  preview.querySelector(".meaning").hidden = !good;
  const unknown = preview.querySelector(".unknown");
  unknown.hidden = good;
  if (!good) {
    unknown.textContent = answer.errors?.[""] || answer.error || Object.values(answer.errors ?? {})[0] || "";
    return mark(answer.errors ?? {});
  }
  mark({});
  preview.querySelector(".when").textContent = answer.when;
  preview.querySelector(".what").textContent = answer.what.join(", ");
  preview.querySelector(".timezone").textContent = answer.timezone;
  const runs = answer.runs.length ? answer.runs : [preview.dataset.never];
  preview.querySelector(".runs").replaceChildren(...runs.map((run) => Object.assign(document.createElement("li"), { textContent: run })));
}

choose(form, "kind");
choose(form, "work");
form.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE_MS);
});
if (!form.querySelector(".error")) ask();
