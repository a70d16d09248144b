# SPDX-License-Identifier: GPL-3.0-or-later
"""What a name means."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.ctl import names
from raspy.ctl.connection import Bus, resolve
from raspy.ctl.errors import CtlError, NotFound, WrongUse
from raspy.ctl.names import Device, Value
from tests.support.ctl import HEATER, TANK, CtlStack
from tests.support.peers import Peers

KEYS = [
    "/device/pi/fake/tank/temperature", "/device/pi/fake/heater/state", "/device/pi/onewire/tank/temperature",
    "/device/house/fake/lamp/level", "/device/house/fake/tv.volume/level", "/device/house/fake/pi/state",
    "/event/cron/x", "/device/short", "/device/a/b/c/d/e",
]  # fmt: skip
KNOWN = names.published(KEYS)
LAMP = Device("house", "fake", "lamp")


def paths(text: str) -> list[str]:
    return [value.path for value in names.matching(text, KNOWN)]


def test_the_devices_of_the_tree() -> None:
    assert KNOWN[Device("pi", "fake", "tank")] == ["temperature"]
    assert len(KNOWN) == 6


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("heater", ["pi/fake/heater"]),
        ("tank", ["pi/fake/tank", "pi/onewire/tank"]),
        ("fake/tank", ["pi/fake/tank"]),
        ("pi/heater", ["pi/fake/heater"]),
        ("pi/fake/heater", ["pi/fake/heater"]),
        ("/device/pi/fake/heater/", ["pi/fake/heater"]),
        ("heater/state", ["pi/fake/heater/state"]),
        ("fake/tank/temperature", ["pi/fake/tank/temperature"]),
        ("/device/pi/fake/tank/temperature", ["pi/fake/tank/temperature"]),
        ("tv.volume", ["house/fake/tv.volume"]),
        ("pi", ["house/fake/pi"]),
        ("onewire/heater", []),
        ("house/pi/heater", ["house/fake/pi/heater"]),
        ("house/onewire/tank", []),
        ("a/b/c/d/e", []),
        ("", []),
    ],
)
def test_what_matches(text: str, meant: list[str]) -> None:
    # Of what is no device's name, the last part is taken for a command.
    assert paths(text) == meant


def test_a_device_goes_before_a_value_of_the_same_name() -> None:
    known = {**KNOWN, Device("pi", "fake", "state"): ["x"], Device("heater", "fake", "state"): ["x"]}
    assert [value.path for value in names.matching("heater/state", known)] == ["heater/fake/state"]


@given(st.text(max_size=60))
def test_whatever_is_written_it_is_looked_up(text: str) -> None:
    for value in names.matching(text, KNOWN):
        assert value.device in KNOWN


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[CtlStack]:
    started = CtlStack(home, "titanic", "fake", devices=(TANK, HEATER))
    yield started
    started.close()


@pytest.fixture
def bus(stack: CtlStack) -> Iterator[Bus]:
    opened = Bus(resolve(stack.url, None), 20)
    yield opened
    opened.close()


def test_devices_that_published_nothing_are_found(bus: Bus) -> None:
    assert names.find(bus, "tank", {}) == Value(Device("test", "fake", "tank"), "")
    assert names.find(bus, "heater/state") == Value(Device("test", "fake", "heater"), "state")
    with pytest.raises(NotFound, match="did you mean test/fake/heater"):
        names.find(bus, "haeter")


def test_several_are_listed(bus: Bus) -> None:
    with pytest.raises(WrongUse, match="can mean several: pi/fake/tank, pi/onewire/tank"):
        names.find(bus, "tank", KNOWN)


def test_a_server_that_is_silent_may_have_it(
    bus: Bus, stack: CtlStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raspy.ctl.connection.ALIVE_S", 30)
    with Peers(stack.url) as peers:
        peers.registered(b"test.odd.devices")
        bus._client.timeout = 1500
        with pytest.raises(
            CtlError, match=r"there is no device 'lamp' among those that are known, and test\.odd"
        ):
            names.find(bus, "lamp")


def test_a_sleeping_server_has_the_devices_that_are_stored(stack: CtlStack, bus: Bus, home: Path) -> None:
    """It is not woken for nothing, but is when it has devices."""
    stack.ask("titanic.store", "set", "test.attic", "devices", "fan", json.dumps({}))
    stack.ask("titanic.store", "set", "test.cellar", "state", "x", "1")
    files = []
    try:
        for name in ("attic", "cellar"):
            sleeping = socket.socket(socket.AF_UNIX)
            files.append((sleeping, home / f"{name}.sock"))
            sleeping.bind(str(home / f"{name}.sock"))
            sleeping.listen()
        assert bus.asleep() == {"test.attic", "test.cellar"}
        found = names.device_servers(bus)
        assert "test.attic.devices" in found and "test.cellar.devices" not in found
        assert names.find_service(bus, "test.attic.anything") == "test.attic.anything"
    finally:
        for sleeping, path in files:
            sleeping.close()
            path.unlink()


TV = {
    "main": "power", "config": {"offset": 0},
    "commands": {"power": {"type": "Bool"}, "volume.level": {"type": "Int"}, "volume.mute": {}},
}  # fmt: skip


def test_commands() -> None:
    tv, volume = Device("pi", "fake", "tv"), Device("pi", "fake", "tv.volume")
    assert names.main_command(TV, tv) == "power"
    assert names.main_command(TV, volume) == "level"
    with pytest.raises(NotFound, match="part of tv 'voluem'; did you mean volume"):
        names.main_command(TV, Device("pi", "fake", "tv.voluem"))
    assert names.listed_command(TV, tv, "power") == {"type": "Bool"}
    assert names.listed_command(TV, volume, "level") == {"type": "Int"}
    with pytest.raises(NotFound, match="did you mean power"):
        names.listed_command(TV, tv, "pwer")
    with pytest.raises(WrongUse, match="raspyctl devices config tv offset=VALUE"):
        names.listed_command(TV, tv, "offset")


def test_services(bus: Bus) -> None:
    assert names.find_service(bus, "mmi.anything") == "mmi.anything"
    assert names.find_service(bus, "fake.devices") == "test.fake.devices"
    with pytest.raises(WrongUse, match=r"test\.broker\.mmi, test\.fake\.mmi"):
        names.find_service(bus, "mmi")
    with pytest.raises(NotFound, match=r"did you mean test\.fake\.devices"):
        names.find_service(bus, "test.fake.device")


def test_its_service_and_path() -> None:
    assert (LAMP.service, LAMP.path) == ("house.fake.devices", "house/fake/lamp")
    assert Value(LAMP, "").path == LAMP.path and Value(LAMP, "level").path == "house/fake/lamp/level"
