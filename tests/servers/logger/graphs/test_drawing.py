# SPDX-License-Identifier: GPL-3.0-or-later
"""Graphs as pictures: they are drawn by the real rrdtool; how they look was looked at."""

import logging
import math
import struct
import xml.etree.ElementTree as ElementTree
import zlib
from pathlib import Path

import pytest

from raspy.servers.logger.graphs import charts, drawing
from raspy.servers.logger.graphs.charts import Curve
from raspy.servers.logger.graphs.drawing import Picture, Scale, arguments, draw
from raspy.servers.logger.graphs.graph import Graph, Line
from raspy.servers.logger.rrd.backend import Backend
from raspy.servers.logger.rrd.rrdcached import RrdError
from raspy.servers.logger.samples.series import Catalogue, Series
from tests.servers.logger.graphs.conftest import DAY, END, GAP, VALUES

KEY, OTHER = list(VALUES)[:2]
SVG = Picture()


def curves(history: Catalogue, graph: Graph, start: int) -> list[Curve]:
    connection = Backend("direct", history.rrd, logging.getLogger("test")).connect()
    lines = [(line, history.series[line.key]) for line in graph.lines if line.key in history.series]
    return charts.collect(connection, lines, start, END)


def drawn(history: Catalogue, graph: Graph, span: int = DAY, picture: Picture = SVG, **more: object) -> bytes:
    nights = more.get("nights", [])
    return draw(
        graph, curves(history, graph, END - span), END - span, END, nights, picture, history.rrd, "UTC"
    )  # type: ignore[arg-type]


