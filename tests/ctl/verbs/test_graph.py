# SPDX-License-Identifier: GPL-3.0-or-later
"""raspyctl graph, against a real logger."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import wait_for
from tests.support.ctl import Ctl, Terminal
from tests.support.logger_stack import LoggerStack


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[LoggerStack]:
    started = LoggerStack(home)
    started.broker.server("titanic")
    started.devices.logged = {"tank": True, "heater": True}
    now = time.time()
    values = []
    # Averages are of whole minutes: what has just been measured is in none yet.
    for at in range(-600, 0, 20):
        for device, unit, value in (("tank", "°C", 20 - at / 100), ("heater", "W", 100.0)):
            body = {"value": value, "unit": unit, "quality": "good", "time": now + at, "polled": now + at}
            values.append((f"{device}/temperature", json.dumps(body).encode()))
    count = started.publish(values)
    started.taken(count)
    wait_for(lambda: len(started.json("graph", "list")) == 2, 30, "both graphs")
    yield started
    started.close()


@pytest.fixture
def ready(ctl: Ctl, stack: LoggerStack) -> Ctl:
    return ctl.use(stack.broker.url)


def test_list(ready: Ctl) -> None:
    rows = {row[0]: row[1:] for row in ready("graph").rows()}
    assert rows["test/fake/tank/temperature"] == ["tank temperature", "°C"]
    assert ready("graph", "--json").json()["test/test/fake/heater/temperature"]["added"] is False


def test_show_draws_it(ready: Ctl) -> None:
    wait_for(lambda: "│" in ready("graph", "show", "tank", "--last", "90min").out, 30, "the first average")
    shown = ready("graph", "show", "tank/temperature", "--last", "90min")
    lines = shown.out.splitlines()
    assert lines[:2] == ["tank temperature", "°C"]
    assert max(map(len, lines)) <= 100
    assert lines[-1].startswith("temperature: last ")
    data = ready("graph", "show", "test/fake/tank/temperature", "--last", "1h", "--json").json()
    assert data["end"] - data["start"] <= 3600 and data["series"][0]["unit"] == "°C"


def test_in_color_on_a_terminal(ready: Ctl, stack: LoggerStack, run_dir: Path) -> None:
    wait_for(lambda: "│" in ready("graph", "show", "tank", "--last", "90min").out, 30, "the first average")
    terminal = Terminal(stack.broker.url, run_dir, "graph", "show", "tank", "--last", "90min", columns=60)
    shown = terminal.read()
    assert terminal.close() == 0
    assert "━━ temperature: last" in shown and b"\x1b[38;" in terminal.seen
    assert max(len(line) for line in shown.splitlines() if "│" in line) <= 60


def test_a_graph_of_several(ready: Ctl) -> None:
    added = ready("graph", "add", "water", "tank", "heater/temperature", "--title", "Water and heat")
    assert added.status == 0 and "raspyctl graph show water" in added.out
    rows = ready("graph").rows()
    assert rows[0][:2] == ["water", "Water and heat"]
    assert rows[0][-1] == "test/fake/tank/temperature, test/fake/heater/temperature"
    wait_for(lambda: "│" in ready("graph", "show", "water", "--last", "90min").out, 30, "the first average")
    shown = ready("graph", "show", "water", "--last", "90min").out
    # What is measured in different units has no axis in common.
    assert (
        shown.count("└") == 2
        and "\ntank temperature: last" in shown
        and "\nheater temperature: last" in shown
    )
    assert ready("graph", "remove", "water", "--json").json() == "test/water"
    assert ready("graph", "show", "water").status == 3


def test_nothing_in_that_time(ready: Ctl, stack: LoggerStack) -> None:
    far = {"value": 1.0, "unit": "", "quality": "good", "time": time.time(), "polled": time.time()}
    stack.devices.logged["later"] = True
    stack.publish([("later/count", json.dumps(far).encode())])
    wait_for(lambda: "later" in ready("graph").out, 30, "its graph")
    assert "Nothing is known of count in this time." in ready("graph", "show", "later").out


@pytest.mark.parametrize("period", ["1", "x", "0d", "1s", "d", "9999999d"])
def test_what_is_no_period(ready: Ctl, period: str) -> None:
    result = ready("graph", "show", "tank", "--last", period)
    assert result.status == 2 and "is no period" in result.err


def test_what_is_not_there(ready: Ctl) -> None:
    assert "did you mean" in ready("graph", "show", "tonk/temperature").err
    ambiguous = ready("graph", "show", "temperature")
    assert ambiguous.status == 2 and "can mean several" in ambiguous.err
    assert ready("graph", "remove", "tank").status == 3
    assert ready("graph", "add", "x").status == 2
