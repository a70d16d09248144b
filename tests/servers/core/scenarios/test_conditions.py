# SPDX-License-Identifier: GPL-3.0-or-later
"""Conditions of entries: edges, hysteresis, durations, and values that can't be trusted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raspy.common.MDP import ClientError
from raspy.servers.core.scenarios.conditions import Entry, check_entry

KEY = "/device/pi/fake/tank/temperature"


def body(value: Any, quality: str = "good", time: float = 1.0, **more: Any) -> bytes:
    return json.dumps({"value": value, "quality": quality, "time": time, **more}).encode()


def entry(**condition: Any) -> Entry:
    return Entry("t", check_entry({"key": KEY, **condition}))


def edges(one: Entry, values: list[Any], every_s: float = 1.0) -> list[int]:
    """The indexes of the values at which the condition came true."""
    found = []
    for index, value in enumerate(values):
        one.update(value if isinstance(value, bytes) else body(value, time=float(index)), index * every_s)
        if one.evaluate(index * every_s):
            found.append(index)
    return found


@pytest.mark.parametrize(
    ("condition", "values", "wanted"),
    [
        ({"below": 20}, [19, 18, 21, 19, 20, 19.9], [0, 3, 5]),
        ({"above": 20}, [19, 21, 22, 20, 20.1], [1, 4]),
        ({"below": 20, "hysteresis": 1}, [19, 20.5, 19, 21, 19], [0, 4]),
        ({"above": 20, "hysteresis": 1}, [21, 19.5, 21, 19, 21], [0, 4]),
        ({"equals": "on"}, ["off", "on", "on", "off", "on"], [1, 4]),
        ({"equals": 1}, [True, 1, 1.0, 2, 1], [1, 4]),
        ({"equals": True}, [1, True], [1]),
        ({"equals": [1, {"a": None}]}, [[1], [1, {"a": None}]], [1]),
        ({"changes": True}, [1, 1, 2, 2, 1], [2, 4]),
        ({"below": 20}, ["19", True, None, [], 19], [4]),
        ({}, [1, 2, 3], []),
    ],
)
def test_comes_true_once_each_time(condition: dict[str, Any], values: list[Any], wanted: list[int]) -> None:
    assert edges(entry(**condition), values) == wanted


@pytest.mark.parametrize(
    "bad",
    [
        body(None, "fault", error="CRC"),
        body(5, "stale"),
        body(5, "strange"),
        b"",
        b"\xff",
        b"[]",
        b"7",
        b'{"value": NaN}',
        b'{"value": -Infinity}',
        b'{"quality": "good"}',
        b"[" * 100_000,
    ],
)
@pytest.mark.parametrize("condition", [{"below": 20}, {"above": -20}, {"equals": 5}, {"changes": True}])
def test_what_can_t_be_trusted_satisfies_nothing(bad: bytes, condition: dict[str, Any]) -> None:
    one = entry(**condition)
    one.update(body(5), 0.0)
    one.evaluate(0.0)
    one.update(bad, 1.0)
    assert not one.evaluate(1.0) and not one.holds


@pytest.mark.parametrize("bad", [body(None, "fault", error="CRC"), body(5, "stale"), b""])
def test_but_bad_does(bad: bytes) -> None:
    assert edges(entry(bad=True), [5, bad, bad, 6, bad]) == [1, 4]


def test_missing_is_bad_from_the_start() -> None:
    one = entry(bad=True, for_s=10)
    assert not one.evaluate(0.0) and one.due_at() == 10.0
    assert one.evaluate(10.0)


class TestForHowLong:
    def test_counts_only_without_a_break(self) -> None:
        one = entry(below=20, for_s=3)
        assert edges(one, [19, 19, 21, 19, 19, 19, 19, 19]) == [6]

    def test_a_fault_is_a_break(self) -> None:
        assert edges(entry(below=20, for_s=3), [19, 19, body(None, "fault"), 19, 19, 19]) == []

    def test_tells_when_to_look_again(self) -> None:
        one = entry(below=20, for_s=3)
        one.update(body(19), 100.0)
        assert not one.evaluate(100.0) and one.due_at() == 103.0
        assert one.evaluate(103.0) and one.holds and one.due_at() is None

    def test_hysteresis_holds_while_it_counts(self) -> None:
        assert edges(entry(below=20, hysteresis=1, for_s=2), [19, 20.5, 20.5]) == [2]


class TestStale:
    def test_after_three_polls_without_news(self) -> None:
        one = entry(below=20)
        one.update(body(19, poll=2.0), 10.0)
        assert one.due_at() == 16.0
        assert not one.age(15.9) and one.quality == "good"
        assert one.age(16.0) and one.quality == "stale" and not one.age(17.0)
        assert not one.evaluate(16.0)
        assert one.value == 19, "the last value is still to be seen"

    @pytest.mark.parametrize("poll", [0, -1, None, "x", 2])
    def test_not_without_polls(self, poll: object) -> None:
        one = entry()
        one.update(body(19, poll=poll), 10.0)
        assert one.age(1e6) is (poll == 2)


class TestEvents:
    def event(self, kind: str, time: float) -> bytes:
        return json.dumps({"event": kind, "time": time, "message": "x"}).encode()

    def test_the_same_kind_twice_is_two_changes(self) -> None:
        one = Entry("e", check_entry({"key": "/event/cron/dawn", "changes": True}))
        assert edges(one, [self.event("fired", 1), self.event("fired", 2), self.event("fired", 2)]) == [0, 1]
        assert one.value == "fired"

    def test_what_was_there_before_is_none(self) -> None:
        one = Entry("e", check_entry({"key": "/event/cron/dawn", "changes": True}))
        one.update(self.event("fired", 1), 0.0, live=False)
        assert not one.evaluate(0.0)
        one.update(b"", 1.0)
        one.update(self.event("fired", 1), 2.0)
        assert not one.evaluate(2.0), "the broker was restarted, nothing happened"
        one.update(self.event("fired", 3), 3.0)
        assert one.evaluate(3.0)

    def test_may_equal_a_kind(self) -> None:
        one = Entry("e", check_entry({"key": "/event/cron/dawn", "equals": "missed"}))
        assert edges(one, [self.event("fired", 1), self.event("missed", 2)]) == [1]


def test_the_scenario_sees() -> None:
    one = entry()
    assert one.view() == {"value": None, "quality": "missing", "unit": "", "time": None}
    assert one.update(body(21.5, unit="°C"), 0.0) and not one.update(body(21.5, unit="°C"), 1.0)
    assert one.view() == {"value": 21.5, "quality": "good", "unit": "°C", "time": 1.0}
    one.update(body(None, "fault", error="CRC error"), 2.0)
    assert one.view() == {"value": None, "quality": "fault", "unit": "", "time": 1.0, "error": "CRC error"}


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        (7, "an entry is"),
        ({}, "is no key"),
        ({"key": 5}, "is no key"),
        ({"key": "/etc/passwd"}, "is no key"),
        ({"key": "/device/a//b"}, "is no key"),
        ({"key": "/device/" + "x" * 400}, "is no key"),
        ({"key": KEY, "below": "x"}, "below must be a number"),
        ({"key": KEY, "below": float("nan")}, "below must be"),
        ({"key": KEY, "below": 1, "above": 2}, "at most one condition"),
        ({"key": KEY, "changes": False}, "left out"),
        ({"key": KEY, "hysteresis": 1}, "goes with below"),
        ({"key": KEY, "below": 1, "hysteresis": -1}, "from 0"),
        ({"key": KEY, "for_s": 1}, "for_s goes with"),
        ({"key": KEY, "changes": True, "for_s": 1}, "for_s goes with"),
        ({"key": KEY, "bad": 1}, "left out"),
        ({"key": KEY, "equals": "x" * 5000}, "limited to"),
        ({"key": KEY, "belov": 1}, "no 'belov'"),
    ],
)
def test_what_is_no_entry(definition: Any, words: str) -> None:
    with pytest.raises(ClientError, match=words):
        check_entry(definition)


def test_a_key_alone_is_an_entry() -> None:
    assert check_entry(KEY) == {"key": KEY}


@settings(max_examples=50)
@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["value", "quality", "time", "poll", "unit", "error", "event"]),
                inner,
                max_size=5,
            )
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
    st.sampled_from([{}, {"below": 1}, {"equals": None}, {"changes": True}, {"bad": True}]),
)
def test_any_body_can_be_taken(data: bytes, condition: dict[str, Any]) -> None:
    one = entry(**condition)
    for now in (0.0, 1.0):
        one.update(data, now)
        one.evaluate(now)
        one.age(now)
        one.due_at()
        json.dumps(one.view(), allow_nan=False)
