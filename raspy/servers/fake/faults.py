# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of real sensors, on command: ``exec tank fault crc``, and ``exec tank fault none`` ends it.

=========  ====================================================================================
85         it reads 85 °C, as a DS18B20 does after power-on: recognised, so a fault
crc        the answer is damaged on the wire, and its checksum says so
missing    there is no answer
range      it reads -127, as some libraries have it for "no answer"
stuck      it goes on reading what it read last, and looks well
slow       it takes longer to answer than it may
drift      it wanders off, by ``drift`` each second, and looks well
=========  ====================================================================================

The last one that a server itself can't see is `drift`, and `stuck` where ``stuck_s`` is not configured;
against these stand ``max_run_s`` and the limits of an interlock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from raspy.common.devices.fault import DeviceFault

NONE = "none"
FAULTS = (NONE, "85", "crc", "missing", "range", "stuck", "slow", "drift")

RANGE_VALUE = -127.0

_WORDS = {
    "85": "85 °C, which it reads after power-on: it lost its supply for a moment",
    "crc": "CRC error: the answer was damaged on the wire",
    "missing": "missing: no answer on the bus",
}


class Fault:
    """The fault of one sensor.

    Args:
        drift: how far it wanders each second.
        slow_s: how long it takes to answer when it is slow.
    """

    def __init__(self, drift: float, slow_s: float) -> None:
        self.kind = NONE
        self._drift = drift
        self._slow_s = slow_s
        self._since_s = 0.0
        self._last: float | None = None
        self._over = threading.Event()

    def begin(self, kind: str, now_s: float) -> None:
        """Have this fault from now on; `NONE`: be well. Who waits for a slow answer gets it."""
        self.kind = kind
        self._since_s = now_s
        over, self._over = self._over, threading.Event()
        over.set()

    def read(self, measure: Callable[[], float], now_s: float) -> float:
        """What the sensor reads with this fault.

        Args:
            measure: what it would read without.
            now_s: the clock.

        Raises:
            DeviceFault: nothing that can be used.
        """
        if self.kind in _WORDS:
            raise DeviceFault(_WORDS[self.kind])
        if self.kind == "range":
            return RANGE_VALUE
        if self.kind == "slow":
            self._over.wait(self._slow_s)
        if self.kind == "stuck" and self._last is not None:
            return self._last
        self._last = measure()
        return self._last + (self._drift * (now_s - self._since_s) if self.kind == "drift" else 0.0)
