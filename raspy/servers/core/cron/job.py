# SPDX-License-Identifier: GPL-3.0-or-later
"""One cron job: what was asked for, checked, and the APScheduler job that says when it is due next.

A definition is one JSON object with exactly one of the first four keys:

=============== ============================================================================
``cron``        five fields of crontab(5), in the place's zone: ``"30 7 * * mon-fri"``
``interval_s``  every so many seconds, 1 to 31 days
``date``        once, ISO 8601; without an offset in the place's zone: ``"2026-05-01T08:00"``
``sun``         ``dawn``, ``sunrise``, ``noon``, ``sunset`` or ``dusk``, with ``offset_s``
``offset_s``    with ``sun`` only: seconds to add, negative for before; default 0
``active``      whether it runs at all; default true
``missed``      what to do about runs while core was off: ``skip`` (default) or ``run`` (once)
``trusted``     wait until the clock is trusted; default false
``command``     ``{"key": "/device/HOST/NAME/DEVICE/COMMAND", "value": ..., "hold": seconds}``
``scenario``    the name of a scenario to start
``request``     ``{"service": "HOST.NAME.SUFFIX", "frames": ["action", ...]}``, sent through titanic
``info``        a line for people
=============== ============================================================================
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from raspy.common import MDP, sun
from raspy.servers.core import names
from raspy.servers.core.cron import crontab
from raspy.servers.core.cron.aps import BaseTrigger, DateTrigger, IntervalTrigger, Job
from raspy.servers.core.cron.triggers import CrontabTrigger, Place, SunTrigger, following

KINDS = ("cron", "interval_s", "date", "sun")
KEYS = (*KINDS, "offset_s", "active", "missed", "trusted", "command", "scenario", "request", "info")
SKIP, RUN = "skip", "run"
INTERVAL_S = (1, 31 * 86400)
OFFSET_S = 12 * 3600
HOLD_S = 7 * 86400
INFO = 500
SERVICE = 250
FRAMES = 20


class Cron:
    """A cron job.

    Args:
        name: its name.
        definition: as above; checked and completed here.
        place: the zone and the place its times are read in.
        base: an interval counts from here; with the others nothing depends on it.

    Attributes:
        aps_job: APScheduler's job; its ``next_run_time`` is None when it will not run any more.
        handled: the time up to which its runs were carried out or reported as missed, or None.
        fired, missed: how often, since core started.
        last: when it last fired, seconds since the epoch, or None.

    Raises:
        ClientError: the definition is wrong, or never fires.
    """

    aps_job: Job = None

    def __init__(self, name: str, definition: dict[str, Any], place: Place, base: datetime) -> None:
        self.name = names.check_name(name, "cron job")
        self.definition = check(definition, place)
        self.place = place
        self.handled: datetime | None = None
        self.fired = 0
        self.missed = 0
        self.last: float | None = None
        self.aps_job = Job(None, id=self.name, trigger=self._trigger(base))
        self.aps_job.next_run_time = None

    @property
    def kind(self) -> str:
        """Which of ``KINDS`` it is."""
        return next(kind for kind in KINDS if kind in self.definition)

    @property
    def active(self) -> bool:
        """Whether it runs."""
        return bool(self.definition["active"])

    @property
    def next_run(self) -> datetime | None:
        """When it is due next; None for never."""
        found: datetime | None = self.aps_job.next_run_time
        return found

    def after(self, moment: datetime) -> datetime | None:
        """The first run after *moment*."""
        return following(self.aps_job.trigger, moment)

    def rebase(self, base: datetime) -> None:
        """Count an interval from *base* from now on."""
        if self.kind == "interval_s":
            self.aps_job.trigger = self._trigger(base)

    def to_json(self) -> dict[str, Any]:
        """Definition and state, for people and programs."""
        return {
            "name": self.name,
            **self.definition,
            "next": None if self.next_run is None else self.next_run.timestamp(),
            "last": self.last,
            "fired": self.fired,
            "missed_runs": self.missed,
            "timezone": str(self.place.zone),
        }

    def _trigger(self, base: datetime) -> BaseTrigger:
        definition = self.definition
        if "cron" in definition:
            return CrontabTrigger(crontab.parse(definition["cron"]), self.place.zone, base.year)
        if "interval_s" in definition:
            seconds = definition["interval_s"]
            return IntervalTrigger(
                seconds=seconds, start_date=base + timedelta(seconds=seconds), timezone="UTC"
            )
        if "date" in definition:
            return DateTrigger(read_date(definition["date"], self.place), timezone="UTC")
        return SunTrigger(definition["sun"], definition["offset_s"], self.place)


def read_date(text: object, place: Place) -> datetime:
    """The moment that a ``date`` means, in UTC.

    Raises:
        ClientError: it is no date and time.
    """
    try:
        moment = datetime.fromisoformat(text)  # type: ignore[arg-type]
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=place.zone)
        return moment.astimezone(timezone.utc)
    except (TypeError, ValueError, OverflowError) as error:
        raise MDP.ClientError(f"date must be like 2026-05-01T08:00, not {text!r}") from error


def check(definition: dict[str, Any], place: Place) -> dict[str, Any]:
    """The definition with its defaults filled in.

    Raises:
        ClientError: something in it is wrong; says what and what is allowed.
    """
    names.only(definition, "a cron job", KEYS)
    kinds = [kind for kind in KINDS if kind in definition]
    if len(kinds) != 1:
        raise MDP.ClientError(
            f"a cron job has exactly one of {', '.join(KINDS)}, and this one has {kinds or 'none'}"
        )
    kind = kinds[0]
    checked: dict[str, Any] = {kind: _CHECKS[kind](definition[kind], place)}
    if kind == "sun":
        checked["offset_s"] = names.number(definition.get("offset_s", 0), "offset_s", -OFFSET_S, OFFSET_S)
    elif "offset_s" in definition:
        raise MDP.ClientError("offset_s goes with sun only")
    checked["active"] = names.flag(definition.get("active", True), "active")
    checked["missed"] = names.one_of(definition.get("missed", SKIP), "missed", (SKIP, RUN))
    checked["trusted"] = names.flag(definition.get("trusted", False), "trusted")
    checked["info"] = names.text(definition.get("info", ""), "info", INFO)
    if definition.get("scenario") is not None:
        checked["scenario"] = names.check_name(definition["scenario"], "scenario")
    if definition.get("command") is not None:
        checked["command"] = check_command(definition["command"])
    if definition.get("request") is not None:
        checked["request"] = _check_request(definition["request"])
    return checked


def check_command(command: object) -> dict[str, Any]:
    """A ``command``: a device's key, the value, and optionally for how long.

    Raises:
        ClientError: something in it is wrong.
    """
    if not isinstance(command, dict) or "value" not in command:
        raise MDP.ClientError('command must be {"key": "/device/HOST/NAME/DEVICE/COMMAND", "value": ...}')
    names.only(command, "a command", ("key", "value", "hold"))
    names.device_command(command.get("key"))
    checked = {"key": command["key"], "value": command["value"]}
    if command.get("hold") is not None:
        checked["hold"] = names.number(command["hold"], "hold", 0.1, HOLD_S)
    return checked


def _check_request(request: object) -> dict[str, Any]:
    if not isinstance(request, dict):
        raise MDP.ClientError('request must be {"service": "HOST.NAME.SUFFIX", "frames": ["action", ...]}')
    names.only(request, "a request", ("service", "frames"))
    service, frames = request.get("service"), request.get("frames")
    if not isinstance(service, str) or not 0 < len(service) <= SERVICE:
        raise MDP.ClientError(f"service must be a service's name of at most {SERVICE} characters")
    if (
        not isinstance(frames, list)
        or not 0 < len(frames) <= FRAMES
        or not all(isinstance(one, str) for one in frames)
    ):
        raise MDP.ClientError(f"frames must be a list of 1 to {FRAMES} texts, the action first")
    if sum(len(one) for one in frames) > names.VALUE_BYTES:
        raise MDP.ClientError(f"frames are limited to {names.VALUE_BYTES} characters together")
    return {"service": service, "frames": frames}


def _check_cron(value: object, place: Place) -> str:
    try:
        return crontab.parse(names.text(value, "cron", crontab.LONGEST)).expression
    except ValueError as error:
        raise MDP.ClientError(str(error)) from error


def _check_interval(value: object, place: Place) -> float:
    return names.number(value, "interval_s", *INTERVAL_S)


def _check_date(value: object, place: Place) -> str:
    read_date(value, place)
    return str(value)


def _check_sun(value: object, place: Place) -> str:
    if place.latitude is None or place.longitude is None:
        raise MDP.ClientError(
            "core does not know where the sun is: set latitude and longitude in raspy.conf, [raspy]"
        )
    return names.one_of(value, "sun", sun.EVENTS)


_CHECKS = {"cron": _check_cron, "interval_s": _check_interval, "date": _check_date, "sun": _check_sun}
