# SPDX-License-Identifier: GPL-3.0-or-later
"""Sun times: against almanac values, over clock changes, at the poles, with both of Debian's astral."""

from __future__ import annotations

import math
import sys
from datetime import date, datetime, timedelta, timezone
from itertools import pairwise
from types import ModuleType
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raspy.common import sun

PARIS = (48.8566, 2.3522, "Europe/Paris")
SEVERAL_MINUTES = timedelta(minutes=4)  # almanacs, astral 1.6 and astral 3.2 differ by up to two


def near(moment: datetime | None, text: str) -> bool:
    assert moment is not None
    return abs(moment - datetime.fromisoformat(text)) <= SEVERAL_MINUTES


@pytest.mark.parametrize(
    ("day", "sunrise", "sunset"),
    [
        # timeanddate.com / IMCCE, Paris
        (date(2026, 3, 28), "2026-03-28T06:38+01:00", "2026-03-28T19:15+01:00"),
        (date(2026, 3, 29), "2026-03-29T07:36+02:00", "2026-03-29T20:17+02:00"),
        (date(2026, 6, 21), "2026-06-21T05:47+02:00", "2026-06-21T21:58+02:00"),
        (date(2026, 10, 25), "2026-10-25T07:28+01:00", "2026-10-25T17:42+01:00"),
        (date(2026, 12, 21), "2026-12-21T08:41+01:00", "2026-12-21T16:55+01:00"),
    ],
)
def test_paris_through_the_year_and_its_clock_changes(day: date, sunrise: str, sunset: str) -> None:
    found = sun.times(day, *PARIS)
    assert near(found["sunrise"], sunrise)
    assert near(found["sunset"], sunset)


def test_the_five_events_come_in_order_aware_and_in_the_place_s_zone() -> None:
    found = sun.times(date(2026, 4, 1), *PARIS)
    assert tuple(found) == sun.EVENTS
    moments = [moment for moment in found.values() if moment is not None]
    assert moments == sorted(moments) and len(moments) == 5
    assert {moment.utcoffset() for moment in moments} == {timedelta(hours=2)}
    assert all(moment.microsecond == 0 for moment in moments)


def test_a_day_is_around_its_noon_where_the_zone_is_a_day_ahead_of_the_sun() -> None:
    found = sun.times(date(2026, 1, 15), 1.87, -157.4, "Pacific/Kiritimati")
    assert all(moment is not None and moment.date() == date(2026, 1, 15) for moment in found.values())


def test_a_sunset_after_midnight_belongs_to_the_evening_before() -> None:
    found = sun.times(date(2026, 6, 21), 64.1355, -21.8954, "Atlantic/Reykjavik")
    assert near(found["sunset"], "2026-06-22T00:04+00:00")
    assert found["dusk"] is None and found["dawn"] is None, "it does not get dark in a June night of Iceland"


@pytest.mark.parametrize("day", [date(2026, 6, 21), date(2026, 12, 21)])
def test_polar_day_and_polar_night_have_a_noon_and_nothing_else_of_the_horizon(day: date) -> None:
    found = sun.times(day, 69.65, 18.96, "Europe/Oslo")
    assert found["sunrise"] is None and found["sunset"] is None
    assert found["noon"] is not None and found["noon"].date() == day


def test_a_day_that_the_calendar_skipped_still_has_an_answer() -> None:
    # Samoa crossed the date line: there was no 30 December 2011.
    assert sun.times(date(2011, 12, 30), -13.83, -171.77, "Pacific/Apia")["noon"] is not None


def test_a_tzinfo_is_taken_as_it_is() -> None:
    found = sun.times(date(2026, 3, 29), 48.8566, 2.3522, timezone.utc)
    assert found["noon"] is not None and found["noon"].tzinfo is timezone.utc


