# SPDX-License-Identifier: GPL-3.0-or-later
"""An honest watchdog: fed only while every watched thread makes progress."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Watchdog:
    """Who made progress when.

    A thread that only feeds the watchdog proves nothing about the others; so each thread of a
    server calls ``beat`` as its own loop turns, and the main thread tells systemd ``WATCHDOG=1``
    only while ``late`` finds nobody.

    Args:
        limit_s: how long a thread may go without a beat, in seconds.
        clock: monotonic seconds, for tests.
    """

    def __init__(self, limit_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit_s = limit_s
        self._clock = clock
        # By thread id: the thread's name and its last beat. Only the thread itself writes its entry.
        self._beats: dict[int, tuple[str, float]] = {}

    def beat(self) -> None:
        """The calling thread made progress; its first beat makes it watched."""
        self._beats[threading.get_ident()] = (threading.current_thread().name, self._clock())

    def forget(self) -> None:
        """The calling thread ends, and need not beat any more."""
        self._beats.pop(threading.get_ident(), None)

    def late(self) -> list[tuple[str, float]]:
        """The threads over the limit: name and seconds since the last beat."""
        now = self._clock()
        beats = list(self._beats.values())
        return [(name, now - last) for name, last in beats if now - last > self.limit_s]
