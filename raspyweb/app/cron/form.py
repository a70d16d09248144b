# SPDX-License-Identifier: GPL-3.0-or-later
"""The editor of a cron job: from a job's definition to the form's fields, and back.

A job that is due at one time of the day, on all days or on some weekdays, has a form of its own (``weekly``);
every other expression of cron is edited as such (``cron``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from raspy.common import sun
from raspy.servers.core.cron import crontab
from raspyweb.app.fields import Fields, text_of, value_of, whole
from raspyweb.app.texts import _

WEEKLY, CRON, INTERVAL, DATE, SUN = KINDS = ("weekly", "cron", "interval", "date", "sun")
"""How the time of a job can be given."""

NOTHING, COMMAND, SCENARIO, REQUEST = WORKS = ("nothing", "command", "scenario", "request")
"""What a job can do."""

UNITS = {"1": "seconds", "60": "minutes", "3600": "hours", "86400": "days"}
BEFORE, AFTER = SIDES = ("before", "after")
MISSED = ("skip", "run")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FRAMES_MAX = 20

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}")
_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(:00)?")
# How core's reasons begin, and the field that they are about.
_PLACES = (
    ("a cron expression", "cron"), ("cron ", "cron"), ("interval_s", "interval"), ("date", "date"),
    ("offset_s", "offset"), ("core does not know where the sun is", "sun"), ("sun", "sun"), ("hold", "hold"),
    ("command", "command_key"), ("service", "service"), ("frames", "frames"), ("request", "service"),
    ("info", "info"),
)  # fmt: skip


def read(sent: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The definition that a form means, and what is wrong in the form.

    What only core can judge is left to it; ``field_of`` says where its answer belongs.

    Args:
        sent: the fields; of the checkboxes those that are set.
    """
    fields = Fields(sent)
    kind = fields.choice("kind", KINDS)
    definition: dict[str, Any] = _TIMES[kind](fields)
    definition["active"] = fields.flag("active")
    definition["trusted"] = fields.flag("trusted")
    definition["missed"] = fields.choice("missed", MISSED)
    definition["info"] = fields.line("info", longest=500)
    work = fields.choice("work", WORKS)
    # What is null is removed by an update.
    definition |= {COMMAND: None, SCENARIO: None, REQUEST: None}
    if work == COMMAND:
        definition[COMMAND] = _command(fields)
    elif work == SCENARIO:
        definition[SCENARIO] = fields.line("scenario")
        if not definition[SCENARIO]:
            fields.wrong("scenario", _("Choose a scenario."))
    elif work == REQUEST:
        definition[REQUEST] = _request(fields)
    return definition, fields.errors


def fill(definition: Mapping[str, Any]) -> dict[str, str]:
    """The form's fields for a definition; one that is empty gives the form of a new job."""
    form = {"kind": WEEKLY, "time": "08:00", "number": "1", "unit": "3600", "sun": "sunset", "offset": "0"}
    form |= {"side": BEFORE, "work": NOTHING, "missed": str(definition.get("missed", MISSED[0]))}
    form["info"] = str(definition.get("info", ""))
    if definition.get("active", True):
        form["active"] = "on"
    if definition.get("trusted"):
        form["trusted"] = "on"
    if "cron" in definition:
        form |= _weekly(definition["cron"]) or {"kind": CRON}
        form["cron"] = definition["cron"]
    elif "interval_s" in definition:
        seconds = float(definition["interval_s"])
        unit = next(unit for unit in reversed(UNITS) if not seconds % int(unit) or unit == "1")
        form |= {"kind": INTERVAL, "unit": unit, "number": str(whole(seconds / int(unit)))}
    elif "date" in definition:
        form |= {"kind": DATE, "date": definition["date"]}
    elif "sun" in definition:
        offset_s = float(definition.get("offset_s", 0))
        form |= {"kind": SUN, "sun": definition["sun"], "offset": str(whole(abs(offset_s) / 60))}
        form["side"] = AFTER if offset_s > 0 else BEFORE
    if definition.get(COMMAND):
        command = definition[COMMAND]
        form |= {"work": COMMAND, "command_key": command["key"], "value": text_of(command["value"])}
        form["hold"] = str(whole(command["hold"])) if command.get("hold") else ""
    if definition.get(SCENARIO):
        form |= {"work": SCENARIO, "scenario": definition[SCENARIO]}
    if definition.get(REQUEST):
        request = definition[REQUEST]
        form |= {"work": REQUEST, "service": request["service"], "frames": "\n".join(request["frames"])}
    return form


