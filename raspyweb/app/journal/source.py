# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the lines come from: the machine's journal, or, where there is none, the logger's text logs.

The foreground stack has no journal: its servers' lines go to the terminal. What the logger keeps of the
events (scenarios, cron jobs, copies, failures, what anybody has it log) is shown then, and the page says why.
"""

from __future__ import annotations

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
    """The same from the text logs; a cursor there is a time."""
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
        query = replace(query, until=_moment(before) - 1e-6)
    if after:
        query = replace(query, since=_moment(after) + 1e-6)
    lines: list[Line] = []
    for key in keys:
        if query.server in ("", key):
            lines += (line for line in _read_log(service, key, query) if _wanted(line, query))
    lines.sort(key=lambda line: line.time)
    more = len(lines) > query.limit
    lines = lines[: query.limit] if after else lines[-query.limit :]
    first, last = (f"t={lines[0].time!r}", f"t={lines[-1].time!r}") if lines else ("", after)
    scenarios = sorted({line.scenario for line in lines} - {""})
    return Found(Page(lines, first, last, more), keys, [], scenarios, why)


def _moment(cursor: str) -> float:
    try:
        return float(cursor.removeprefix("t="))
    except ValueError:
        raise ClientError("the cursor must be one that an earlier answer gave") from None


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
