# SPDX-License-Identifier: GPL-3.0-or-later
"""raspyctl devices: list, kinds, add, config, remove."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import wait_for
from tests.support.ctl import HEATER, TANK, Ctl, CtlStack


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[CtlStack]:
    started = CtlStack(home, "titanic", "fake", "host", devices=(TANK, HEATER))
    yield started
    started.close()


@pytest.fixture
def ready(ctl: Ctl, stack: CtlStack) -> Ctl:
    return ctl.use(stack.url)


def test_the_list_has_values(ready: Ctl) -> None:
    wait_for(lambda: "°C" in ready("devices").out, 30, "the tank's value")
    by_name = {row[0]: row for row in ready("devices", "list").rows()}
    assert by_name["test/fake/heater"][1:4] == ["switch.relay", "state", "off"]
    assert by_name["test/fake/tank"][1:3] == ["sensor.temperature.tank", "temperature"]
    assert "test/host/load" in by_name


def test_of_one_server(ready: Ctl) -> None:
    assert set(ready("devices", "list", "fake", "--json").json()) == {"test/fake/tank", "test/fake/heater"}
    assert set(ready("devices", "list", "test/fake", "--json").json()) == {
        "test/fake/tank",
        "test/fake/heater",
    }
    assert set(ready("devices", "host", "--json").json()) > {"test/host/load"}
    wrong = ready("devices", "list", "fkae")
    assert wrong.status == 3 and "test/fake" in wrong.err


def test_kinds(ready: Ctl) -> None:
    kinds = ready("devices", "kinds", "fake", "--json").json()
    assert "switch.relay" in kinds["test/fake"]
    table = ready("devices", "kinds", "fake").out
    assert "sensor.temperature.tank" in table and "volume_l" in table


def test_add_config_and_remove(ready: Ctl) -> None:
    added = ready("devices", "add", "fake/lamp", "light.dimmer", "poll=1", "safe=0")
    assert (added.status, added.out) == (0, "test/fake/lamp is added.\n")
    shown = ready("devices", "config", "lamp", "--json").json()
    assert (shown["device"], shown["oid"], shown["poll"], shown["config"]["safe"]) == (
        "test/fake/lamp", "light.dimmer", 1.0, 0,
    )  # fmt: skip
    changed = ready("devices", "config", "lamp", "poll=2", "log=on").out
    assert changed.startswith("test/fake/lamp\n")
    rows = [line.split() for line in changed.splitlines()]
    assert ["poll", "2.0"] in rows and ["log", "true"] in rows
    removed = ready("devices", "remove", "lamp", "--json")
    assert removed.json() == "test/fake/lamp"
    assert ready("devices", "config", "lamp").status == 3


def test_what_is_wrong_is_refused_with_its_reason(ready: Ctl) -> None:
    no_server = ready("devices", "add", "lamp", "light")
    assert no_server.status == 2 and "as fake/lamp" in no_server.err
    assert ready("devices", "add", "nowhere/lamp", "light").status == 3
    assert ready("devices", "add", "elsewhere/fake/lamp", "light").status == 3
    unknown = ready("devices", "add", "fake/lamp", "light.dimer")
    assert unknown.status == 1 and "light.dimmer" in unknown.err
    assert ready("devices", "config", "tank", "poll").status == 2
    again = ready("devices", "add", "fake/tank", "light")
    assert again.status == 1 and "tank" in again.err
    assert ready("devices", "remove", "tank/temperature").status == 2


def test_a_server_that_is_silent_is_told_and_the_others_are_listed(
    ready: Ctl, stack: CtlStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGSTOP: the server has a service and does not answer."""
    monkeypatch.setattr("raspy.ctl.connection.ALIVE_S", 30)
    fake = next(child for child in stack.processes.children if child.name == "raspy.servers.fake")
    fake.signal(19)
    try:
        result = ready("devices", "--timeout", "4")
    finally:
        fake.signal(18)
    assert result.status == 1
    assert "test/host/load" in result.out
    assert "test.fake.devices has not answered within 4 s" in result.err
