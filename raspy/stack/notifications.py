# SPDX-License-Identifier: GPL-3.0-or-later
"""Hear what the servers report: the receiving end of sd_notify(3).

Who reported is what the kernel says (SO_PASSCRED, unix(7)), not what the message says.
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
MAX_BYTES = 4096


class Notifications:
    """A datagram socket for the children's notifications.

    Args:
        path: where it is; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(str(path))
        os.chmod(path, 0o600)
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """The descriptor that is readable when something was reported."""
        return self._socket.fileno()

    def receive(self) -> tuple[int, dict[str, str]] | None:
        """One notification: the sender's process id and its assignments; None when there is none."""
        try:
            data, ancillary, _, _ = self._socket.recvmsg(MAX_BYTES, socket.CMSG_SPACE(_CREDENTIALS.size))
        except BlockingIOError:
            return None
        pid = 0
        for level, kind, value in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                pid = _CREDENTIALS.unpack(value)[0]
        lines = (line.partition("=") for line in data.decode(errors="replace").splitlines())
        return pid, {name: value for name, separator, value in lines if separator}

    def close(self) -> None:
        """Close it and remove its file."""
        self._socket.close()
        self.path.unlink(missing_ok=True)