def pixels(png: bytes) -> tuple[int, int, list[bytes]]:
    """Width, height and rows of an RGB or RGBA PNG (RFC 2083), four bytes a pixel."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    place, data = 8, b""
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        kind, chunk = png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        if kind == b"IHDR":
            width, height, depth, color = struct.unpack(">IIBB", chunk[:10])
            assert depth == 8 and color in (2, 6)
        data += chunk if kind == b"IDAT" else b""
        place += 12 + length
    size = 4 if color == 6 else 3
    raw, rows, above = zlib.decompress(data), [], bytearray(width * size)
    for number in range(height):
        kind_of, *line = raw[number * (width * size + 1) : (number + 1) * (width * size + 1)]
        for index in range(len(line)):
            left = line[index - size] if index >= size else 0
            corner = above[index - size] if index >= size else 0
            guess = left + above[index] - corner
            nearest = min((left, above[index], corner), key=lambda value: abs(guess - value))
            line[index] = (
                line[index] + (0, left, above[index], (left + above[index]) // 2, nearest)[kind_of]
            ) & 255
        above = bytearray(line)
        rows.append(
            bytes(line)
            if size == 4
            else b"".join(bytes(line[i : i + 3]) + b"\xff" for i in range(0, len(line), 3))
        )
    return width, height, rows


def columns_of(rows: list[bytes], width: int, color: str) -> set[int]:
    """The columns in which a colour occurs."""
    wanted = bytes.fromhex(color.lstrip("#")) + b"\xff"
    return {x for row in rows for x in range(width) if row[4 * x : 4 * x + 4] == wanted}


@pytest.mark.parametrize("span", [3600, DAY, 7 * DAY, 31 * DAY, 366 * DAY, 3653 * DAY])
@pytest.mark.parametrize("size", [(800, 300), (360, 240), (200, 120)])
def test_a_png_has_the_size_that_was_asked_for(history: Catalogue, span: int, size: tuple[int, int]) -> None:
    png = drawn(history, Graph.of_series(history.series[KEY]), span, Picture("png", *size))
    assert struct.unpack(">II", png[16:24]) == size


def test_a_gap_is_a_gap(history: Catalogue) -> None:
    """In the columns of the unknown time the line does not go on."""
    png = drawn(history, Graph.of_series(history.series[KEY]), DAY, Picture("png", 800, 300))
    width, height, rows = pixels(png)
    plot = rows[: height - 60]
    columns = columns_of(plot, width, "#1f77b4")
    left, right = min(columns), max(columns)
    per_pixel = DAY / (right - left)
    gap = [int(left + (moment - (END - DAY)) / per_pixel) for moment in (GAP.start + 600, GAP.stop - 900)]
    assert right - left > 600
    assert not columns & set(range(*gap)) and len(range(*gap)) > 30


def test_nights_are_shaded_and_only_they(history: Catalogue) -> None:
    graph = Graph.of_series(history.series[OTHER])
    night = (END - DAY + 6 * 3600, END - DAY + 12 * 3600)
    without = pixels(drawn(history, graph, DAY, Picture("png", 800, 300)))
    shaded = pixels(drawn(history, graph, DAY, Picture("png", 800, 300), nights=[night]))
    differ = {
        x
        for one, other in zip(without[2][:200], shaded[2][:200], strict=True)
        if one != other
        for x in range(800)
        if one[4 * x : 4 * x + 4] != other[4 * x : 4 * x + 4]
    }
    assert 150 < len(differ) < 210 and max(differ) - min(differ) < 215
    # Above zero and below: the whole height of the plot.
    column = sorted(differ)[len(differ) // 2]
    changed = [y for y in range(300) if without[2][y][4 * column :][:4] != shaded[2][y][4 * column :][:4]]
    assert max(changed) - min(changed) > 180


def test_an_svg_scales_to_its_place(history: Catalogue) -> None:
    svg = drawn(history, Graph.of_series(history.series[KEY]), DAY, Picture("svg", 800, 300))
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("viewBox") == "0 0 800 300" and root.get("width") == "800"
    assert b"<script" not in svg


@pytest.mark.parametrize("theme", drawing.THEMES)
def test_the_theme(history: Catalogue, theme: str) -> None:
    png = drawn(history, Graph.of_series(history.series[KEY]), DAY, Picture("png", 400, 200, theme))
    _width, _height, rows = pixels(png)
    assert rows[0][:3] == bytes.fromhex(drawing.THEMES[theme].back[1:])


def test_several_series_of_several_units(history: Catalogue) -> None:
    graph = Graph.check("all", {"title": "All of it", "series": list(VALUES)})
    told = arguments(graph, curves(history, graph, END - DAY), END - DAY, END, [], Picture())
    assert told[told.index("--vertical-label") + 1] == " / W / °C"
    assert sum(part.startswith("LINE1.6:") for part in told) == 4
    assert drawn(history, graph).startswith(b"<?xml")
    assert drawn(history, graph, 31 * DAY).startswith(b"<?xml")


def test_a_graph_without_any_history(history: Catalogue) -> None:
    graph = Graph.check("none", {"title": "Nothing", "series": ["pi/no/such/series"]})
    assert drawn(history, graph, nights=[(END - DAY, END)]).startswith(b"<?xml")


def test_a_range_in_which_nothing_is_known(history: Catalogue) -> None:
    graph = Graph.of_series(history.series[KEY])
    start, end = END - 300 * DAY, END - 299 * DAY
    connection = Backend("direct", history.rrd, logging.getLogger("test")).connect()
    found = charts.collect(connection, [(graph.lines[0], history.series[KEY])], start, end)
    assert draw(graph, found, start, end, [], Picture("png"), history.rrd).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "text",
    [
        "a:b",
        "a\\lb",
        "100 %",
        "%s %n",
        "<b>&amp;</b>",
        "'\"",
        "-x",
        "#ff0000",
        "水温",
        "COMMENT:x",
        "\\",
        ":",
    ],
)
def test_no_text_is_an_instruction(history: Catalogue, text: str) -> None:
    line = Line(KEY, text, "#1f77b4")
    assert drawn(history, Graph("g", (line,), text)).startswith(b"<?xml")


def test_long_labels_are_cut(history: Catalogue) -> None:
    line = Line(KEY, "a very long label that says it all", "#1f77b4")
    graph = Graph("g", (line,), "g")
    told = arguments(graph, curves(history, graph, END - DAY), END - DAY, END, [], Picture("svg", 360, 240))
    assert any(part.startswith("LINE1.6:") and part.endswith("…") for part in told)


def test_states_are_shown_as_on_and_off(history: Catalogue) -> None:
    graph = Graph.of_series(history.series["pi/fake/heater/state"])
    told = arguments(graph, curves(history, graph, END - DAY), END - DAY, END, [], Picture())
    assert told[told.index("--y-grid") + 1] == "1:1"
    assert any("off" in part and "on" in part and "50 %" in part for part in told)


def test_rrdtool_refuses(history: Catalogue, tmp_path: Path) -> None:
    graph = Graph.of_series(history.series[KEY])
    with pytest.raises(RrdError, match="No such file"):
        draw(graph, curves(history, graph, END - DAY), END - DAY, END, [], Picture(), tmp_path)


def made(values: list[float], value: object = None) -> Curve:
    series = Series("a/b/c/d", "d.rrd", "", "GAUGE", Path("/"))
    series.value = value  # type: ignore[assignment]
    return Curve(Line("a/b/c/d", "d", "#000000"), series, list(range(len(values))), values, values, values)


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        ([20.0, 30.0], 19.4, 30.6),
        ([0.0, 10.0], 0.0, 10.6),
        ([-10.0, 0.0], -10.6, 0.0),
        ([0.1, 10.0], 0.0, 10.594),
        ([7.0, 7.0], 6.888, 7.112),
        ([0.0, 0.0], 0.0, 0.112),
        ([math.nan], -0.06, 1.06),
        ([-5.0, 5.0, math.nan], -5.6, 5.6),
    ],
)
def test_the_scale_fits_and_does_not_pretend(values: list[float], low: float, high: float) -> None:
    scale = Scale([made(values)])
    assert scale.high == pytest.approx(high, abs=0.02)
    assert scale.low == pytest.approx(low, abs=0.07)
    assert scale.low < scale.high


@pytest.mark.parametrize("span", [1e-6, 0.03, 0.9, 1.0, 7.0, 55.0, 12345.0, 4e9, 1e300])
def test_ticks_are_round_and_few(span: float) -> None:
    scale = Scale([made([0.0, span])])
    for rows in (2, 3, 7, 20):
        tick = scale.tick(rows)
        assert 0.3 * rows <= (scale.high - scale.low) / tick <= rows * 1.01
        assert f"{tick:.0e}"[0] in "125"
        assert 0 <= scale.axis_digits(rows) < 20


def test_numbers_of_the_legend() -> None:
    assert Scale([made([20.0, 30.0])]).show(24.567) == "24.6"
    assert Scale([made([20.0, 20.4])]).show(20.12345) == "20.123"
    assert Scale([made([7.0, 7.0])]).show(7.0) == "7.00"
    big = Scale([made([0.0, 4.2e9])])
    assert big.show(4.2e9) == "4.2 G" and big.show(5) == "5" and big.show(None) == "-"
    states = Scale([made([0.0, 1.0], True)])
    assert [states.show(value) for value in (0.0, 0.25, 1.0)] == ["off", "25 %", "on"]


@pytest.mark.parametrize("width", [200, 360, 800, 2000])
@pytest.mark.parametrize("span", [60, 3600, DAY, 7 * DAY, 31 * DAY, 366 * DAY, 3653 * DAY])
def test_labels_of_the_time_axis_stand_apart(width: int, span: int) -> None:
    grid = drawing._time_axis(width, span)
    step_s, label_px = next((step, px) for step, px, one in drawing.TICKS if one == grid)
    assert step_s / (span / (width - 90)) >= label_px or grid == drawing.TICKS[-1][2]
