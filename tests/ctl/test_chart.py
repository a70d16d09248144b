# SPDX-License-Identifier: GPL-3.0-or-later
"""Curves drawn with letters."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from raspy.ctl.chart import HEIGHT, WIDTH_MIN, Curve, Letter, draw

DAY = 86400.0


def text(lines: list[list[Letter]]) -> list[str]:
    return ["".join(letter.text for letter in line) for line in lines]


def dots(line: list[Letter]) -> list[int]:
    """The columns that have dots."""
    return [place for place, letter in enumerate(line) if letter.curve >= 0]


def test_a_ramp_goes_up_from_left_to_right() -> None:
    times = [at * DAY / 100 for at in range(101)]
    lines = draw([Curve("ramp", "°C", times, [float(at) for at in range(101)])], 0, DAY, 80)
    assert len(lines) == HEIGHT + 2
    assert {len(line) for line in lines[:HEIGHT]} == {80}
    first = [min(dots(line)) for line in lines[:HEIGHT]]
    assert first == sorted(first, reverse=True) and first[-1] < 10 and first[0] > 70


def test_the_axis_has_values_and_times() -> None:
    lines = text(draw([Curve("x", "", [0, DAY / 2, DAY], [20.0, 21.0, 22.0])], 0, DAY, 80))
    assert lines[0].lstrip().startswith("21.9") and "│" in lines[0]
    assert lines[HEIGHT - 1].lstrip().startswith("20.0")
    assert lines[HEIGHT].lstrip().startswith("└──")
    assert ":" in lines[HEIGHT + 1]
    week = text(draw([Curve("x", "", [0, DAY], [1.0, 2.0])], 0, 7 * DAY, 80))
    assert ":" not in week[-1] and week[-1].strip()
    year = text(draw([Curve("x", "", [0, DAY], [1.0, 2.0])], 0, 365 * DAY, 80))
    assert "19" in year[-1]


def test_a_gap_stays_a_gap() -> None:
    times = [at * DAY / 10 for at in range(11)]
    values = [1.0, 1.0, 1.0, None, None, None, None, math.nan, 1.0, 1.0, 1.0]
    lines = draw([Curve("x", "", times, values)], 0, DAY, 100)
    (drawn,) = [dots(line) for line in lines if dots(line)]
    gaps = [after - before for before, after in pairwise(drawn)]
    assert max(gaps) > 40


def test_each_curve_has_its_own_color() -> None:
    high, low = Curve("a", "", [0, DAY], [9.0, 9.0]), Curve("b", "", [0, DAY], [1.0, 1.0])
    lines = draw([high, low], 0, DAY, 80)
    assert {letter.curve for letter in lines[0]} == {-1, 0}
    assert {letter.curve for letter in lines[HEIGHT - 1]} == {-1, 1}


def test_one_value_is_drawn_and_none_is_not() -> None:
    lines = draw([Curve("x", "", [DAY / 2], [0.0])], 0, DAY, 80)
    assert sum(len(dots(line)) for line in lines) == 1
    assert draw([Curve("x", "", [1.0], [None])], 0, DAY, 80) == []
    assert draw([Curve("x", "", [1.0], [5.0])], 10, 10, 80) == []


NUMBERS = st.none() | st.floats(allow_nan=True, allow_infinity=True)


@given(
    st.lists(st.tuples(st.floats(0, DAY), NUMBERS), max_size=30),
    st.integers(-5, 1000), st.sampled_from([1.0, DAY, 1e9]),
)  # fmt: skip
def test_whatever_the_values_the_lines_fit(
    points: list[tuple[float, float | None]], width: int, end: float
) -> None:
    points.sort(key=lambda point: point[0])
    curve = Curve("x", "", [at for at, _ in points], [value for _, value in points])
    lines = draw([curve], 0, end, width)
    if lines:
        assert len(lines) == HEIGHT + 2
        (wide,) = {len(line) for line in lines[:HEIGHT]}
        assert wide <= max(width, WIDTH_MIN)
        assert all(len(letter.text) == 1 for line in lines for letter in line)
