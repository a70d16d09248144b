# SPDX-License-Identifier: GPL-3.0-or-later
"""raspyctl get, against the simulated devices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import wait_for
from tests.support.ctl import HEATER, TANK, Ctl, CtlStack, Terminal

DUTY = {"oid": "sensor.temperature.tank", "name": "ill", "poll": 2, "config": {}}


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[CtlStack]:
    started = CtlStack(home, "titanic", "fake", devices=(TANK, HEATER, DUTY))
    started.ask("test.fake.devices", "exec", "ill", "fault", "crc")
    yield started
    started.close()


@pytest.fixture
def get(ctl: Ctl, stack: CtlStack) -> Ctl:
    ctl.use(stack.url)
    wait_for(lambda: ctl("get", "tank").status == 0, 30, "the tank's first value")
    return ctl


def test_one_value_stands_alone(get: Ctl) -> None:
    result = get("get", "tank")
    assert (result.status, result.err) == (0, "")
    number, unit = result.out.split()
    assert 10 < float(number) < 40 and unit == "°C"


def test_names_may_be_short_or_whole(get: Ctl) -> None:
    for name in ("heater", "fake/heater", "test/heater", "test/fake/heater", "heater/state",
                 "/device/test/fake/heater/state"):  # fmt: skip
        assert get("get", name).out == "off\n", name


def test_several_have_their_names_beside_them(get: Ctl) -> None:
    rows = get("get", "heater", "tank").rows()
    assert rows[0] == ["test/fake/heater/state", "off"]
    assert rows[1][0] == "test/fake/tank/temperature"


def test_json(get: Ctl) -> None:
    (value,) = get("get", "tank", "--json").json()
    assert (value["device"], value["command"], value["unit"]) == ("test/fake/tank", "temperature", "°C")
    assert value["quality"] == "good" and isinstance(value["value"], float)
    (before,) = get("--json", "get", "heater").json()
    assert before["value"] is False


def test_what_is_not_published_is_read(get: Ctl) -> None:
    assert get("get", "tank/poll").out == "5\n"
    assert "speed" in get("get", "tank/config").out


def test_fresh_has_the_device_read_now(get: Ctl) -> None:
    (published,) = get("get", "tank", "--json").json()
    (fresh,) = get("get", "--fresh", "tank", "--json").json()
    assert fresh["polled"] >= published["polled"]


def test_a_fault_is_an_error(get: Ctl) -> None:
    wait_for(lambda: "fault" in get("get", "ill").out, 30, "the fault")
    result = get("get", "ill")
    assert result.status == 1
    assert result.out.startswith("fault: CRC error")


def test_a_typo_says_what_was_meant(get: Ctl) -> None:
    result = get("get", "heatr")
    assert (result.status, result.out) == (3, "")
    assert result.err == "raspyctl: there is no device 'heatr'; did you mean test/fake/heater?\n"
    assert get("get", "tank/temperatur").status == 3


def test_on_a_terminal(stack: CtlStack, run_dir: Path) -> None:
    terminal = Terminal(stack.url, run_dir, "get", "heater", "tank")
    shown = terminal.read()
    assert terminal.close() == 0
    assert "test/fake/heater/state" in shown and "\x1b[1m" in terminal.seen.decode()
