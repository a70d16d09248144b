# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock through systemd: timedated and the manager, both played by python-dbusmock on a real bus."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from raspy.common.MDP import ServerError
from raspy.servers.core.clock import timedate
from raspy.servers.core.clock.timedate import NTP_TO_RTC, RTC_TO_SYSTEM, TimeDate
from raspy.servers.core.clock.trust import Trust
from raspy.servers.core.clock.wall import WallClock
from raspy.servers.core.cron.triggers import Place
from raspy.servers.core.services import ClockService
from tests.conftest import wait_for

BUS_CONFIG = """<busconfig><type>system</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>"""

# What StartUnit of the played manager does: the job ends at once, as the name of the unit wants it.
START = (
    "job = '/org/freedesktop/systemd1/job/7'\n"
    "if 'refused' in args[0]:\n"
    "    raise dbus.exceptions.DBusException('no such unit', name='org.freedesktop.systemd1.NoSuchUnit')\n"
    "result = 'failed' if 'fails' in args[0] else 'done'\n"
    "if 'hangs' not in args[0]:\n"
    "    for path, what in (('/org/freedesktop/systemd1/job/6', 'failed'), (job, result)):\n"
    "        self.EmitSignal('org.freedesktop.systemd1.Manager', 'JobRemoved', 'uoss',\n"
    "                        [dbus.UInt32(7), dbus.ObjectPath(path), args[0], what])\n"
    "ret = dbus.ObjectPath(job)"
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
        wait_for((folder / "bus").exists, what="the bus")

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
            child.wait(10)


@pytest.fixture
def bus(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bus]:
    one = Bus(run_dir)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", one.address)
    yield one
    one.close()


def timedated(bus: Bus, ntp: bool = True) -> None:
    bus.play(
        "--template",
        "timedated",
        "--parameters",
        f'{{"NTP": {str(ntp).lower()}, "Timezone": "Europe/Paris"}}',
    )
    wait_for(
        lambda: (
            bus.call(
                "org.freedesktop.timedate1", "/org/freedesktop/timedate1", "org.freedesktop.DBus.Peer.Ping"
            )
            is not None
        ),
        what="timedated",
    )


def manager(bus: Bus) -> None:
    path, name = "/org/freedesktop/systemd1", "org.freedesktop.systemd1"
    bus.play("--system", name, path, f"{name}.Manager")
    wait_for(
        lambda: (
            bus.call(
                name,
                path,
                "org.freedesktop.DBus.Mock.AddMethod",
                "sssss",
                (f"{name}.Manager", "StartUnit", "ss", "o", START),
            )
            is not None
        ),
        what="the manager",
    )


@pytest.fixture
def service() -> ClockService:
    clock = WallClock()
    return ClockService(
        clock, Trust(clock.time, root=Path("/nowhere")), Place(ZoneInfo("Europe/Paris")), lambda: "me"
    )


def test_state(bus: Bus) -> None:
    timedated(bus)
    with TimeDate() as connection:
        state = connection.state()
    assert (
        state["Timezone"] == "Europe/Paris"
        and state["NTPSynchronized"] is True
        and state["LocalRTC"] is False
    )


def test_status_of_a_synchronised_clock(bus: Bus, service: ClockService) -> None:
    timedated(bus)
    status = service.status()
    assert status["ntp"] and status["synchronised"] and status["trusted"] and status["source"] == "ntp"
    assert status["system_timezone"] == "Europe/Paris" and status["rtc"] is None and "error" not in status


def test_status_of_a_clock_that_nobody_speaks_for(bus: Bus, service: ClockService) -> None:
    timedated(bus, ntp=False)
    status = service.status()
    assert status["synchronised"] is False and status["trusted"] is False and status["source"] == "none"


def test_status_without_a_bus(service: ClockService, monkeypatch: pytest.MonkeyPatch, run_dir: Path) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={run_dir}/none")
    status = service.status()
    assert status["ntp"] is None and status["synchronised"] is None and "is dbus running?" in status["error"]
    with pytest.raises(ServerError, match="is dbus running"):
        service.sync_rtc_to_system()


def test_status_without_timedated(bus: Bus, service: ClockService) -> None:
    assert "systemd-timedated refuses" in service.status()["error"]


def test_both_ways(bus: Bus, service: ClockService) -> None:
    timedated(bus)
    manager(bus)
    assert "RTC now has" in service.sync_ntp_to_rtc()
    assert "now that of the RTC" in service.sync_rtc_to_system()
    calls = bus.call(
        "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.DBus.Mock.GetCalls"
    )
    started = [arguments[0][1] for _, name, arguments in calls[0] if name == "StartUnit"]
    assert started == ["raspy-clock@systohc.service", "raspy-clock@hctosys.service"]


def test_a_clock_that_ntp_has_not_set_is_not_written_to_the_rtc(bus: Bus, service: ClockService) -> None:
    timedated(bus, ntp=False)
    manager(bus)
    with pytest.raises(ServerError, match="NTP has not synchronised"):
        service.sync_ntp_to_rtc()


@pytest.mark.parametrize(
    ("instance", "words"),
    [
        ("fails", "ended with 'failed'.*journalctl -u raspy-clock@fails.service"),
        ("hangs", "has not ended within"),
        ("refused", "systemd refuses: no such unit"),
    ],
)
def test_a_unit_that_does_not_do_it(
    bus: Bus, instance: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timedate, "JOB_S", 0.5)
    manager(bus)
    with TimeDate() as connection, pytest.raises(ServerError, match=words):
        connection.start(instance)


def test_a_manager_that_does_not_answer(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timedate, "REPLY_S", 0.3)
    manager(bus)
    bus._children[-1].send_signal(signal.SIGSTOP)
    try:
        with TimeDate() as connection, pytest.raises(ServerError, match="does not answer"):
            connection.start(NTP_TO_RTC if RTC_TO_SYSTEM else "")
    finally:
        bus._children[-1].send_signal(signal.SIGCONT)
