# SPDX-License-Identifier: GPL-3.0-or-later
"""When jobs are due, over clock changes, at the poles, and where no such day exists."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.servers.core.cron import aps
from raspy.servers.core.cron.crontab import parse
from raspy.servers.core.cron.triggers import CrontabTrigger, Place, SunTrigger, following

PARIS = ZoneInfo("Europe/Paris")


def runs(trigger: object, start: str, count: int, zone: ZoneInfo = PARIS) -> list[str]:
    moment = datetime.fromisoformat(start).replace(tzinfo=zone).astimezone(UTC)
    found = []
    for _ in range(count):
        after = following(trigger, moment)
        if after is None:
            break
        assert after > moment and after.tzinfo is UTC
        moment = after
        found.append(moment.astimezone(zone).strftime("%m-%d %H:%M %z"))
    return found


def cron(expression: str, zone: ZoneInfo = PARIS) -> CrontabTrigger:
    return CrontabTrigger(parse(expression), zone, 2026)


@pytest.mark.parametrize(
    ("expression", "start", "wanted"),
    [
        # The night of 29 March 2026: 02:00 CET becomes 03:00 CEST.
        ("30 2 * * *", "2026-03-28T00:00", ["03-28 02:30 +0100", "03-29 03:30 +0200", "03-30 02:30 +0200"]),
        ("0 3 * * *", "2026-03-28T12:00", ["03-29 03:00 +0200", "03-30 03:00 +0200"]),
        ("30 2,3 * * *", "2026-03-29T00:00", ["03-29 03:30 +0200", "03-30 02:30 +0200", "03-30 03:30 +0200"]),
        ("*/30 * * * *", "2026-03-29T01:00", ["03-29 01:30 +0100", "03-29 03:00 +0200", "03-29 03:30 +0200"]),
        # The night of 25 October 2026: 03:00 CEST becomes 02:00 CET.
        ("30 2 * * *", "2026-10-25T00:00", ["10-25 02:30 +0200", "10-26 02:30 +0100"]),
        (
            "*/30 * * * *",
            "2026-10-25T02:00",
            ["10-25 02:30 +0200", "10-25 02:00 +0100", "10-25 02:30 +0100", "10-25 03:00 +0100"],
        ),
        ("0 */2 * * *", "2026-10-25T00:00", ["10-25 02:00 +0200", "10-25 02:00 +0100", "10-25 04:00 +0100"]),
        ("0 * * * 1", "2026-10-24T12:00", ["10-26 00:00 +0100", "10-26 01:00 +0100"]),
        # Both days restricted: one of them is enough.
        ("0 0 13 * 5", "2026-02-01T00:00", ["02-06 00:00 +0100", "02-13 00:00 +0100", "02-20 00:00 +0100"]),
        ("0 0 * * 7", "2026-01-01T00:00", ["01-04 00:00 +0100", "01-11 00:00 +0100"]),
        ("0 12 29 2 *", "2026-01-01T00:00", ["02-29 12:00 +0100"]),
    ],
)
def test_due_as_cron_has_it(expression: str, start: str, wanted: list[str]) -> None:
    assert runs(cron(expression), start, len(wanted)) == wanted


def test_a_zone_that_moves_by_half_an_hour() -> None:
    zone = ZoneInfo("Australia/Lord_Howe")  # 5 April 2026: 02:00 becomes 01:30
    assert runs(cron("45 1 * * *", zone), "2026-04-04T12:00", 2, zone) == [
        "04-05 01:45 +1100",
        "04-06 01:45 +1030",
    ]


@pytest.mark.parametrize("expression", ["0 0 30 2 *", "0 0 31 4,6,9,11 *"])
def test_a_day_that_never_comes(expression: str) -> None:
    assert runs(cron(expression), "2026-01-01T00:00", 1) == []


def test_apscheduler_may_ask_in_its_own_way() -> None:
    trigger, noon = cron("0 12 * * *"), datetime(2026, 1, 1, 11, tzinfo=UTC)
    assert trigger.get_next_fire_time(None, noon) == noon, "a run that is due now is due"
    assert trigger.get_next_fire_time(noon, noon) == noon + timedelta(days=1)
    assert str(trigger) == "cron[0 12 * * *]"


minute = st.integers(0, 59).map(str)
hour = st.one_of(st.integers(0, 23).map(str), st.just("*"), st.just("*/3"))
moments = st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1)).map(
    lambda m: m.replace(tzinfo=UTC, microsecond=0)
)


@given(
    minute, hour, moments, st.sampled_from(["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "UTC"])
)
def test_every_day_has_its_runs_and_time_only_goes_forward(
    minute: str, hour: str, moment: datetime, zone: str
) -> None:
    trigger = cron(f"{minute} {hour} * * *", ZoneInfo(zone))
    end = moment + timedelta(days=3)
    days = set()
    while moment < end:
        after = following(trigger, moment)
        assert after is not None and moment < after <= moment + timedelta(hours=25)
        moment = after
        days.add(moment.astimezone(ZoneInfo(zone)).date())
    assert len(days) >= 3


class TestSun:
    PLACE = Place(PARIS, 48.8566, 2.3522)

    def test_follows_the_sun_over_a_clock_change(self) -> None:
        found = runs(SunTrigger("sunset", -1800, self.PLACE), "2026-03-28T12:00", 2)
        assert [one[:5] + one[-6:] for one in found] == ["03-28 +0100", "03-29 +0200"]
        assert "18:3" in found[0] or "18:4" in found[0]
        assert "19:3" in found[1] or "19:4" in found[1]

    def test_an_offset_may_move_it_to_the_next_day(self) -> None:
        trigger = SunTrigger("sunset", 6 * 3600, self.PLACE)
        found = runs(trigger, "2026-06-20T12:00", 2)
        assert [one[:5] for one in found] == ["06-21", "06-22"], "sunset at 22 o'clock and six hours"

    def test_a_polar_winter_waits_for_spring(self) -> None:
        tromso = Place(ZoneInfo("Europe/Oslo"), 69.65, 18.96)
        found = runs(SunTrigger("sunrise", 0, tromso), "2026-12-01T12:00", 1, ZoneInfo("Europe/Oslo"))
        assert found[0].startswith("01-1")

    def test_a_sun_that_never_sets_gives_no_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("raspy.servers.core.cron.triggers.sun.times", lambda *a: {"sunset": None})
        assert runs(SunTrigger("sunset", 0, self.PLACE), "2026-12-01T12:00", 1) == []

    def test_names_itself(self) -> None:
        assert str(SunTrigger("dawn", -600, self.PLACE)) == "sun[dawn-600 s]"


def test_the_scheduler_library_is_there_without_its_heavy_friend() -> None:
    code = (
        "import sys; from raspy.servers.core.cron import aps; print('pkg_resources' in sys.modules, aps.Job)"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.startswith("False <class 'apscheduler.job.Job'>")


def test_a_pkg_resources_that_is_there_already_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    real = object()
    monkeypatch.setitem(sys.modules, "pkg_resources", real)  # type: ignore[arg-type]
    aps._import()
    assert sys.modules["pkg_resources"] is real
