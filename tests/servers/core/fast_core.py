# SPDX-License-Identifier: GPL-3.0-or-later
"""Core whose clock begins at a moment of the test's choice and runs fast: RASPY_TEST_CLOCK="MOMENT SPEED"."""

from __future__ import annotations

import os
import sys

from raspy.common import daemon
from raspy.servers.core.clock.wall import WallClock
from raspy.servers.core.server import Core
from tests.servers.core.clocks import FastClock


class FastCore(Core):
    """Core with another clock."""

    def make_clock(self) -> WallClock:
        moment, speed = os.environ["RASPY_TEST_CLOCK"].split()
        return FastClock(moment, float(speed))


if __name__ == "__main__":
    sys.exit(daemon.run(FastCore))
