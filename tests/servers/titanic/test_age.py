# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from raspy.servers.titanic.age import AgeClock

NOW = 1_770_000_000.0


class Clocks:
    """A monotonic and a wall clock that move only when told."""

    def __init__(self, wall: float) -> None:
        self.monotonic_s = 500.0
        self.wall_s = wall

    def start(self, running_s: float = 0.0, wall_s: float = 0.0) -> AgeClock:
        return AgeClock(running_s, wall_s, lambda: self.monotonic_s, lambda: self.wall_s)


def test_it_starts_at_zero_and_follows_the_monotonic_clock():
    clocks = Clocks(NOW)
    clock = clocks.start()
    assert clock.now() == 0.0
    clocks.monotonic_s += 7
    clocks.wall_s += 1e9  # the first time signal
    assert clock.now() == 7.0
    assert clock.wall() == NOW + 1e9


def test_it_counts_a_stop_by_the_wall_clock():
    assert Clocks(NOW + 3600).start(100.0, NOW).now() == 3700.0


def test_a_wall_clock_that_runs_back_counts_for_nothing():
    assert Clocks(NOW - 3600).start(100.0, NOW).now() == 100.0


def test_a_wall_clock_that_was_never_set_counts_for_nothing():
    """A Pi without a clock of its own: saved in 1970, started in 2026. Nothing may expire from that."""
    assert Clocks(NOW).start(100.0, 60.0).now() == 100.0
    assert Clocks(60.0).start(100.0, NOW).now() == 100.0
