# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock through systemd: timedated and the manager, both played by python-dbusmock on a real bus."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from raspy.common import system_bus
from raspy.common.MDP import ServerError
from raspy.servers.core.clock import timedate
from raspy.servers.core.clock.timedate import NTP_TO_RTC, RTC_TO_SYSTEM, TimeDate
from raspy.servers.core.clock.trust import Trust
from raspy.servers.core.clock.wall import WallClock
from raspy.servers.core.cron.triggers import Place
from raspy.servers.core.services import ClockService
from tests.conftest import wait_for
from tests.support.system_bus import Bus


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
    bus.manager()
    assert "RTC now has" in service.sync_ntp_to_rtc()
    assert "now that of the RTC" in service.sync_rtc_to_system()
    started = [unit for unit, _ in bus.calls("StartUnit")]
    assert started == ["raspy-clock@systohc.service", "raspy-clock@hctosys.service"]


def test_a_clock_that_ntp_has_not_set_is_not_written_to_the_rtc(bus: Bus, service: ClockService) -> None:
    timedated(bus, ntp=False)
    bus.manager()
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
    bus.manager()
    with TimeDate() as connection, pytest.raises(ServerError, match=words):
        connection.start(instance)


def test_a_manager_that_does_not_answer(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_bus, "REPLY_S", 0.3)
    bus.manager()
    bus._children[-1].send_signal(signal.SIGSTOP)
    try:
        with TimeDate() as connection, pytest.raises(ServerError, match="does not answer"):
            connection.start(NTP_TO_RTC if RTC_TO_SYSTEM else "")
    finally:
        bus._children[-1].send_signal(signal.SIGCONT)
