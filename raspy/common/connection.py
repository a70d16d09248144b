# SPDX-License-Identifier: GPL-3.0-or-later
"""See that a connection broke, which ZeroMQ otherwise mends in silence.

A request sent before its broker died is lost though the socket reconnects by itself; whoever knows
that the connection broke can ask again at once, instead of after a time-out.

Source: zmq_socket_monitor(3).
"""

from __future__ import annotations

import struct

import zmq

# zmq_socket_monitor(3): the first frame of an event, in the machine's own order.
_EVENT = struct.Struct("=Hi")
_DENIED = int(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
_FAILED = int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)

DENIED = "it does not know our key"
FAILED = "it has another key than we were told, or none"


class ConnectionWatch:
    """Counts how often a socket lost its peer.

    Args:
        socket: the socket to watch, before it connects.
    """

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._watched = socket
        self.socket: zmq.Socket[bytes] = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED | _DENIED | _FAILED)
        """Readable when there is something to tell; poll it together with the watched socket."""
        self.denied = False
        """The peer has refused our key. ZeroMQ then never tries again with this socket."""
        self.refusal = ""
        """Why there was no connection the last time, where keys are used: ``DENIED``, ``FAILED`` or empty."""

    def lost(self) -> bool:
        """Whether the connection was lost, or refused, since the last call."""
        found = False
        while True:
            try:
                event, _ = _EVENT.unpack(self.socket.recv_multipart(zmq.NOBLOCK)[0])
            except zmq.Again:
                return found
            found = True
            if event == _DENIED:
                self.denied, self.refusal = True, DENIED
            elif event & _FAILED:
                self.refusal = FAILED

    def close(self) -> None:
        """Stop watching; call it before the watched socket is closed."""
        self._watched.disable_monitor()
        self.socket.close(linger=0)
