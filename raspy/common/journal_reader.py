# SPDX-License-Identifier: GPL-3.0-or-later
"""Read RasPy's lines in the journal: filtered, bounded, and followed while they are written.

::

    with JournalReader() as journal:
        page = journal.read(query := Query(device="heater", since=time.time() - 3600))
        while journal.wait(60):
            page = journal.after(page.last, query)

A line is RasPy's when it carries ``RASPY_SERVICE``, or is of one of its units (what Python or systemd wrote).

Source: systemd.journal-fields(7), sd_journal_add_match(3), sd_journal_get_cursor(3).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from raspy.common.MDP import ClientError, ServerError

if TYPE_CHECKING:
    from systemd.journal import Reader

PRIORITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
"""By number, 0 is the worst."""

LINES_MAX = 1000
"""The most lines of one answer."""

SCAN_MAX = 20_000
"""How many lines one answer looks at; what lies beyond is read on from where it stopped."""

SCAN_S = 3.0
"""How long one answer may take, in seconds."""

MESSAGE_MAX = 4000
"""What is shown of one message, in characters."""

TEXT_MAX = 200
"""The longest text that is looked for, and the longest name of a server, device or scenario."""

UNITS_MAX = 64
"""Of how many units the lines are looked at that carry no ``RASPY_SERVICE``."""

CURSOR_MAX = 500
# All instances of one template unit; their own names are without number.
SCENARIO_SLICE = "system-raspy\\x2dscenario.slice"
SCENARIO = "scenario"
INFO = 6

# What is kept of a line while the others are read.
FIELDS = (
    "__REALTIME_TIMESTAMP", "__CURSOR", "MESSAGE", "PRIORITY", "RASPY_SERVICE", "RASPY_DEVICE",
    "RASPY_SCENARIO", "RASPY_REQUEST", "_SYSTEMD_UNIT", "UNIT", "_PID",
)  # fmt: skip

_UNIT = re.compile(r"raspy(-[a-z][a-z0-9_-]{0,60})?\.(service|socket|target)")

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Query:
    """Which lines are wanted; an empty text does not restrict.

    Args:
        server: the server that wrote it, ``core``.
        device: the device that it is about (``RASPY_DEVICE``).
        scenario: the scenario that it is about or that wrote it (``RASPY_SCENARIO``).
        priority: the least grave that is wanted, a number of ``PRIORITIES``.
        since, until: seconds since the epoch; None is as far as there is.
        text: what the message must contain, in upper or lower case.
        limit: how many lines, 1 to ``LINES_MAX``.
    """

    server: str = ""
    device: str = ""
    scenario: str = ""
    priority: int = len(PRIORITIES) - 1
    since: float | None = None
    until: float | None = None
    text: str = ""
    limit: int = 200

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            ClientError: a number is out of its range, or a text is too long or no text.
        """
        for name in ("server", "device", "scenario", "text"):
            value = getattr(self, name)
            if len(value) > TEXT_MAX or not value.isprintable():
                raise ClientError(f"{name}: must be a line of at most {TEXT_MAX} characters")
        if not 0 <= self.priority < len(PRIORITIES):
            raise ClientError(f"priority: must be one of {', '.join(PRIORITIES)}")
        if not 1 <= self.limit <= LINES_MAX:
            raise ClientError(f"limit: must be a whole number from 1 to {LINES_MAX}, not {self.limit}")
        for name in ("since", "until"):
            moment = getattr(self, name)
            if moment is not None and not 0 <= moment < 1e11:
                raise ClientError(f"{name}: must be seconds since 1970")


@dataclass(frozen=True)
class Line:
    """One line.

    Args:
        time: seconds since the epoch.
        priority: a number of ``PRIORITIES``.
        server: who wrote it, without ``raspy-``.
        message: its text, without control characters.
        device, scenario, request: what it is about; empty if it does not say.
    """

    time: float
    priority: int
    server: str
    message: str
    device: str
    scenario: str
    request: str

    def to_json(self) -> dict[str, Any]:
        """As one JSON object, the priority by its name."""
        return {**asdict(self), "priority": PRIORITIES[self.priority]}


