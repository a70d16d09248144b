# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a value: its time, its number, and what is refused."""

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.servers.logger.samples import intake as module
from raspy.servers.logger.samples.intake import Intake, began_anew, number_text
from raspy.servers.logger.samples.series import KINDS, Series
from tests.support.logger import body

KEY = "pi/fake/tank/temperature"
T = 1_700_000_000.0


class Bench:
    """An intake with one open series, in °C, and a clock that goes on by hand."""

    def __init__(self, kind: str = "GAUGE", last: float = T) -> None:
        self.now = T + 100_000
        self.offered: list[tuple[str, bytes]] = []
        self.woken = 0
        self.intake = Intake(
            lambda key, body, value: self.offered.append((key, body)), self.wake, clock=lambda: self.now
        )
        self.series = Series(KEY, "x.rrd", "°C", kind, Path("/rrd"))
        self.series.last = last
        self.intake.series[KEY] = self.series

    def wake(self) -> None:
        self.woken += 1

    def take(self, value: Any, after_s: float, **more: Any) -> None:
        self.intake.take(KEY, body(value, T + after_s, **more))

    def told(self) -> list[tuple[float, str]]:
        """Seconds after T, and what was told."""
        samples = [sample.decode().split(":") for _series, sample in self.intake.drain()]
        return [(round(float(moment) - T, 3), text) for moment, text in samples]

    def counts(self) -> dict[str, int]:
        counts = self.intake.counts
        return {name: getattr(counts, name) for name in module.DOCS if getattr(counts, name)}


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_good_numbers_are_told_at_their_times(bench: Bench) -> None:
    for number in range(1, 4):
        bench.take(20 + number / 2, 60 * number)
    assert bench.told() == [(60, "20.5"), (120, "21.0"), (180, "21.5")]
    assert bench.counts() == {"samples": 3}


def test_the_time_is_when_it_was_polled(bench: Bench) -> None:
    bench.intake.take(KEY, body(21, T + 10, polled=T + 60))
    bench.intake.take(KEY, json.dumps({"value": 22, "quality": "good", "time": T + 120}).encode())
    assert bench.told() == [(60, "21"), (120, "22")]


def test_what_is_no_number_and_what_is_not_good_is_unknown(bench: Bench) -> None:
    values = [math.nan, math.inf, -math.inf, "85", None, [1], {"a": 1}, 10**400]
    for place, value in enumerate(values, 1):
        bench.take(value, 60 * place)
    bench.take(None, 600, quality="fault", error="CRC")
    bench.take(85.0, 660, quality="stale")
    bench.take(21.0, 720)
    assert bench.told() == [*((60.0 * n, "U") for n in range(1, 9)), (600, "U"), (660, "U"), (720, "21.0")]
    assert bench.counts() == {"samples": 11, "no_number": 8, "unknown": 2}


def test_duplicates_late_and_future_values_are_dropped_and_counted(bench: Bench) -> None:
    bench.take(1, 60)
    bench.take(2, 60)
    bench.take(3, 30)
    bench.take(4, -1e6)
    bench.take(5, 100_000 + 61)
    bench.take(6, 100_000 + 59)
    assert [text for _moment, text in bench.told() if text != "U"] == ["1", "6"]
    assert bench.counts() == {"samples": 2, "duplicate": 1, "late": 2, "future": 1}


def test_a_time_that_is_no_time_is_refused(bench: Bench) -> None:
    for wrong in ("noon", None, [], {}, 10**400):
        bench.intake.take(KEY, json.dumps({"value": 1, "quality": "good", "time": wrong}).encode())
    bench.intake.take(KEY, b'{"value": 1, "quality": "good", "time": NaN}')
    assert bench.told() == []
    assert bench.counts() == {"refused": 5, "future": 1}


@pytest.mark.parametrize(
    "wrong", [b"no json", b"[]", b"5", b"null", b'"x"', b"{}", b'{"value": 1}', b"\xff", b"[" * 99999]
)
def test_a_body_that_is_none_is_refused(bench: Bench, wrong: bytes) -> None:
    bench.intake.take(KEY, wrong)
    assert bench.counts() == {"refused": 1} and bench.told() == []


