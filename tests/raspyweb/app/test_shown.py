# SPDX-License-Identifier: GPL-3.0-or-later
"""How values, times and sizes are shown."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspyweb.app import shown


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (21.5, "21.5"), (21.4567, "21.46"), (9.9, "9.9"), (0, "0"), (3, "3"), (-0.00012345, "-0.000123"),
        (123456.7, "123457"), (1e15, "1000000000000000"), (float("nan"), "–"), (float("inf"), "–"),
        (100.04, "100"), (0.5, "0.5"),
    ],
)  # fmt: skip
def test_numbers(given, words):
    assert shown.number(given) == words


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12))
def test_a_number_is_close_to_what_is_shown(given):
    assert abs(float(shown.number(given)) - given) <= max(abs(given) * 1e-3, 1e-6)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"value": True}, "on"), ({"value": False}, "off"), ({"value": None}, "–"), ({}, "–"), (None, "–"),
        ("text", "–"), ({"value": "#ff0000"}, "#ff0000"), ({"value": 21.0}, "21"),
    ],
)  # fmt: skip
def test_values(body, words):
    assert shown.value(body) == words


def test_times():
    assert [shown.duration(s) for s in (0, 0.5, 59.9, 60, 3599, 7200, 86400 * 3.5)] == [
        "0 s", "0 s", "59 s", "1 min", "59 min", "2 h", "3 d",
    ]  # fmt: skip
    assert shown.age(time.time() - 125) == "2 min ago" and shown.age(None) == ""
    assert shown.age(time.time() + 1000) == "0 s ago"
    assert shown.iso(0) == "1970-01-01T00:00:00Z" and shown.iso(None) == "" == shown.moment(None)
    assert shown.moment(1_769_000_000)[:4] == "2026"


def test_who_asked():
    assert shown.asker("core-1234-5f3a9c0b12de") == "core"
    assert shown.asker("my-shell") == "my-shell" and shown.asker(None) == ""


def test_sizes():
    assert [shown.size(n) for n in (0, 1023, 1024, 30.5 * 2**20, 5 * 2**40, 5 * 2**50)] == [
        "0 B", "1023 B", "1 KiB", "30.5 MiB", "5 TiB", "5120 TiB",
    ]  # fmt: skip
