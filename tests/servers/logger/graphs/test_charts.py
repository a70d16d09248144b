# SPDX-License-Identifier: GPL-3.0-or-later
"""Graphs as numbers."""

import json
import logging
import math

import pytest

from raspy.servers.logger.graphs import charts
from raspy.servers.logger.graphs.charts import Curve
from raspy.servers.logger.graphs.graph import Graph
from raspy.servers.logger.rrd.backend import Backend
from raspy.servers.logger.samples.series import Catalogue
from tests.servers.logger.graphs.conftest import DAY, END, GAP

KEY = "pi/fake/tank/temperature"


def curve(history: Catalogue, start: int, end: int, points: int = charts.POINTS_MAX, key: str = KEY) -> Curve:
    series = history.series[key]
    connection = Backend("direct", history.rrd, logging.getLogger("test")).connect()
    (found,) = charts.collect(connection, [(Graph.of_series(series).lines[0], series)], start, end, points)
    return found


def test_a_day_has_a_point_a_minute_and_gaps_are_gaps(history: Catalogue) -> None:
    found = curve(history, END - DAY, END)
    assert found.times == list(range(END - DAY + 60, END + 60, 60))
    unknown = [moment for moment, value in zip(found.times, found.average, strict=True) if math.isnan(value)]
    assert GAP.start - 300 <= min(unknown) and max(unknown) <= GAP.stop and len(unknown) >= 115
    assert found.average[5] == pytest.approx(24.5 + math.sin((END - DAY + 600) / DAY * 2 * math.pi), abs=0.03)


def test_neighbouring_rows_are_put_together(history: Catalogue) -> None:
    fine, coarse = curve(history, END - DAY, END), curve(history, END - DAY, END, points=100)
    assert len(coarse.times) == 96 and coarse.times[-1] == END
    known = [value for value in fine.average if value == value]
    assert min(v for v in coarse.minimum if v == v) == min(known)
    assert max(v for v in coarse.maximum if v == v) == max(known)
    assert coarse.average[0] == pytest.approx(sum(fine.average[:15]) / 15)
    assert math.isnan(coarse.average[80])


def test_longer_ranges_have_coarser_rows_with_their_range(history: Catalogue) -> None:
    week, month = curve(history, END - 7 * DAY, END), curve(history, END - 30 * DAY, END)
    assert week.times[1] - week.times[0] == 300 and month.times[1] - month.times[0] == 1800
    assert all(
        low <= mean <= high
        for low, mean, high in zip(month.minimum, month.average, month.maximum, strict=True)
        if mean == mean
    )
    assert any(high - low > 0.05 for low, high in zip(month.minimum, month.maximum, strict=True))


def test_a_range_before_the_history_is_unknown(history: Catalogue) -> None:
    found = curve(history, END - 300 * DAY, END - 200 * DAY)
    assert found.summary() == {"last": None, "min": None, "avg": None, "max": None}


@pytest.mark.parametrize("span", [DAY, 31 * DAY, 366 * DAY, 3653 * DAY])
def test_what_was_updated_last_long_ago_has_no_endless_rows(history: Catalogue, span: int) -> None:
    """rrdtool itself would answer a year after the last update minute by minute."""
    later = END + 1000 * DAY
    found = curve(history, later - span, later)
    assert len(found.times) <= (0 if span < 1000 * DAY else 3660)


def test_the_summary(history: Catalogue) -> None:
    summary = curve(history, END - DAY, END).summary()
    assert summary["last"] == pytest.approx(24.5, abs=0.05)
    assert summary["min"] == pytest.approx(23.5, abs=0.01)
    assert summary["min"] < summary["avg"] < summary["max"]  # type: ignore[operator]


def test_as_json_a_gap_is_null(history: Catalogue) -> None:
    graph = Graph.of_series(history.series[KEY])
    found = curve(history, END - DAY, END, points=100)
    chart = charts.to_json(graph, [found], END - DAY, END, [(END - DAY, END - DAY + 3600)])
    again = json.loads(json.dumps(chart, allow_nan=False))
    assert again["title"] == "tank temperature" and again["nights"] == [[END - DAY, END - DAY + 3600]]
    (series,) = again["series"]
    assert series["unit"] == "°C" and series["key"] == KEY and series["label"] == "temperature"
    assert (
        len(series["time"])
        == len(series["average"])
        == len(series["minimum"])
        == len(series["maximum"])
        == 96
    )
    assert series["average"][80] is None and None not in series["average"][:70]
    assert series["summary"]["max"] == pytest.approx(25.5, abs=0.01)


def test_nothing_is_reduced_to_nothing() -> None:
    assert charts._reduce([], "AVERAGE", 10) == []
    nan = math.nan
    reduced = charts._reduce([(1, nan), (2, nan), (3, 5.0), (4, nan)], "MAX", 2)
    assert reduced[1] == (4, 5.0) and math.isnan(reduced[0][1])
