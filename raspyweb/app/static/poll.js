// SPDX-License-Identifier: GPL-3.0-or-later
// Ask for JSON again and again, while somebody looks at the page.

/** Call `take(answer)` with what `url()` answers, every `pauseMs`; stops while the page is hidden. */
export function poll(url, take, pauseMs) {
  let timer = 0;
  const ask = async () => {
    let answer = null;
    try {
      const reply = await fetch(url(), { headers: { Accept: "application/json" } });
      answer = await reply.json();
      lost(!reply.ok, answer.error);
      if (!reply.ok) answer = null;
    } catch {
      lost(true, "");
    }
    if (!document.hidden) timer = setTimeout(ask, pauseMs);
    if (answer !== null) take(answer);
  };
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) ask();
  });
  timer = setTimeout(ask, pauseMs);
}

/** Say at the top of the page that what it shows is old. */
function lost(wrong, why) {
  const line = document.getElementById("connection");
  line.hidden = !wrong;
  line.textContent = wrong ? why || line.dataset.lost : "";
  document.body.classList.toggle("lost", wrong);
}
