# SPDX-License-Identifier: GPL-3.0-or-later
"""The 1-wire server on a real broker: every fault with its words, hot plug, names, what is missing."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from raspy.common.config import Settings
from raspy.common.devices.fault import DeviceFault
from raspy.common.mdcliapi import MajorDomoClient
from raspy.common.MDP import ClientError, NotFoundError, ServerError
from raspy.servers.onewire import OneWire
from tests.support.broker import HOSTNAME
from tests.support.running import module_stack, running
from tests.support.titanic import TitanicStack
from tests.support.waiting import wait_for

from .conftest import Sysfs
from .test_bus import unprivileged
from .test_sensor import BAD, GOOD

A, B = "28-00000d1efbf6", "28-00000d1efed4"
BUS = "w1_bus_master1"
POLL_S = 0.2


@pytest.fixture(scope="module")
def stack() -> Iterator[TitanicStack]:
    """Titanic and a broker for all tests of a module."""
    yield from module_stack()


class Client:
    """Asks the server."""

    def __init__(self, url: str) -> None:
        self._client = MajorDomoClient(url)

    def __call__(self, *frames: str) -> Any:
        result = self._client.call(f"{HOSTNAME}.onewire.devices", *frames)
        return (
            json.loads(result[0]) if result and result[0][:1] in b"{[" else [one.decode() for one in result]
        )

    def value(self, name: str) -> dict[str, Any]:
        """What is published of a sensor now."""
        values = self("list").get(name, {}).get("values", {})
        return values.get("temperature", {"quality": "none"})

    def wait(self, name: str, **expected: Any) -> dict[str, Any]:
        """Wait until what is published has these keys."""

        def as_expected() -> dict[str, Any]:
            value = self.value(name)
            return value if expected.items() <= value.items() else {}

        return wait_for(as_expected, what=f"{name}: {expected}; it is {self.value(name)}")

    def close(self) -> None:
        self._client.destroy()


@contextmanager
def served(stack: TitanicStack, links: Path, **settings: Any) -> Iterator[tuple[OneWire, Client]]:
    """A 1-wire server with the sensors of a tree; forgets what was configured."""
    checked = Settings.defaults(
        OneWire.SETTINGS, **{"search_s": 0.1, "poll_s": POLL_S, "timeout_s": 10.0, **settings}
    )
    with tempfile.TemporaryDirectory() as data_dir:
        server = OneWire(HOSTNAME, broker=stack.url, settings=checked, data_dir=data_dir, devices_dir=links)
        client = Client(stack.url)
        with running(server, "devices"):
            try:
                yield server, client
            finally:
                for name, device in client("list").items():
                    if device["configured"]:
                        client("remove", name)
                client.close()


def test_every_sensor_appears_with_its_value(stack: TitanicStack, sysfs: Sysfs) -> None:
    with served(stack, sysfs.links) as (server, ask):
        assert ask("list_keys") == sorted(GOOD)
        for sensor, (celsius, _) in GOOD.items():
            body = ask.wait(sensor, quality="good")
            assert (body["value"], body["unit"], body["poll"]) == (celsius, "°C", POLL_S)
        assert server.status_line() == f"{len(GOOD)} devices, all well"
        assert (sysfs.links / BUS / "therm_bulk_read").read_bytes() == b"trigger\n"


def test_every_bad_sensor_is_at_fault_and_never_a_number(stack: TitanicStack, tmp_path: Path) -> None:
    sysfs = Sysfs(tmp_path / "s", "bad")
    with served(stack, sysfs.links) as (server, ask):
        for sensor, (_, words) in BAD.items():
            body = ask.wait(sensor, quality="fault", value=None)
            assert words in body["error"], sensor
        assert "w1-therm" in ask.wait("28-0000000000d0", quality="fault")["error"]
        assert "before its first measurement" in ask.wait("10-000000000085", quality="fault")["error"]
        assert "without a good value" in server.status_line()


@pytest.mark.parametrize("sensor", [sensor for sensor in BAD if sensor.startswith("28-")])
def test_a_good_sensor_goes_bad_and_well_again(stack: TitanicStack, sysfs: Sysfs, sensor: str) -> None:
    with served(stack, sysfs.links) as (_, ask):
        ask.wait(A, quality="good", value=15.25)
        sysfs.write(A, f"bad/{BUS}/{sensor}")
        assert BAD[sensor][1] in ask.wait(A, quality="fault", value=None)["error"]
        assert ask.value(B)["quality"] == "good"
        sysfs.write(A, f"good/{BUS}/{A}")
        ask.wait(A, quality="good", value=15.25)


def test_no_permission(stack: TitanicStack, run_dir: Path) -> None:
    run_dir.chmod(0o755)
    sysfs = Sysfs(run_dir / "s", "good")
    sysfs.file(A).chmod(0)
    with served(stack, sysfs.links) as (server, ask):
        with unprivileged():
            device = server.engine.table.find(A).device
            with pytest.raises(DeviceFault, match=r"no permission to read .*w1_slave"):
                device.read()
        ask.wait(B, quality="good")


def test_a_hanging_sensor_is_at_fault_and_nothing_else_is(
    stack: TitanicStack, sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raspy.servers.onewire.reader.FETCH_S", 0.2)  # as much below timeout_s as in life
    with served(stack, sysfs.links, timeout_s=1.0) as (server, ask):
        ask.wait(A, quality="good")
        sysfs.hang(A)
        assert "did not answer within 1 s" in ask.wait(A, quality="fault", value=None)["error"]
        polled = ask.value(B)["polled"]
        wait_for(lambda: ask.value(B)["polled"] > polled + 5 * POLL_S)
        assert ask.value(B)["quality"] == "good"
        assert server.watchdog.late() == []
        wait_for(
            lambda: (
                ask.value(A)["quality"] != "fault" or sysfs.release(A) or sysfs.write(A, f"good/{BUS}/{A}")
            )
        )
        ask.wait(A, quality="good", value=15.25)


def test_the_server_stops_while_a_sensor_hangs(stack: TitanicStack, sysfs: Sysfs) -> None:
    with served(stack, sysfs.links, timeout_s=1.0) as (_, ask):
        ask.wait(B, quality="good")
        sysfs.hang(A)
        ask.wait(A, quality="fault")
    sysfs.release(A)


def test_hot_plug(stack: TitanicStack, sysfs: Sysfs) -> None:
    new = "28-0000000abcde"
    with served(stack, sysfs.links) as (_, ask):
        ask.wait(A, quality="good")
        sysfs.plug(new, f"good/{BUS}/{B}")
        ask.wait(new, quality="good", value=15.187)
        sysfs.unplug(A)
        assert (
            ask.wait(A, quality="fault", value=None)["error"] == "not on the bus: unplugged, or a broken wire"
        )
        sysfs.plug(A, f"good/{BUS}/{A}", bus="w1_bus_master2")
        ask.wait(A, quality="good", value=15.25)


def test_a_name_takes_the_sensor_over(stack: TitanicStack, sysfs: Sysfs) -> None:
    with served(stack, sysfs.links) as (_, ask):
        ask.wait(A, quality="good")
        ask("add", "tank", json.dumps({
            "oid": "sensor.temperature", "poll": POLL_S, "config": {"sensor": A, "unit": "°F", "offset": 1.0},
        }))  # fmt: skip
        ask.wait("tank", quality="good", value=60.45, unit="°F")
        assert A not in ask("list_keys")
        ask("remove", "tank")
        ask.wait(A, quality="good", value=15.25)
        assert "tank" not in ask("list_keys")


def test_a_configured_sensor_that_is_not_there(stack: TitanicStack, sysfs: Sysfs) -> None:
    with served(stack, sysfs.links) as (_, ask):
        device = {"oid": "sensor.temperature", "poll": POLL_S, "config": {"sensor": "28-0000000dead0"}}
        ask("add", "garden", json.dumps(device))
        assert "not on the bus" in ask.wait("garden", quality="fault")["error"]
        sysfs.plug("28-0000000dead0", f"good/{BUS}/{A}")
        ask.wait("garden", quality="good", value=15.25)
        assert "28-0000000dead0" not in ask("list_keys")


def test_keeps_the_wished_resolution(
    stack: TitanicStack, sysfs: Sysfs, caplog: pytest.LogCaptureFixture
) -> None:
    config = {"sensor": A, "resolution": 10}
    with served(stack, sysfs.links) as (_, ask):
        ask("add", "tank", json.dumps({"oid": "sensor.temperature", "poll": POLL_S, "config": config}))
        resolution = sysfs.file(A, "resolution")
        wait_for(lambda: resolution.read_text() == "10\n")
        # the sensor lost its power, and with it the setting
        resolution.write_text("12\n")
        wait_for(lambda: resolution.read_text() == "10\n\n" or resolution.read_text() == "10\n")
        # at once a folder stands there: between unlink and mkdir the server might look for another way
        link = resolution.with_name("resolution.new")
        link.symlink_to(resolution.parent)
        link.replace(resolution)
        wait_for(lambda: "10 bits were refused, it stays at 12: Is a directory" in caplog.text)
        polled = ask.value("tank")["polled"]
        wait_for(lambda: ask.value("tank")["polled"] > polled + 2 * POLL_S)
        assert caplog.text.count("were refused") == 1
        assert ask.value("tank")["quality"] == "good"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "config.sensor: is missing"),
        ({"sensor": "tank"}, 'config.sensor: "tank" is no thermometer'),
        ({"sensor": "../../../etc/passwd"}, "is no thermometer's id"),
        ({"sensor": "2d-00000de5d608"}, "is no thermometer's id"),
        ({"sensor": A, "resolution": 8}, "config.resolution: must be a whole number from 9 to 12"),
        ({"sensor": "10-000802be73fa", "resolution": 9}, "a DS18S20 has only one"),
        ({"sensor": A, "minimum": 50, "maximum": 40}, "not below the maximum"),
    ],
)
def test_a_wrong_configuration_changes_nothing(
    stack: TitanicStack, sysfs: Sysfs, config: dict[str, Any], words: str
) -> None:
    with served(stack, sysfs.links) as (_, ask):
        with pytest.raises(ClientError) as caught:
            ask("add", "tank", json.dumps({"oid": "sensor.temperature", "config": config}))
        assert words in str(caught.value)
        with pytest.raises(NotFoundError):
            ask("get", "tank")


def test_exec_reads_now(stack: TitanicStack, sysfs: Sysfs) -> None:
    with served(stack, sysfs.links, poll_s=3600) as (_, ask):
        ask.wait(A, quality="good")
        sysfs.write(A, f"good/{BUS}/{B}")
        assert ask("exec", A, "temperature")["value"] == 15.187
        sysfs.unplug(A)
        with pytest.raises(ServerError, match="not on the bus"):
            ask("exec", A, "temperature")


@pytest.mark.parametrize(
    ("tree", "words"),
    [("no-sensor", "check the wiring"), ("phantoms", "resistor"), ("no-driver", "w1-therm is not loaded")],
)
def test_says_what_is_missing(stack: TitanicStack, tmp_path: Path, tree: str, words: str) -> None:
    with served(stack, Sysfs(tmp_path / "s", tree).links) as (server, _):
        assert words in server.status_line()
        assert stack.ask(f"{HOSTNAME}.onewire.mmi", "status")[0].decode() == server.status_line()


def test_1_wire_is_set_up_while_the_server_runs(stack: TitanicStack, tmp_path: Path) -> None:
    links = tmp_path / "s" / "bus"
    with served(stack, links) as (server, ask):
        assert "dtoverlay=w1-gpio" in server.status_line()
        assert ask("list_keys") == []
        Sysfs(tmp_path / "s", "good")
        ask.wait(A, quality="good", value=15.25)
        assert server.status_line() == f"{len(GOOD)} devices, all well"


def test_as_a_process(run_dir: Path) -> None:
    """As it is run: on a machine without 1-wire it says so, and stops when told to."""
    own = TitanicStack(run_dir)
    own.broker.server("onewire")
    status = own.ask(f"{HOSTNAME}.onewire.mmi", "status")[0].decode()
    own.close()
    assert status
