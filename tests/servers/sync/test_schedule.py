# SPDX-License-Identifier: GPL-3.0-or-later
"""When a job is due, in a zone with clock changes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.common.MDP import ClientError
from raspy.servers.sync.schedule import Schedule, parse


@pytest.fixture(autouse=True)
def paris() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Paris"
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


def at(text: str) -> float:
    return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M"))


def test_reads_schedules() -> None:
    assert parse("") == parse("  ") == Schedule()
    assert not parse("")
    assert parse("every 30 min") == Schedule(every_s=1800)
    assert parse("Every  6h") == Schedule(every_s=21600)
    assert parse("every 2 d") == Schedule(every_s=172800)
    assert parse("daily 03:30") == Schedule(minute=210)
    assert parse("weekly sun 23:59") == Schedule(minute=1439, weekday=6)
    assert parse("daily 03:30")


@pytest.mark.parametrize(
    "text",
    ["every 0 h", "every 1 s", "every 400 d", "daily 24:00", "daily 3:30", "weekly 03:30", "now", "@daily"],
)
def test_refuses_others(text: str) -> None:
    with pytest.raises(ClientError, match="write 'every 30 min'"):
        parse(text)


@given(st.text())
def test_any_text_is_a_schedule_or_a_sentence(text: str) -> None:
    try:
        parse(text)
    except ClientError as error:
        assert "schedule:" in str(error)


def test_every() -> None:
    every = parse("every 6 h")
    now = at("2026-03-10 12:00")
    assert every.due(None, now - 5, now) == now - 5  # a new job runs at once
    assert every.due(now - 3600, 0, now) == now + 5 * 3600
    assert every.due(now - 86400, 0, now) < now  # overdue
    # the clock was set back a year: nobody waits for a year
    assert every.due(now + 365 * 86400, 0, now) == now
    assert parse("").due(None, 0, now) is None


def test_daily() -> None:
    daily = parse("daily 03:30")
    now = at("2026-03-10 12:00")
    assert daily.due(None, now, now) == at("2026-03-11 03:30")  # a new job waits for its time
    assert daily.due(at("2026-03-10 03:30"), 0, now) == at("2026-03-11 03:30")
    assert daily.due(at("2026-03-08 03:30"), 0, now) == at("2026-03-09 03:30")  # missed: overdue
    assert daily.due(at("2027-01-01 03:30"), 0, now) == at("2026-03-11 03:30")  # the clock was set back


def test_daily_over_clock_changes() -> None:
    assert parse("daily 02:30").due(at("2026-03-28 12:00"), 0, at("2026-03-28 12:00")) == at(
        "2026-03-29 03:30"
    )
    before, after = at("2026-10-24 03:30"), at("2026-10-25 03:30")
    assert parse("daily 03:30").due(before, 0, before) == after
    assert after - before == 25 * 3600


def test_weekly() -> None:
    weekly = parse("weekly tue 03:30")  # 2026-03-10 is a Tuesday
    assert weekly.due(None, at("2026-03-10 03:00"), at("2026-03-10 03:00")) == at("2026-03-10 03:30")
    assert weekly.due(None, at("2026-03-10 03:30"), at("2026-03-10 03:30")) == at("2026-03-17 03:30")
    assert weekly.due(at("2026-03-11 00:00"), 0, at("2026-03-11 00:00")) == at("2026-03-17 03:30")
