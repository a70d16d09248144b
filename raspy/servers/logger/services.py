# SPDX-License-Identifier: GPL-3.0-or-later
"""What the logger answers on the bus: the services ``graph`` and ``log``."""

from __future__ import annotations

from typing import Any

from raspy.common.MDP import ClientError, ServerError
from raspy.common.server import Actions
from raspy.servers.logger.graphs.gallery import Gallery
from raspy.servers.logger.text.logs import TextLogs
from raspy.servers.logger.web import pages


class GraphService:
    """``HOST.logger.graph``."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery

    def actions(self) -> Actions:
        """Handler by action."""
        return {
            "list_keys": self.list_keys,
            "list": self.list_all,
            "add": self.add,
            "remove": self.remove,
            "fetch": self.fetch,
        }

    def list_keys(self) -> tuple[str, ...]:
        """Action ``list_keys``: all graphs, a frame each: those that were added, then those of the series."""
        return tuple(self._gallery.list_keys())

    def list_all(self) -> dict[str, Any]:
        """Action ``list``: all graphs by key: ``title``, ``series``, ``units``, whether it was ``added``."""
        return self._gallery.describe()

    def add(self, key: bytes, text: bytes) -> None:
        """Action ``add KEY JSON``: add a graph of several series, see `Graph.check`; or replace it.

        Raises:
            ClientError: it is none, or there are too many.
            ServerError: titanic could not store it.
        """
        self._gallery.add(read_text(key), text)

    def remove(self, key: bytes) -> None:
        """Action ``remove KEY``: forget a graph; the histories stay.

        Raises:
            NotFoundError: it was not added; the graph of a series can't be removed.
            ServerError: titanic could not store that.
        """
        self._gallery.remove(read_text(key))

    def fetch(self, key: bytes, start: bytes = b"", end: bytes = b"") -> dict[str, Any]:
        """Action ``fetch KEY [START [END]]``: what a graph shows as numbers, as `/graph/KEY.json` has it.

        START and END are whole seconds since 1970, or negative: so many seconds before now; a day up to now
        if left out.

        Raises:
            NotFoundError: there is no such graph.
            ClientError: START or END is no number, or the range is too long or too short.
            ServerError: the history can't be read.
        """
        graph = self._gallery.find(read_text(key))
        given = {name: read_text(value) for name, value in (("start", start), ("end", end)) if value}
        asked = pages.read_range(given, pages.DEFAULT_PERIOD)
        return self._gallery.chart(graph, asked.start, asked.end)


class LogService:
    """``HOST.logger.log``."""

    def __init__(self, logs: TextLogs) -> None:
        self._logs = logs

    def actions(self) -> Actions:
        """Handler by action."""
        return {
            "list_keys": self.list_keys,
            "log": self.log,
            "readlines": self.readlines,
            "rotate": self.rotate,
        }

    def list_keys(self) -> tuple[str, ...]:
        """Action ``list_keys``: the logs there are, a frame each."""
        return tuple(self._logs.list_keys())

    def log(self, key: bytes, level: bytes, message: bytes) -> None:
        """Action ``log KEY LEVEL MESSAGE``: write a line; the log begins with its first.

        Raises:
            ClientError: an impossible key, an unknown level, or too many logs.
        """
        self._logs.write(read_text(key), read_text(level), read_text(message))

    def readlines(self, key: bytes, start: bytes = b"", end: bytes = b"", limit: bytes = b"") -> str:
        """Action ``readlines KEY [START [END [LIMIT]]]``: the newest lines of a time range, a JSON list.

        START and END as with ``fetch``, all up to now if left out; LIMIT is 20 if left out.

        Raises:
            NotFoundError: there is no such log.
            ClientError: START, END or LIMIT is no number, or too large.
        """
        named = (("start", start), ("end", end), ("limit", limit))
        given = {name: read_text(value) for name, value in named if value}
        return pages.read_log(self._logs, read_text(key), given)

    def rotate(self) -> None:
        """Action ``rotate``: begin another file for every log.

        Raises:
            ServerError: the disk refuses.
        """
        try:
            self._logs.rotate()
        except OSError as error:
            raise ServerError(f"can't write to {self._logs.folder}: {error.strerror}") from error


def read_text(frame: bytes) -> str:
    """A frame of a request as text.

    Raises:
        ClientError: it is not UTF-8.
    """
    try:
        return frame.decode()
    except UnicodeDecodeError:
        raise ClientError(f"{frame[:40]!r} is not UTF-8 text") from None
