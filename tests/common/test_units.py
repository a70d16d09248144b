# SPDX-License-Identifier: GPL-3.0-or-later
"""raspy.common.units and system_bus, with a service manager that python-dbusmock plays on a real bus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from raspy.common import units
from raspy.common.MDP import NotFoundError, ServerError
from raspy.common.system_bus import SystemBus
from tests.support.system_bus import Bus


@pytest.fixture
def bus(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bus]:
    one = Bus(run_dir)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", one.address)
    yield one
    one.close()


def test_the_daemons_and_what_systemd_knows_of_them(bus: Bus) -> None:
    bus.manager("raspy-host.service", "raspy-failed-one.service", "raspy-scenario@7.service")
    with SystemBus() as connection:
        broken, host = units.read_units(connection)
    assert host == units.Unit(
        name="raspy-host.service",
        description="RasPy raspy-host.service",
        state="active",
        sub="running",
        since=1_769_000_000.0,
        status="3 services <here>",
        result="success",
        pid=4711,
        memory=12_582_912,
        cpu_s=3.0,
        restarts=0,
        watchdog_s=15.0,
        fed=1_769_000_100.0,
        enabled="enabled",
    )
    assert (broken.state, broken.result, broken.memory, broken.cpu_s) == ("failed", "watchdog", None, None)
    assert (broken.restarts, broken.fed) == (5, None)


def test_restart_and_wait(bus: Bus) -> None:
    bus.manager("raspy-host.service", "raspy-web.service")
    with SystemBus() as connection:
        units.restart(connection, "raspy-host.service")
        units.restart(connection, "raspy-web.service", wait=False)
    assert bus.calls("RestartUnit") == [("raspy-host.service", "replace"), ("raspy-web.service", "replace")]


@pytest.mark.parametrize(
    ("unit", "words"),
    [("raspy-fails.service", "ended with 'failed'"), ("raspy-refused.service", "systemd refuses: no such")],
)
def test_a_restart_that_does_not_work(bus: Bus, unit: str, words: str) -> None:
    bus.manager(unit)
    with SystemBus() as connection, pytest.raises(ServerError, match=words):
        units.restart(connection, unit)


@pytest.mark.parametrize(
    "unit",
    [
        "ssh.service",
        "raspy-none.service",
        "raspy-scenario@1.service",
        "raspy-host.service\n",
        "../raspy-host",
        "",
    ],
)
def test_nothing_else_is_restarted(bus: Bus, unit: str) -> None:
    bus.manager("raspy-host.service", "raspy-scenario@1.service", "ssh.service")
    with SystemBus() as connection, pytest.raises(NotFoundError, match="no unit of a RasPy daemon"):
        units.restart(connection, unit)
    assert bus.calls("RestartUnit") == []


def test_no_service_manager(bus: Bus) -> None:
    with SystemBus() as connection, pytest.raises(ServerError, match="systemd refuses"):
        units.read_units(connection)


def test_no_bus(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={run_dir}/none")
    with pytest.raises(ServerError, match="is dbus running"):
        SystemBus()


def analyze(folder: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "systemd-analyze"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_the_exposure_is_what_systemd_analyze_says(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The real program, but on the files of the tree: there is no service manager to ask here.
    systemd = Path(__file__).resolve().parents[2] / "systemd"
    analyze(
        run_dir,
        f"""
        test "$1 $2" = "--no-pager security" || exit 1
        shift 2
        cd {systemd} || exit 1
        exec /usr/bin/systemd-analyze --no-pager security --offline=true "$@" """,
        monkeypatch,
    )
    found = units.exposure(["raspy-core.service", "raspy-host.service"])
    assert sorted(found) == ["raspy-core.service", "raspy-host.service"]
    assert all(0 <= score < 10 for score in found.values())
    assert units.exposure([]) == {}


def test_an_exposure_that_can_not_be_had(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    analyze(run_dir, "exec sleep 60", monkeypatch)
    monkeypatch.setattr(units, "ANALYZE_S", 0.2)
    with pytest.raises(ServerError, match="systemd-analyze"):
        units.exposure(["raspy-core.service"])
    monkeypatch.setenv("PATH", str(run_dir / "nothing"))
    with pytest.raises(ServerError, match="systemd-analyze"):
        units.exposure(["raspy-core.service"])
