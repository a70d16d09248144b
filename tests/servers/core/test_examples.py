# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of docs/scenarios.md, as they stand there, against simulated devices; in real processes."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from raspy.common import sun
from tests.conftest import wait_for
from tests.servers.core.stack import CoreStack
from tests.support.broker import HOSTNAME

Start = Callable[..., CoreStack]
PAGE = Path(__file__).parents[3] / "docs" / "scenarios.md"
DEVICE = f"/device/{HOSTNAME}/fake"


def example(name: str) -> dict[str, Any]:
    """An example of the page: its JSON and its code, with the test's host in the keys."""
    text = PAGE.read_text(encoding="utf-8").replace("/device/pi/", f"/device/{HOSTNAME}/")
    section = re.search(rf"^### {name}$(.*?)^##", text, re.MULTILINE | re.DOTALL)
    assert section is not None, f"{PAGE} has no example {name}"
    definition = json.loads(re.findall(r"```json\n(.*?)```", section[1], re.DOTALL)[0])
    code = re.findall(r"```python\n(.*?)```", section[1], re.DOTALL)[0]
    return {**definition, "code": code}


def add(stack: CoreStack, name: str, **conf: Any) -> dict[str, Any]:
    one = example(name)
    return dict(stack.add(name, one["code"], one["entries"], **{**one.get("conf", {}), **conf}))


def test_thermostat_holds_half_a_degree_for_a_day(own_stack: Start) -> None:
    """86400 simulated seconds, 8640 of them in each real one, in a room that is colder than the water."""
    stack = own_stack(fake=True)
    stack.device(
        oid="sensor.temperature.tank",
        name="tank",
        poll=0.1,
        config={"volume_l": 900, "room": 18, "loss_w": 6, "start": 25.0, "speed": 8640},
    )
    stack.device(
        oid="switch.relay", name="heater", poll=0.1, config={"heats": "tank", "power_w": 90, "safe": False}
    )
    key = f"{DEVICE}/tank/temperature"
    wait_for(lambda: stack.values(key), timeout_s=40, what="the water's temperature")
    add(stack, "thermostat")
    begin = time.monotonic()
    wait_for(lambda: time.monotonic() - begin >= 86400 / 8640, 60, "a day to pass")
    measured = stack.values(key)
    heating = stack.values(f"{DEVICE}/heater/state")
    # A hundred polls are due; on a busy machine some come late.
    assert len(measured) > 50
    assert all(abs(celsius - 25.0) <= 0.5 for celsius in measured), (min(measured), max(measured))
    assert heating.count(True) >= 2 and heating.count(False) >= 2, "it went on and off"
    info = stack.info("thermostat")
    assert info["state"] == "running" and info["starts"] == 1


def test_a_dead_sensor_ends_the_heating_by_the_hold(own_stack: Start) -> None:
    stack = own_stack(fake=True)
    stack.device(oid="sensor.temperature.tank", name="tank", poll=0.1, config={"start": 15.0, "speed": 1})
    stack.device(oid="switch.relay", name="heater", poll=0.1, config={"heats": "tank", "safe": False})
    one = example("thermostat")
    stack.add("thermostat", one["code"].replace("hold=180", "hold=1"), one["entries"], **one["conf"])
    state = f"{DEVICE}/heater/state"
    wait_for(lambda: True in stack.values(state), timeout_s=40, what="the heater to go on")
    stack.command("tank", "fault", "85")
    wait_for(lambda: stack.values(state)[-1] is False, 40, "the heater to go off")
    assert stack.state("thermostat") == "running"
    stack.command("tank", "fault", "none")
    wait_for(lambda: stack.values(state)[-1] is True, 40, "the heater to go on again")
    stack.core.kill()
    wait_for(lambda: stack.values(state)[-1] is False, 40, "the heater to go off, though core was killed")


