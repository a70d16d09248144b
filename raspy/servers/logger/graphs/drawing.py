# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of graphs, drawn by an `rrdtool` process that ends with the picture.

In the daemon itself rrdtool, cairo and pango would take more memory than all else, for ever.

Source: rrdgraph(1), rrdgraph_graph(1), rrdgraph_rpn(1), version 1.7.2.
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import NamedTuple

from raspy.servers.logger.graphs.charts import Curve
from raspy.servers.logger.graphs.graph import Graph
from raspy.servers.logger.rrd.direct import run

FORMATS = {"svg": "image/svg+xml", "png": "image/png"}

WIDTH_MIN, WIDTH, WIDTH_MAX = 200, 800, 2000
HEIGHT_MIN, HEIGHT, HEIGHT_MAX = 120, 300, 1200
"""Pixels of the whole picture."""

BAND_FROM_S = 2 * 86400
"""In a longer graph a pixel stands for many samples, and their range is shown as a band."""

BANDS_MAX = 3
"""More bands than this only cover each other."""

COLUMNS = ("last", "min", "avg", "max")
LEGEND_CHARACTER_PX = 7
LABEL_EVERY_PX = 36
"""How far apart the labels of the value axis are."""

TICKS = (
    (600, 36, "MINUTE:5:MINUTE:10:MINUTE:10:0:%H:%M"),
    (1800, 36, "MINUTE:10:MINUTE:30:MINUTE:30:0:%H:%M"),
    (3600, 36, "MINUTE:30:HOUR:1:HOUR:1:0:%H:%M"),
    (7200, 36, "HOUR:1:HOUR:2:HOUR:2:0:%H:%M"),
    (10800, 36, "HOUR:1:HOUR:3:HOUR:3:0:%H:%M"),
    (21600, 36, "HOUR:3:HOUR:6:HOUR:6:0:%H:%M"),
    (86400, 42, "HOUR:6:DAY:1:DAY:1:86400:%a %d"),
    (172800, 48, "DAY:1:DAY:2:DAY:2:86400:%d %b"),
    (604800, 48, "DAY:1:WEEK:1:WEEK:1:0:%d %b"),
    (1209600, 48, "WEEK:1:WEEK:2:WEEK:2:0:%d %b"),
    (2592000, 28, "WEEK:1:MONTH:1:MONTH:1:2592000:%b"),
    (7776000, 28, "MONTH:1:MONTH:3:MONTH:3:2592000:%b"),
    (31536000, 34, "MONTH:3:YEAR:1:YEAR:1:31536000:%Y"),
    (63072000, 34, "YEAR:1:YEAR:2:YEAR:2:31536000:%Y"),
)
"""Ticks of the time axis: seconds between labels, their width in pixels, and how rrdtool is told."""

ALONE_ALPHA, BAND_ALPHA = "22", "33"
SI = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
SI_FROM = 1e5

VIEWPORT = re.compile(rb'<svg ([^>]*?)width="([\d.]+)(?:pt|px)?" height="([\d.]+)(?:pt|px)?"')


class Theme(NamedTuple):
    """Colours of what is not data, ``#rrggbb`` or ``#rrggbbaa``."""

    back: str
    font: str
    faint: str
    grid: str
    major: str
    night: str


THEMES = {
    "light": Theme("#ffffff", "#30363d", "#6b7480", "#0000000d", "#0000001f", "#1f2d5014"),
    "dark": Theme("#16191d", "#d7dce2", "#98a1ab", "#ffffff0f", "#ffffff24", "#7f9cff1a"),
}


class Picture(NamedTuple):
    """How to draw.

    Args:
        format: a key of `FORMATS`.
        width, height: of the whole picture, in pixels.
        theme: a key of `THEMES`.
    """

    format: str = "svg"
    width: int = WIDTH
    height: int = HEIGHT
    theme: str = "light"


def draw(
    graph: Graph,
    curves: list[Curve],
    start: int,
    end: int,
    nights: list[tuple[int, int]],
    picture: Picture,
    folder: Path,
    timezone: str = "",
) -> bytes:
    """Draw a graph.

    Arguments:
        graph: what to draw.
        curves: its lines, from `charts.collect`: their extremes set the scale and the legend.
        start, end: the range, in seconds since 1970.
        nights: ranges to shade.
        picture: size, format and theme.
        folder: the folder of the RRDs.
        timezone: of the time axis, "" for the system's own.

    Returns:
        The picture.

    Raises:
        RrdError: rrdtool is not installed, refuses, or takes too long.
    """
    environment = {**os.environ, "LC_ALL": "C.UTF-8", **({"TZ": timezone} if timezone else {})}
    told = arguments(graph, curves, start, end, nights, picture)
    drawn = run("graph", "-", *told, cwd=folder, environment=environment)
    return _scalable(drawn) if picture.format == "svg" else drawn


