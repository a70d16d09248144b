# SPDX-License-Identifier: GPL-3.0-or-later
"""Titanic: requests that survive anything (RFC 9), and the key/value store of all servers.

Rooms: ``server`` is the daemon, ``loop`` its one thread of work; ``desk`` answers requests, ``requests``
and ``keyvalue`` are its two tables in the ``database`` (``schema``, ``ids``, ``packing``, ``age``), written
in groups by ``commit``; ``delivery`` sends requests to their services over ``lanes``, after ``presence``
found them.
"""

from raspy.servers.titanic.server import Titanic, main

__all__ = ["Titanic", "main"]
