# SPDX-License-Identifier: GPL-3.0-or-later
"""Clocks beside the system's own, such as an RTC. Families only: a driver adds `read` and `write`."""

from __future__ import annotations

from raspy.common.devices.command import Command
from raspy.common.devices.device import BaseDevice


class ClockDevice(BaseDevice):
    """A clock. A driver's `read` returns its ``time``, and with it how far it is off if it knows."""

    oid = "clock"
    info = "a clock"
    main = "time"
    poll = 60.0
    commands = {
        "time": Command(
            type="Float", info="its time, as seconds since 1970 (UTC)", unit="s", readonly=True, minimum=0
        ),
        "offset": Command(
            type="Float", info="how far it is ahead of the system's clock", unit="s", readonly=True,
            datasource="GAUGE",
        ),
        "set": Command(type="Button", info="set it to the system's time", writeonly=True),
    }  # fmt: skip


class ClockRTC(ClockDevice):
    """A real-time clock with a battery."""

    oid = "clock.rtc"
    info = "a real-time clock"