def test_lights_follow_the_sun_over_a_clock_change(own_stack: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the evening of the 28th of March to the morning of the 30th; on the 29th the clock is changed."""
    monkeypatch.setenv("RASPY_TEST_CLOCK", "2026-03-28T14:00:00+00:00 1")
    stack = own_stack(fake=True, module="tests.servers.core.fast_core")
    stack.device(oid="switch.relay", name="lamp", poll=0.1, config={"safe": None})
    wait_for(lambda: stack.heard, timeout_s=40, what="the lamp")
    add(stack, "lights")
    for event in ("sunrise", "sunset"):
        stack.ask("cron", "add", event, json.dumps({"sun": event, "scenario": "lights", "missed": "run"}))
    stack.core.stop()
    monkeypatch.setenv("RASPY_TEST_CLOCK", "2026-03-28T14:00:00+00:00 10000")
    stack.start_core()
    state = f"{DEVICE}/lamp/state"
    wait_for(lambda: stack.values(state)[-4:] == [False, True, False, True], 60, "two nights to pass")

    paris = ZoneInfo("Europe/Paris")
    fired = [event for name in ("sunrise", "sunset") for event in stack.events(f"cron/{name}", "fired")]
    seen = sorted(datetime.fromtimestamp(event["due"], paris) for event in fired)
    wanted = []
    for day, event in ((28, "sunset"), (29, "sunrise"), (29, "sunset"), (30, "sunrise")):
        wanted.append(sun.times(date(2026, 3, day), 48.8566, 2.3522, paris)[event])
    assert [
        moment is not None and abs(moment - seen[at]) < timedelta(seconds=2)
        for at, moment in enumerate(wanted)
    ] == [True] * 4
    assert (seen[1].hour, seen[1].utcoffset()) == (7, timedelta(hours=2)), "the 29th: summer time has begun"
    assert stack.info("lights")["failures"] == 0


def test_filling_is_stopped_by_its_maximum_run_time_when_the_level_sensor_is_stuck(own_stack: Start) -> None:
    stack = own_stack(fake=True)
    stack.device(oid="sensor.level", name="level", poll=0.1, config={"low": 10, "high": 60, "cycle_s": 2})
    stack.device(oid="switch.valve", name="valve", poll=0.1, config={"safe": False})
    valve, level = f"{DEVICE}/valve/state", f"{DEVICE}/level/level"
    # Well, it fills to the end: the level rises within the cycle.
    add(stack, "fill", max_runtime_s=20)
    wait_for(lambda: any(value < 30 for value in stack.values(level)[-1:]), timeout_s=40, what="a low level")
    stack.ask("scenario", "start", "fill")
    wait_for(
        lambda: True in stack.values(valve) and stack.values(valve)[-1] is False, 40, "the valve to close"
    )
    assert stack.wait_state("fill", "idle")["last"]["kind"] == "done"
    # Stuck, it would go on for ever.
    wait_for(lambda: stack.values(level)[-1] < 30, timeout_s=40, what="a low level")
    stack.command("level", "fault", "stuck")
    stack.ask("scenarios", "update", "fill", json.dumps({"conf": {"max_runtime_s": 2}}))
    stack.ask("scenario", "start", "fill")
    event = stack.wait_event("scenario/fill", "timeout")
    assert "its maximum of 2 s" in event["message"]
    wait_for(lambda: stack.values(valve)[-1] is False, 40, "the valve to close")
    assert stack.values(valve).count(True) >= 2
    assert stack.state("fill") == "failed" and stack.info("fill")["last"]["kind"] == "timeout"


def test_alarm(own_stack: Start) -> None:
    stack = own_stack(fake=True)
    stack.device(oid="sensor.temperature.tank", name="tank", poll=0.1, config={"start": 29.0, "room": 30})
    stack.device(oid="switch.relay", name="siren", poll=0.1, config={"safe": False})
    one = example("alarm")
    for entry in ("hot", "blind"):
        one["entries"][entry]["for_s"] = 0.5
    stack.add("alarm", one["code"].replace("hold=30", "hold=0.5"), one["entries"])
    assert "too warm: 29" in stack.wait_event("scenario/alarm", "alarm")["message"]
    siren = f"{DEVICE}/siren/state"
    wait_for(lambda: stack.values(siren)[-2:] == [True, False], 40, "the siren to sound, and to end")
    assert len(stack.values("/scenario/alarm/alarms")) == 1
    stack.command("tank", "fault", "missing")
    wait_for(
        lambda: "not known: fault" in stack.events("scenario/alarm", "alarm")[-1]["message"],
        10,
        "the second alarm",
    )
