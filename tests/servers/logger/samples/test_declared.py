# SPDX-License-Identifier: GPL-3.0-or-later
"""What a device server says of its values."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from raspy.common.mdcliapi import MajorDomoClient
from raspy.common.MDP import NotFoundError, ServerError
from raspy.servers.logger.samples import declared as module
from raspy.servers.logger.samples.declared import UNDECLARED, UNWANTED, Declaration, Declarations

DEVICES = {
    "tank": {"oid": "sensor.temperature", "log": True},
    "quiet": {"oid": "sensor.temperature", "log": False},
    "tv": {"oid": "media.tv", "log": True},
}
TEMPLATES = {
    "sensor.temperature": {
        "commands": {"temperature": {"datasource": "GAUGE"}, "config": {"datasource": ""}}
    },
    "media.tv": {"commands": {"volume.level": {"datasource": "DERIVE"}, "source": {"datasource": "EVIL"}}},
}


class Client(MajorDomoClient):
    """Answers what the test says, without a network."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.present: bool | Exception = True
        self.answers: dict[str, Any] = {"list": DEVICES, "templates": TEMPLATES}

    def call(self, service: str | bytes, *request: str | bytes) -> list[bytes]:
        self.calls.append((str(service), *map(str, request)))
        if isinstance(self.present, Exception):
            raise self.present
        if service == "mmi.service":
            if not self.present:
                raise NotFoundError("no such service")
            return []
        return [json.dumps(self.answers[str(request[0])]).encode()]


@pytest.fixture
def client() -> Client:
    return Client()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def of(client: Client, clock: Clock) -> Callable[[str], Declaration | None]:
    return Declarations(client, clock=clock).of


def test_what_a_device_declares(of: Callable[[str], Declaration | None], clock: Clock) -> None:
    assert of("pi/fake/tank/temperature") == Declaration(True, "GAUGE")
    assert of("pi/fake/quiet/temperature") == UNWANTED
    assert of("pi/fake/gone/temperature") is None
    clock.now += 3
    assert of("pi/fake/gone/temperature") == UNWANTED
    assert of("pi/fake/tv.volume/level") == Declaration(True, "DERIVE")


@pytest.mark.parametrize("command", ["config", "unknown"])
def test_what_makes_no_graph_is_not_logged(of: Callable[[str], Declaration | None], command: str) -> None:
    found = of(f"pi/fake/tank/{command}")
    assert found is not None and not found.log


def test_a_kind_that_is_none_is_not_logged(of: Callable[[str], Declaration | None]) -> None:
    found = of("pi/fake/tv/source")
    assert found is not None and not found.log


def test_a_server_is_asked_once_a_minute(of: Callable[[str], Any], client: Client, clock: Clock) -> None:
    for _ in range(3):
        of("pi/fake/tank/temperature")
        of("pi/fake/quiet/temperature")
        of("pi/fake/gone/temperature")
    assert [call[1:] for call in client.calls] == [("pi.fake.devices",), ("list",), ("templates",)]
    client.answers["list"] = {"quiet": {"oid": "sensor.temperature", "log": True}}
    clock.now += 61
    assert of("pi/fake/quiet/temperature") == Declaration(True, "GAUGE")


def test_a_new_device_is_asked_for_soon(of: Callable[[str], Any], client: Client, clock: Clock) -> None:
    of("pi/fake/tank/temperature")
    clock.now += 1
    client.answers["list"] = {**DEVICES, "new": {"oid": "sensor.temperature", "log": True}}
    assert of("pi/fake/new/temperature") is None, "the answer is older than the question"
    clock.now += 1.1
    assert of("pi/fake/new/temperature") == Declaration(True, "GAUGE")


def test_a_server_without_devices_means_its_numbers_to_be_kept(
    of: Callable[[str], Any], client: Client, clock: Clock
) -> None:
    """But not at once: its service may register later than its first value comes."""
    client.present = False
    assert of("pi/other/a/b") is None
    clock.now += 10
    assert of("pi/other/a/b") is None
    clock.now += 11
    assert of("pi/other/a/b") == UNDECLARED
    client.present = True
    clock.now += 3
    assert of("pi/other/tank/temperature") == Declaration(True, "GAUGE")


@pytest.mark.parametrize("error", [ServerError("no answer"), ServerError("broker away")])
def test_a_server_that_does_not_answer(
    of: Callable[[str], Any], client: Client, clock: Clock, error: Exception
) -> None:
    client.present = error
    assert of("pi/fake/tank/temperature") is None
    client.present = True
    assert of("pi/fake/tank/temperature") == Declaration(True, "GAUGE")
    client.present = error
    clock.now += 61
    assert of("pi/fake/tank/temperature") == Declaration(True, "GAUGE"), "what it said before still stands"


@pytest.mark.parametrize(
    ("what", "answer"),
    [("list", []), ("list", 5), ("list", {"tank": {}}), ("templates", {"x": 5}), ("templates", [1])],
)
def test_an_answer_that_is_none(of: Callable[[str], Any], client: Client, what: str, answer: Any) -> None:
    client.answers[what] = answer
    assert of("pi/fake/tank/temperature") is None


def test_servers_that_are_remembered_are_bounded(
    client: Client, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SERVERS_MAX", 3)
    declarations = Declarations(client, clock=clock)
    for number in range(10):
        assert declarations.of(f"pi/s{number}/tank/temperature")
    assert len(declarations._servers) <= 3
    monkeypatch.setattr(module, "MISSED_MAX", 3)
    for number in range(10):
        clock.now += 61
        declarations.of(f"pi/s0/none{number}/temperature")
    assert len(declarations._missed) <= 4
