# SPDX-License-Identifier: GPL-3.0-or-later
"""What a graph may be."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.common.MDP import ClientError
from raspy.servers.logger import Graph
from raspy.servers.logger.graphs import graph as module
from raspy.servers.logger.samples.series import Series

INSIDE, OUTSIDE = "pi/fake/tank/temperature", "pi/onewire/garden/temperature"


def test_a_graph_of_two_series() -> None:
    given = {"title": "Water", "series": [{"key": INSIDE, "label": "inside", "color": "#C92A2A"}, OUTSIDE]}
    graph = Graph.check("water", json.dumps(given))
    assert graph.key == "water" and graph.title == "Water"
    first, second = graph.lines
    assert first == (INSIDE, "inside", "#c92a2a")
    assert second == (OUTSIDE, "garden temperature", module.COLORS[1])
    assert Graph.check("water", graph.to_json()).lines == graph.lines


def test_the_title_may_be_left_out() -> None:
    assert Graph.check("water", json.dumps({"series": [INSIDE]})).title == "water"


def test_every_series_has_a_graph() -> None:
    for key, title in ((INSIDE, "tank temperature"), ("pi/host/uptime/uptime", "uptime")):
        graph = Graph.of_series(Series(key, "x.rrd", "°C", "GAUGE", Path("/")))
        assert graph.key == key and graph.title == title and [line.key for line in graph.lines] == [key]


@pytest.mark.parametrize("key", ["", "a/b", "..", "a b", "x" * 65, "ä", "-x", "a.b"])
def test_an_impossible_name(key: str) -> None:
    with pytest.raises(ClientError, match="its name must be"):
        Graph.check(key, json.dumps({"series": [INSIDE]}))


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "{",
        "[]",
        "5",
        "null",
        "[" * 100_000,
        "x" * 20_000,
        {},
        {"series": []},
        {"series": "x"},
        {"series": [5]},
        {"series": [{}]},
        {"series": ["a/b"]},
        {"series": ["a/../b/c"]},
        {"series": [INSIDE] * 13},
        {"series": [INSIDE], "more": 1},
        {"series": [{"key": INSIDE, "color": "red"}]},
        {"series": [{"key": INSIDE, "color": 5}]},
        {"series": [{"key": INSIDE, "label": ""}]},
        {"series": [{"key": INSIDE, "label": "x" * 41}]},
        {"series": [{"key": INSIDE, "label": "a\nb"}]},
        {"series": [{"key": INSIDE, "extra": 1}]},
        {"series": [INSIDE], "title": "x" * 81},
        {"series": [INSIDE], "title": 5},
        {"series": [INSIDE], "title": ""},
    ],
)
def test_what_is_no_graph(wrong: Any) -> None:
    with pytest.raises(ClientError, match="graph g"):
        Graph.check("g", wrong if isinstance(wrong, str) else json.dumps(wrong))


@given(st.text(max_size=100))
def test_nothing_but_a_client_error_comes_of_it(text: str) -> None:
    with pytest.raises(ClientError):
        Graph.check("g", text)
