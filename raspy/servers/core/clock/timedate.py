# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd-timedated on D-Bus: read the clock's state, start the units that set it.

Source: org.freedesktop.timedate1(5). The clock is set by two instances of one small root template unit,
``raspy-clock@.service``, which a polkit rule lets the raspy user start; nothing here needs a privilege.

It is imported only when somebody asks about the clock (jeepney comes with it).
"""

from __future__ import annotations

from typing import Any

from jeepney import DBusAddress, Properties

from raspy.common.system_bus import SystemBus

# Setting a clock takes a hwclock(8) call, which waits for the RTC's next full second.
JOB_S = 15.0

UNIT = "raspy-clock@{}.service"
# hwclock(8)'s names: --systohc writes the system's time to the RTC, --hctosys the other way.
NTP_TO_RTC = "systohc"
RTC_TO_SYSTEM = "hctosys"

TIMEDATE = DBusAddress(
    "/org/freedesktop/timedate1", bus_name="org.freedesktop.timedate1", interface="org.freedesktop.timedate1"
)


class TimeDate(SystemBus):
    """One connection to the system bus, used as a context manager.

    Raises:
        ServerError: there is no system bus, or it does not let us in.
    """

    def state(self) -> dict[str, Any]:
        """timedated's properties: Timezone, LocalRTC, CanNTP, NTP, NTPSynchronized and, on a real
        machine, TimeUSec and RTCTimeUSec.

        Raises:
            ServerError: timedated does not answer.
        """
        reply = self.call(Properties(TIMEDATE).get_all(), "systemd-timedated")
        return {name: value for name, (_, value) in reply[0].items()}

    def start(self, instance: str) -> None:
        """Start one instance of the clock unit and wait until it is done.

        Args:
            instance: ``NTP_TO_RTC`` or ``RTC_TO_SYSTEM``.

        Raises:
            ServerError: systemd refuses (no polkit rule, no such unit), or the unit failed.
        """
        self.job("StartUnit", UNIT.format(instance), JOB_S)
