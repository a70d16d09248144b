# SPDX-License-Identifier: GPL-3.0-or-later
"""Medians of interleaved runs, and tables: what every bench shares.

A bench in full::

    \"\"\"fruit: apples beside pears.\"\"\"

    def measure(options: Options) -> Iterator[Table]:
        table = Table("Fruit", ("work", "pear /s", "apple /s", "ratio", "reach", "met"))
        with Room() as room:
            apple = room.daemon("raspy.servers.apple")
            runs = interleave(options.runs, {"pear": lambda: eat_pears(options.seconds),
                                             "apple": lambda: eat_apples(options.seconds)})
        pear, apple = medians(runs["pear"])["rate"], medians(runs["apple"])["rate"]
        table.add("one at a time", pear, apple, *against(apple / pear, 0.9))
        yield table

A run is one measurement: a function without arguments that returns a dict of numbers, as `loadgen` does.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

Run = Mapping[str, float]

ADDED_UP = ("lost", "wrong", "disordered", "refused")
"""Numbers of which a single occurrence counts: `medians()` gives their sum."""


class Options(NamedTuple):
    """What the command line asks for."""

    runs: int = 7
    """Runs of each variant; the table shows their median."""
    seconds: float = 1.0
    """How long one run measures."""
    transport: str = "ipc"
    """``ipc`` (unix sockets) or ``tcp`` (loopback)."""


def interleave(runs: int, variants: Mapping[str, Callable[[], Run]]) -> dict[str, list[Run]]:
    """Run every variant `runs` times, a b c a b c ..., so that a slow minute of the machine hits all alike.

    Returns:
        The runs of each variant, in order.
    """
    results: dict[str, list[Run]] = {name: [] for name in variants}
    for _ in range(runs):
        for name, run in variants.items():
            results[name].append(run())
    return results


def medians(runs: Sequence[Run]) -> dict[str, float]:
    """The median of each number over `runs`; the sum where nothing may happen even once (`ADDED_UP`)."""
    names = [name for name in runs[0] if all(name in run for run in runs)]
    return {name: (sum if name in ADDED_UP else statistics.median)(run[name] for run in runs)
            for name in names}


def against(value: float, reach: float, *, at_most: bool = False) -> tuple[float, str, str]:
    """The last three cells of a row: `value`, what it should reach, and whether it does.

    Args:
        value: the ratio, size or time that was measured.
        reach: the least it should be (with `at_most`: the most).
    """
    met = value <= reach if at_most else value >= reach
    return value, f"{'<=' if at_most else '>='} {number(reach)}", "yes" if met else "NO"


def number(value: object) -> str:
    """A cell's text: numbers with three or more significant digits, thousands apart; text as it is."""
    if isinstance(value, float):
        if abs(value) >= 1000:
            return f"{value:,.0f}".replace(",", " ")
        return f"{value:.1f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


class Table:
    """Rows under named columns, printed as text and kept for JSON."""

    def __init__(self, title: str, columns: Sequence[str], note: str = "") -> None:
        """An empty table; `note` is printed under it."""
        self.title = title
        self.columns = tuple(columns)
        self.note = note
        self.rows: list[tuple[object, ...]] = []

    def add(self, *cells: object) -> None:
        """Add a row; cells that are missing at its end stay empty."""
        if len(cells) > len(self.columns):
            raise ValueError(f"{len(cells)} cells for {len(self.columns)} columns")
        self.rows.append(cells + ("",) * (len(self.columns) - len(cells)))

    def text(self) -> str:
        """The table for a person, in Markdown: the first column to the left, the others to the right."""
        cells = [self.columns, *(tuple(number(cell) for cell in row) for row in self.rows)]
        widths = [max(len(row[index]) for row in cells) for index in range(len(self.columns))]
        lines = []
        for row in cells:
            left, right = row[0].ljust(widths[0]), map(str.rjust, row[1:], widths[1:])
            lines.append(f"| {' | '.join([left, *right])} |")
        rules = ["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]
        lines.insert(1, f"|{'|'.join(rules)}|")
        return "\n".join([f"## {self.title}", "", *lines, *(["", self.note] if self.note else [])])

    def plain(self) -> dict[str, object]:
        """The table for JSON."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"title": self.title, "note": self.note, "rows": rows}


def say(text: str) -> None:
    """Tell whoever waits what is being measured now; tables go to stdout, this to stderr."""
    print(text, file=sys.stderr, flush=True)
