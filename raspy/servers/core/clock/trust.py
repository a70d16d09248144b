# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the wall clock can be believed, and why.

A Raspberry Pi has no clock that runs without power: after a start its time is that of the last
shutdown, until the network is up and NTP has set it. The clock is trusted when one of these holds:

* ``ntp``: systemd-timesyncd has synchronised since the start (it touches a file), or timedated says so
  (any NTP client: the kernel's own flag, adjtimex(2));
* ``rtc``: there is a battery-backed clock, it runs, and the system's clock agrees with it;
* ``configured``: the administrator says so (``trust_clock = yes``: a container, whose host keeps the time).

Once trusted it stays so until the daemon ends: a network that goes away does not make a clock wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

# Made by systemd-timesyncd at its first synchronisation after a boot (systemd-timesyncd.service(8)).
NTP_FILE = Path("run/systemd/timesync/synchronized")
RTC_FOLDER = Path("sys/class/rtc")
# A cheap RTC drifts some seconds a day; one that lost its battery is years off.
AGREE_S = 120.0
# 1 January 2024: no RTC that was ever set shows an earlier time to this program.
SANE_EPOCH_S = 1_704_067_200


class Rtc(NamedTuple):
    """A battery-backed clock.

    Args:
        name: as in /dev, ``rtc0``.
        time: seconds since the epoch that it shows, to the second.
    """

    name: str
    time: float


class Trust:
    """Finds out whether the clock can be believed.

    Args:
        clock: the time now, seconds since the epoch.
        configured: the administrator says that it can.
        root: where /run and /sys are; tests have a tree of their own.
    """

    def __init__(self, clock: Callable[[], float], configured: bool = False, root: Path = Path("/")) -> None:
        self.source = "configured" if configured else ""
        self._clock = clock
        self._root = root

    @property
    def trusted(self) -> bool:
        """Whether the clock was found to be right, by ``source``."""
        return bool(self.source)

    def look(self, ntp_synchronized: Callable[[], bool] | None = None) -> bool:
        """Look around, cheapest first; True as soon as the clock is trusted.

        Args:
            ntp_synchronized: asks timedated, which costs a message on D-Bus; None not to ask.
        """
        if not self.source:
            if (self._root / NTP_FILE).exists():
                self.source = "ntp"
            elif self.rtc_agrees():
                self.source = "rtc"
            elif ntp_synchronized is not None and ntp_synchronized():
                self.source = "ntp"
        return self.trusted

    def rtc(self) -> Rtc | None:
        """The first battery-backed clock that can be read; None if there is none."""
        try:
            folders = sorted((self._root / RTC_FOLDER).iterdir())
        except OSError:
            return None
        for folder in folders:
            try:
                return Rtc(folder.name, float((folder / "since_epoch").read_text()))
            except (OSError, ValueError):
                continue  # a clock that answers with an error has lost its time (its oscillator stopped)
        return None

    def rtc_agrees(self) -> bool:
        """Whether a battery-backed clock shows a sane time, and the system's clock the same."""
        rtc = self.rtc()
        return rtc is not None and rtc.time >= SANE_EPOCH_S and abs(rtc.time - self._clock()) <= AGREE_S
