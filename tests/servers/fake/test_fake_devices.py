# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated devices as drivers: what they read, and the faults they have on command."""

import threading
from pathlib import Path
from typing import Any

import pytest

from raspy.common.devices.device import BaseDevice, DeviceFault, DeviceRegister
from raspy.common.MDP import ClientError
from raspy.servers.fake import Fake
from raspy.servers.fake.actuators import FakeDimmer, FakePump, FakeRelay
from raspy.servers.fake.sensors import (
    SENSORS,
    FakeContact,
    FakeMotion,
    FakeSensor,
    FakeTank,
    FakeTemperature,
    Simulated,
)
from raspy.servers.fake.tank import Tanks
from tests.conftest import wait_for


def made(kind: type[BaseDevice], **config: Any) -> Any:
    device = kind(name="x", config=config)
    device.tanks = Tanks()  # type: ignore[attr-defined]
    device.open()
    return device


@pytest.mark.parametrize("kind", [kind for kind in SENSORS if issubclass(kind, Simulated)])
@pytest.mark.parametrize("simulator", ["cyclic", "linear", "day", "walk"])
def test_every_sensor_has_a_usual_range_for_every_curve(kind: type[Simulated], simulator: str) -> None:
    device = made(kind, simulator=simulator)
    for _ in range(20):
        assert kind.low <= device.do_poll()[kind.main] <= kind.high


def test_low_high_and_noise() -> None:
    device = made(FakeTemperature, low=30, high=30.001, noise=1.0)
    values = {device.do_poll()["temperature"] for _ in range(50)}
    assert len(values) > 40
    assert min(values) < 30 < max(values)


@pytest.mark.parametrize("kind", [FakeMotion, FakeContact])
def test_sensors_that_are_on_or_off(kind: type[BaseDevice], monkeypatch: pytest.MonkeyPatch) -> None:
    device = made(kind, cycle_s=10)
    monkeypatch.setattr("time.time", lambda: 1004.0)
    assert device.do_poll()[kind.main] is False
    monkeypatch.setattr("time.time", lambda: 1006.0)
    assert device.do_poll()[kind.main] is True


def test_replay(tmp_path: Path) -> None:
    device = FakeTemperature(name="x", config={"simulator": "replay", "file": "a.csv"})
    with pytest.raises(DeviceFault, match="no data folder"):
        device.open()
    device.folder = tmp_path
    with pytest.raises(DeviceFault, match=r"a\.csv can't be read"):
        device.open()
    (tmp_path / "a.csv").write_text("0,21.5\n")
    device.open()
    assert device.do_poll() == {"temperature": 21.5}


@pytest.mark.parametrize("file", ["", "../a.csv", "/etc/passwd", "a/b.csv", "a.txt", ".csv", "a.csv\n"])
def test_a_file_is_a_plain_name(file: str) -> None:
    with pytest.raises(ClientError, match=r"file: must be"):
        FakeTemperature(name="x", config={"simulator": "replay", "file": file})


def test_low_is_below_high() -> None:
    with pytest.raises(ClientError, match=r"config\.low: 30 is not below high, 28"):
        FakeTemperature(name="x", config={"low": 30})


# -- faults ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("85", "85 °C, which it reads after power-on"),
        ("crc", "CRC error"),
        ("missing", "missing: no answer"),
        ("range", "implausible -127"),
    ],
)
def test_faults_that_are_seen_at_once(fault: str, words: str) -> None:
    device = made(FakeTemperature)
    device.do_poll()
    device.exec_cmd(device.oid, "fault", fault)
    assert device.commands["fault"].value == fault
    try:
        value = device.do_poll()["temperature"]
    except DeviceFault as error:
        value = error
    assert words in str(value)
    device.exec_cmd(device.oid, "fault", "none")
    assert 20 <= device.do_poll()["temperature"] <= 28


def test_stuck() -> None:
    device = made(FakeTemperature, noise=1.0)
    before = device.do_poll()["temperature"]
    device.exec_cmd(device.oid, "fault", "stuck")
    assert {device.do_poll()["temperature"] for _ in range(10)} == {before}


def test_stuck_from_the_beginning() -> None:
    device = made(FakeTemperature, noise=1.0)
    device.exec_cmd(device.oid, "fault", "stuck")
    assert len({device.do_poll()["temperature"] for _ in range(5)}) == 1


