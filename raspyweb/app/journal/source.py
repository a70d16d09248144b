# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the lines come from: the machine's journal, or, where there is none, the logger's text logs.

The foreground stack has no journal: its servers' lines go to the terminal. What the logger keeps of the
events (scenarios, cron jobs, copies, failures, what anybody has it log) is shown then, and the page says why.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from flask import current_app

from raspy.common.journal_reader import (
    LINES_MAX,
    MESSAGE_MAX,
    PRIORITIES,
    TEXT_MAX,
    JournalReader,
    Line,
    NoJournal,
    Page,
    Query,
)
from raspy.common.MDP import ClientError
from raspyweb.app.bus import BusAway, Refused, bus

LEVELS = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""The priority of each level of the text logs."""


MOMENT_MAX = 1e11
"""The last moment of a cursor, in seconds since 1970."""


class Found(NamedTuple):
    """An answer.

    Args:
        page: the lines.
        servers, devices, scenarios: the names that there are lines of, to choose from.
        why: why this is not the journal; empty if it is.
    """

    page: Page
    servers: list[str]
    devices: list[str]
    scenarios: list[str]
    why: str


def read(query: Query, *, before: str = "", after: str = "", names: bool = False) -> Found:
    """Lines of a query.

    Args:
        query: which.
        before: only those before this cursor, the newest of them.
        after: only those after this cursor, the oldest of them.
        names: whether to look up the names to choose from.

    Raises:
        ClientError: a cursor is none.
        BusAway: there is no journal, and the logger does not answer.
    """
    try:
        with JournalReader(current_app.config["JOURNAL_FOLDER"]) as journal:
            page = journal.after(after, query) if after else journal.read(query, before)
            if not names:
                return Found(page, [], [], [], "")
            return Found(page, journal.servers(), journal.devices(), journal.scenarios(), "")
    except NoJournal as error:
        return _logs(query, before, after, str(error))


def nothing() -> Found:
    """No lines, from nowhere."""
    return Found(Page([], "", "", False), [], [], [], "")


def _logs(query: Query, before: str, after: str, why: str) -> Found:
    """The same from the text logs."""
    link = bus()
    service = f"{link.server('logger')}.log"
    if service not in link.services():
        # Else the request would wait for one to come.
        raise BusAway("the logger is away")
    try:
        keys = [frame.decode(errors="replace") for frame in link.call(service, "list_keys")]
    except Refused:
        keys = []
    if before:
        query = replace(query, until=_cursor(before)[0])
    if after:
        query = replace(query, since=_cursor(after)[0])
    every: list[Line] = []
    for key in keys:
        if query.server in ("", key):
            every += (line for line in _read_log(service, key, query) if _wanted(line, query))
    every.sort(key=lambda line: line.time)
    page = _cut(every, query.limit, before, after)
    return Found(page, keys, [], sorted({line.scenario for line in page.lines} - {""}), why)


def _cut(every: list[Line], limit: int, before: str, after: str) -> Page:
    """One page of all lines. Several may have one time: a cursor is a time, and how many of it were seen."""
    begin, end = 0, len(every)
    if before:
        moment, seen = _cursor(before)
        end = max(0, sum(line.time <= moment for line in every) - seen)
    if after:
        moment, seen = _cursor(after)
        begin = min(end, sum(line.time < moment for line in every) + seen)
    more = end - begin > limit
    if after:
        end = min(end, begin + limit)
    else:
        begin = max(begin, end - limit)
    if begin == end:
        return Page([], "", after, more)
    first, last = every[begin].time, every[end - 1].time
    later = sum(line.time == first for line in every[begin:])
    earlier = sum(line.time == last for line in every[:end])
    return Page(every[begin:end], f"{first!r},{later}", f"{last!r},{earlier}", more)


def _cursor(text: str) -> tuple[float, int]:
    moment, _, seen = text.partition(",")
    try:
        found = float(moment), int(seen)
    except ValueError:
        found = (math.nan, 0)
    if not 0 <= found[0] < MOMENT_MAX or not 0 <= found[1] <= LINES_MAX:
        raise ClientError("the cursor must be one that an earlier answer gave")
    return found


def _read_log(service: str, key: str, query: Query) -> list[Line]:
    start = "0" if query.since is None else str(int(query.since))
    end = "" if query.until is None else str(int(query.until) + 1)
    try:
        found = bus().json(service, "readlines", key, start, end, str(LINES_MAX))
    except Refused:
        return []  # it went meanwhile
    return [_line(key, entry) for entry in found if isinstance(entry, Mapping)]


def _line(log: str, entry: Mapping[str, Any]) -> Line:
    subject = str(entry.get("key", ""))
    message = str(entry.get("message", ""))
    if subject and subject not in message:
        message = f"{subject}: {message}"
    further = entry.get("lines")
    if isinstance(further, list):
        message = "\n".join([message, *map(str, further)])
    return Line(
        time=float(entry.get("time", 0)),
        priority=LEVELS.get(str(entry.get("level")), LEVELS["info"]),
        server=log,
        message=message[:MESSAGE_MAX],
        device=str(entry.get("device", ""))[:TEXT_MAX],
        scenario=subject[:TEXT_MAX] if log == "scenario" else "",
        request="",
    )


def _wanted(line: Line, query: Query) -> bool:
    return (
        line.priority <= query.priority
        and query.device in ("", line.device)
        and query.scenario in ("", line.scenario)
        and (query.since is None or line.time >= query.since)
        and (query.until is None or line.time <= query.until)
        and query.text.casefold() in line.message.casefold()
    )


def as_json(page: Page) -> dict[str, Any]:
    """A page for a program."""
    return {
        "lines": [line.to_json() for line in page.lines],
        "first": page.first,
        "last": page.last,
        "more": page.more,
    }


def priority(name: str) -> int:
    """The number of a priority.

    Raises:
        ClientError: there is no such one.
    """
    if name not in PRIORITIES:
        raise ClientError(f"priority: must be one of {', '.join(PRIORITIES)}")
    return PRIORITIES.index(name)
