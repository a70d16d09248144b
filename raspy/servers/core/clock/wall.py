# SPDX-License-Identifier: GPL-3.0-or-later
"""The two clocks of a machine read as one: the wall clock for dates, the monotonic one for durations."""

from __future__ import annotations

import time
from datetime import datetime, timezone

# A difference that adjtime(3) and NTP slew away unnoticed; more is a jump, in seconds.
JUMP_S = 1.0
# The two clocks are read one after the other; if something came between, they are read again.
MOMENT_S = 0.1
READS = 5


class WallClock:
    """What time it is, and whether somebody set the clock since it was last looked at.

    Tests pass a subclass that runs faster; everything in core reads time from here.
    """

    def __init__(self) -> None:
        self._ahead_s = self._ahead()

    def time(self) -> float:
        """Seconds since the epoch, as time.time()."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since any moment, never set back, as time.monotonic()."""
        return time.monotonic()

    def now(self) -> datetime:
        """The time as an aware datetime, in UTC."""
        return datetime.fromtimestamp(self.time(), timezone.utc)

    def real_s(self, seconds: float) -> float:
        """How long a process has to wait until so many seconds of this clock have passed."""
        return seconds

    def _ahead(self) -> float:
        """By how much the wall clock is ahead of the monotonic one, both read in the same moment."""
        for _ in range(READS):
            before = self.monotonic()
            wall = self.time()
            if self.monotonic() - before < MOMENT_S:
                break
        return wall - before

    def jump(self) -> float:
        """By how many seconds the wall clock was set since the last call; 0.0 if it was not.

        A machine that slept jumps forward too: its monotonic clock stood still (clock_gettime(2)).
        """
        ahead_s = self._ahead()
        jumped_s = ahead_s - self._ahead_s
        self._ahead_s = ahead_s  # what was slewed since is forgotten: it must not add up to a jump
        return jumped_s if abs(jumped_s) >= JUMP_S else 0.0
