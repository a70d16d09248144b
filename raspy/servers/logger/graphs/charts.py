# SPDX-License-Identifier: GPL-3.0-or-later
"""What a graph shows as numbers: for the dashboard's charts, and for the legend of a picture."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from raspy.servers.logger.graphs.graph import Graph, Line
from raspy.servers.logger.rrd.archives import FUNCTIONS, Connection, inspect
from raspy.servers.logger.samples.series import Series

POINTS = 600
POINTS_MAX = 2400
"""Points of a line: the default, and the most one may ask for."""

Row = tuple[int, float]


class Curve(NamedTuple):
    """One line of a graph over a range.

    Args:
        line: what it is.
        series: its series.
        times: the ends of its intervals, in seconds since 1970.
        average, minimum, maximum: of each interval; NaN where nothing is known.
    """

    line: Line
    series: Series
    times: list[int]
    average: list[float]
    minimum: list[float]
    maximum: list[float]

    def summary(self) -> dict[str, float | None]:
        """Last, least, mean and greatest of the range; None where nothing is known."""
        known = [value for value in self.average if value == value]
        return {
            "last": known[-1] if known else None,
            "min": min((value for value in self.minimum if value == value), default=None),
            "avg": math.fsum(known) / len(known) if known else None,
            "max": max((value for value in self.maximum if value == value), default=None),
        }


def collect(
    connection: Connection, lines: list[tuple[Line, Series]], start: int, end: int, points: int = POINTS
) -> list[Curve]:
    """Fetch what a graph shows.

    Arguments:
        connection: to rrdcached, which writes what it holds first.
        lines: what to fetch.
        start, end: the range, in seconds since 1970.
        points: how many points a line has at most.

    Raises:
        RrdError, OSError: it can't be read.
    """
    curves = []
    for line, series in lines:
        columns: list[list[float]] = []
        times: list[int] = []
        # Beyond its last update a file would be fetched in steps of a minute, however long that is.
        connection.flush(series.path)
        known_end = min(end, int(inspect(connection, series.path, series.kind)))
        for function in FUNCTIONS:
            if start >= known_end:
                columns.append([])
                continue
            step, rows = connection.fetch(series.path, function, start, known_end)
            rows = [row for row in rows if row[0] - step < end]
            reduced = _reduce(rows, function, points)
            times = [moment for moment, _value in reduced]
            columns.append([value for _moment, value in reduced])
        curves.append(Curve(line, series, times, *columns))
    return curves


def _reduce(rows: list[Row], function: str, points: int) -> list[Row]:
    """Put neighbouring rows together until there are no more than *points*."""
    together = -(-len(rows) // points) if points else 1
    if together <= 1:
        return rows
    reduced = []
    for start in range(0, len(rows), together):
        group = rows[start : start + together]
        known = [value for _moment, value in group if value == value]
        if not known:
            value = math.nan
        elif function == "AVERAGE":
            value = math.fsum(known) / len(known)
        else:
            value = min(known) if function == "MIN" else max(known)
        reduced.append((group[-1][0], value))
    return reduced


def to_json(
    graph: Graph, curves: list[Curve], start: int, end: int, nights: list[tuple[int, int]]
) -> dict[str, Any]:
    """A graph as numbers; null where nothing is known, which a chart shows as a gap."""
    return {
        "key": graph.key,
        "title": graph.title,
        "start": start,
        "end": end,
        "nights": nights,
        "series": [
            {
                "key": curve.line.key,
                "label": curve.line.label,
                "color": curve.line.color,
                "unit": curve.series.unit,
                "summary": {name: _short(value) for name, value in curve.summary().items()},
                "time": curve.times,
                "average": [_short(value) for value in curve.average],
                "minimum": [_short(value) for value in curve.minimum],
                "maximum": [_short(value) for value in curve.maximum],
            }
            for curve in curves
        ],
    }


def _short(value: float | None) -> float | None:
    """Seven digits are more than any picture or legend shows."""
    return float(f"{value:.7g}") if value is not None and math.isfinite(value) else None
