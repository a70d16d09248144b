# SPDX-License-Identifier: GPL-3.0-or-later
"""The families: units, ranges, safe states."""

from typing import Any

import pytest

from raspy.common.devices import clock, light, media, sensor, switch
from raspy.common.devices.actuator import ActuatorDevice
from raspy.common.devices.device import BaseDevice, DeviceFault
from raspy.common.devices.sensor import NumberSensor
from raspy.common.MDP import ClientError

FAMILIES = [
    kind
    for module in (clock, light, media, sensor, switch)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, BaseDevice) and kind.__module__ == module.__name__
]


def reading(kind: type[NumberSensor], raw: Any, **config: Any) -> Any:
    device = kind(name="x", config=config)
    device.read = lambda: raw  # type: ignore[method-assign]
    return device.do_poll()[kind.main]


def test_the_oids_that_there_are() -> None:
    assert {kind.oid for kind in FAMILIES} == {
        "clock", "clock.rtc", "light", "light.dimmer", "light.rgb", "media", "media.camera", "media.tv",
        "media.tv-channel", "media.tv-volume", "sensor", "sensor.contact", "sensor.generic",
        "sensor.humidity", "sensor.level", "sensor.motion", "sensor.ph", "sensor.temperature", "sensor.wind",
        "switch",
        "switch.pump", "switch.relay", "switch.valve",
    }  # fmt: skip


@pytest.mark.parametrize("kind", FAMILIES)
def test_commands_say_what_they_are(kind: type[BaseDevice]) -> None:
    for name, command in kind.commands.items():
        assert command.name == name
        assert command.info not in ("", "info")
    if kind.main:
        assert not kind.commands[kind.main].writeonly


@pytest.mark.parametrize(
    ("kind", "raw", "unit", "value"),
    [
        (sensor.SensorTemperature, 25, "°C", 25.0),
        (sensor.SensorTemperature, 25, "°F", 77.0),
        (sensor.SensorTemperature, -40, "°F", -40.0),
        (sensor.SensorTemperature, 25, "K", 298.15),
        (sensor.SensorWind, 10, "kn", 19.44),
        (sensor.SensorWind, 10, "mph", 22.37),
        (sensor.SensorLevel, 25.4, "in", 10.0),
        (sensor.SensorLevel, 25.4, "mm", 254.0),
        (sensor.SensorHumidity, 55.55, "%", 55.5),
        (sensor.SensorPH, 7.005, "pH", 7.0),
        (sensor.SensorGeneric, 1234.5678, "lx", 1234.568),
    ],
)
def test_units(kind: type[NumberSensor], raw: float, unit: str, value: float) -> None:
    assert reading(kind, raw, unit=unit) == pytest.approx(value)


def test_an_offset_is_in_the_unit_that_is_shown() -> None:
    assert reading(sensor.SensorTemperature, 25, unit="°F", offset=-2) == 75.0


@pytest.mark.parametrize("raw", [float("nan"), float("inf"), True, "25", None, [25], 10**400])
def test_what_is_no_number_is_a_fault(raw: Any) -> None:
    assert isinstance(reading(sensor.SensorTemperature, raw), DeviceFault)


@pytest.mark.parametrize(
    ("config", "raw", "good"),
    [
        ({}, 125, True), ({}, 125.1, False), ({}, -55.1, False), ({}, -127, False),
        ({"unit": "°F"}, 125, True), ({"unit": "°F"}, 126, False),
        ({"minimum": 10, "maximum": 40}, 85, False), ({"minimum": 10, "maximum": 40}, 0, False),
        ({"minimum": 10, "maximum": 40, "unit": "°F"}, 25, False),
    ],
)  # fmt: skip
def test_implausible_readings_are_faults(config: dict[str, Any], raw: float, good: bool) -> None:
    value = reading(sensor.SensorTemperature, raw, **config)
    assert isinstance(value, float) is good
    if not good:
        assert "implausible" in str(value)


def test_stuck() -> None:
    now = 100.0
    device = sensor.SensorTemperature(name="x", config={"stuck_s": 60})
    device.clock = lambda: now  # type: ignore[method-assign]
    raw = 25.0
    device.read = lambda: raw  # type: ignore[method-assign]
    assert device.do_poll()["temperature"] == 25.0
    now += 59
    assert device.do_poll()["temperature"] == 25.0
    now += 1
    assert "stuck: has read exactly 25 for 60 s" in str(device.do_poll()["temperature"])
    raw = 25.01
    assert device.do_poll()["temperature"] == 25.01
    now += 61
    assert isinstance(device.do_poll()["temperature"], DeviceFault)
    device.cmd_reset()
    assert device.do_poll()["temperature"] == 25.01


def test_sensors_that_are_on_or_off() -> None:
    device = sensor.SensorContact(name="door")
    device.read = lambda: True  # type: ignore[method-assign]
    assert device.do_poll() == {"closed": True}
    device.read = lambda: 1  # type: ignore[method-assign]
    assert isinstance(device.do_poll()["closed"], DeviceFault)


@pytest.mark.parametrize(
    ("kind", "safe", "on"),
    [
        (switch.SwitchRelay, False, True),
        (switch.SwitchPump, False, True),
        (switch.SwitchValve, False, True),
        (light.LightDevice, False, True),
        (light.LightDimmer, 0.0, 1.0),
        (light.LightRGB, "#000000", "#0000ff"),
        (media.MediaTV, None, True),
    ],
)
def test_safe_states(kind: type[ActuatorDevice], safe: Any, on: Any) -> None:
    device = kind(name="x")
    assert device.safe == safe
    assert not device.is_on(kind.off)
    assert device.is_on(on)
    assert device.words(on)
    assert kind(name="x", config={"safe": None}).safe is None
    assert kind(name="x", config={"safe": on}).safe == on


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"safe": "off"}, "config.safe: must be true or false"),
        ({"min_on_s": -1}, "config.min_on_s: must be a number from 0"),
        ({"safe": True, "max_run_s": 5}, "config.max_run_s: must be 0 where the safe state is on"),
        ({"min_on_s": 10, "max_run_s": 5}, "config.min_on_s: must not be above max_run_s"),
        ({"safe": None, "interlocks": [{"only_while": "a"}]}, "'only_while' needs a safe state"),
        ({"safe": True, "interlocks": [{"never_with": "a"}]}, "'never_with' can't be kept"),
        ({"interlocks": "a"}, "interlocks: must be a list"),
    ],
)
def test_actuators_that_contradict_themselves(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ClientError) as caught:
        switch.SwitchRelay(name="x", config=config)
    assert words in str(caught.value)


@pytest.mark.parametrize("poll", [0, -1])
def test_an_actuator_is_always_polled(poll: float) -> None:
    with pytest.raises(ClientError, match="poll: must be from"):
        switch.SwitchRelay(name="x", poll=poll)
