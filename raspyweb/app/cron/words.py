# SPDX-License-Identifier: GPL-3.0-or-later
"""A cron job in plain words: when it is due, and what it then does."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from raspy.servers.core.cron import crontab
from raspyweb.app.texts import _

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400
# More times of a day than so many are not told one by one.
TIMES_MAX = 6
HOURS, MINUTES = 24, 60
WORKDAYS, WEEKEND, WEEKDAYS = (1, 2, 3, 4, 5), (0, 6), 7


def when(definition: dict[str, Any]) -> str:
    """When a job is due, as the beginning of a sentence.

    Args:
        definition: of the job, as core has it.

    Raises:
        ValueError: its ``cron`` or ``date`` is none.
    """
    if "cron" in definition:
        text = _crontab(crontab.parse(definition["cron"]))
    elif "interval_s" in definition:
        text = _every(float(definition["interval_s"]))
    elif "date" in definition:
        text = _("once, on {moment}", moment=_moment(datetime.fromisoformat(definition["date"])))
    else:
        text = _sun(definition["sun"], float(definition.get("offset_s", 0)))
    return text[:1].upper() + text[1:]


def what(definition: dict[str, Any]) -> list[str]:
    """What it does when it is due, a part of a sentence each."""
    found = []
    command, request = definition.get("command"), definition.get("request")
    if command:
        key, value = command["key"].removeprefix("/device/"), json.dumps(command["value"], ensure_ascii=False)
        if command.get("hold"):
            hold = duration(command["hold"])
            found.append(_("sets {key} to {value} for {duration}", key=key, value=value, duration=hold))
        else:
            found.append(_("sets {key} to {value}", key=key, value=value))
    if definition.get("scenario"):
        found.append(_("starts the scenario {name}", name=definition["scenario"]))
    if request:
        found.append(
            _("asks {service}: {frames}", service=request["service"], frames=" ".join(request["frames"]))
        )
    return found or [_("only publishes its event")]


def duration(seconds: float) -> str:
    """A duration, in at most two units."""
    left = round(seconds)
    if left < 1:
        return _("{count} seconds", count=f"{seconds:g}")
    days, left = divmod(left, DAY_S)
    hours, left = divmod(left, HOUR_S)
    minutes, left = divmod(left, MINUTE_S)
    parts = [
        days and (_("1 day") if days == 1 else _("{count} days", count=days)),
        hours and (_("1 hour") if hours == 1 else _("{count} hours", count=hours)),
        minutes and (_("1 minute") if minutes == 1 else _("{count} minutes", count=minutes)),
        left and (_("1 second") if left == 1 else _("{count} seconds", count=left)),
    ]
    return " ".join([part for part in parts if part][:2])


def _every(seconds: float) -> str:
    if seconds % MINUTE_S:
        return _("every second") if seconds == 1 else _("every {count} seconds", count=f"{seconds:g}")
    if seconds % HOUR_S:
        count = int(seconds // MINUTE_S)
        return _("every minute") if count == 1 else _("every {count} minutes", count=count)
    count = int(seconds // HOUR_S)
    if seconds % DAY_S or count == HOURS:
        return _("every hour") if count == 1 else _("every {count} hours", count=count)
    return _("every {count} days", count=int(seconds // DAY_S))


def _sun(event: str, offset_s: float) -> str:
    at, name = {
        "dawn": (_("at dawn"), _("dawn")),
        "sunrise": (_("at sunrise"), _("sunrise")),
        "noon": (_("at the sun's noon"), _("the sun's noon")),
        "sunset": (_("at sunset"), _("sunset")),
        "dusk": (_("at dusk"), _("dusk")),
    }[event]
    if not offset_s:
        return at
    span = duration(abs(offset_s))
    if offset_s < 0:
        return _("{duration} before {event}", duration=span, event=name)
    return _("{duration} after {event}", duration=span, event=name)


def _moment(moment: datetime) -> str:
    text = _(
        "{day} {month} {year} at {time}",
        day=moment.day,
        month=_month(moment.month),
        year=moment.year,
        time=f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}",
    )
    return text if moment.tzinfo is None else f"{text} (UTC{moment:%z})"


def _crontab(pattern: crontab.Pattern) -> str:
    minute, hour, day, month, weekday = pattern.values
    days = _days(day, weekday, bool({"day", "day_of_week"} & pattern.starred))
    text = _("{days}, {times}", days=days, times=_times(minute, hour)) if days else _times(minute, hour)
    if not days and _single(minute, hour):
        text = _("every day {times}", times=text)
    if month is not None:
        text = _("{when}, in {months}", when=text, months=_listed(_spans(month, _month)))
    return text


def _days(day: tuple[int, ...] | None, weekday: tuple[int, ...] | None, both: bool) -> str:
    on_days = None if day is None else _("on day {days} of the month", days=_listed(_spans(day, str)))
    on_weekdays = None if weekday is None else _weekdays(weekday)
    if on_days and on_weekdays:
        # crontab(5): either of the two, unless one of them begins with a star.
        if both:
            return _("{days} if it is {weekdays}", days=on_days, weekdays=on_weekdays)
        return _("{days} and on {weekdays}", days=on_days, weekdays=on_weekdays)
    return on_days or on_weekdays or ""


def _weekdays(days: tuple[int, ...]) -> str:
    if days == WORKDAYS:
        return _("Monday to Friday")
    names = (
        _("Sunday"),
        _("Monday"),
        _("Tuesday"),
        _("Wednesday"),
        _("Thursday"),
        _("Friday"),
        _("Saturday"),
    )
    return _listed([names[one] for one in sorted(days, key=lambda one: one or WEEKDAYS)])


def _single(minute: tuple[int, ...] | None, hour: tuple[int, ...] | None) -> bool:
    """Whether its times of the day are few enough to be told one by one."""
    return minute is not None and hour is not None and len(minute) * len(hour) <= TIMES_MAX


def _times(minute: tuple[int, ...] | None, hour: tuple[int, ...] | None) -> str:
    if hour is None:
        return _minutes(minute)
    if minute is not None and _single(minute, hour):
        times = [f"{one:02}:{other:02}" for one in hour for other in minute]
        return _("at {times}", times=_listed(times))
    step = _step(hour, HOURS)
    if step and minute is not None and len(minute) == 1:
        return _("every {count} hours, from {time} on", count=step, time=f"{hour[0]:02}:{minute[0]:02}")
    return _("{minutes}, in the hours {hours}", minutes=_minutes(minute), hours=_listed(_spans(hour, str)))


def _minutes(minute: tuple[int, ...] | None) -> str:
    if minute is None:
        return _("every minute")
    if minute == (0,):
        return _("every hour, on the hour")
    step = _step(minute, MINUTES)
    if step and minute[0] == 0:
        return _("every {count} minutes", count=step)
    return _("at minute {minutes} of the hour", minutes=_listed(_spans(minute, str)))


def _step(values: Sequence[int], period: int) -> int:
    """By how much the values differ, if they fill the period evenly; else 0."""
    steps = {later - earlier for earlier, later in pairwise(values)}
    if len(steps) != 1:
        return 0
    (step,) = steps
    return step if step * len(values) == period else 0


def _spans(values: Sequence[int], name: Callable[[int], str]) -> list[str]:
    """The names of the values, three or more that follow each other as ``first to last``."""
    found: list[str] = []
    start = 0
    for place in range(1, len(values) + 1):
        if place < len(values) and values[place] == values[place - 1] + 1:
            continue
        if place - start < 3:
            found += [name(value) for value in values[start:place]]
        else:
            found.append(_("{first} to {last}", first=name(values[start]), last=name(values[place - 1])))
        start = place
    return found


def _month(number: int) -> str:
    return (
        _("January"), _("February"), _("March"), _("April"), _("May"), _("June"), _("July"), _("August"),
        _("September"), _("October"), _("November"), _("December"),
    )[number - 1]  # fmt: skip


def _listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(names) == 1:
        return names[0]
    return _("{several} and {last}", several=", ".join(names[:-1]), last=names[-1])
