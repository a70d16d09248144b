// SPDX-License-Identifier: GPL-3.0-or-later
// <div id="x" data-refresh="5"> is fetched anew from its own page every 5 seconds, while somebody looks at it.

async function renew(part) {
  // Nothing moves under the finger, or under a keyboard's focus.
  if (document.hidden || part.contains(document.activeElement) || part.matches(":active")) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById(part.id);
  if (fresh && !part.contains(document.activeElement)) part.replaceChildren(...fresh.childNodes);
}

for (const part of document.querySelectorAll("[data-refresh]")) {
  const again = () => renew(part).catch(() => {}).finally(() => setTimeout(again, part.dataset.refresh * 1000));
  setTimeout(again, part.dataset.refresh * 1000);
}
