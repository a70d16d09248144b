# SPDX-License-Identifier: GPL-3.0-or-later
"""A D-Bus system bus of a test's own, with a service manager on it that python-dbusmock plays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

from .waiting import wait_for

BUS_CONFIG = """<busconfig><type>system</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>"""

PATH, NAME = "/org/freedesktop/systemd1", "org.freedesktop.systemd1"

# What StartUnit and RestartUnit of the played manager do: the job ends at once, as the unit's name wants it.
JOB = (
    f"job = '{PATH}/job/7'\n"
    "if 'refused' in args[0]:\n"
    "    raise dbus.exceptions.DBusException('no such unit', name='org.freedesktop.systemd1.NoSuchUnit')\n"
    "result = 'failed' if 'fails' in args[0] else 'done'\n"
    "if 'hangs' not in args[0]:\n"
    f"    for path, what in (('{PATH}/job/6', 'failed'), (job, result)):\n"
    "        self.EmitSignal('org.freedesktop.systemd1.Manager', 'JobRemoved', 'uoss',\n"
    "                        [dbus.UInt32(7), dbus.ObjectPath(path), args[0], what])\n"
    "ret = dbus.ObjectPath(job)"
)
LOAD = (
    f"ret = dbus.ObjectPath('{PATH}/unit/' + args[0].replace('-', '_2d').replace('.', '_2e')"
    ".replace('@', '_40'))"
)


class Bus:
    """A system bus of the test's own, with what is played on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"unix:path={folder}/bus"
        self._children: list[subprocess.Popen[bytes]] = []
        config = folder / "bus.conf"
        config.write_text(BUS_CONFIG.format(socket=folder / "bus"))
        self._start("dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile")
        wait_for(self._listens, 30, "the bus")

    def _listens(self) -> bool:
        """Whether it can be connected to: its socket is there a little before."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(f"{self.folder}/bus") == 0

    def _start(self, *command: str) -> None:
        env = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.address}
        self._children.append(subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL))

    def play(self, *arguments: str) -> None:
        self._start("/usr/bin/python3", "-m", "dbusmock", *arguments)

    def call(
        self, destination: str, path: str, method: str, signature: str = "", body: tuple[Any, ...] = ()
    ) -> Any:
        """A call of the test itself; None while nobody answers to the name."""
        from jeepney import DBusAddress, MessageType, new_method_call
        from jeepney.io.blocking import open_dbus_connection

        interface, _, member = method.rpartition(".")
        with open_dbus_connection(self.address) as connection:
            message = new_method_call(
                DBusAddress(path, destination, interface), member, signature or None, body
            )
            reply = connection.send_and_get_reply(message, timeout=10)
            return None if reply.header.message_type == MessageType.error else reply.body

    def close(self) -> None:
        for child in reversed(self._children):
            child.send_signal(signal.SIGTERM)
            child.wait(30)

    def manager(self, *units: str) -> None:
        """Play systemd with these units; they run, but for those with `failed` in their name."""
        self.play("--system", NAME, PATH, f"{NAME}.Manager")
        wait_for(lambda: self._method("StartUnit", "ss", "o", JOB), 30, "the manager")
        self._method("RestartUnit", "ss", "o", JOB)
        self._method("LoadUnit", "s", "o", LOAD)
        listed = ", ".join(
            f"('{unit}', 'd', 'loaded', 'active', 'running', '', '{PATH}/unit/x', 0, '', '/')"
            for unit in units
        )
        signature = "signature='(ssssssouso)'"
        self._method(
            "ListUnitsByPatterns", "asas", "a(ssssssouso)", f"ret = dbus.Array([{listed}], {signature})"
        )
        files = ", ".join(f"('/usr/lib/systemd/system/{unit}', 'enabled')" for unit in units)
        self._method(
            "ListUnitFilesByPatterns", "asas", "a(ss)", f"ret = dbus.Array([{files}], signature='(ss)')"
        )
        for unit in units:
            self._unit(unit)

    def _method(self, name: str, takes: str, gives: str, code: str) -> bool:
        arguments = (f"{NAME}.Manager", name, takes, gives, code)
        return self.call(NAME, PATH, "org.freedesktop.DBus.Mock.AddMethod", "sssss", arguments) is not None

    def _unit(self, unit: str) -> None:
        failed = "failed" in unit
        path = f"{PATH}/unit/" + unit.replace("-", "_2d").replace(".", "_2e").replace("@", "_40")
        properties = {
            "Description": ("s", f"RasPy {unit}"),
            "ActiveState": ("s", "failed" if failed else "active"),
            "SubState": ("s", "failed" if failed else "running"),
            "StateChangeTimestamp": ("t", 1_769_000_000_000_000),
            "UnitFileState": ("s", "enabled"),
        }
        service = {
            "StatusText": ("s", "" if failed else "3 services <here>"),
            "Result": ("s", "watchdog" if failed else "success"),
            "MainPID": ("u", 0 if failed else 4711),
            "MemoryCurrent": ("t", 2**64 - 1 if failed else 12_582_912),
            "CPUUsageNSec": ("t", 2**64 - 1 if failed else 3_000_000_000),
            "NRestarts": ("u", 5 if failed else 0),
            "WatchdogUSec": ("t", 15_000_000),
            "WatchdogTimestamp": ("t", 0 if failed else 1_769_000_100_000_000),
        }
        mock = "org.freedesktop.DBus.Mock"
        added = (path, f"{NAME}.Unit", properties, [])
        assert self.call(NAME, PATH, f"{mock}.AddObject", "ssa{sv}a(ssss)", added) is not None
        assert (
            self.call(NAME, path, f"{mock}.AddProperties", "sa{sv}", (f"{NAME}.Service", service)) is not None
        )

    def calls(self, method: str) -> list[tuple[object, ...]]:
        """The arguments of each call of a method of the played manager."""
        found = self.call(NAME, PATH, "org.freedesktop.DBus.Mock.GetCalls")
        return [tuple(value for _, value in arguments) for _, name, arguments in found[0] if name == method]
