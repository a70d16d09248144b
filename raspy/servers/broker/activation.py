# SPDX-License-Identifier: GPL-3.0-or-later
"""Wake a sleeping server: systemd starts it when something connects to its control socket.

A connection that is made and closed again is enough; the request itself waits in the broker until
the server has registered.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import time
from collections.abc import Callable

from raspy.common.address import PARTS

# How long to wait before knocking again at a server that has not registered, in seconds.
KNOCK_EVERY_S = 5.0

# Sockets in the same folder at whose other end is no server: a connection to the first starts a scenario.
NO_SERVERS = frozenset({*PARTS, "scenario", "notify", "rrdcached"})

# A server's name is a file's name here, so nothing else may pass.
_NAME = re.compile(rb"[a-z][a-z0-9_-]{0,30}")


class Activation:
    """Knows the local servers' control sockets.

    Args:
        hostname: this machine's name on the bus; only its own servers can be woken.
        folder: where the control sockets are; empty for none.
        own: the broker's own name, which is never asleep.
        clock: monotonic seconds, for tests.
    """

    def __init__(
        self, hostname: str, folder: str, own: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._prefix = hostname.encode() + b"."
        self._folder = folder
        self._own = own
        self._clock = clock
        self._knocked_at: dict[str, float] = {}

    def _server(self, service: bytes) -> str | None:
        if not self._folder or not service.startswith(self._prefix):
            return None
        name = service.removeprefix(self._prefix).partition(b".")[0]
        if not _NAME.fullmatch(name):
            return None
        text = name.decode()
        return None if text == self._own or text in NO_SERVERS else text

    def _path(self, server: str) -> str:
        return f"{self._folder}/{server}.sock"

    def possible(self, service: bytes) -> bool:
        """Whether *service* belongs to a local server that has a control socket."""
        server = self._server(service)
        return server is not None and os.path.exists(self._path(server))

    def wake(self, service: bytes) -> bool:
        """Knock at the server of *service*, unless that was done just now.

        Returns:
            Whether somebody listens there, so that the service may be expected soon.
        """
        server = self._server(service)
        if server is None:
            return False
        now = self._clock()
        if now - self._knocked_at.get(server, -KNOCK_EVERY_S) < KNOCK_EVERY_S:
            return True
        if not self._knock(server):
            return False
        self._knocked_at[server] = now
        return True

    def _knock(self, server: str) -> bool:
        knocker = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            knocker.connect(self._path(server))
        except OSError as error:
            # A full backlog means that many have knocked before us.
            return error.errno == errno.EAGAIN
        finally:
            knocker.close()
        return True

    def sleeping(self) -> list[str]:
        """The local servers that have a control socket, awake or not."""
        try:
            files = os.listdir(self._folder) if self._folder else []
        except OSError:
            return []
        names = [file.removesuffix(".sock") for file in files if file.endswith(".sock")]
        return sorted(name for name in names if self._server(self._prefix + name.encode()) == name)
