# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables as plain aligned text, and text from elsewhere made harmless for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

GAP = "  "


class Column(NamedTuple):
    """A column of a table.

    Args:
        name: its head.
        right: whether its cells stand at its right edge, as numbers do.
    """

    name: str
    right: bool = False


class Cell(NamedTuple):
    """A cell with a colour.

    Args:
        text: what it says.
        style: ``good``, ``warn``, ``bad``, ``dim`` or ``strong``; seen on a terminal only.
    """

    text: str
    style: str = ""


Row = Sequence[str | Cell]


def text_of(cell: str | Cell) -> str:
    """What a cell says, safe to show."""
    return clean(cell.text if isinstance(cell, Cell) else cell)


def clean(text: str) -> str:
    """*text* in one line, with all that is no visible character written as its escape.

    What comes from the bus could otherwise rewrite the screen of who looks at it.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )


def width(text: str) -> int:
    """How many columns of a terminal *text* takes: none for accents of their own, two for wide letters."""
    if text.isascii():
        return len(text)
    columns = 0
    for letter in text:
        if unicodedata.combining(letter):
            continue
        columns += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
    return columns


def plain_table(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """A table without colour or lines: heads in capitals, columns aligned, nothing cut."""
    lines = [[column.name.upper() for column in columns]]
    lines += [[text_of(cell) for cell in row] for row in rows]
    widths = [max(width(line[place]) for line in lines) for place in range(len(columns))]
    shown = []
    for line in lines:
        cells = []
        for column, text, wide in zip(columns, line, widths, strict=True):
            space = " " * (wide - width(text))
            cells.append(space + text if column.right else text + space)
        shown.append(GAP.join(cells).rstrip())
    return "\n".join(shown)