def arguments(
    graph: Graph, curves: list[Curve], start: int, end: int, nights: list[tuple[int, int]], picture: Picture
) -> list[str]:
    """What rrdtool is told, after ``graph FILE``."""
    scale = Scale(curves)
    drawn = [*_options(graph, curves, start, end, picture, scale), *_data(curves)]
    if curves:
        drawn += _nights(nights, THEMES[picture.theme], scale)
    return [*drawn, *_areas(curves, end - start), *_lines(curves, picture.width, scale)]


class Scale:
    """The value axis, from the extremes of what is shown.

    Attributes:
        low, high: its ends.
        digits: decimals in the legend.
        states: whether all that is shown is on or off.
        si: whether the numbers are so big that they need k, M, G.
    """

    def __init__(self, curves: list[Curve]) -> None:
        known = [
            value
            for curve in curves
            for column in (curve.minimum, curve.maximum, curve.average)
            for value in column
            if math.isfinite(value)
        ]
        low, high = min(known, default=0.0), max(known, default=1.0)
        self.states = bool(known) and all(type(curve.series.value) is bool for curve in curves)
        self.si = max(abs(low), abs(high)) >= SI_FROM
        least, greatest = low, high
        flat = high - low <= 1e-9 * max(abs(low), abs(high), 1e-3)
        if flat:
            span = max(abs(high) * 0.02, 0.2)
            low, high = low - span / 2, high + span / 2
        margin = 0.06 * (high - low)
        # Room at the edges must not look as if something below zero, or above it, had been seen.
        self.low = 0.0 if least >= 0 and low - margin < 0 else low - margin
        self.high = 0.0 if greatest <= 0 and high + margin > 0 and not flat else high + margin
        if self.states:
            self.low, self.high = 0.0, 1.08
        self.digits = max(0, min(6, (1 if flat else 2) - math.floor(math.log10(self.high - self.low))))

    def tick(self, rows: int) -> float:
        """A round distance of labels, so that there are about *rows*."""
        least = (self.high - self.low) / rows
        size = 10.0 ** math.floor(math.log10(least))
        return next(size * factor for factor in (1, 2, 5, 10) if size * factor >= least * 0.999)

    def axis_digits(self, rows: int) -> int:
        """Decimals that tell two labels apart."""
        return max(0, -math.floor(math.log10(self.tick(rows)) + 1e-9))

    def show(self, value: float | None) -> str:
        """A number of the legend."""
        if value is None:
            return "-"
        if self.states:
            return f"{100 * value:.0f} %" if 0 < value < 1 else ("off", "on")[value > 0]
        if self.si:
            for size, letter in SI:
                if abs(value) >= size:
                    return f"{value / size:.1f} {letter}"
        return f"{value:.{self.digits}f}"


