# SPDX-License-Identifier: GPL-3.0-or-later
"""Colour on a terminal, by rich; the verbs' tests see it on real ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from raspy.ctl import terminal
from raspy.ctl.output import Cell, Column


def test_markup_in_what_is_shown_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(Cell("[bold]x[/]", "good"), ":smile: [link=http://x]y"), ("a\x1b[31mb", "12")]
    terminal.show_table([Column("[red]name"), Column("count", right=True)], rows)
    terminal.show_line("[blink]no\x07", "bad")
    terminal.show_colored([("[", ""), ("x", "#ff8800"), ("]", "")])
    shown = capsys.readouterr().out
    for text in (
        "[red]name",
        "[bold]x[/]",
        ":smile: [link=http://x]y",
        "a\\x1b[31mb",
        "[blink]no\\x07",
        "[x]",
    ):
        assert text in shown


@given(
    st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), min_size=1, max_size=5),
    st.integers(20, 120),
)
def test_whatever_is_in_a_table_it_fits(rows: list[tuple[str, str]], columns: int) -> None:
    console = Console(width=columns, markup=False, highlight=False, emoji=False, force_terminal=True)
    with console.capture() as captured:
        console.print(terminal.make_table([Column("a"), Column("b")], rows))
    assert "\x1b[2J" not in captured.get()
