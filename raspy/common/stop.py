# SPDX-License-Identifier: GPL-3.0-or-later
"""An event that ZeroMQ can poll and a signal handler can set."""

from __future__ import annotations

import os
import select


class StopEvent:
    """Set once, seen by every thread, whether it waits here or in a ZeroMQ poll.

    ``threading.Event`` cannot be polled together with sockets, and setting it inside a signal
    handler can deadlock with a wait in the same thread; an eventfd(2) has neither trouble. It is
    never read, so it stays readable for all once it is set.
    """

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._set = False

    def set(self) -> None:
        """Set it, from any thread or a signal handler; again is no error."""
        if not self._set:
            self._set = True
            os.eventfd_write(self._fd, 1)

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._set

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it is set.

        Args:
            timeout_s: how long at most, in seconds; None (the default) for ever.

        Returns:
            Whether it is set.
        """
        if not self._set:
            poll = select.poll()
            poll.register(self._fd, select.POLLIN)
            poll.poll(None if timeout_s is None else max(0, timeout_s * 1000))
        return self._set

    def fileno(self) -> int:
        """The descriptor that is readable once the event is set; valid until ``close``."""
        return self._fd

    def close(self) -> None:
        """Set it and give the descriptor back, when no thread uses it any more."""
        if self._fd >= 0:
            self._set = True
            os.close(self._fd)
            self._fd = -1
