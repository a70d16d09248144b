// SPDX-License-Identifier: GPL-3.0-or-later
// The journal while it is written: asks every two seconds for what came after the last line.

const EVERY_MS = 2000;
const LINES_MAX = 2000;

const lines = document.getElementById("lines");
const box = document.getElementById("follow");

async function ask() {
  if (document.hidden || !box.checked) return;
  const address = new URL(lines.dataset.live, location.href);
  address.searchParams.set("after", lines.dataset.last);
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  if (!answer.ok || answer.redirected) return;
  const { html, last } = await answer.json();
  const part = document.createElement("template");
  part.innerHTML = html;
  const count = part.content.childElementCount;
  lines.dataset.last = last;
  if (count) show(part.content, count);
}

function show(content, count) {
  for (const line of lines.querySelectorAll(".new")) line.classList.remove("new");
  lines.prepend(content);
  while (lines.childElementCount > LINES_MAX) lines.lastElementChild.remove();
  document.getElementById("no-lines").hidden = true;
  const news = document.getElementById("news");
  news.textContent = news.dataset.text.replace("{n}", count);
}

if (lines.dataset.live) {
  document.getElementById("follow-field").hidden = false;
  const again = () => ask().catch(() => {}).finally(() => setTimeout(again, EVERY_MS));
  setTimeout(again, EVERY_MS);
}
