# SPDX-License-Identifier: GPL-3.0-or-later
"""raspyctl set, against the simulated devices."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import wait_for
from tests.support.ctl import HEATER, LAMP, TANK, Ctl, CtlStack

SLOW = {"oid": "switch.relay", "name": "pump", "config": {"safe": False, "min_on_s": 600}}


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[CtlStack]:
    started = CtlStack(home, "titanic", "fake", devices=(TANK, HEATER, LAMP, SLOW))
    yield started
    started.close()


@pytest.fixture
def ready(ctl: Ctl, stack: CtlStack) -> Ctl:
    return ctl.use(stack.url)


def test_on_and_off(ready: Ctl) -> None:
    result = ready("set", "heater", "on")
    assert (result.status, result.out, result.err) == (0, "test/fake/heater state: on\n", "")
    (value,) = ready("get", "--fresh", "heater", "--json").json()
    assert value["value"] is True
    assert ready("set", "fake/heater/state", "false", "--json").json()["value"] is False


def test_a_hold_ends_by_itself(ready: Ctl) -> None:
    result = ready("set", "heater", "on", "--hold", "3", "--why", "a test")
    assert result.status == 0 and "state: on" in result.out
    wait_for(lambda: ready("get", "--fresh", "heater").out == "off\n", 30, "the end of the hold")
    held = ready("set", "heater", "on", "--hold", "60")
    assert re.fullmatch(r"test/fake/heater state: on, for (60|5\d) s\n", held.out)
    assert "s more" in ready("devices").out
    assert ready("set", "heater", "off").status == 0


def test_numbers(ready: Ctl) -> None:
    assert ready("set", "lamp/level", "40").out == "test/fake/lamp level: 40 %\n"


def test_what_the_server_refuses_has_its_reason(ready: Ctl) -> None:
    result = ready("set", "heater", "maybe")
    assert (result.status, result.out) == (1, "")
    assert result.err == 'raspyctl: state: must be true or false, not "maybe"\n'
    negative = ready("set", "lamp", "-5")
    assert negative.status == 1 and "level" in negative.err


def test_a_command_that_must_wait_says_so(ready: Ctl) -> None:
    assert ready("set", "pump", "on").out == "test/fake/pump state: on\n"
    result = ready("set", "pump", "off")
    assert result.status == 0
    assert result.out.startswith("test/fake/pump state: on; off in ") and "so soon" in result.out


def test_a_button_has_no_value_and_all_else_has_one(ready: Ctl) -> None:
    assert ready("set", "tank/reset").status == 0
    result = ready("set", "heater")
    assert result.status == 2
    assert "write the value that test/fake/heater state is to have" in result.err


def test_what_can_not_be_set(ready: Ctl) -> None:
    wrong = ready("set", "heater/stat", "on")
    assert wrong.status == 3 and "did you mean state" in wrong.err
    configured = ready("set", "tank/offset", "-0.2")
    assert configured.status == 2 and "raspyctl devices config tank offset=VALUE" in configured.err
    assert ready("set", "heater", "on", "--hodl", "5").err.startswith("raspyctl: no such option: --hodl")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40) | st.sampled_from(["\x1b[2J", "a\nb", "\udcff", "--", "-", "{", "[[", "NaN"]))
def test_whatever_the_value_it_is_a_reason_or_done(ready: Ctl, value: str) -> None:
    """What came of it is one line in any case, and nothing that a terminal would obey."""
    result = ready("set", "heater", "--", value)
    assert result.status in (0, 1, 2)
    text = result.out + result.err
    assert text.count("\n") == 1 and text[:-1].isprintable()
