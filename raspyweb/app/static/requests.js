// SPDX-License-Identifier: GPL-3.0-or-later
// The form of a request: further frames.

const more = document.getElementById("more");
const frames = document.getElementById("frames");

if (more !== null) {
  more.hidden = false;
  more.addEventListener("click", () => {
    const count = frames.querySelectorAll("textarea").length + 1;
    const label = frames.querySelector("label").cloneNode(true);
    const area = label.querySelector("textarea");
    label.firstChild.textContent = more.dataset.label.replace("{number}", count);
    area.value = "";
    frames.append(label);
    area.focus();
    more.hidden = count >= Number(more.dataset.most);
  });
}
