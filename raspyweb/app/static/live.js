// SPDX-License-Identifier: GPL-3.0-or-later
// Live values: one stream of server-sent events for the page, closed while nobody looks at it.

let source = null;
let broker = true;
let connected = true;
const followers = [];

/** Be called with (key, value) for every value as it changes; value is null for one that is gone. */
export function follow(callback) {
  followers.push(callback);
  if (source === null && !document.hidden) open();
}

/** The page's CSRF token, for the header X-CSRF-Token of every change. */
export function csrf() {
  return document.querySelector('meta[name="csrf-token"]').content;
}

function open() {
  source = new EventSource("/ajax/events");
  source.addEventListener("open", () => tell(true, broker));
  source.addEventListener("error", () => tell(false, broker));
  source.addEventListener("broker", (event) => tell(connected, event.data === "true"));
  source.addEventListener("values", (event) => {
    for (const [key, value] of Object.entries(JSON.parse(event.data)))
      for (const callback of followers) callback(key, value);
  });
}

function tell(isConnected, hasBroker) {
  connected = isConnected;
  broker = hasBroker;
  const line = document.getElementById("connection");
  const wrong = !connected ? line.dataset.lost : !broker ? line.dataset.broker : "";
  if (line.textContent !== wrong) line.textContent = wrong;
  line.hidden = !wrong;
  document.body.classList.toggle("lost", Boolean(wrong));
}

// A browser has six connections to a site: twenty hidden tabs must not hold them.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    source?.close();
    source = null;
  } else if (source === null && followers.length) open();
});
