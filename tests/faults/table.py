# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of faults with the seconds to safe, printed at the end of a test run.

A test notes its row with the fixture `fault`; the row travels with the test's report, so that it arrives from
whatever process ran the test. docs/safety.md has the same rows.
"""

from __future__ import annotations

from typing import Any

PROPERTY = "seconds to safe"
COLUMNS = ("fault", "what makes it safe", "at most", "measured")


def rows(reports: list[Any]) -> list[tuple[str, str, float, float]]:
    """The rows that passed tests noted, in order of their text."""
    found = [value for report in reports for name, value in report.user_properties if name == PROPERTY]
    return sorted((fault, by, limit, took) for fault, by, limit, took in found)


def text(found: list[tuple[str, str, float, float]]) -> list[str]:
    """The table in lines of Markdown."""
    cells = [COLUMNS, *((fault, by, f"{limit:.1f} s", f"{took:.1f} s") for fault, by, limit, took in found)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(COLUMNS))]
    lines = []
    for row in cells:
        left, right = map(str.ljust, row[:2], widths[:2]), map(str.rjust, row[2:], widths[2:])
        lines.append(f"| {' | '.join([*left, *right])} |")
    rules = ["-" * (widths[0] + 2), "-" * (widths[1] + 2), *("-" * (width + 1) + ":" for width in widths[2:])]
    lines.insert(1, f"|{'|'.join(rules)}|")
    return lines


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table, if any of its tests ran."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    found = rows([report for report in reports if getattr(report, "when", "") == "call"])
    if found:
        terminalreporter.section("faults, and the seconds until the heater is off")
        for line in text(found):
            terminalreporter.write_line(line)
