# SPDX-License-Identifier: GPL-3.0-or-later
"""The logger: histories of numbers in RRDs, text logs of events, and graphs of both over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raspy.servers.logger.graphs.graph import Graph
    from raspy.servers.logger.server import Logger
    from raspy.servers.logger.text.compressed import CompressedFile
    from raspy.servers.logger.web.http import ThreadedTCPRequestHandler, ThreadedTCPServer

__all__ = ["CompressedFile", "Graph", "Logger", "ThreadedTCPRequestHandler", "ThreadedTCPServer"]

ROOMS = {
    "CompressedFile": "text.compressed",
    "Graph": "graphs.graph",
    "Logger": "server",
    "ThreadedTCPRequestHandler": "web.http",
    "ThreadedTCPServer": "web.http",
}


def __getattr__(name: str) -> Any:
    # A program of this package (nights.py) starts without loading the whole server.
    if name in ROOMS:
        from importlib import import_module

        return getattr(import_module(f"raspy.servers.logger.{ROOMS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