def plain_date(text: str) -> bool:
    """Whether a browser's field for day and time can hold it: to the minute, and in the place's own zone."""
    return not text or _DATE.fullmatch(text) is not None


def field_of(reason: str) -> str:
    """The field that core's reason is about; ``""`` for the form as a whole."""
    if "can't be the name of a" in reason or reason.startswith("there is a cron job"):
        return "scenario" if "name of a scenario" in reason else "name"
    if "cron expression" in reason or "a step must" in reason or "a range goes" in reason:
        return "cron"
    if "is no key" in reason or "is not of a device" in reason:
        return "command_key"
    return next((field for start, field in _PLACES if reason.startswith(start)), "")


def _at_times(fields: Fields) -> dict[str, Any]:
    match = _TIME.fullmatch(fields.line("time"))
    if match is None:
        fields.wrong("time", _("This must be a time of the day, as 07:30."))
        return {}
    days = [day for day in WEEKDAYS if fields.flag(f"day_{day}")]
    some = "*" if len(days) in (0, len(WEEKDAYS)) else ",".join(days)
    return {"cron": f"{int(match[2])} {int(match[1])} * * {some}"}


def _weekly(expression: str) -> dict[str, str] | None:
    """The fields of ``weekly`` for an expression that is of this kind, else None."""
    try:
        minute, hour, day, month, weekday = crontab.parse(expression).values
    except ValueError:
        return None
    if minute is None or hour is None or len(minute) != 1 or len(hour) != 1 or day or month:
        return None
    chosen = [crontab.WEEKDAYS[one] for one in weekday or ()]
    return {"kind": WEEKLY, "time": f"{hour[0]:02}:{minute[0]:02}", **{f"day_{one}": "on" for one in chosen}}


def _expression(fields: Fields) -> dict[str, Any]:
    return {"cron": fields.line("cron")}


def _interval(fields: Fields) -> dict[str, Any]:
    number = fields.number("number")
    if number is None:
        fields.wrong("number", _("This must be a number."))
    return {"interval_s": whole((number or 0) * int(fields.choice("unit", tuple(UNITS))))}


def _date(fields: Fields) -> dict[str, Any]:
    return {"date": fields.line("date")}


def _by_the_sun(fields: Fields) -> dict[str, Any]:
    minutes = fields.number("offset") or 0.0
    seconds = -minutes * 60 if fields.choice("side", SIDES) == BEFORE else minutes * 60
    return {"sun": fields.choice("sun", sun.EVENTS), "offset_s": whole(seconds)}


def _command(fields: Fields) -> dict[str, Any]:
    command: dict[str, Any] = {"key": fields.line("command_key"), "value": value_of(fields.line("value"))}
    hold = fields.number("hold")
    if hold is not None:
        command["hold"] = whole(hold)
    return command


def _request(fields: Fields) -> dict[str, Any]:
    frames = fields.form.get("frames", "").strip().splitlines()
    if len(frames) > FRAMES_MAX or not all(frame.isprintable() for frame in frames):
        fields.wrong("frames", _("One frame a line, {count} at most, the action first.", count=FRAMES_MAX))
        frames = []
    return {"service": fields.line("service"), "frames": frames}


_TIMES = {WEEKLY: _at_times, CRON: _expression, INTERVAL: _interval, DATE: _date, SUN: _by_the_sun}