@pytest.mark.parametrize(
    ("latitude", "longitude", "zone", "words"),
    [
        (91.0, 0.0, "UTC", "no such place"),
        (0.0, 181.0, "UTC", "no such place"),
        (math.nan, 0.0, "UTC", "no such place"),
        (0.0, 0.0, "Mars/Olympus", "Mars/Olympus"),
        (0.0, 0.0, "../../etc/passwd", "unknown time zone"),
        (0.0, 0.0, "", "unknown time zone"),
    ],
)
def test_a_place_that_is_none_is_refused_in_words(
    latitude: float, longitude: float, zone: str, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        sun.times(date(2026, 1, 1), latitude, longitude, zone)


@settings(max_examples=60, deadline=None)
@given(
    day=st.dates(date(1980, 1, 1), date(2060, 12, 31)),
    latitude=st.floats(-60, 60),
    longitude=st.floats(-180, 180),
    zone=st.sampled_from(["UTC", "Europe/Paris", "Pacific/Auckland", "America/Los_Angeles"]),
)
def test_between_the_polar_circles_there_is_always_a_day_in_order(
    day: date, latitude: float, longitude: float, zone: str
) -> None:
    found = sun.times(day, latitude, longitude, zone)
    sunrise, noon, sunset = found["sunrise"], found["noon"], found["sunset"]
    assert sunrise is not None and noon is not None and sunset is not None
    assert sunrise < noon < sunset < sunrise + timedelta(days=1)
    assert noon.astimezone(ZoneInfo(zone)).date() == day


def test_a_sunrise_at_midnight_of_utc_is_not_lost() -> None:
    """Through the days on which it comes to be on the other side of that midnight; astral 3.2 loses one."""
    moments = [
        sun.times(date(2000, 4, 25) + timedelta(days=n), 52.0, 67.0, "UTC")["sunrise"] for n in range(16)
    ]
    for earlier, later in pairwise(moments):
        assert earlier is not None and later is not None
        assert timedelta(hours=23, minutes=57) < later - earlier < timedelta(hours=24)


def equinox_event(event: str, day: date, longitude: float) -> datetime:
    """Events of an idealised equinox: sunrise 6, noon 12, sunset 18 o'clock solar time."""
    hour = {"dawn": 5.5, "sunrise": 6.0, "noon": 12.0, "sunset": 18.0, "dusk": 18.5}[event]
    midnight = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
    return midnight + timedelta(hours=hour - longitude / 15.0)


class TestOtherVersion:
    """The interface of either version, written down here, so that both branches run on every Debian."""

    def test_version_1(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class AstralError(Exception):
            pass

        class Astral:
            def __init__(self, geocoder: object) -> None:
                pass

            def solar_noon_utc(self, day: date, longitude: float) -> datetime:
                return equinox_event("noon", day, longitude)

            def sunrise_utc(self, day: date, latitude: float, longitude: float) -> datetime:
                return equinox_event("sunrise", day, longitude)

            def sunset_utc(self, day: date, latitude: float, longitude: float) -> datetime:
                return equinox_event("sunset", day, longitude)

            def dawn_utc(self, day: date, latitude: float, longitude: float, depression: float) -> datetime:
                assert depression == 6.0
                return equinox_event("dawn", day, longitude)

            def dusk_utc(self, day: date, latitude: float, longitude: float, depression: float) -> datetime:
                raise AstralError("Sun never reaches 6 degrees below the horizon, at this location.")

        module = ModuleType("astral")
        setattr(module, "Astral", Astral)
        setattr(module, "AstralError", AstralError)
        self.check(monkeypatch, module, None)

    def test_version_3(self, monkeypatch: pytest.MonkeyPatch) -> None:
        module, functions = ModuleType("astral"), ModuleType("astral.sun")

        def function(event: str) -> object:
            def calculate(
                observer: tuple[float, float],
                *,
                date: date,
                tzinfo: timezone,
                depression: float | None = None,
            ) -> datetime:
                assert (depression == 6.0) == (event in ("dawn", "dusk"))
                if event == "dusk":
                    raise ValueError("Sun never reaches 6 degrees below the horizon, at this location.")
                return equinox_event(event, date, observer[1]).astimezone(tzinfo)

            return calculate

        for event in sun.EVENTS:
            setattr(functions, event, function(event))
        setattr(module, "Observer", lambda latitude, longitude: (latitude, longitude))
        setattr(module, "sun", functions)
        self.check(monkeypatch, module, functions)

    @staticmethod
    def check(monkeypatch: pytest.MonkeyPatch, module: ModuleType, functions: ModuleType | None) -> None:
        monkeypatch.setitem(sys.modules, "astral", module)
        monkeypatch.setitem(sys.modules, "astral.sun", functions)  # type: ignore[arg-type]
        found = sun.times(date(2026, 3, 21), 10.0, 179.0, "Pacific/Auckland")
        assert found["dusk"] is None
        assert [moment.hour for moment in found.values() if moment is not None] == [6, 7, 13, 19], (
            "Auckland's summer time is 13 hours ahead, the meridian 179 E almost 12"
        )
        assert all(moment is None or moment.date() == date(2026, 3, 21) for moment in found.values())
