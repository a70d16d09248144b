# SPDX-License-Identifier: GPL-3.0-or-later
"""A clock that a test sets, and one that runs faster than the world."""

from __future__ import annotations

import time
from datetime import datetime

from raspy.servers.core.clock.wall import WallClock


class SetClock(WallClock):
    """Stands still until a test moves it."""

    def __init__(self, text: str = "2026-03-01T12:00+00:00") -> None:
        self.wall = datetime.fromisoformat(text).timestamp()
        self.ticks = 1000.0
        super().__init__()

    def time(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.ticks

    def advance(self, seconds: float) -> None:
        """Time goes by."""
        self.wall += seconds
        self.ticks += seconds

    def set(self, text: str) -> float:
        """Somebody sets the clock; returns by how many seconds."""
        old, self.wall = self.wall, datetime.fromisoformat(text).timestamp()
        return self.wall - old


class FastClock(WallClock):
    """Begins at a moment, and runs so many times as fast."""

    def __init__(self, text: str, speed: float) -> None:
        self._start = time.monotonic()
        self._wall = datetime.fromisoformat(text).timestamp()
        self._speed = speed
        super().__init__()

    def time(self) -> float:
        return self._wall + self.monotonic()

    def monotonic(self) -> float:
        return (time.monotonic() - self._start) * self._speed

    def real_s(self, seconds: float) -> float:
        return seconds / self._speed

    def jump(self) -> float:
        return 0.0  # between two looks at it much time goes by
