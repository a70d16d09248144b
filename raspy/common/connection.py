# SPDX-License-Identifier: GPL-3.0-or-later
"""See that a connection broke, which ZeroMQ otherwise mends in silence.

A request sent before its broker died is lost though the socket reconnects by itself; whoever knows
that the connection broke can ask again at once, instead of after a time-out.

Source: zmq_socket_monitor(3).
"""

from __future__ import annotations

import zmq


class ConnectionWatch:
    """Counts how often a socket lost its peer.

    Args:
        socket: the socket to watch, before it connects.
    """

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._watched = socket
        self.socket: zmq.Socket[bytes] = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        """Readable when there is something to tell; poll it together with the watched socket."""

    def lost(self) -> bool:
        """Whether the connection was lost since the last call."""
        found = False
        while True:
            try:
                self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return found
            found = True

    def close(self) -> None:
        """Stop watching; call it before the watched socket is closed."""
        self._watched.disable_monitor()
        self.socket.close(linger=0)
