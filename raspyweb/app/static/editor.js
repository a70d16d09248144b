// SPDX-License-Identifier: GPL-3.0-or-later
// The editor of a scenario: numbers of the lines, the line that is wrong, indenting, and rows of entries.

const INDENT = "    ";

const code = document.getElementById("code");
const box = code.closest(".code");
const gutter = box.querySelector(".gutter");
const wrong = Number(box.dataset.line) || 0;
let shown = 0;
let leaving = false;

/** As many numbers as there are lines; the one that is wrong stands out until the code is changed. */
function number() {
  const count = code.value.split("\n").length;
  if (count === shown) return;
  shown = count;
  const lines = [];
  for (let line = 1; line <= count; line++) {
    const mark = document.createElement("span");
    mark.textContent = `${line}\n`;
    if (line === wrong && !box.classList.contains("touched")) mark.className = "wrong";
    lines.push(mark);
  }
  gutter.replaceChildren(...lines);
}

/** Put text in place of the selection, so that the browser can undo it. */
function put(text) {
  if (!document.execCommand("insertText", false, text)) code.setRangeText(text, code.selectionStart, code.selectionEnd, "end");
}

function keydown(event) {
  if (event.key === "Escape") {
    leaving = true;
    return;
  }
  if (event.key === "Tab" && !leaving && !event.ctrlKey && !event.altKey && !event.metaKey) {
    event.preventDefault();
    if (event.shiftKey) outdent();
    else put(INDENT);
  } else if (event.key === "Enter" && !event.isComposing) {
    const before = code.value.slice(code.value.lastIndexOf("\n", code.selectionStart - 1) + 1, code.selectionStart);
    event.preventDefault();
    put("\n" + before.match(/^ */)[0] + (/:\s*(#.*)?$/.test(before) ? INDENT : ""));
  }
  if (event.key !== "Shift") leaving = false;
}

/** Take the indent of the line away. */
function outdent() {
  const start = code.value.lastIndexOf("\n", code.selectionStart - 1) + 1;
  const spaces = code.value.slice(start, start + INDENT.length).match(/^ */)[0].length;
  const caret = Math.max(start, code.selectionStart - spaces);
  code.setRangeText("", start, start + spaces);
  code.setSelectionRange(caret, caret);
}

/** Go to the line that is wrong, and say why. */
function point() {
  if (!wrong || wrong > shown) return;
  const why = document.querySelector(".at-line");
  if (box.dataset.why && !document.getElementById("code-error")) {
    why.textContent = box.dataset.why;
    why.hidden = false;
  }
  const lineHeight = parseFloat(getComputedStyle(code).lineHeight);
  code.scrollTop = Math.max(0, (wrong - 4) * lineHeight);
  gutter.scrollTop = code.scrollTop;
}

code.addEventListener("input", () => {
  if (!box.classList.contains("touched")) {
    box.classList.add("touched");
    shown = 0;
  }
  number();
});
code.addEventListener("scroll", () => (gutter.scrollTop = code.scrollTop));
code.addEventListener("keydown", keydown);
number();
point();

// Entries.

const entries = document.getElementById("entries");
const add = document.getElementById("add");

/** Make a row live: only the fields of its condition, a button that removes it, its name as its title. */
function enliven(row) {
  const test = row.querySelector("[name=entry_test]");
  const show = () => {
    for (const part of row.querySelectorAll("[data-test]")) part.hidden = !part.dataset.test.split(" ").includes(test.value);
  };
  test.addEventListener("change", show);
  show();
  const name = row.querySelector("[name=entry_name]");
  const legend = row.querySelector("legend");
  const untitled = document.getElementById("entry").content.querySelector("legend").textContent;
  name.addEventListener("input", () => (legend.textContent = name.value || untitled));
  const remove = row.querySelector(".remove");
  remove.hidden = Boolean(row.closest("[disabled]"));
  remove.addEventListener("click", () => {
    row.remove();
    add.focus();
  });
}

for (const spare of entries.querySelectorAll(".spare")) spare.remove();
for (const row of entries.querySelectorAll(".entry")) enliven(row);
add.hidden = Boolean(add.closest("[disabled]"));
add.addEventListener("click", () => {
  const row = document.getElementById("entry").content.firstElementChild.cloneNode(true);
  entries.append(row);
  enliven(row);
  row.querySelector("input").focus();
});

// Leaving with changes that are not saved loses them.
const form = document.getElementById("scenario");
let changed = false;
form.addEventListener("input", () => (changed = true));
form.addEventListener("submit", () => (changed = false));
addEventListener("beforeunload", (event) => {
  if (changed) event.preventDefault();
});
