// SPDX-License-Identifier: GPL-3.0-or-later
// How values and times are shown; the same as raspyweb/app/shown.py.

const texts = JSON.parse(document.body.dataset.texts);

/** A text in the reader's language; {name} stands for a value. */
export function text(english, values = {}) {
  return (texts[english] ?? english).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** A number with at most four significant digits, but all of those before the point. */
export function number(given) {
  if (!Number.isFinite(given)) return "–";
  if (Number.isInteger(given)) return String(given);
  const magnitude = Math.floor(Math.log10(Math.abs(given)));
  const words = given.toFixed(Math.max(0, Math.min(6, 3 - magnitude)));
  return words.includes(".") ? words.replace(/\.?0+$/, "") : words;
}

/** A value of the key/value map, without its unit. */
export function value(body) {
  const given = body?.value ?? null;
  if (given === null) return "–";
  if (typeof given === "boolean") return text(given ? "on" : "off");
  return typeof given === "number" ? number(given) : typeof given === "string" ? given : JSON.stringify(given);
}

/** A time span in its greatest unit. */
export function duration(seconds) {
  for (const [length, english] of [[86400, "{n} d"], [3600, "{n} h"], [60, "{n} min"], [1, "{n} s"]])
    if (seconds >= length) return text(english, { n: Math.floor(seconds / length) });
  return text("{n} s", { n: 0 });
}

/** Who asked, without the process and the chance number in it. */
export function asker(name) {
  return (name ?? "").replace(/-[0-9]+-[0-9a-f]{12}$/, "");
}
