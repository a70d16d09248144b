# SPDX-License-Identifier: GPL-3.0-or-later
"""When a job is due: APScheduler triggers that get clock changes right, and one that follows the sun.

All moments are aware datetimes in UTC; only a trigger knows of the place's zone. Clock changes
(daylight saving time) go as in cron(8): a job at fixed hours runs once on each of its days, at the end
of the gap if its time is skipped and the first time if it comes twice; a job of every hour (``*``)
follows the time that really passes.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo
from typing import NamedTuple

from raspy.common import sun
from raspy.servers.core.cron.aps import BaseTrigger, CronTrigger
from raspy.servers.core.cron.crontab import Pattern

TICK = timedelta(microseconds=1)
# No clock change moves the wall clock by more than this (Lord Howe 0.5 h, most 1 h, Antarctica 3 h).
MOST_SHIFT = timedelta(hours=3)
# A pattern that has no date in so many years never has one: 29 February on a given weekday comes within 40.
HORIZON_YEARS = 41
# A place at the pole sees no sunrise for up to half a year.
SUN_DAYS = 370


class Place(NamedTuple):
    """Where the clock and the sun are read.

    Args:
        zone: its time zone.
        latitude: degrees, north positive; None when it was not configured.
        longitude: degrees, east positive; None when it was not configured.
    """

    zone: tzinfo
    latitude: float | None = None
    longitude: float | None = None


def following(trigger: BaseTrigger, moment: datetime) -> datetime | None:
    """The first time after *moment*, in UTC, that *trigger* gives; None if there is none."""
    found: datetime | None = trigger.get_next_fire_time(None, moment + TICK)
    if found is None or found <= moment:
        return None
    return found.astimezone(timezone.utc)


class CrontabTrigger(BaseTrigger):  # type: ignore[misc]
    """Due as a line of crontab(5) says, in a zone with clock changes.

    APScheduler's own trigger finds the next match in a calendar without clock changes (UTC); here the match
    is put on the zone's clock.

    Args:
        pattern: the five fields.
        zone: the time zone they are read in.
        year: the year from which dates are looked for.
    """

    def __init__(self, pattern: Pattern, zone: tzinfo, year: int) -> None:
        years = f"{max(1970, year - 1)}-{year + HORIZON_YEARS}"
        self.pattern = pattern
        self.zone = zone
        self._calendars = [
            CronTrigger(year=years, timezone="UTC", second=0, **fields) for fields in pattern.alternatives()
        ]

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The next time after *previous_fire_time*, or else from *now* on (APScheduler's interface)."""
        after = (now - TICK if previous_fire_time is None else previous_fire_time).astimezone(timezone.utc)
        return self._elapsed(after) if self.pattern.every_hour else self._fixed(after)

    def _match(self, reading: datetime) -> datetime | None:
        """The first clock reading after *reading* (both without a zone) that matches."""
        found = [
            calendar.get_next_fire_time(None, (reading + TICK).replace(tzinfo=timezone.utc))
            for calendar in self._calendars
        ]
        return min((one.replace(tzinfo=None) for one in found if one is not None), default=None)

    def _fixed(self, after: datetime) -> datetime | None:
        """Each reading of a day happens once: in a gap it moves behind it, the second of two is left out."""
        reading = self._match(self._reading(after - MOST_SHIFT))
        best: datetime | None = None
        while reading is not None:
            # PEP 495: of a reading that comes twice fold=0 is the first; one in the gap moves by its length.
            moment = reading.replace(tzinfo=self.zone, fold=0).astimezone(timezone.utc)
            if moment > after and (best is None or moment < best):
                best = moment
            # A later reading may still be an earlier moment, if a gap lies between; but not beyond any shift.
            if best is not None and reading > self._reading(best) + MOST_SHIFT:
                break
            ahead = self._match(reading)
            if best is not None and ahead is not None and self._calm(best - MOST_SHIFT, ahead):
                break
            reading = ahead
        return best

    def _calm(self, start: datetime, reading: datetime) -> bool:
        """Whether the clock is not changed from *start* until it shows *reading*, and a while after."""
        end = reading.replace(tzinfo=self.zone).astimezone(timezone.utc) + MOST_SHIFT
        return self._offset(start) == self._offset(end)

    def _elapsed(self, after: datetime) -> datetime | None:
        """Readings as they come by, twice when the hour is repeated, not at all when it is skipped."""
        start, reading = after, self._match(self._reading(after))
        while reading is not None:
            moment = (reading - self._offset(start)).replace(tzinfo=timezone.utc)
            if self._offset(moment) == self._offset(start):
                return moment
            # The clock is changed on the way there: look again from the change, which may itself match.
            change = self._change(start, moment)
            start, reading = change, self._match(self._reading(change) - TICK)
        return None

    def _change(self, start: datetime, end: datetime) -> datetime:
        """The second at which the clock is first changed between the two."""
        offset, low, high = self._offset(start), 0, int((end - start).total_seconds()) + 1
        while high - low > 1:
            middle = (low + high) // 2
            if self._offset(start + timedelta(seconds=middle)) == offset:
                low = middle
            else:
                high = middle
        return (start + timedelta(seconds=high)).replace(microsecond=0)

    def _reading(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone).replace(tzinfo=None)

    def _offset(self, moment: datetime) -> timedelta:
        return moment.astimezone(self.zone).utcoffset() or timedelta(0)

    def __str__(self) -> str:
        return f"cron[{self.pattern.expression}]"


class SunTrigger(BaseTrigger):  # type: ignore[misc]
    """Due when the sun does something, before or after it by an offset.

    Args:
        event: one of ``sun.EVENTS``.
        offset_s: seconds to add, negative for before.
        place: where; its latitude and longitude are given.
    """

    def __init__(self, event: str, offset_s: float, place: Place) -> None:
        self.event = event
        self.offset = timedelta(seconds=offset_s)
        self.place = place

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The next time after *previous_fire_time*, or else from *now* on (APScheduler's interface)."""
        after = now - TICK if previous_fire_time is None else previous_fire_time
        zone, latitude, longitude = self.place
        assert latitude is not None and longitude is not None
        # The day's event may be due on the day before or after, by its offset or behind midnight.
        day = (after - self.offset).astimezone(zone).date() - timedelta(days=1)
        for _ in range(SUN_DAYS):
            moment = sun.times(day, latitude, longitude, zone)[self.event]
            if moment is not None and moment + self.offset > after:
                return (moment + self.offset).astimezone(timezone.utc)
            day += timedelta(days=1)
        return None

    def __str__(self) -> str:
        return f"sun[{self.event}{self.offset.total_seconds():+g} s]"
