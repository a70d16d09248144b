# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain tables, and text made harmless."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.ctl.output import Cell, Column, clean, plain_table, width


def test_a_table_is_aligned() -> None:
    rows = [("a", Cell("1", "good")), ("long name", "22"), ("水温", "3")]
    assert plain_table([Column("name"), Column("count", right=True)], rows) == (
        "NAME       COUNT\n"
        "a              1\n"
        "long name     22\n"
        "水温           3"
    )  # fmt: skip


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("°C", 2), ("e\u0301", 1), ("水", 2), ("", 0)])
def test_how_wide_text_is(text: str, columns: int) -> None:
    assert width(text) == columns


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain °C 水", "plain °C 水"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("two\nlines\t", "two\\nlines\\t"),
        ("\u202eright to left", "\\u202eright to left"),
        ("\udcff", "\\udcff"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text: str, shown: str) -> None:
    assert clean(text) == shown


@given(st.text(st.characters(), max_size=100))
def test_whatever_the_text_it_is_one_printable_line(text: str) -> None:
    assert clean(text).isprintable()
    clean(text).encode()


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), min_size=1, max_size=8))
def test_a_row_is_a_line(rows: list[tuple[str, str]]) -> None:
    lines = plain_table([Column("a"), Column("b", right=True)], rows).split("\n")
    assert len(lines) == len(rows) + 1
