# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables and lines in colour, for a terminal; this is where rich comes in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from raspy.ctl.output import Cell, Column, Row, clean, text_of

STYLES = {
    "good": "green", "warn": "yellow", "bad": "bold red", "dim": "bright_black", "strong": "bold", "": "",
}  # fmt: skip


@cache
def console() -> Console:
    """The terminal. What is shown is text: rich must neither read markup in it nor colour its numbers."""
    return Console(markup=False, highlight=False, emoji=False)


def show_table(columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Show a table; long cells are folded into the terminal's width."""
    console().print(make_table(columns, rows))


def make_table(columns: Sequence[Column], rows: Sequence[Row]) -> Table:
    """The table to show."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold cyan", show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column.name, justify="right" if column.right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(styled(cell) for cell in row))
    return table


def styled(cell: str | Cell) -> Text:
    """A cell with its colour."""
    return Text(text_of(cell), STYLES[cell.style] if isinstance(cell, Cell) else "")


def show_line(text: str, style: str) -> None:
    """Show a line in a colour."""
    console().print(Text(clean(text), STYLES[style]))


def show_colored(letters: Sequence[tuple[str, str]]) -> None:
    """Show a line of letters, each in its own colour (``#rrggbb``, or none)."""
    line = Text()
    for letter, color in letters:
        line.append(letter, color or None)
    line.rstrip()
    console().print(line, no_wrap=True, crop=True)
