# SPDX-License-Identifier: GPL-3.0-or-later
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.common import sun
from raspyweb.app.cron import words


@pytest.mark.parametrize(
    ("definition", "text"),
    [
        ({"cron": "30 7 * * mon-fri"}, "Monday to Friday, at 07:30"),
        ({"cron": "0 8 * * *"}, "Every day at 08:00"),
        ({"cron": "0,30 8 * * sat,sun"}, "Saturday and Sunday, at 08:00 and 08:30"),
        ({"cron": "* * * * *"}, "Every minute"),
        ({"cron": "*/15 * * * *"}, "Every 15 minutes"),
        ({"cron": "0 * * * *"}, "Every hour, on the hour"),
        ({"cron": "5 * * * 1"}, "Monday, at minute 5 of the hour"),
        ({"cron": "0 */6 * * *"}, "Every day at 00:00, 06:00, 12:00 and 18:00"),
        ({"cron": "0 */2 * * *"}, "Every 2 hours, from 00:00 on"),
        ({"cron": "*/10 8-18 * * *"}, "Every 10 minutes, in the hours 8 to 18"),
        ({"cron": "0 9 1,15 * *"}, "On day 1 and 15 of the month, at 09:00"),
        ({"cron": "0 9 1 * fri"}, "On day 1 of the month and on Friday, at 09:00"),
        ({"cron": "0 9 */16 * 5"}, "On day 1 and 17 of the month if it is Friday, at 09:00"),
        ({"cron": "0 9 * 6-8 *"}, "Every day at 09:00, in June to August"),
        ({"cron": "0 9 1-4,9,10 * *"}, "On day 1 to 4, 9 and 10 of the month, at 09:00"),
        ({"interval_s": 1}, "Every second"),
        ({"interval_s": 1.5}, "Every 1.5 seconds"),
        ({"interval_s": 90}, "Every 90 seconds"),
        ({"interval_s": 60.0}, "Every minute"),
        ({"interval_s": 5400}, "Every 90 minutes"),
        ({"interval_s": 3600}, "Every hour"),
        ({"interval_s": 86400}, "Every 24 hours"),
        ({"interval_s": 172800}, "Every 2 days"),
        ({"date": "2026-12-24T16:00"}, "Once, on 24 December 2026 at 16:00"),
        ({"date": "2026-12-24T16:00:05+01:00"}, "Once, on 24 December 2026 at 16:00:05 (UTC+0100)"),
        ({"sun": "sunset", "offset_s": -1800}, "30 minutes before sunset"),
        ({"sun": "dawn", "offset_s": 3660.0}, "1 hour 1 minute after dawn"),
        ({"sun": "noon"}, "At the sun's noon"),
    ],
)  # fmt: skip
def test_when_a_job_is_due(definition, text):
    assert words.when(definition) == text


@pytest.mark.parametrize(
    ("definition", "parts"),
    [
        ({}, ["only publishes its event"]),
        ({"scenario": "feed"}, ["starts the scenario feed"]),
        (
            {"command": {"key": "/device/pi/fake/lamp/state", "value": True}},
            ["sets pi/fake/lamp/state to true"],
        ),
        (
            {"command": {"key": "/device/pi/fake/lamp/state", "value": "°", "hold": 90061.0}},
            ['sets pi/fake/lamp/state to "°" for 1 day 1 hour'],
        ),
        (
            {"scenario": "feed", "request": {"service": "pi.sync.sync", "frames": ["run", "backup"]}},
            ["starts the scenario feed", "asks pi.sync.sync: run backup"],
        ),
    ],
)
def test_what_a_job_does(definition, parts):
    assert words.what(definition) == parts


def test_durations():
    seconds = (0.1, 1, 59, 61, 7200, 86399, 172800)
    texts = ["0.1 seconds", "1 second", "59 seconds", "1 minute 1 second", "2 hours", "23 hours 59 minutes"]
    assert [words.duration(one) for one in seconds] == [*texts, "2 days"]


@pytest.mark.parametrize("wrong", [{"cron": "every day"}, {"date": "tomorrow"}])
def test_what_can_t_be_told(wrong):
    with pytest.raises(ValueError, match=r"."):
        words.when(wrong)


def field(low, high):
    number = st.integers(low, high).map(str)
    return st.one_of(
        st.just("*"),
        number,
        st.integers(1, 30).map(lambda step: f"*/{step}"),
        st.lists(number, min_size=1, max_size=6).map(",".join),
        st.tuples(st.integers(low, high), st.integers(low, high)).map(
            lambda pair: f"{min(pair)}-{max(pair)}"
        ),
    )


@given(st.tuples(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7)))
def test_every_expression_is_told(fields):
    text = words.when({"cron": " ".join(fields)})
    assert text[0].isupper() or text[0].isdigit()
    assert "{" not in text


@given(st.sampled_from(sun.EVENTS), st.integers(-43200, 43200))
def test_every_offset_is_told(event, offset_s):
    text = words.when({"sun": event, "offset_s": offset_s})
    assert text and ("before" in text) == (offset_s < 0) and ("after" in text) == (offset_s > 0)
