# SPDX-License-Identifier: GPL-3.0-or-later
"""Cron expressions: read as in crontab(5), refused with the field that is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.servers.core.cron import crontab


def values(expression: str, field: str) -> tuple[int, ...] | None:
    return crontab.parse(expression).values[crontab.FIELDS.index(field)]


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("0", (0,)),
        ("7", (0,)),
        ("sun", (0,)),
        ("1-5", (1, 2, 3, 4, 5)),
        ("mon-fri", (1, 2, 3, 4, 5)),
        ("5-7", (0, 5, 6)),
        ("*/2", (0, 2, 4, 6)),
        ("MON,Wed", (1, 3)),
        ("*", None),
    ],
)
def test_the_week_begins_with_sunday_as_0_and_7(word: str, wanted: tuple[int, ...] | None) -> None:
    assert values(f"0 0 * * {word}", "day_of_week") == wanted


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("*/20", (0, 20, 40)),
        ("5", (5,)),
        ("50/5", (50, 55)),
        ("1-10/3", (1, 4, 7, 10)),
        ("3,1,2", (1, 2, 3)),
    ],
)
def test_minutes(word: str, wanted: tuple[int, ...]) -> None:
    assert values(f"{word} 0 * * *", "minute") == wanted


def test_months_by_name() -> None:
    assert values("0 0 1 jan,jun-aug *", "month") == (1, 6, 7, 8)


def test_day_of_month_or_weekday_when_both_are_given_as_the_man_page_says() -> None:
    fields = crontab.parse("0 0 13 * 5").alternatives()
    assert [(one["day"], one["day_of_week"]) for one in fields] == [("13", "*"), ("*", "fri")]
    assert len(crontab.parse("0 0 */2 * 5").alternatives()) == 1, (
        "a field with a star counts as not restricted"
    )


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("* * * * * *", "five fields"),
        ("@daily", "five fields"),
        ("60 * * * *", "0 to 59"),
        ("* 24 * * *", "0 to 23"),
        ("* * 0 * *", "1 to 31"),
        ("* * * 13 *", "1 to 12"),
        ("* * * * 8", "0 to 7"),
        ("* * * foo *", "no month"),
        ("*/0 * * * *", "at least 1"),
        ("5-1 * * * *", "upwards"),
        ("1,,2 * * * *", "no minute"),
        ("-1 * * * *", "no minute"),
        ("1-2-3 * * * *", "no minute"),
        ("¹ * * * *", "no minute"),
        ("0 0 * * * " + " " * 300, "five fields"),
    ],
)
def test_what_is_no_expression(expression: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        crontab.parse(expression)


@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_refused_in_words(text: str) -> None:
    try:
        crontab.parse(text)
    except ValueError as error:
        assert len(str(error)) > 10


number = st.integers(0, 59).map(str)
part = st.one_of(
    number,
    st.just("*"),
    st.integers(1, 30).map("*/{}".format),
    st.tuples(st.integers(0, 20), st.integers(20, 59)).map(lambda t: f"{t[0]}-{t[1]}"),
)


@given(st.lists(part, min_size=1, max_size=4).map(",".join))
def test_minutes_are_in_range_and_order(word: str) -> None:
    found = values(f"{word} * * * *", "minute")
    assert found is None or (list(found) == sorted(set(found)) and found[0] >= 0 and found[-1] <= 59)