@dataclass(frozen=True)
class Page:
    """An answer.

    Args:
        lines: the oldest first.
        first, last: cursors of the oldest and the newest line that was looked at, for the next ``read`` and
            ``after``; empty if there was none.
        more: whether there are further lines, older ones with ``read``, newer ones with ``after``.
    """

    lines: list[Line]
    first: str
    last: str
    more: bool


class NoJournal(ServerError):
    """There is no journal, or this user may not read it; its text says what to do."""


class JournalReader:
    """The journal of this machine, for one thread.

    Args:
        folder: of other journal files than the machine's.

    Raises:
        NoJournal: python3-systemd is missing, there is no journal, or it may not be read.
    """

    def __init__(self, folder: str | None = None) -> None:
        try:
            from systemd.journal import Reader
        except ImportError as error:
            raise NoJournal("the journal is read with python3-systemd, which is not installed") from error
        self._reader: Reader = Reader(path=folder)
        if not folder and not (self._reader.has_runtime_files() or self._reader.has_persistent_files()):
            self._reader.close()
            raise NoJournal(
                "systemd-journald does not run here, or this user is not in the group systemd-journal"
            )

    def __enter__(self) -> JournalReader:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files; again is no error."""
        self._reader.close()

    def servers(self) -> list[str]:
        """Those that have written a line, by name."""
        return sorted(_text(name) for name in self._reader.query_unique("RASPY_SERVICE"))[:UNITS_MAX]

    def devices(self) -> list[str]:
        """The devices that a line is about, by name."""
        return sorted(_text(name) for name in self._reader.query_unique("RASPY_DEVICE"))[:LINES_MAX]

    def scenarios(self) -> list[str]:
        """The scenarios that a line is about, by name."""
        return sorted(_text(name) for name in self._reader.query_unique("RASPY_SCENARIO"))[:LINES_MAX]

    def read(self, query: Query, before: str = "") -> Page:
        """The newest lines of a query.

        Args:
            query: which.
            before: the ``first`` of another page: those that came before it.

        Raises:
            ClientError: *before* is no cursor.
        """
        self._match(query)
        if before:
            self._seek(before)
        elif query.until is None:
            self._reader.seek_tail()
        else:
            self._reader.seek_realtime(query.until)
        entries, more = self._collect(query, self._backwards(query, before))
        return _page(entries[::-1], more, query)

    def after(self, cursor: str, query: Query) -> Page:
        """What has come since a page.

        Args:
            cursor: the ``last`` of that page; empty is from the beginning, or from ``since``.
            query: as for that page.

        Raises:
            ClientError: the cursor is none.
        """
        self._match(query)
        if cursor:
            self._seek(cursor)
        elif query.since is not None:
            self._reader.seek_realtime(query.since)
        else:
            self._reader.seek_head()
        entries, more = self._collect(query, self._forwards(query, cursor))
        page = _page(entries, more, query)
        return page if entries else replace(page, last=cursor)

    def wait(self, timeout_s: float) -> bool:
        """Wait until something is written, or *timeout_s* is over; return whether there may be something."""
        from systemd.journal import NOP

        return bool(self._reader.wait(timeout_s) != NOP)

    def _seek(self, cursor: str) -> None:
        try:
            if len(cursor) > CURSOR_MAX or not cursor.isprintable():
                raise ValueError(cursor)
            self._reader.seek_cursor(cursor)
        except (OSError, ValueError) as error:
            raise ClientError("the cursor must be one that an earlier answer gave") from error

    def _match(self, query: Query) -> None:
        """Tell libsystemd what is wanted: (any of these origins) and this priority, device and scenario."""
        reader = self._reader
        reader.flush_matches()
        units = [f"raspy-{query.server}.service"] if query.server else self._units()
        for server in [query.server] if query.server else self.servers():
            reader.add_match(RASPY_SERVICE=server)
        reader.add_disjunction()
        for unit in units:
            reader.add_match(_SYSTEMD_UNIT=unit)
        reader.add_disjunction()
        for unit in units:
            reader.add_match(UNIT=unit, _PID="1")
        if query.server in ("", SCENARIO):
            reader.add_disjunction()
            reader.add_match(_SYSTEMD_SLICE=SCENARIO_SLICE)
        reader.add_conjunction()
        if query.device:
            reader.add_match(RASPY_DEVICE=query.device)
        if query.scenario:
            reader.add_match(RASPY_SCENARIO=query.scenario)
        if query.priority < len(PRIORITIES) - 1:
            for priority in range(query.priority + 1):
                reader.add_match(PRIORITY=str(priority))

    def _units(self) -> list[str]:
        found = self._reader.query_unique("_SYSTEMD_UNIT") | self._reader.query_unique("UNIT")
        return sorted(unit for unit in map(_text, found) if _UNIT.fullmatch(unit))[:UNITS_MAX]

    def _backwards(self, query: Query, before: str) -> Iterator[Entry]:
        while entry := self._reader.get_previous():
            at = _time(entry)
            if query.since is not None and at < query.since:
                return
            # What stands at the moment itself may come or not, after seek_realtime().
            if entry["__CURSOR"] != before and (query.until is None or at <= query.until):
                yield entry

    def _forwards(self, query: Query, cursor: str) -> Iterator[Entry]:
        while entry := self._reader.get_next():
            if query.until is not None and _time(entry) > query.until:
                return
            if entry["__CURSOR"] != cursor:
                yield entry

    def _collect(self, query: Query, entries: Iterator[Entry]) -> tuple[list[Entry], bool]:
        """What was looked at, in its order, and whether there is more; bounded in lines and in time."""
        looked_at: list[Entry] = []
        found = 0
        deadline = time.monotonic() + SCAN_S
        for entry in entries:
            if found >= query.limit or len(looked_at) >= SCAN_MAX or time.monotonic() > deadline:
                return looked_at, True
            kept = {name: entry[name] for name in FIELDS if name in entry}
            looked_at.append(kept)
            found += _wanted(kept, query)
        return looked_at, False


def _wanted(entry: Entry, query: Query) -> bool:
    return query.text.casefold() in _text(entry.get("MESSAGE", "")).casefold()


def _page(entries: list[Entry], more: bool, query: Query) -> Page:
    first, last = (entries[0]["__CURSOR"], entries[-1]["__CURSOR"]) if entries else ("", "")
    return Page([_line(entry) for entry in entries if _wanted(entry, query)], first, last, more)


def _line(entry: Entry) -> Line:
    unit = _text(entry.get("_SYSTEMD_UNIT", ""))
    if _text(entry.get("_PID", "")) == "1":
        unit = _text(entry.get("UNIT", unit))
    priority = entry.get("PRIORITY", INFO)
    return Line(
        time=_time(entry),
        priority=priority if priority in range(len(PRIORITIES)) else INFO,
        server=_text(entry.get("RASPY_SERVICE", "")) or re.sub(r"^raspy-|[@.].*$", "", unit),
        message=_text(entry.get("MESSAGE", "")),
        device=_text(entry.get("RASPY_DEVICE", "")),
        scenario=_text(entry.get("RASPY_SCENARIO", "")),
        request=_text(entry.get("RASPY_REQUEST", "")),
    )


def _time(entry: Entry) -> float:
    return float(entry["__REALTIME_TIMESTAMP"].timestamp())


def _text(value: object) -> str:
    """A field for a person: several values of one field are joined, control characters become spaces."""
    if isinstance(value, list):
        return " ".join(map(_text, value))[:MESSAGE_MAX]
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    text = text[:MESSAGE_MAX]
    return text if text.isprintable() else "".join(c if c.isprintable() or c == "\n" else " " for c in text)
