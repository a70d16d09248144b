# SPDX-License-Identifier: GPL-3.0-or-later
"""Sun times of a day at a place, from Debian's astral (1.6 on Debian 12, 3.2 on Debian 13).

The two versions differ in their interface and in what they do when an event lies on the other
side of midnight. Here a day is always "around its noon": the sunrise before and the sunset after
the solar noon that falls on the asked date of the place's own calendar, whatever the clock
changes and however far the place is from its time zone's meridian.

astral is imported at the first call, so that a daemon which never asks does not pay for it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date as Date
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

EVENTS = ("dawn", "sunrise", "noon", "sunset", "dusk")
MORNING = frozenset(("dawn", "sunrise"))
CIVIL_DEPRESSION_DEGREES = 6.0
ONE_DAY = timedelta(days=1)
ONE_HOUR = timedelta(hours=1)
HALF_DAY = timedelta(hours=13)  # an event belongs to a noon at most half a (solar) day away, with a margin

Calculate = Callable[[str, Date], "datetime | None"]


def times(
    date: Date, latitude: float, longitude: float, timezone: str | tzinfo
) -> dict[str, datetime | None]:
    """The sun's times of one calendar day at a place.

    Args:
        date: the day, in the place's own calendar.
        latitude: degrees, north positive, -90 to 90.
        longitude: degrees, east positive, -180 to 180.
        timezone: the place's time zone, a name of the IANA database ("Europe/Paris") or a tzinfo.

    Returns:
        `dawn` (civil, 6 degrees), `sunrise`, `noon`, `sunset`, `dusk`, each an aware datetime in
        `timezone`, to the second; or None where the sun does not get that low (polar day) or that
        high (polar night) on this day. `noon` is never None.

    Raises:
        ValueError: a latitude or longitude outside the globe, or an unknown time zone.
    """
    if not -90.0 <= latitude <= 90.0 or not -180.0 <= longitude <= 180.0:
        raise ValueError(
            f"no such place: latitude {latitude}, longitude {longitude};"
            " use -90 to 90 and -180 to 180 degrees"
        )
    zone = zone_of(timezone)
    calculate = _calculator(latitude, longitude)
    solar_date, noon = _noon_on(date, zone, calculate)
    result: dict[str, datetime | None] = {}
    for event in EVENTS:
        moment = noon if event == "noon" else _beside(event, solar_date, noon, calculate)
        result[event] = None if moment is None else moment.replace(microsecond=0).astimezone(zone)
    return result


def zone_of(name: str | tzinfo) -> tzinfo:
    """The tzinfo of an IANA name; a tzinfo is returned as it is.

    Raises:
        ValueError: the name is not in the system's time zone database.
    """
    if isinstance(name, tzinfo):
        return name
    try:
        return ZoneInfo(name)
    except (OSError, KeyError, ValueError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(
            f"unknown time zone {name!r}: use a name as in /usr/share/zoneinfo, for example Europe/Paris"
        ) from error


def _noon_on(date: Date, zone: tzinfo, calculate: Calculate) -> tuple[Date, datetime]:
    """The solar date (that of the place's meridian) whose noon falls on `date` in `zone`.

    They differ where the zone is far from its meridian: noon of the 1st at Kiritimati (UTC+14,
    157 W) is still noon of the 31st by the sun's own reckoning.
    """
    found: tuple[Date, datetime] | None = None
    for solar_date in (date, date - ONE_DAY, date + ONE_DAY):
        noon = calculate("noon", solar_date)
        if noon is not None and noon.astimezone(zone).date() == date:
            return solar_date, noon
        if found is None and noon is not None:
            found = solar_date, noon  # a day that the calendar skipped (Samoa, 30 December 2011)
    if found is None:
        raise ValueError(f"no solar noon near {date}: the date is outside what astral computes")
    return found


def _beside(event: str, solar_date: Date, noon: datetime, calculate: Calculate) -> datetime | None:
    """`event` on its side of `noon`: before it in the morning, after it in the evening.

    In a summer near the polar circle the sun sets after midnight: that sunset is the evening of
    the day before, so the neighbouring date is looked at too.
    """
    morning = event in MORNING
    for candidate in (solar_date, solar_date - ONE_DAY if morning else solar_date + ONE_DAY):
        moment = calculate(event, candidate)
        if moment is None:
            continue
        distance = noon - moment if morning else moment - noon
        if timedelta(0) <= distance <= HALF_DAY:
            return moment
    return None


def _calculator(latitude: float, longitude: float) -> Calculate:
    """A function (event, solar date) -> aware UTC moment or None, over whichever astral is installed."""
    import astral

    if hasattr(astral, "Astral"):
        return _calculator_1(astral, latitude, longitude)
    return _calculator_3(astral, latitude, longitude)


def _calculator_1(astral: Any, latitude: float, longitude: float) -> Calculate:
    """astral 1.x: methods of one object; it counts each day around its own noon already."""
    sun = astral.Astral(geocoder=object)  # without its table of cities: a place is given by numbers

    def calculate(event: str, date: Date) -> datetime | None:
        try:
            if event == "noon":
                moment = sun.solar_noon_utc(date, longitude)
            elif event in ("dawn", "dusk"):
                moment = getattr(sun, event + "_utc")(date, latitude, longitude, CIVIL_DEPRESSION_DEGREES)
            else:
                moment = getattr(sun, event + "_utc")(date, latitude, longitude)
        except astral.AstralError:
            return None
        return _utc(moment)

    return calculate


def _calculator_3(astral: Any, latitude: float, longitude: float) -> Calculate:
    """astral 2.x and 3.x: functions of a module; a day is a calendar day of the given time zone.

    Asked in mean solar time, so that neither sunrise nor sunset crosses midnight outside the polar
    circles (astral then finds none on one day and loses one on another).
    """
    from astral import sun as events

    observer = astral.Observer(latitude, longitude)
    solar = timezone(timedelta(minutes=round(4.0 * longitude)))

    def ask(event: str, date: Date) -> datetime | None:
        depression = {"depression": CIVIL_DEPRESSION_DEGREES} if event in ("dawn", "dusk") else {}
        try:
            return _utc(getattr(events, event)(observer, date=date, tzinfo=solar, **depression))
        except ValueError:
            return None

    def calculate(event: str, date: Date) -> datetime | None:
        moment = ask(event, date)
        if moment is None:
            # astral itself counts in days of UTC, and misses the one event that crosses its midnight.
            before, after = ask(event, date - ONE_DAY), ask(event, date + ONE_DAY)
            if before is not None and after is not None and abs(after - before - 2 * ONE_DAY) < ONE_HOUR:
                moment = before + (after - before) / 2
        return moment

    return calculate


def _utc(moment: datetime) -> datetime:
    """Plain UTC: astral 1.6 hands out pytz objects, which behave differently in arithmetic."""
    return datetime.fromtimestamp(moment.timestamp(), timezone.utc)