def _options(
    graph: Graph, curves: list[Curve], start: int, end: int, picture: Picture, scale: Scale
) -> list[str]:
    theme = THEMES[picture.theme]
    small = picture.width < 480
    options = [
        "--imgformat",
        picture.format.upper(),
        "--start",
        str(start),
        "--end",
        str(end),
        "--full-size-mode",
        "--width",
        str(picture.width),
        "--height",
        str(picture.height),
        "--title",
        _plain(graph.title),
        "--border",
        "0",
        "--disable-rrdtool-tag",
        "--dynamic-labels",
        "--lower-limit",
        f"{scale.low:.9g}",
        "--upper-limit",
        f"{scale.high:.9g}",
        "--rigid",
        "--font",
        f"TITLE:{10 if small else 11}:DejaVu Sans",
        "--font",
        f"AXIS:{7 if small else 8}:DejaVu Sans",
        "--font",
        "UNIT:8:DejaVu Sans",
        "--font",
        f"LEGEND:{7.5 if small else 8}:DejaVu Sans Mono",
        "--color",
        f"BACK{theme.back}",
        "--color",
        f"CANVAS{theme.back}",
        "--color",
        f"FONT{theme.font}",
        "--color",
        f"GRID{theme.grid}",
        "--color",
        f"MGRID{theme.major}",
        "--color",
        f"AXIS{theme.faint}",
        "--color",
        f"FRAME{theme.back}00",
        "--color",
        f"ARROW{theme.back}00",
    ]
    units = sorted({curve.series.unit for curve in curves})
    if any(units):
        options += ["--vertical-label", _plain(" / ".join(units))]
    options += ["--x-grid", _time_axis(picture.width, end - start)]
    if scale.states:
        return [*options, "--y-grid", "1:1", "--left-axis-format", "%.0lf"]
    rows = max(2, (picture.height - 70 - 13 * len(curves)) // LABEL_EVERY_PX)
    options += ["--slope-mode", "--y-grid", f"{scale.tick(rows):.9g}:1"]
    if not scale.si:
        options += ["--units-exponent", "0", "--left-axis-format", f"%.{scale.axis_digits(rows)}lf"]
    return options


def _data(curves: list[Curve]) -> list[str]:
    return [
        f"DEF:{name}{number}={_escape(curve.series.file)}:value:{function}"
        for number, curve in enumerate(curves)
        for name, function in (("avg", "AVERAGE"), ("min", "MIN"), ("max", "MAX"))
    ]


def _time_axis(width: int, span_s: int) -> str:
    """The closest ticks whose labels still stand apart."""
    seconds_per_px = span_s / max(1, width - 90)
    for step_s, label_px, grid in TICKS:
        if step_s / seconds_per_px >= 1.4 * label_px:
            return grid
    return TICKS[-1][2]


def _nights(nights: list[tuple[int, int]], theme: Theme, scale: Scale) -> list[str]:
    """Shade what is in a night: an area to infinity, above and below zero."""
    drawn = []
    if nights:
        inside = ",".join(f"TIME,{dusk},GE,TIME,{dawn},LT,*" for dusk, dawn in nights)
        # A CDEF takes its rows from a DEF, so one is named, and thrown away.
        anywhere = ",".join(["avg0,POP", inside, *["+"] * (len(nights) - 1)])
        if scale.high > 0:
            drawn += [f"CDEF:above={anywhere},INF,UNKN,IF", f"AREA:above{theme.night}"]
        if scale.low < 0:
            drawn += [f"CDEF:below={anywhere},NEGINF,UNKN,IF", f"AREA:below{theme.night}"]
    return drawn


def _areas(curves: list[Curve], span_s: int) -> list[str]:
    """What is drawn below the lines, so that no area covers one."""
    drawn = []
    for number, curve in enumerate(curves):
        color = curve.line.color
        if span_s >= BAND_FROM_S and len(curves) <= BANDS_MAX:
            drawn += [
                f"CDEF:band{number}=max{number},min{number},-",
                f"AREA:min{number}",
                f"AREA:band{number}{color}{BAND_ALPHA}::STACK",
            ]
        elif len(curves) == 1:
            drawn.append(f"AREA:avg{number}{color}{ALONE_ALPHA}")
    return drawn


def _lines(curves: list[Curve], width: int, scale: Scale) -> list[str]:
    """The lines, with a row of the legend for each: name, last, least, mean, greatest."""
    if not curves:
        # Without a line rrdtool draws nothing at all.
        return ["COMMENT:nothing is known of this\\l", "HRULE:0#00000000"]
    labels = [_plain(curve.line.label) for curve in curves]
    rows = [[scale.show(curve.summary()[name]) for name in COLUMNS] for curve in curves]
    cell = max(7, *(len(text) + 1 for row in rows for text in row))
    room = (
        width // LEGEND_CHARACTER_PX
        - len(COLUMNS) * cell
        - 6
        - max(len(curve.series.unit) for curve in curves)
    )
    label_width = min(max(map(len, labels)), max(6, room))
    head = " " * (label_width + 3) + "".join(f"{name:>{cell}}" for name in COLUMNS)
    drawn = [f"COMMENT:{head}\\l"]
    for number, (curve, label, row) in enumerate(zip(curves, labels, rows, strict=True)):
        name = label if len(label) <= label_width else label[: label_width - 1] + "…"
        numbers = "".join(f"{text:>{cell}}" for text in row)
        drawn += [
            f"LINE1.6:avg{number}{curve.line.color}:{_escape(f'{name:<{label_width}}')}",
            f"COMMENT:{_escape(numbers)} {_escape(_plain(curve.series.unit))}\\l",
        ]
    return drawn


def _plain(text: str) -> str:
    """A text without what rrdtool takes for an instruction: ``\\l`` and the like."""
    return text.replace("\\", "⧵")


def _escape(text: str) -> str:
    return text.replace(":", "\\:")


def _scalable(svg: bytes) -> bytes:
    """Let a browser scale the picture to the place it has."""
    return VIEWPORT.sub(rb'<svg \1width="\2" height="\3" preserveAspectRatio="xMidYMid meet"', svg, count=1)
