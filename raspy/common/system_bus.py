# SPDX-License-Identifier: GPL-3.0-or-later
"""The system's D-Bus: calls with a bound, and jobs of the service manager.

jeepney is imported with this module, and this module only when somebody asks for what is on that bus.

Source: org.freedesktop.systemd1(5) on StartUnit, RestartUnit and JobRemoved; the D-Bus specification.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

from jeepney import DBusAddress, MatchRule, Message, message_bus, new_method_call
from jeepney.io.blocking import DBusConnection, open_dbus_connection
from jeepney.wrappers import DBusErrorResponse, unwrap_msg

from raspy.common import MDP

BUS = "SYSTEM"
REPLY_S = 5.0

SYSTEMD = DBusAddress(
    "/org/freedesktop/systemd1",
    bus_name="org.freedesktop.systemd1",
    interface="org.freedesktop.systemd1.Manager",
)


class SystemBus:
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def call(self, message: Message, whom: str) -> tuple[Any, ...]:
        """Send a method call and wait for its answer.

        Args:
            message: the call.
            whom: who is asked, for the sentence when it goes wrong.

        Returns:
            What was answered, by jeepney's rules.

        Raises:
            ServerError: it refuses, or there is no answer within ``REPLY_S``.
        """
        try:
            body: tuple[Any, ...] = unwrap_msg(self._connection.send_and_get_reply(message, timeout=REPLY_S))
        except DBusErrorResponse as error:
            why = error.data[0] if error.data else error.name
            raise MDP.ServerError(f"{whom} refuses: {why} ({error.name})") from error
        except (OSError, EOFError, TimeoutError) as error:
            raise MDP.ServerError(f"{whom} does not answer on D-Bus: {error!r}") from error
        return body

    def job(self, method: str, unit: str, timeout_s: float) -> None:
        """Have systemd carry out a job for a unit, and wait until it is done.

        Args:
            method: ``StartUnit``, ``RestartUnit``...
            unit: its full name.
            timeout_s: how long it may take, in seconds.

        Raises:
            ServerError: systemd refuses (no polkit rule, no such unit), the job failed or takes too long.
        """
        rule = MatchRule(
            type="signal", interface=SYSTEMD.interface, member="JobRemoved", path=SYSTEMD.object_path
        )
        self.call(message_bus.AddMatch(rule), "D-Bus")
        with self._connection.filter(rule) as signals:
            job = self.call(new_method_call(SYSTEMD, method, "ss", (unit, "replace")), "systemd")[0]
            deadline = time.monotonic() + timeout_s
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
        raise MDP.ServerError(f"{unit} has not ended within {timeout_s:g} s: see journalctl -u {unit}")