def test_a_gap_is_unknown_up_to_one_poll_before_its_end(bench: Bench) -> None:
    bench.take(1, 60)
    bench.take(2, 60 + 181)
    bench.take(3, 60 + 181 + 182)
    assert bench.told() == [(60, "1"), (241, "2"), (363, "U"), (423, "3")]


def test_after_a_fault_the_value_counts_for_one_poll(bench: Bench) -> None:
    bench.take(1, 60)
    bench.take(None, 120, quality="fault")
    bench.take(2, 180)
    bench.take(3, 240)
    assert bench.told() == [(60, "1"), (120, "U"), (180, "2"), (240, "3")]


def test_a_value_that_the_broker_marks_stale_is_no_value_from_then_on(bench: Bench) -> None:
    bench.take(1, 60)
    bench.take(1, 60, quality="stale")
    bench.take(2, 220)
    assert bench.told() == [(60, "1"), (160, "U"), (220, "2")]


def test_a_deleted_key_is_no_value_from_then_on(bench: Bench) -> None:
    bench.take(1, 60)
    bench.intake.take(KEY, b"")
    bench.intake.take("pi/other/x/y", b"")
    bench.take(2, 180)
    assert bench.told() == [(60, "1"), (120, "U"), (180, "2")]
    assert bench.counts() == {"samples": 2}


def test_a_state_holds_until_it_changes(bench: Bench) -> None:
    for value, when in ((False, 10), (False, 70), (True, 75), (True, 85), (False, 91)):
        bench.take(value, when, poll=20)
    assert bench.told() == [
        (9.999, "U"),
        (10, "0"),
        (70, "0"),
        (74.999, "0"),
        (75, "1"),
        (85, "1"),
        (90.999, "1"),
        (91, "0"),
    ]


def test_a_state_that_was_not_seen_for_long_is_unknown_in_between(bench: Bench) -> None:
    bench.take(True, 60, poll=10)
    bench.take(False, 200, poll=10)
    assert bench.told() == [(50, "U"), (60, "1"), (190, "U"), (200, "0")]


def test_what_nobody_polls_holds_and_is_told_again(bench: Bench) -> None:
    bench.now = T + 100
    bench.take(5, 100, poll=0)
    bench.told()
    bench.intake.hold()
    assert bench.told() == []
    for later in (60, 90, 125):
        bench.now = T + 100 + later
        bench.intake.hold()
    bench.take(7, 230, poll=0)
    bench.take(None, 240, poll=0, quality="fault")
    bench.now = T + 500
    bench.intake.hold()
    bench.take(8, 510, poll=-1)
    assert bench.told() == [
        (160, "5"),
        (225, "5"),
        (229.999, "5"),
        (230, "7"),
        (240, "U"),
        (509.999, "U"),
        (510, "8"),
    ]


def test_a_series_that_was_closed_is_not_held(bench: Bench) -> None:
    bench.take(5, 100, poll=0)
    bench.told()
    del bench.intake.series[KEY]
    bench.intake.hold()
    bench.intake.series[KEY] = bench.series
    bench.intake.hold()
    assert bench.told() == []


def test_a_sender_that_does_not_say_how_often_it_polls(bench: Bench) -> None:
    bench.take(1, 800, poll=None)
    bench.take(2, 1600, poll="x")
    bench.take(3, 2600, poll=True)
    assert bench.told() == [(800, "1"), (1600, "2"), (2300, "U"), (2600, "3")]


def test_a_counter_that_began_anew_gives_one_unknown_interval() -> None:
    bench = Bench("COUNTER")
    for number, value in enumerate((100, 160, 20, 80.7, -1, True), 1):
        bench.take(value, 60 * number)
    assert bench.told() == [
        (60, "100"),
        (120, "160"),
        (179.999, "U"),
        (180, "20"),
        (240, "80"),
        (300, "U"),
        (360, "1"),
    ]


def test_a_counter_that_wraps_did_not_begin_anew() -> None:
    assert began_anew(100, 5) and began_anew(2**40, 5) and began_anew(2**65, 5)
    assert not began_anew(2**32 - 5, 5) and not began_anew(2**64 - 500, 5)
    assert not began_anew(None, 5) and not began_anew(5, 5)
    assert began_anew(2**32 - 5, 2**31)


