# SPDX-License-Identifier: GPL-3.0-or-later
"""The five fields of a line of crontab(5): ``minute hour day-of-month month day-of-week``.

APScheduler reads them differently from every crontab: its week begins with Monday as 0 and it wants
day of month AND day of week to match where cron wants one of them. Here they are read as in the man page.
"""

from __future__ import annotations

import re
from typing import NamedTuple

FIELDS = ("minute", "hour", "day", "month", "day_of_week")
LIMITS = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "day_of_week": (0, 7)}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
LONGEST = 200

_PART = re.compile(
    r"(?:(?P<all>\*)|(?P<first>[a-z0-9]+)(?:-(?P<last>[a-z0-9]+))?)(?:/(?P<step>[0-9]{1,2}))?\Z"
)


class Pattern(NamedTuple):
    """A parsed expression.

    Args:
        expression: as it was written, single spaces.
        values: for each of ``FIELDS`` the values that match; None for all of them.
        starred: the fields that were written with ``*`` (also ``*/2``).
    """

    expression: str
    values: tuple[tuple[int, ...] | None, ...]
    starred: frozenset[str]

    @property
    def every_hour(self) -> bool:
        """Whether it is of the kind that follows elapsed time through clock changes."""
        return "hour" in self.starred

    def alternatives(self) -> list[dict[str, str]]:
        """APScheduler's field arguments; a time matches if it matches one of these sets."""
        fields = dict(
            zip(
                FIELDS,
                (_field(name, some) for name, some in zip(FIELDS, self.values, strict=True)),
                strict=True,
            )
        )
        if {"day", "day_of_week"} & self.starred:
            return [fields]
        # crontab(5): "if both fields are restricted, the command will be run when either field matches".
        return [{**fields, "day_of_week": "*"}, {**fields, "day": "*"}]


def parse(expression: str) -> Pattern:
    """Read an expression.

    Raises:
        ValueError: it is not one; says which field is wrong.
    """
    words = expression.lower().split()
    if len(words) != len(FIELDS) or len(expression) > LONGEST:
        raise ValueError(
            f"a cron expression has five fields (minute hour day month weekday),"
            f" as 30 7 * * mon-fri; {expression[:LONGEST]!r} has {len(words)}"
        )
    values = tuple(_values(name, word) for name, word in zip(FIELDS, words, strict=True))
    starred = frozenset(name for name, word in zip(FIELDS, words, strict=True) if word.startswith("*"))
    return Pattern(" ".join(words), values, starred)


def _values(name: str, word: str) -> tuple[int, ...] | None:
    if word == "*":
        return None
    low, high = LIMITS[name]
    found: set[int] = set()
    for part in word.split(","):
        match = _PART.match(part)
        if match is None:
            raise ValueError(
                f"{part!r} is no {name} of a cron expression: use a number, a-b, *, or these with /step"
            )
        step = 1 if match["step"] is None else int(match["step"])
        if step == 0:
            raise ValueError(f"{part!r}: a step must be at least 1")
        if match["all"]:
            first, last = low, high
        else:
            first = _number(name, match["first"])
            # As in vixie cron: a single value with a step runs to the end of its range.
            last = _number(name, match["last"]) if match["last"] else high if match["step"] else first
        if last < first:
            raise ValueError(f"{part!r}: a range goes upwards, {first} is after {last}")
        found.update(range(first, last + 1, step))
    if name == "day_of_week" and 7 in found:  # Sunday is 0 and 7
        found = (found - {7}) | {0}
    return tuple(sorted(found))


def _number(name: str, word: str) -> int:
    low, high = LIMITS[name]
    if name == "month" and word in MONTHS:
        return MONTHS.index(word) + 1
    if name == "day_of_week" and word in WEEKDAYS:
        return WEEKDAYS.index(word)
    if not word.isdigit() or not low <= int(word) <= high:
        raise ValueError(f"{word!r} is no {name} of a cron expression: {low} to {high}")
    return int(word)


def _field(name: str, values: tuple[int, ...] | None) -> str:
    if values is None:
        return "*"
    if name == "day_of_week":
        return ",".join(WEEKDAYS[value] for value in values)
    return ",".join(map(str, values))
