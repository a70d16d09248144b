# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restart must not forget, and an SD card that must not be worn."""

import json
import logging
import os
import re
from pathlib import Path
from typing import Any

import pytest

from raspy.common.device_server.guard import Guard, State
from raspy.common.device_server.ledger import LAZY_S, REFRESH_S, Ledger, boottime, last_words, restore
from raspy.common.devices.switch import SwitchRelay

LOG = logging.getLogger("raspy.test")


class World:
    """A guard, a ledger, and their clocks."""

    def __init__(self, folder: Path, boot: str = "b1", **config: Any) -> None:
        self.now = 5000.0
        self.wall = 1_700_000_000.0
        self.path = folder / "actuators.json"
        self.ledger = self.open(boot)
        device = SwitchRelay(name="heater", config=config)
        self.guard = Guard(device, lambda name, command: State("missing"), self.now)
        self.guards = {"heater": self.guard}
        self.drive(self.guard.safe_now("start", ""))

    def open(self, boot: str) -> Ledger:
        return Ledger(self.path, LOG, clock=lambda: self.now, boot=boot, wall=lambda: self.wall)

    def drive(self, drive: Any) -> None:
        if drive is not None:
            self.guard.done(drive, self.now)

    def command(self, value: bool, hold: float | None = None) -> None:
        self.drive(self.guard.command(value, hold, self.now, "core-1"))

    def kept(self) -> dict[str, Any]:
        return json.loads(self.path.read_text())["devices"]["heater"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_what_is_kept(world: World) -> None:
    world.command(True, hold=60)
    world.ledger.save(world.guards)
    assert world.kept() == {
        "value": True, "since": 5000.0, "tripped": False, "held_by": "core-1",
        "until": 5060.0, "until_epoch": 1_700_000_060.0,
    }  # fmt: skip
    assert world.open("b1").load()["heater"] == {**world.kept(), "certain": True}


def test_times_of_another_boot_are_not_certain(world: World) -> None:
    world.ledger.save(world.guards)
    assert world.open("b2").load()["heater"]["certain"] is False
    assert world.open("").load()["heater"]["certain"] is False


def test_renewing_a_hold_does_not_wear_the_card(world: World) -> None:
    world.command(True, hold=5)
    world.ledger.save(world.guards)
    written = 0
    for _ in range(3600):
        world.now += 1
        world.command(True, hold=5)
        if world.ledger.due(world.guards):
            written += 1
            world.ledger.save(world.guards)
    assert written == 3600 / REFRESH_S
    assert world.kept()["until"] > world.now - REFRESH_S


def test_other_changes_are_written_but_not_each_for_itself(world: World) -> None:
    world.ledger.save(world.guards)
    assert not world.ledger.due(world.guards)
    world.command(True)
    assert not world.ledger.due(world.guards)
    world.now += LAZY_S
    assert world.ledger.due(world.guards)
    world.ledger.save(world.guards)
    world.now += 100 * REFRESH_S
    assert not world.ledger.due(world.guards)


def test_while_it_is_switched_its_state_is_not_known(world: World) -> None:
    drive = world.guard.command(True, None, world.now)
    world.ledger.save(world.guards)
    assert world.kept()["value"] is None
    world.drive(drive)
    world.ledger.save(world.guards)
    assert world.kept()["value"] is True


@pytest.mark.parametrize(
    ("kept", "since", "tripped"),
    [
        ({"value": False, "since": 100.0, "certain": True}, 100.0, False),
        ({"value": False, "since": 100.0, "certain": False}, 200.0, False),
        ({"value": True, "since": 100.0, "certain": True}, 200.0, False),
        ({"value": None, "since": 100.0, "certain": True}, 200.0, False),
        ({"value": False, "since": 300.0, "certain": True}, 200.0, False),
        ({"value": False, "since": "x", "certain": True, "tripped": True}, 200.0, True),
        ({"tripped": "yes"}, 200.0, False),
        ({}, 200.0, False),
    ],
)
def test_only_what_is_certain_shortens_a_minimum_time(
    kept: dict[str, Any], since: float, tripped: bool
) -> None:
    guard = Guard(SwitchRelay(name="x"), lambda name, command: State("missing"), 150.0)
    guard.since_s = 200.0
    restore(guard, kept, 200.0)
    assert guard.since_s == since
    assert guard.tripped is tripped
    drive = guard.safe_now("start", "")
    assert drive is not None
    guard.done(drive, 210.0)
    assert guard.since_s == (since if since == 100.0 else 210.0)


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ({"held_by": "core-1", "until_epoch": 1_700_000_060.0}, r"core-1 held it until about \d\d:\d\d:20"),
        ({"held_by": "", "until_epoch": 1_700_000_060.0}, ""),
        ({"held_by": "core-1", "until_epoch": None}, ""),
        ({}, ""),
    ],
)
def test_what_a_crash_ended(kept: dict[str, Any], words: str) -> None:
    assert re.fullmatch(words, last_words(kept))


def test_the_first_start(world: World, caplog: pytest.LogCaptureFixture) -> None:
    assert world.ledger.load() == {}
    assert not caplog.records


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "5", '{"boot": "b1"}', '{"boot": "b1", "devices": 5}', '{"boot": 1, "devices": {"a": 5}}',
     '{"devices": {}}', "\x00" * 100, "[" * 100_000],
)  # fmt: skip
def test_a_damaged_file_is_as_none(world: World, text: str, caplog: pytest.LogCaptureFixture) -> None:
    world.path.write_text(text)
    assert world.ledger.load() == {}
    assert "minimum times begin anew" in caplog.text


def test_a_file_that_is_no_text(world: World) -> None:
    world.path.write_bytes(b"\xff\xfe")
    assert world.ledger.load() == {}


def test_a_disk_that_is_full_is_said_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.path.with_suffix(".new").mkdir()
    world.ledger.save(world.guards)
    world.ledger.save(world.guards)
    assert caplog.text.count("can't be written") == 1
    world.path.with_suffix(".new").rmdir()
    world.ledger.save(world.guards)
    assert world.kept()["value"] is False


def test_without_a_folder_nothing_is_kept() -> None:
    ledger = Ledger(None, LOG)
    assert ledger.load() == {}
    ledger.save({})


def test_an_interrupted_write_leaves_the_old_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.ledger.save(world.guards)
    old = world.path.read_bytes()
    world.command(True)

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    world.ledger.save(world.guards)
    assert world.path.read_bytes() == old


def test_the_clock_that_nobody_sets() -> None:
    assert boottime() > 0
