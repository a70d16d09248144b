# SPDX-License-Identifier: GPL-3.0-or-later
"""When a job is due.

==========================  ==============================================================
(nothing)                   only on demand
``every 30 min``            that long after the last run began; also ``h`` and ``d``
``daily 03:30``             each day at that time of the local clock
``weekly sun 03:30``        each week; ``mon`` to ``sun``
==========================  ==============================================================

A run that was missed since the machine was off is made up for at once. A clock that was set back
(there is none that runs while a Raspberry Pi is off) makes no job wait longer than its schedule says.
"""

from __future__ import annotations

import re
import time
from typing import NamedTuple

from raspy.common.MDP import ClientError

UNITS_S = {"min": 60, "h": 3600, "d": 86400}
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_S = 86400
LONGEST_S = 366 * DAY_S

_EVERY = re.compile(r"every ([1-9][0-9]{0,4}) ?(min|h|d)")
_AT = re.compile(r"(?:daily|weekly (mon|tue|wed|thu|fri|sat|sun)) ([01][0-9]|2[0-3]):([0-5][0-9])")


class Schedule(NamedTuple):
    """A parsed schedule.

    Attributes:
        every_s: seconds from run to run; 0 for none.
        minute: minute of the day; -1 for none.
        weekday: 0 Monday to 6 Sunday; -1 for every day.
    """

    every_s: int = 0
    minute: int = -1
    weekday: int = -1

    def __bool__(self) -> bool:
        """Whether there is one."""
        return self.every_s > 0 or self.minute >= 0

    def due(self, last: float | None, since: float, now: float) -> float | None:
        """When the next run is due.

        Args:
            last: when the last run began, seconds since the epoch; None if there was none.
            since: when the schedule was set, likewise.
            now: the time now, likewise.

        Returns:
            Seconds since the epoch, in the past if it is overdue; None if there is no schedule.
        """
        if self.every_s:
            if last is None:
                return min(since, now)
            return now if last > now else last + self.every_s
        if self.minute < 0:
            return None
        return self._following(min(since if last is None else last, now))

    def _following(self, moment: float) -> float:
        """The first time of the local clock after *moment* that matches."""
        year, month, day, *_ = time.localtime(moment)
        # mktime(3) finds the right day for day numbers beyond the month's, and bears with clock changes
        for ahead in range(9):
            at = time.mktime((year, month, day + ahead, self.minute // 60, self.minute % 60, 0, 0, 0, -1))
            if at > moment and self.weekday in (-1, time.localtime(at).tm_wday):
                return at
        raise ValueError("no such day within a week")


def parse(text: str) -> Schedule:
    """Read a schedule.

    Raises:
        ClientError: it is none; the sentence says what one looks like.
    """
    words = " ".join(text.lower().split())
    if not words:
        return Schedule()
    if match := _EVERY.fullmatch(words):
        seconds = int(match[1]) * UNITS_S[match[2]]
        if seconds <= LONGEST_S:
            return Schedule(every_s=seconds)
    elif match := _AT.fullmatch(words):
        weekday = DAYS.index(match[1]) if match[1] else -1
        return Schedule(minute=int(match[2]) * 60 + int(match[3]), weekday=weekday)
    raise ClientError(
        f"schedule: {text[:60]!r} is none: write 'every 30 min', 'every 6 h', 'every 2 d',"
        " 'daily 03:30', 'weekly sun 03:30', or nothing for runs on demand only"
    )
