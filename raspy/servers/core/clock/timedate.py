# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd-timedated and systemd itself on D-Bus: read the clock's state, start the units that set it.

Source: org.freedesktop.timedate1(5), org.freedesktop.systemd1(5). The clock is set by two instances of
one small root template unit, ``raspy-clock@.service``, which a polkit rule lets the raspy user start;
nothing here needs a privilege.

jeepney is imported with this module, and this module only when somebody asks about the clock.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from jeepney import DBusAddress, MatchRule, Properties, message_bus, new_method_call
from jeepney.io.blocking import DBusConnection, open_dbus_connection
from jeepney.wrappers import DBusErrorResponse, unwrap_msg

from raspy.common import MDP

BUS = "SYSTEM"
REPLY_S = 5.0
# Setting a clock takes a hwclock(8) call, which waits for the RTC's next full second.
JOB_S = 15.0

UNIT = "raspy-clock@{}.service"
# hwclock(8)'s names: --systohc writes the system's time to the RTC, --hctosys the other way.
NTP_TO_RTC = "systohc"
RTC_TO_SYSTEM = "hctosys"

TIMEDATE = DBusAddress(
    "/org/freedesktop/timedate1", bus_name="org.freedesktop.timedate1", interface="org.freedesktop.timedate1"
)
SYSTEMD = DBusAddress(
    "/org/freedesktop/systemd1",
    bus_name="org.freedesktop.systemd1",
    interface="org.freedesktop.systemd1.Manager",
)


class TimeDate:
    """One connection to the system bus, used as a context manager.

    Raises:
        ServerError: there is no system bus, or it does not let us in.
    """

    def __init__(self) -> None:
        try:
            self._connection: DBusConnection = open_dbus_connection(BUS)
        except (
            OSError,
            KeyError,
            ValueError,
            EOFError,
        ) as error:  # jeepney's handshake errors are ValueErrors
            raise MDP.ServerError(
                f"no way into the D-Bus system bus ({error!r}): is dbus running?"
            ) from error

    def __enter__(self) -> TimeDate:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def state(self) -> dict[str, Any]:
        """timedated's properties: Timezone, LocalRTC, CanNTP, NTP, NTPSynchronized and, on a real
        machine, TimeUSec and RTCTimeUSec.

        Raises:
            ServerError: timedated does not answer.
        """
        reply = self._call(Properties(TIMEDATE).get_all(), "systemd-timedated")
        return {name: value for name, (_, value) in reply[0].items()}

    def start(self, instance: str) -> None:
        """Start one instance of the clock unit and wait until it is done.

        Args:
            instance: ``NTP_TO_RTC`` or ``RTC_TO_SYSTEM``.

        Raises:
            ServerError: systemd refuses (no polkit rule, no such unit), or the unit failed.
        """
        unit = UNIT.format(instance)
        rule = MatchRule(
            type="signal", interface=SYSTEMD.interface, member="JobRemoved", path=SYSTEMD.object_path
        )
        self._call(message_bus.AddMatch(rule), "D-Bus")
        with self._connection.filter(rule) as signals:
            job = self._call(new_method_call(SYSTEMD, "StartUnit", "ss", (unit, "replace")), "systemd")[0]
            deadline = time.monotonic() + JOB_S
            while (left_s := deadline - time.monotonic()) > 0:
                try:
                    signal = self._connection.recv_until_filtered(signals, timeout=left_s)
                except TimeoutError:
                    break
                _, removed, _, result = signal.body
                if removed == job:
                    if result == "done":
                        return
                    raise MDP.ServerError(f"{unit} ended with {result!r}: see journalctl -u {unit}")
        raise MDP.ServerError(f"{unit} has not ended within {JOB_S:g} s: see journalctl -u {unit}")

    def _call(self, message: Any, whom: str) -> Any:
        try:
            return unwrap_msg(self._connection.send_and_get_reply(message, timeout=REPLY_S))
        except DBusErrorResponse as error:
            why = error.data[0] if error.data else error.name
            raise MDP.ServerError(f"{whom} refuses: {why} ({error.name})") from error
        except (OSError, EOFError, TimeoutError) as error:
            raise MDP.ServerError(f"{whom} does not answer on D-Bus: {error!r}") from error
