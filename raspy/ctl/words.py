# SPDX-License-Identifier: GPL-3.0-or-later
"""Times, sizes and durations as people say them."""

from __future__ import annotations

import time
from typing import Any

_UNITS = ((86400 * 365, "y"), (86400, "d"), (3600, "h"), (60, "min"))
_SIZES = ("B", "KiB", "MiB", "GiB")


def duration(seconds: float) -> str:
    """``42 s``, ``5 min``, ``3 h``, ``12 d``."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 or not seconds else f"{seconds:.1g} s"


def ago(then: Any, now: float | None = None) -> str:
    """How long ago seconds since the epoch were, ``now`` within a second; empty when *then* is no number."""
    if isinstance(then, bool) or not isinstance(then, (int, float)):
        return ""
    seconds = (time.time() if now is None else now) - then
    return duration(seconds) if seconds >= 1 else "now"


def moment(then: Any, now: float | None = None) -> str:
    """Seconds since the epoch as a time of the local clock; with the day unless it is today."""
    if isinstance(then, bool) or not isinstance(then, (int, float)):
        return ""
    try:
        local, today = time.localtime(then), time.localtime(now)
    except (OverflowError, ValueError, OSError):
        return ""
    return time.strftime("%H:%M:%S" if local[:3] == today[:3] else "%Y-%m-%d %H:%M:%S", local)


def size(count: float) -> str:
    """A number of bytes: ``512 B``, ``21.4 MiB``."""
    unit = 0
    while count >= 1024 and unit < len(_SIZES) - 1:
        count /= 1024
        unit += 1
    return f"{count:.0f} {_SIZES[unit]}" if unit == 0 or count >= 100 else f"{count:.1f} {_SIZES[unit]}"
