# SPDX-License-Identifier: GPL-3.0-or-later
"""Definitions of cron jobs: completed, or refused with what is wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raspy.common.MDP import ClientError
from raspy.servers.core.cron.job import Cron, check
from raspy.servers.core.cron.triggers import Place

PLACE = Place(ZoneInfo("Europe/Paris"), 48.85, 2.35)
NOWHERE = Place(ZoneInfo("UTC"))
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def job(**definition: Any) -> Cron:
    return Cron("job", definition, PLACE, NOON)


def test_defaults_are_filled_in() -> None:
    assert check({"cron": " 30  7 * * * "}, PLACE) == {
        "cron": "30 7 * * *",
        "active": True,
        "missed": "skip",
        "trusted": False,
        "info": "",
    }


def test_everything_at_once_survives_being_stored() -> None:
    definition = {
        "sun": "sunset",
        "offset_s": -600,
        "active": False,
        "missed": "run",
        "trusted": True,
        "info": "x",
        "scenario": "lights",
        "request": {"service": "pi.sync.sync", "frames": ["run", "backup"]},
        "command": {"key": "/device/pi/fake/lamp/state", "value": True, "hold": 60},
    }
    once = check(definition, PLACE)
    assert check(json.loads(json.dumps(once)), PLACE) == once
    assert once["command"]["hold"] == 60.0


@pytest.mark.parametrize(
    ("definition", "first"),
    [
        ({"cron": "0 8 * * *"}, datetime(2026, 3, 2, 7, tzinfo=UTC)),
        ({"interval_s": 90}, datetime(2026, 3, 1, 12, 1, 30, tzinfo=UTC)),
        ({"date": "2026-05-01T08:00"}, datetime(2026, 5, 1, 6, tzinfo=UTC)),
        ({"date": "2026-05-01T08:00+00:00"}, datetime(2026, 5, 1, 8, tzinfo=UTC)),
    ],
)
def test_first_run(definition: dict[str, Any], first: datetime) -> None:
    assert job(**definition).after(NOON) == first


def test_a_date_runs_once() -> None:
    one = job(date="2026-05-01T08:00")
    first = one.after(NOON)
    assert first is not None and one.after(first) is None


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ({}, "exactly one"),
        ({"cron": "0 8 * * *", "interval_s": 5}, "exactly one"),
        ({"cron": "0 25 * * *"}, "0 to 23"),
        ({"cron": 5}, "must be a text"),
        ({"cron": "x" * 300}, "at most 200"),
        ({"interval_s": 0.5}, "from 1 to"),
        ({"interval_s": True}, "must be a number"),
        ({"interval_s": "5"}, "number"),
        ({"interval_s": float("nan")}, "must be a number"),
        ({"date": "tomorrow"}, "2026-05-01T08:00"),
        ({"date": None}, "2026-05-01T08:00"),
        ({"date": 5}, "must be like"),
        ({"date": "0001-01-01T00:00+14:00"}, "must be like"),
        ({"sun": "moonrise"}, "one of dawn"),
        ({"sun": "sunset", "offset_s": 1e9}, "from -43200"),
        ({"interval_s": 5, "offset_s": 5}, "goes with sun"),
        ({"interval_s": 5, "colour": 1}, "has no 'colour'"),
        ({"interval_s": 5, "active": "yes"}, "true or false"),
        ({"interval_s": 5, "missed": "later"}, "skip, run"),
        ({"interval_s": 5, "trusted": 1}, "true or false"),
        ({"interval_s": 5, "info": "x" * 501}, "at most 500"),
        ({"interval_s": 5, "scenario": "a/b"}, "can't be the name"),
        ({"interval_s": 5, "command": "on"}, "command must"),
        ({"interval_s": 5, "command": {"key": "/device/a/b/c", "value": 1}}, "not of a device"),
        ({"interval_s": 5, "command": {"key": "/event/a/b/c/d", "value": 1}}, "not of a device"),
        ({"interval_s": 5, "command": {"key": "/device/a/b/c/d"}}, "command must"),
        ({"interval_s": 5, "command": {"key": "/device/a/b/c/d", "value": 1, "hold": -1}}, "hold must"),
        ({"interval_s": 5, "command": {"key": "/device/a/b/c/d", "value": 1, "for": 1}}, "no 'for'"),
        ({"interval_s": 5, "request": []}, "request must"),
        ({"interval_s": 5, "request": {"frames": ["x"]}}, "service"),
        ({"interval_s": 5, "request": {"service": "a", "frames": []}}, "list of 1"),
        ({"interval_s": 5, "request": {"service": "a", "frames": ["x", 5]}}, "list of 1"),
        ({"interval_s": 5, "request": {"service": "a", "frames": ["x" * 5000]}}, "limited to"),
    ],
)
def test_what_is_refused(definition: dict[str, Any], words: str) -> None:
    with pytest.raises(ClientError, match=words):
        check(definition, PLACE)


def test_the_sun_needs_a_place() -> None:
    with pytest.raises(ClientError, match="latitude and longitude"):
        check({"sun": "sunset"}, NOWHERE)


@pytest.mark.parametrize("name", ["", "a/b", "a.b", "-a", "ü", "x" * 65, "a b", "a\n"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ClientError, match="can't be the name of a cron job"):
        Cron(name, {"interval_s": 5}, PLACE, NOON)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(
    [
        "cron",
        "interval_s",
        "date",
        "sun",
        "offset_s",
        "active",
        "missed",
        "trusted",
        "command",
        "scenario",
        "request",
        "info",
    ]
)


@settings(max_examples=50)
@given(st.dictionaries(keys, json_values, max_size=5))
def test_any_definition_is_taken_or_refused_in_words(definition: dict[str, Any]) -> None:
    try:
        one = Cron("job", definition, PLACE, NOON)
    except ClientError as error:
        assert len(str(error)) > 10
    else:
        json.dumps(one.to_json())
