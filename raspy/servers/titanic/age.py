# SPDX-License-Identifier: GPL-3.0-or-later
"""How old a request is, on a machine whose wall clock can't be trusted."""

import time
from collections.abc import Callable

# 2025-01-01: a wall clock before this was never set, and says nothing about how long a stop took.
_PLAUSIBLE_S = 1735689600.0


class AgeClock:
    """Titanic's own clock, in seconds since its database was made; it never jumps or runs back.

    While titanic runs it follows the monotonic clock. Over a stop it advances by what the wall clock
    says the stop took, if both ends of it are plausible, and else not at all: so a wrong wall clock
    can let a request live longer, never shorter.

    Arguments:
        running_s: the clock when it was last saved; 0.0 for a new database.
        wall_s: the wall clock at that moment, in seconds since 1970.
        monotonic: seconds that don't jump, for tests.
        wall: seconds since 1970, for tests.
    """

    def __init__(
        self,
        running_s: float = 0.0,
        wall_s: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        stopped_s = max(0.0, wall() - wall_s) if wall_s > _PLAUSIBLE_S else 0.0
        self._offset_s = running_s + stopped_s - monotonic()

    def now(self) -> float:
        """Titanic's clock, in seconds."""
        return self._offset_s + self._monotonic()

    def wall(self) -> float:
        """The wall clock, in seconds since 1970, to be saved beside it."""
        return self._wall()