def test_another_unit_is_offered_as_a_newcomer(bench: Bench) -> None:
    bench.take(70.0, 60, unit="°F")
    bench.take(21.0, 120, unit=None)
    bench.take(21.5, 180, unit=5)
    assert bench.offered == [(KEY, body(70.0, T + 60, unit="°F"))]
    assert [text for _moment, text in bench.told()] == ["21.0", "21.5"]


def test_an_unknown_key_is_offered(bench: Bench) -> None:
    bench.intake.take("a/b/c/d", body(1, T))
    assert bench.offered == [("a/b/c/d", body(1, T))]
    assert bench.counts() == {}


def test_a_newcomer_that_is_none_is_refused() -> None:
    def refuse(key: str, body: bytes, value: dict[str, Any]) -> None:
        raise KeyError("quality")

    intake = Intake(refuse, lambda: None)
    intake.take("a/b/c/d", b"{}")
    assert intake.counts.refused == 1


def test_what_waited_is_told_to_a_new_series(bench: Bench) -> None:
    other = Series("a/b/c/d", "y.rrd", "", "GAUGE", Path("/rrd"))
    bench.intake.tell(other, body(1, T + 60))
    bench.intake.tell(other, b"no json")
    assert bench.told() == [(60, "1")]
    assert bench.counts() == {"samples": 1, "refused": 1}


def test_the_queue_is_bounded_and_what_is_lost_is_counted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUEUE_MAX", 10)
    monkeypatch.setattr(module, "WAKE_AT", 5)
    for number in range(1, 16):
        bench.take(number, 60 * number)
    assert bench.counts() == {"samples": 15, "dropped": 5}
    assert bench.woken == 1
    assert [text for _moment, text in bench.told()] == [str(number) for number in range(1, 11)]
    bench.take(99, 60 * 16)
    assert [text for _moment, text in bench.told()] == ["U", "99"]


def test_numbers_as_an_rrd_takes_them() -> None:
    assert number_text(21.25, "GAUGE") == b"21.25" and number_text(1e-7, "GAUGE") == b"1e-07"
    assert number_text(True, "GAUGE") == b"1" and number_text(-3, "GAUGE") == b"-3"
    assert number_text(21.75, "COUNTER") == b"21" and number_text(-21.75, "DERIVE") == b"-21"
    assert number_text(0.5, "ABSOLUTE") == b"0.5"
    assert number_text(-1, "COUNTER") is None and number_text("5", "GAUGE") is None


values = st.one_of(
    st.floats(),
    st.integers(),
    st.booleans(),
    st.none(),
    st.text(max_size=3),
    st.lists(st.integers(), max_size=2),
)


@given(
    st.sampled_from(KINDS),
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "value": values,
                "quality": st.sampled_from(["good", "good", "stale", "fault", 5]),
                "time": st.one_of(st.floats(T - 50, T + 5000), values),
                "polled": st.one_of(st.floats(T - 50, T + 5000), values),
                "poll": st.one_of(st.sampled_from([0, -1, 1, 60.0, 1e308]), values),
                "unit": st.sampled_from(["°C", "", None, 7]),
            },
        ),
        max_size=30,
    ),
)
def test_whatever_comes_updates_are_in_order_and_numbers(kind: str, bodies: list[dict[str, Any]]) -> None:
    bench = Bench(kind)
    for value in bodies:
        bench.intake.take(KEY, json.dumps(value).encode())
        bench.intake.hold()
    told = bench.told()
    moments = [moment for moment, _text in told]
    assert all(before < after for before, after in pairwise(moments))
    assert all(0 < moment <= 100_060 for moment in moments)
    assert all(text == "U" or math.isfinite(float(text)) for _moment, text in told)
    if kind in ("COUNTER", "DERIVE"):
        assert all(text == "U" or text.lstrip("-").isdigit() for _moment, text in told)


@given(st.binary(max_size=100), st.text(max_size=100))
def test_no_message_stops_the_intake(data: bytes, key: str) -> None:
    bench = Bench()
    bench.intake.take(KEY, data)
    bench.intake.take(key, data)