def test_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("raspy.servers.fake.sensors.boottime", lambda: now)
    device = made(FakeTemperature, low=25, high=25.0001, drift=0.5)
    device.exec_cmd(device.oid, "fault", "drift")
    now = 104.0
    assert device.do_poll()["temperature"] == pytest.approx(27, abs=0.001)


@pytest.mark.parametrize("end", ["none", "close", "time"])
def test_slow(end: str) -> None:
    device = made(FakeTemperature)
    device.timeout_s = 5.0 if end != "time" else 0.05
    device.configured()
    assert device.fast
    device.exec_cmd(device.oid, "fault", "slow")
    assert not device.fast
    values: list[Any] = []
    thread = threading.Thread(target=lambda: values.append(device.do_poll()))
    thread.start()
    if end == "time":
        thread.join(10)
    else:
        wait_for(lambda: not values)
        device.exec_cmd(device.oid, "fault", "none") if end == "none" else device.close()
        thread.join(30)
    assert len(values) == 1


def test_an_unknown_fault() -> None:
    device = made(FakeTemperature)
    with pytest.raises(ClientError, match="fault: must be one of none, 85, crc"):
        device.exec_cmd(device.oid, "fault", "fire")


def test_what_simulates_nothing() -> None:
    with pytest.raises(DeviceFault, match="simulates nothing"):
        FakeSensor().measure()


# -- actuators ---------------------------------------------------------------------------------------


def test_a_relay_is_what_was_written() -> None:
    relay = made(FakePump)
    with pytest.raises(DeviceFault, match="not commanded yet"):
        relay.read()
    relay.exec_cmd(relay.oid, "state", True)
    assert relay.read() is True


def test_a_dead_relay() -> None:
    relay = made(FakeRelay)
    relay.exec_cmd(relay.oid, "fault", "dead")
    with pytest.raises(DeviceFault, match="does not answer"):
        relay.exec_cmd(relay.oid, "state", True)


def test_a_relay_whose_contacts_are_welded() -> None:
    relay = made(FakeRelay)
    relay.exec_cmd(relay.oid, "state", True)
    relay.exec_cmd(relay.oid, "fault", "stuck")
    relay.exec_cmd(relay.oid, "state", False)
    assert relay.read() is True
    assert relay.fast


def test_a_slow_relay() -> None:
    relay = made(FakeRelay)
    relay.exec_cmd(relay.oid, "fault", "slow")
    assert not relay.fast
    thread = threading.Thread(target=lambda: relay.exec_cmd(relay.oid, "state", True))
    thread.start()
    relay.exec_cmd(relay.oid, "fault", "none")
    thread.join(30)
    assert relay.read() is True
    relay.close()


def test_an_output_that_outlives_the_server(tmp_path: Path) -> None:
    relay = FakeRelay(name="x", config={"keeps": True})
    relay.tanks, relay.pins = Tanks(), tmp_path / "pins"
    relay.open()
    with pytest.raises(DeviceFault, match="not commanded yet"):
        relay.read()
    relay.exec_cmd(relay.oid, "state", True)
    next_one = FakeRelay(name="x", config={"keeps": True})
    next_one.tanks, next_one.pins = Tanks(), tmp_path / "pins"
    next_one.open()
    assert next_one.read() is True
    (tmp_path / "pins" / "x.json").write_text("{")
    next_one.open()


def test_heaters_warm_their_tank(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    for module in ("sensors", "actuators"):
        monkeypatch.setattr(f"raspy.servers.fake.{module}.boottime", lambda: now)
    tank = made(FakeTank, volume_l=10, start=24, room=20, speed=1)
    tanks = tank.tanks
    relay, dimmer = made(FakeRelay, heats="x", power_w=100), made(FakeDimmer, heats="x", power_w=100)
    nothing = made(FakeRelay)
    relay.config["name"], dimmer.config["name"] = "relay", "dimmer"
    relay.tanks = dimmer.tanks = nothing.tanks = tanks
    nothing.exec_cmd("switch.relay", "state", True)
    relay.exec_cmd("switch.relay", "state", True)
    dimmer.exec_cmd("light.dimmer", "level", 50)
    now = 1e7
    assert tank.do_poll()["temperature"] == pytest.approx(20 + 150 / 10)
    relay.exec_cmd("switch.relay", "state", False)
    now = 2e7
    assert tank.do_poll()["temperature"] == pytest.approx(25)
    tank.close()


def test_all_kinds_can_be_described() -> None:
    templates = DeviceRegister(Fake.DEVICES).templates()
    assert len(templates) == len(Fake.DEVICES)
    assert all(kind.server == "fake" for kind in Fake.DEVICES)
