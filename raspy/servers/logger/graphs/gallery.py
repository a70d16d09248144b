# SPDX-License-Identifier: GPL-3.0-or-later
"""All graphs: which there are, kept in titanic's store, and what they show."""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

from raspy.common.MDP import ClientError, NotFoundError, ServerError
from raspy.common.store import Store
from raspy.servers.logger.graphs import charts, drawing
from raspy.servers.logger.graphs.graph import GRAPHS_MAX, Graph, Line
from raspy.servers.logger.graphs.nights import Nights
from raspy.servers.logger.rrd.archives import Connection
from raspy.servers.logger.rrd.rrdcached import RrdError
from raspy.servers.logger.samples.series import Catalogue, Series

SECTION = "graphs"
"""Of the logger's configuration in titanic's store."""

SETTLED_AFTER_S = 10
"""A sample is in its RRD so long after it came, at most."""

DRAWERS = 2
DRAWER_S = 10.0
"""How many graphs are drawn at a time, and how long another one waits, in seconds."""


class Gallery:
    """The graphs. Safe to use from several threads.

    Arguments:
        catalogue: all series.
        store: where the graphs that were added are kept.
        reader: gives a connection to rrdcached.
        nights: what to shade.
        timezone: of the time axis, "" for the system's own.
        log: where to tell what is wrong with a stored graph.

    Attributes:
        drawn: how many pictures were drawn.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        store: Store,
        reader: Callable[[], Connection],
        nights: Nights,
        timezone: str,
        log: logging.Logger,
    ) -> None:
        self.drawn = 0
        self._catalogue = catalogue
        self._store = store
        self._graphes: dict[str, Graph] | None = None
        self._store_lock = threading.Lock()
        self._reader = reader
        self._nights = nights
        self._timezone = timezone
        self._log = log
        self._drawers = threading.BoundedSemaphore(DRAWERS)

    # -- which there are ---------------------------------------------------------------------------

    @property
    def away(self) -> bool:
        """Whether the graphs are not loaded yet, or come from the local copy because titanic was away."""
        return self._graphes is None or self._store.away

    @property
    def graphes(self) -> dict[str, Graph]:
        """The graphs that were added, by key. Every series has one of its own besides."""
        if self._graphes is None:
            self.load()
        return self._graphes or {}

    def load(self) -> None:
        """Load what was added; what can't be used is told."""
        graphes = {}
        with self._store_lock:
            for key, given in self._store.load(SECTION).items():
                try:
                    graphes[key] = Graph.check(key, given)
                except ClientError as error:
                    self._log.warning("left out: %s", error)
            self._graphes = graphes

    def add(self, key: str, text: bytes) -> None:
        """Add a graph, or replace the one of this key.

        Raises:
            ClientError: it is none, or there are too many.
            ServerError: titanic could not store it.
        """
        graph = Graph.check(key, text)
        known = self.graphes
        if key not in known and len(known) >= GRAPHS_MAX:
            raise ClientError(f"graph {key}: there are {GRAPHS_MAX} already; remove one")
        with self._store_lock:
            self._store.save(SECTION, {key: graph.to_json()})
            self._graphes = {**known, key: graph}

    def remove(self, key: str) -> None:
        """Remove a graph that was added.

        Raises:
            NotFoundError: there is none of this key.
            ServerError: titanic could not store that.
        """
        known = self.graphes
        if key not in known:
            raise NotFoundError(f"there is no graph {key[:70]!r} that was added")
        with self._store_lock:
            self._store.save(SECTION, {key: None})
            self._graphes = {name: graph for name, graph in known.items() if name != key}

    def list_keys(self) -> list[str]:
        """All graphs: those that were added, then those of the series."""
        return [*sorted(self.graphes), *sorted(self._catalogue.series)]

    def describe(self) -> dict[str, Any]:
        """All graphs for JSON; `added` says whether it was added or is that of a series."""
        series = {key: Graph.of_series(one) for key, one in sorted(self._catalogue.series.items())}
        return {
            key: {**graph.to_json(), "added": key in self.graphes, "units": self._units(graph)}
            for key, graph in {**dict(sorted(self.graphes.items())), **series}.items()
        }

    def _units(self, graph: Graph) -> list[str]:
        return sorted({series.unit for _line, series in self._lines(graph)})

    def find(self, key: str) -> Graph:
        """The graph of a key.

        Raises:
            NotFoundError: there is none.
        """
        series = self._catalogue.series.get(key)
        if series is not None:
            return Graph.of_series(series)
        try:
            return self.graphes[key]
        except KeyError:
            raise NotFoundError(f"there is no graph {key[:200]!r}") from None

    def _lines(self, graph: Graph) -> list[tuple[Line, Series]]:
        """What of a graph has a history."""
        series = self._catalogue.series
        return [(line, series[line.key]) for line in graph.lines if line.key in series]

    # -- what they show ----------------------------------------------------------------------------

    def version(self, graph: Graph, end: int, request: str) -> tuple[str, bool]:
        """Name what a request would show, without fetching it.

        Arguments:
            graph: what is asked for.
            end: the end of the range, in seconds since 1970.
            request: all else that makes a difference.

        Returns:
            The ETag, and whether nothing will change in it any more.
        """
        lines = self._lines(graph)
        known = [min(series.last, end) for _line, series in lines]
        settled = all(last >= end for last in known) and time.time() > end + SETTLED_AFTER_S
        files = [series.file for _line, series in lines]
        parts = repr([graph.title, graph.lines, files, known, end, request, self._timezone])
        return f'"{zlib.crc32(parts.encode()):08x}"', settled

    def chart(self, graph: Graph, start: int, end: int, points: int = charts.POINTS) -> dict[str, Any]:
        """A graph as numbers, see `charts.to_json`.

        Raises:
            ServerError: it can't be read.
        """
        curves = self._collect(graph, start, end, points)
        return charts.to_json(graph, curves, start, end, self._nights.between(start, end))

    def picture(self, graph: Graph, start: int, end: int, wanted: drawing.Picture) -> bytes:
        """A graph as a picture, see `drawing.draw`.

        Raises:
            ServerError: it can't be drawn, or too many others are being drawn.
        """
        if not self._drawers.acquire(timeout=DRAWER_S):
            raise ServerError("too many graphs are being drawn; try again in a moment")
        try:
            curves = self._collect(graph, start, end, wanted.width)
            nights = self._nights.between(start, end)
            picture = drawing.draw(
                graph, curves, start, end, nights, wanted, self._catalogue.rrd, self._timezone
            )
        except RrdError as error:
            raise ServerError(f"the graph {graph.key} can't be drawn: {error}") from error
        finally:
            self._drawers.release()
        self.drawn += 1
        return picture

    def _collect(self, graph: Graph, start: int, end: int, points: int) -> list[charts.Curve]:
        try:
            connection = self._reader()
            try:
                return charts.collect(connection, self._lines(graph), start, end, points)
            finally:
                connection.close()
        except (RrdError, OSError) as error:
            raise ServerError(f"the history of {graph.key} can't be read: {error}") from error
