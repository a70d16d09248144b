# SPDX-License-Identifier: GPL-3.0-or-later
"""What was asked and what was measured: the rows of the one table."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

# How wide the table's columns may be, in characters.
TITLE = 58
COLUMN = 44


class Row(NamedTuple):
    """One line of the table."""

    part: str
    what: str
    asked: str
    measured: str
    met: bool


class Report:
    """The rows of one Debian, printed as they come.

    Args:
        suite: its name.
    """

    lock = threading.Lock()

    def __init__(self, suite: str) -> None:
        self.suite = suite
        self.rows: list[Row] = []
        self._part = ""
        self._started = time.monotonic()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Rows that follow belong to this part; an error in it is a row too, and ends the part alone."""
        self._part = name
        started = time.monotonic()
        try:
            yield
        except (AssertionError, OSError, ValueError, KeyError, IndexError) as error:
            self.add("goes through", "no error", f"{type(error).__name__}: {error}", False)
        self.say(f"{name}: {time.monotonic() - started:.1f} s")

    def add(self, what: str, asked: object, measured: object, met: bool) -> bool:
        """Add a row, and say so at once when it is not met; returns `met`."""
        self.rows.append(Row(self._part, what, str(asked), str(measured), met))
        if not met:
            self.say(f"NOT MET  {self._part}: {what}: asked {asked}, measured {measured}")
        return met

    def same(self, what: str, asked: object, measured: object) -> bool:
        """A row that is met when both are equal."""
        return self.add(what, asked, measured, asked == measured)

    def most(self, what: str, limit: float, value: float, unit: str = "") -> bool:
        """A row that is met when the value is not above the limit."""
        return self.add(what, f"<= {limit:g}{unit}", f"{value:.4g}{unit}", value <= limit)

    def say(self, text: str) -> None:
        """Print a line while the tests run."""
        with self.lock:
            print(
                f"[{self.suite} {time.monotonic() - self._started:5.1f}] {text}", file=sys.stderr, flush=True
            )


def short(text: str, width: int) -> str:
    """One line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def table(reports: Sequence[Report]) -> str:
    """All rows beside each other: what was asked, and what was measured on each Debian."""
    suites = [report.suite for report in reports]
    lines: dict[tuple[str, str], dict[str, Row]] = {}
    for report in reports:
        for row in report.rows:
            lines.setdefault((row.part, row.what), {})[report.suite] = row
    cells = [["checked", "asked", *suites, "met"]]
    part = ""
    for (of, what), by_suite in lines.items():
        if of != part:
            part = of
            cells.append([of.upper(), "", *("" for _ in suites), ""])
        rows = [by_suite.get(suite) for suite in suites]
        asked = next(row.asked for row in rows if row)
        met = all(row is None or row.met for row in rows)
        measured = [short(row.measured, COLUMN) if row else "-" for row in rows]
        cells.append(["  " + short(what, TITLE), short(asked, COLUMN), *measured, "yes" if met else "NO"])
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    return "\n".join([text[0], "-" * len(text[0]), *text[1:]])
