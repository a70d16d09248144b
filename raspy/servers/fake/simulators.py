# SPDX-License-Identifier: GPL-3.0-or-later
"""Curves that simulated sensors follow. Pure: each says what it would read at a time that it is given.

==========  ====================================================================================
cyclic      from ``low`` up to ``high`` in the first half of ``cycle_s``, and down again in the second
linear      from ``low`` up to ``high`` in ``cycle_s``, then at once back to ``low``
day         coldest (``low``) at 4 in the morning, warmest (``high``) at 16, local time
walk        a random walk between ``low`` and ``high``, at most ``step`` each second
replay      what a CSV file says
==========  ====================================================================================
"""

from __future__ import annotations

import bisect
import csv
import math
import random
import time
from collections.abc import Callable
from pathlib import Path

from raspy.common.devices.fault import DeviceFault

KINDS = ("cyclic", "linear", "day", "walk", "replay")

COLDEST_H = 4.0
DAY_H = 24.0

ROWS_MAX = 100_000
FILE_MAX = 4 << 20

Curve = Callable[[float], float]
"""What is read at a time, in seconds since the epoch."""


def cyclic(low: float, high: float, cycle_s: float) -> Curve:
    """A triangle: *low* at the beginning of each cycle, *high* in its middle."""

    def curve(now: float) -> float:
        phase = now % cycle_s / cycle_s
        return low + (high - low) * (2 * phase if phase < 0.5 else 2 - 2 * phase)

    return curve


def linear(low: float, high: float, cycle_s: float) -> Curve:
    """A saw tooth: steadily from *low* to *high*, then at once back."""
    return lambda now: low + (high - low) * (now % cycle_s / cycle_s)


def day(low: float, high: float, local: Callable[[float], time.struct_time] = time.localtime) -> Curve:
    """A cosine over the day, as the temperature of a room with a window."""

    def curve(now: float) -> float:
        at = local(now)
        hours = at.tm_hour + at.tm_min / 60 + (at.tm_sec + now % 1) / 3600
        return low + (high - low) * (1 - math.cos((hours - COLDEST_H) / DAY_H * 2 * math.pi)) / 2

    return curve


def walk(low: float, high: float, step: float, chance: random.Random) -> Curve:
    """A random walk that turns back at both ends.

    Args:
        low: the one end.
        high: the other.
        step: how far it goes in a second at most.
        chance: the source of chance; the same seed gives the same walk.
    """
    at, before = (low + high) / 2, math.nan

    def curve(now: float) -> float:
        nonlocal at, before
        seconds = now - before if now > before else 0.0
        before = now
        at += chance.uniform(-step, step) * min(seconds, 60.0)
        if at < low:
            at = min(2 * low - at, high)
        elif at > high:
            at = max(2 * high - at, low)
        return at

    return curve


def replay(path: Path) -> Curve:
    """What a CSV file says: lines ``SECONDS,VALUE``, the seconds rising; a first line of words is skipped.

    Each value stands until the next one's time. The file is played from its first line on when it is first
    read, and again from there when its last value has stood as long as the one before.

    Raises:
        DeviceFault: it can't be read, or a line is not as it must be.
    """
    times, values = _rows(path)
    length_s = times[-1] - times[0] + (times[-1] - times[-2] if len(times) > 1 else 1.0)
    begun: float | None = None

    def curve(now: float) -> float:
        nonlocal begun
        begun = now if begun is None else begun
        return values[bisect.bisect_right(times, times[0] + (now - begun) % length_s) - 1]

    return curve


def _rows(path: Path) -> tuple[list[float], list[float]]:
    times: list[float] = []
    values: list[float] = []
    try:
        if path.stat().st_size > FILE_MAX:
            raise DeviceFault(f"{path.name} has more than {FILE_MAX} bytes")
        with path.open(newline="", encoding="utf-8") as file:
            for number, row in enumerate(csv.reader(file), 1):
                if not row or (number == 1 and not _numbers(row)):
                    continue
                numbers = _numbers(row)
                if numbers is None or (times and numbers[0] <= times[-1]) or len(times) >= ROWS_MAX:
                    raise DeviceFault(f"{path.name}, line {number}: not SECONDS,VALUE with rising seconds")
                times.append(numbers[0])
                values.append(numbers[1])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DeviceFault(f"{path.name} can't be read: {error}") from None
    if not times:
        raise DeviceFault(f"{path.name} has no line SECONDS,VALUE")
    return times, values


def _numbers(row: list[str]) -> tuple[float, float] | None:
    try:
        at, value = (float(text) for text in row)
    except ValueError:
        return None
    return (at, value) if math.isfinite(at) and math.isfinite(value) else None
