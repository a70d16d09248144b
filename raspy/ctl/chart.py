# SPDX-License-Identifier: GPL-3.0-or-later
"""Curves drawn with letters: each holds two by four dots (Unicode's Braille patterns)."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import NamedTuple

# The bit of each dot in a Braille pattern, by row and column (The Unicode Standard, chapter 21, Braille).
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_BLANK = 0x2800
HEIGHT = 12
# What no sensor measures, and arithmetic does not survive; a NaN is not below it either.
LIMIT = 1e100
# Differences below this are none.
TINY = 1e-9
WIDTH_MIN, WIDTH_MAX = 20, 400


class Curve(NamedTuple):
    """One line of a chart.

    Args:
        label: what it is called.
        unit: of its values.
        times: seconds since the epoch, in order.
        values: a value a time; None where nothing is known.
    """

    label: str
    unit: str
    times: Sequence[float]
    values: Sequence[float | None]


class Letter(NamedTuple):
    """What stands in one place of a chart.

    Args:
        text: one letter.
        curve: the number of the curve that it belongs to; -1 for none.
    """

    text: str
    curve: int = -1


Line = list[Letter]


def draw(curves: Sequence[Curve], start: float, end: float, width: int, height: int = HEIGHT) -> list[Line]:
    """Draw a chart with its axes.

    Args:
        curves: what to draw; with values of the same kind, for they share the axis.
        start, end: the range of time, seconds since the epoch.
        width: how many letters wide it may be, axis and all.
        height: lines of the drawing itself.

    Returns:
        Its lines; none when there is nothing to draw.
    """
    known = [value for curve in curves for value in curve.values if value is not None and abs(value) < LIMIT]
    if not known or end <= start:
        return []
    low, high = _range(min(known), max(known))
    labels = _labels(low, high, height)
    margin = max(map(len, labels)) + 2
    columns = max(1, min(max(width, WIDTH_MIN), WIDTH_MAX) - margin)
    bits = [[0] * columns for _ in range(height)]
    owner = [[-1] * columns for _ in range(height)]
    for number, curve in enumerate(curves):
        _plot(curve, number, (start, end), (low, high), bits, owner)
    lines: list[Line] = []
    for row in range(height):
        line = [Letter(letter) for letter in f"{labels[row]:>{margin - 2}} │"]
        line += [
            Letter(chr(_BLANK + found) if found else " ", curve)
            for found, curve in zip(bits[row], owner[row], strict=True)
        ]
        lines.append(line)
    lines.append([Letter(letter) for letter in " " * (margin - 1) + "└" + "─" * columns])
    lines.append([Letter(letter) for letter in " " * margin + _time_axis(start, end, columns)])
    return lines


def _range(low: float, high: float) -> tuple[float, float]:
    """The range of the axis: a bit more than that of the values, and never nothing."""
    largest = max(abs(low), abs(high))
    if high - low <= max(largest * 1e-9, TINY):
        pad = largest * 0.05 if largest > TINY else 1.0
        return low - pad, high + pad
    return low, high


def _labels(low: float, high: float, height: int) -> list[str]:
    """What stands before each line: the value at its middle, on every third one."""
    step = (high - low) / height
    digits = max(0, 1 - math.floor(math.log10(step))) if step < 10 else 0
    # Numbers with more digits than these leave no room for the drawing.
    form = f".{digits}f" if max(abs(low), abs(high)) < 1e7 else ".4g"
    wanted = {0, height - 1, *range(0, height - 1, 3)} - {height - 2}
    return [f"{high - (row + 0.5) * step:{form}}" if row in wanted else "" for row in range(height)]


def _plot(
    curve: Curve,
    number: int,
    times: tuple[float, float],
    values: tuple[float, float],
    bits: list[list[int]],
    owner: list[list[int]],
) -> None:
    """Put the dots of a curve where they belong, those of neighbouring values joined."""
    wide, high = 2 * len(bits[0]), 4 * len(bits)
    before: tuple[int, int] | None = None
    for at, value in zip(curve.times, curve.values, strict=True):
        if value is None or not abs(value) < LIMIT or not times[0] <= at <= times[1]:
            before = None
            continue
        x = min(wide - 1, int((at - times[0]) / (times[1] - times[0]) * wide))
        y = min(high - 1, int((values[1] - value) / (values[1] - values[0]) * high))
        for column, row in _between(before, (x, y)):
            bits[row // 4][column // 2] |= _DOTS[row % 4][column % 2]
            owner[row // 4][column // 2] = number
        before = x, y


def _between(before: tuple[int, int] | None, now: tuple[int, int]) -> list[tuple[int, int]]:
    """The dots of a straight line from the one before, without that."""
    if before is None:
        return [now]
    steps = max(abs(now[0] - before[0]), abs(now[1] - before[1]), 1)
    return [
        (
            round(before[0] + (now[0] - before[0]) * step / steps),
            round(before[1] + (now[1] - before[1]) * step / steps),
        )
        for step in range(1, steps + 1)
    ]


def _time_axis(start: float, end: float, columns: int) -> str:
    """Times below the drawing, as many as find room."""
    span = end - start
    form = "%H:%M" if span <= 36 * 3600 else "%a %d" if span <= 14 * 86400 else "%Y-%m-%d"
    texts = [(place, time.strftime(form, time.localtime(start + span * place / columns)))
             for place in range(0, columns, 16)]  # fmt: skip
    axis = [" "] * columns
    for place, text in texts:
        if place + len(text) <= columns:
            axis[place : place + len(text)] = text
    return "".join(axis).rstrip()
