# SPDX-License-Identifier: GPL-3.0-or-later
"""How values, times and sizes are shown: the filters of the templates.

``static/shown.js`` does the same for what changes live.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from typing import Any

from flask import Flask

from raspyweb.app.texts import _

DIGITS = 4
_STEPS = ((86400.0, "{n} d"), (3600.0, "{n} h"), (60.0, "{n} min"), (1.0, "{n} s"))
_ASKER = re.compile(r"-[0-9]+-[0-9a-f]{12}$")
_BYTES = ("B", "KiB", "MiB", "GiB", "TiB")


def install(app: Flask) -> None:
    """Make them filters of *app*'s templates."""
    for function in (number, value, duration, age, moment, iso, size, asker):
        app.add_template_filter(function)


def script_texts() -> dict[str, str]:
    """What the scripts say, by the English text."""
    return {
        "on": _("on"),
        "off": _("off"),
        "good": _("good"),
        "stale": _("stale"),
        "fault": _("fault"),
        "no value yet": _("no value yet"),
        "{n} d": _("{n} d"),
        "{n} h": _("{n} h"),
        "{n} min": _("{n} min"),
        "{n} s": _("{n} s"),
        "{span} ago": _("{span} ago"),
        "held by {who}, {span} left": _("held by {who}, {span} left"),
        "Done.": _("Done."),
        "It did not work: {reason}": _("It did not work: {reason}"),
        "no answer": _("no answer"),
        "average": _("average"),
        "least": _("least"),
        "greatest": _("greatest"),
    }


def number(given: float) -> str:
    """A number with at most four significant digits, but all of those before the point."""
    if not math.isfinite(given):
        return "–"
    if isinstance(given, int) or given == int(given):
        return str(int(given))
    magnitude = math.floor(math.log10(abs(given)))
    text = f"{given:.{max(0, min(6, DIGITS - 1 - magnitude))}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def value(body: Mapping[str, Any] | None) -> str:
    """A device's value as in the key/value map, without its unit: ``21.5``, ``on``; ``–`` for none."""
    given = body.get("value") if isinstance(body, Mapping) else None
    if given is None:
        return "–"
    if isinstance(given, bool):
        return _("on") if given else _("off")
    if isinstance(given, (int, float)):
        return number(given)
    return str(given)


def duration(seconds: float) -> str:
    """A time span in its greatest unit: ``3 min``."""
    for length, text in _STEPS:
        if seconds >= length:
            return _(text, n=int(seconds // length))
    return _("{n} s", n=0)


def age(at: float | None) -> str:
    """How long ago: ``3 min ago``."""
    return "" if at is None else _("{span} ago", span=duration(max(0.0, time.time() - at)))


def moment(at: float | None) -> str:
    """A time in the machine's own time zone: ``2026-01-31 14:05:00``."""
    return "" if at is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def iso(at: float | None) -> str:
    """The same for a ``<time datetime=...>``, in UTC."""
    return "" if at is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def asker(name: str | None) -> str:
    """Who asked, without the process and the chance number in it: ``core`` of ``core-1234-5f3a9c0b12de``."""
    return _ASKER.sub("", name or "")


def size(count: float) -> str:
    """A number of bytes: ``30.5 MiB``."""
    for unit in _BYTES:
        if abs(count) < 1024 or unit == _BYTES[-1]:
            break
        count /= 1024
    return f"{number(round(count, 1))} {unit}"
