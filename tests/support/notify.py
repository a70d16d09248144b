# SPDX-License-Identifier: GPL-3.0-or-later
"""The service manager's side of sd_notify(3): a datagram socket that remembers what a daemon reports."""

from __future__ import annotations

import select
import socket
import time
from pathlib import Path

MESSAGE_BYTES = 8192


class NotifyReceiver:
    """Receive the notifications of the daemons that get `env` into their environment.

    ``lines`` holds every assignment received so far, in order: ``["READY=1", "STATUS=..."]``.
    """

    def __init__(self, path: Path):
        """Bind the socket at `path` (less than 108 bytes)."""
        self.path = path
        self.lines: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.bind(str(path))

    @property
    def env(self) -> dict[str, str]:
        """The environment of a daemon that reports here."""
        return {"NOTIFY_SOCKET": str(self.path)}

    @property
    def status(self) -> str:
        """The text of the last STATUS= received, "" before the first."""
        self.receive(0)
        texts = [line.removeprefix("STATUS=") for line in self.lines if line.startswith("STATUS=")]
        return texts[-1] if texts else ""

    def receive(self, timeout_s: float) -> bool:
        """Take what has come, waiting up to `timeout_s` seconds for the first; True when something came."""
        came = False
        while select.select([self._socket], [], [], 0 if came else timeout_s)[0]:
            self.lines += self._socket.recv(MESSAGE_BYTES).decode().splitlines()
            came = True
        return came

    def wait(self, text: str, timeout_s: float = 10) -> str:
        """Wait for a line that begins with `text` (``READY=1``, ``STATUS=``, ...) and return it.

        Lines received before the call count too; `clear()` forgets them.

        :raises AssertionError: when none has come within `timeout_s` seconds.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            for line in self.lines:
                if line.startswith(text):
                    return line
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not self.receive(left_s):
                raise AssertionError(f"no {text!r} within {timeout_s:g} s; received: {self.lines}")

    def clear(self) -> None:
        """Forget what has come so far."""
        self.receive(0)
        self.lines.clear()

    def close(self) -> None:
        """Close the socket and remove its file."""
        self._socket.close()
        self.path.unlink(missing_ok=True)
