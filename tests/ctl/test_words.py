# SPDX-License-Identifier: GPL-3.0-or-later
"""Times, sizes and durations in words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.ctl import words
from tests.support.ctl import Ctl

NOON = 1_769_000_400.0  # 2026-01-21 13:00:00 UTC


@pytest.fixture(autouse=True)
def in_utc(ctl: Ctl) -> Iterator[None]:
    """`ctl` sets the time zone."""
    yield


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.25, "0.2 s"),
        (42.4, "42 s"),
        (300, "5 min"),
        (7200, "2 h"),
        (3 * 86400, "3 d"),
        (4e7, "1 y"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_ago() -> None:
    assert words.ago(NOON - 300, NOON) == "5 min"
    assert words.ago(NOON + 5, NOON) == "now"
    assert words.ago(None) == "" and words.ago(True) == "" and words.ago("x") == ""


def test_moments() -> None:
    assert words.moment(NOON, NOON + 60) == "13:00:00"
    assert words.moment(NOON, NOON + 86400) == "2026-01-21 13:00:00"
    assert words.moment(None) == "" and words.moment(1e300) == ""


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (300 * 1024, "300 KiB"), (5 * 2**20, "5.0 MiB"),
     (2**50, "1048576 GiB")],
)  # fmt: skip
def test_sizes(count: int, text: str) -> None:
    assert words.size(count) == text


@given(st.floats(allow_nan=False) | st.integers() | st.none() | st.text())
def test_whatever_a_server_calls_a_time(then: object) -> None:
    assert isinstance(words.moment(then), str)
