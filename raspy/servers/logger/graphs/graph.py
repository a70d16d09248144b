# SPDX-License-Identifier: GPL-3.0-or-later
"""Graphs: what one shows. Every series has a graph of its own; further ones show several series together."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from raspy.common.MDP import ClientError
from raspy.servers.logger.samples.series import Series, check_key

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
COLOR = re.compile(r"#[0-9a-fA-F]{6}")

TITLE_MAX = 80
LABEL_MAX = 40
LINES_MAX = 12
"""More lines than this in one graph nobody can tell apart."""

GRAPHS_MAX = 200
JSON_MAX = 16_384

COLORS = (
    "#1f77b4",
    "#e8590c",
    "#2f9e44",
    "#9c36b5",
    "#c92a2a",
    "#0c8599",
    "#846358",
    "#d6336c",
    "#74a800",
    "#5c6bc0",
    "#b08900",
    "#495057",
)
"""Told apart on white and on black, in this order."""


class Line(NamedTuple):
    """One line of a graph.

    Args:
        key: its series, ``HOST/NAME/DEVICE/COMMAND``.
        label: what the legend calls it.
        color: ``#rrggbb``.
    """

    key: str
    label: str
    color: str


class Graph:
    """A graph.

    Arguments:
        key: its name: 1 to 64 letters, digits, '-' or '_'; or that of a series, for the graph of that alone.
        lines: what it shows, at most 12.
        title: what stands above it.
    """

    __slots__ = ("key", "lines", "title")

    def __init__(self, key: str = "", lines: tuple[Line, ...] = (), title: str = "") -> None:
        self.key = key
        self.lines = lines
        self.title = title

    @classmethod
    def of_series(cls, series: Series) -> Graph:
        """The graph that every series has."""
        _host, _server, device, command = series.key.split("/", 3)
        title = device if command == device else f"{device} {command}"
        return cls(series.key, (Line(series.key, command, COLORS[0]),), title)

    @classmethod
    def check(cls, key: str, text: str | bytes | Mapping[str, Any]) -> Graph:
        """Make a graph of what somebody sent.

        Arguments:
            key: its name.
            text: JSON: ``{"title": "Water", "series": [{"key": "pi/fake/tank/temperature",
                "label": "inside", "color": "#c92a2a"}, ...]}``; all but the keys may be left out, and
                an entry may be the key alone.

        Raises:
            ClientError: it is none; the sentence says what is allowed.
        """
        if not KEY.fullmatch(key):
            raise ClientError(f"graph {key[:70]!r}: its name must be 1 to 64 letters, digits, '-' or '_'")
        given = _load(key, text) if isinstance(text, (str, bytes)) else text
        if not isinstance(given, Mapping) or set(given) - {"title", "series"}:
            raise ClientError(f'graph {key}: must be an object {{"title": TEXT, "series": [...]}}')
        title = _text(given.get("title", key), f"graph {key}: title", TITLE_MAX)
        entries = given.get("series")
        if not isinstance(entries, list) or not 1 <= len(entries) <= LINES_MAX:
            raise ClientError(f"graph {key}: series must be a list of 1 to {LINES_MAX} series")
        return cls(key, tuple(_line(key, place, entry) for place, entry in enumerate(entries)), title)

    def to_json(self) -> dict[str, Any]:
        """The graph for JSON, as `check` takes it."""
        return {"title": self.title, "series": [line._asdict() for line in self.lines]}


def _load(key: str, text: str | bytes) -> Any:
    if len(text) > JSON_MAX:
        raise ClientError(f"graph {key}: at most {JSON_MAX} bytes of JSON are read")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ClientError(f"graph {key}: not JSON ({error})") from None


def _line(graph: str, place: int, entry: Any) -> Line:
    where = f"graph {graph}: series {place + 1}"
    if isinstance(entry, str):
        entry = {"key": entry}
    if not isinstance(entry, Mapping) or set(entry) - {"key", "label", "color"}:
        raise ClientError(f'{where}: must be a key, or an object {{"key", "label", "color"}}')
    key = _text(entry.get("key"), f"{where}: key", 400)
    wrong = check_key(key)
    if wrong is not None:
        raise ClientError(f"{where}: {key[:100]!r} is no series: {wrong}")
    own_label = key.split("/", 2)[2].replace("/", " ")[:LABEL_MAX]
    label = _text(entry.get("label", own_label), f"{where}: label", LABEL_MAX)
    color = entry.get("color", COLORS[place])
    if not isinstance(color, str) or not COLOR.fullmatch(color):
        raise ClientError(f"{where}: color must be like #1f77b4")
    return Line(key, label, color.lower())


def _text(value: Any, what: str, longest: int) -> str:
    if not isinstance(value, str) or not value.isprintable() or not 1 <= len(value) <= longest:
        raise ClientError(f"{what}: must be a line of 1 to {longest} characters")
    return value
