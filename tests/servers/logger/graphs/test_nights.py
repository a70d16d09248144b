# SPDX-License-Identifier: GPL-3.0-or-later
"""When it is night."""

import subprocess
import sys
import time
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from raspy.common import sun
from raspy.servers.logger.graphs import nights as module
from raspy.servers.logger.graphs.nights import Nights

DAY = 86400
PARIS = (48.85, 2.35, "Europe/Paris")


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


def hours(nights: list[tuple[int, int]]) -> list[float]:
    return [round((dawn - dusk) / 3600, 1) for dusk, dawn in nights]


def test_a_night_is_from_sunset_to_sunrise() -> None:
    start = at("2026-03-20T12:00")
    (night,) = Nights(*PARIS).between(start, start + DAY)
    today = sun.times(date(2026, 3, 20), *PARIS)
    tomorrow = sun.times(date(2026, 3, 21), *PARIS)
    assert today["sunset"] is not None and tomorrow["sunrise"] is not None
    assert night == (int(today["sunset"].timestamp()), int(tomorrow["sunrise"].timestamp()))


def test_a_range_that_begins_and_ends_in_the_night() -> None:
    start = at("2026-01-10T23:00")
    found = Nights(*PARIS).between(start, start + DAY)
    assert len(found) == 2 and found[0][0] == start and found[1][1] == start + DAY
    assert sum(hours(found)) == pytest.approx(24 - 8.5, abs=0.2)


def test_a_week_has_its_nights_and_one_child_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    original = subprocess.Popen

    def popen(*args: object, **kwargs: object) -> subprocess.Popen[bytes]:
        started.append(args)
        return original(*args, **kwargs)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(module.subprocess, "Popen", popen)
    nights = Nights(*PARIS)
    alive = []
    nights.prepare(lambda: alive.append(1))
    now = time.time()
    assert len(nights.between(now - 7 * DAY, now)) in (7, 8)
    assert len(nights.between(now - 31 * DAY, now)) in (31, 32)
    nights.prepare(lambda: None)
    assert len(started) == 1 and alive


@pytest.mark.parametrize(("day", "dark"), [("2026-12-21", True), ("2026-06-21", False)])
@pytest.mark.parametrize(("latitude", "northern"), [(78.2, True), (-77.8, False)])
def test_near_a_pole(day: str, dark: bool, latitude: float, northern: bool) -> None:
    """The sun does not rise, or not set, for weeks."""
    start = at(f"{day}T12:00")
    found = Nights(latitude, 15.6, "UTC").between(start, start + 3 * DAY)
    assert found == ([(start, start + 3 * DAY)] if dark is northern else [])


def test_the_polar_night_ends() -> None:
    found = Nights(69.65, 18.95, "Europe/Oslo").between(at("2026-01-10T00:00"), at("2026-01-22T00:00"))
    assert found[0][0] == at("2026-01-10T00:00")
    assert hours(found)[0] > 24 and all(length < 24 for length in hours(found)[1:])


def test_without_a_place_and_in_a_long_range_there_are_none() -> None:
    assert Nights(None, None).between(0, DAY) == []
    assert Nights(None, 5.0).between(0, DAY) == []
    Nights(None, None).prepare(lambda: None)
    nights = Nights(*PARIS)
    assert nights.between(0, 36 * DAY) == [] == nights.between(5, 5)


def test_the_system_s_own_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    start = at("2026-03-20T12:00")
    assert len(Nights(48.85, 2.35).between(start, start + DAY)) == 1


def test_a_wrong_time_zone_is_told_and_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    nights = Nights(48.85, 2.35, "Europe/Atlantis")
    start = at("2026-03-20T12:00")
    assert nights.between(start, start + DAY) == []
    assert "Europe/Atlantis" in nights.error
    monkeypatch.setattr(module.subprocess, "Popen", None)
    assert nights.between(start, start + DAY) == []


@pytest.mark.parametrize(
    ("script", "error"),
    [("exit 3", "status 3"), ("echo no json", "Expecting value"), ("exec sleep 60", "status -9")],
)
def test_a_child_that_fails_costs_the_shading_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, error: str
) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(module, "TIMEOUT_S", 0.0)
    nights = Nights(*PARIS)
    assert nights.between(at("2026-03-20T12:00"), at("2026-03-21T12:00")) == []
    assert error in nights.error


def test_what_is_known_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KNOWN_MAX", 10)
    monkeypatch.setattr(Nights, "_ask", lambda self, first, count, alive: [(None, None)] * count)
    nights = Nights(*PARIS)
    for number in range(10):
        start = at("2026-03-20T12:00") + number * 5 * DAY
        nights.between(start, start + 2 * DAY)
        assert len(nights._known) <= 10


def test_days_that_are_missing_give_no_nights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Nights, "_ask", lambda self, first, count, alive: [(0.0, 1.0)])
    assert Nights(*PARIS).between(at("2026-03-20T12:00"), at("2026-03-22T12:00")) == []


def test_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    import json

    assert module.main(["48.85", "2.35", "Europe/Paris", "2026-03-20", "2"]) == 0
    (first, second) = json.loads(capsys.readouterr().out)
    assert first[0] < first[1] < second[0] < second[1] and second[0] - first[0] == pytest.approx(DAY, abs=200)
    assert module.main(["78.2", "15.6", "", "2026-06-21", "1"]) == 0
    assert json.loads(capsys.readouterr().out) == [[None, None]]
    assert timedelta(seconds=second[1] - second[0]) > timedelta(hours=12)
