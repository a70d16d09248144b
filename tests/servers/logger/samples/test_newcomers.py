# SPDX-License-Identifier: GPL-3.0-or-later
"""Which values get a series, and that none is lost while it is made."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from raspy.servers.logger.rrd.rrdcached import RrdError
from raspy.servers.logger.samples import newcomers as module
from raspy.servers.logger.samples.declared import UNDECLARED, UNWANTED, Declaration
from raspy.servers.logger.samples.intake import Intake
from raspy.servers.logger.samples.newcomers import Newcomers
from raspy.servers.logger.samples.series import Catalogue, Series
from tests.support.logger import body

KEY = "pi/fake/tank/temperature"
T = 1_700_000_000.0


class Bench:
    """Newcomers with a device server that declares what `declared` says, and RRDs that open at once."""

    def __init__(self, folder: Path, max_series: int = 10) -> None:
        self.declared: Declaration | None = UNDECLARED
        self.opened: list[tuple[str, float]] = []
        self.refuse: Exception | None = None
        self.going = self.can_open = True
        self.catalogue = Catalogue(folder)
        self.intake = Intake(
            lambda *value: self.newcomers.offer(*value), lambda: None, clock=lambda: T + 100_000
        )
        self.newcomers = Newcomers(
            self.catalogue,
            self.intake,
            lambda: self.can_open,
            self.open,
            lambda key: self.declared,
            lambda: self.going,
            max_series,
            logging.getLogger("test"),
        )

    def open(self, series: Series, first: float) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.opened.append((series.key, first))
        series.last = max(series.last, first - 10)

    def take(self, value: Any, after_s: float, key: str = KEY, **more: Any) -> None:
        self.intake.take(key, body(value, T + after_s, **more))

    def told(self) -> list[str]:
        return [sample.decode().partition(":")[2] for _series, sample in self.intake.drain()]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_what_waited_is_told_when_the_series_opens(bench: Bench) -> None:
    for number in range(3):
        bench.take(number, 60 * number)
    assert bench.told() == []
    bench.newcomers.look()
    assert bench.opened == [(KEY, T)]
    bench.take(3, 180)
    assert bench.told() == ["0", "1", "2", "3"]
    assert json.loads(bench.catalogue.path.read_bytes())[KEY][0]["unit"] == "°C"
    bench.newcomers.look()
    assert len(bench.opened) == 1


def test_it_waits_for_a_server_that_does_not_answer(bench: Bench) -> None:
    bench.declared = None
    bench.take(1, 0)
    bench.newcomers.look()
    bench.take(2, 60)
    bench.declared = Declaration(True, "COUNTER")
    bench.newcomers.look()
    assert bench.told() == ["1", "2"]
    assert bench.catalogue.series[KEY].kind == "COUNTER"


def test_what_is_not_to_be_logged_is_left_alone_for_a_minute(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    bench.newcomers._looked_over_at = now
    bench.declared = UNWANTED
    bench.take(1, 0)
    bench.newcomers.look()
    bench.declared = UNDECLARED
    now += 59
    bench.take(2, 60)
    bench.newcomers.look()
    assert bench.opened == [] and bench.catalogue.series == {}
    now += 2
    bench.take(3, 120)
    bench.newcomers.look()
    assert bench.told() == ["3"]


def test_logging_that_is_switched_off_or_of_another_kind_closes_the_series(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    bench.newcomers._looked_over_at = now
    bench.take(1, 0)
    bench.newcomers.look()
    for declared, after in ((None, True), (UNDECLARED, True), (Declaration(True, "DERIVE"), False)):
        bench.declared = declared
        now += 61
        bench.newcomers.look()
        assert (KEY in bench.intake.series) is after
    bench.take(2, 60)
    bench.newcomers.look()
    assert bench.catalogue.series[KEY].kind == "DERIVE" and KEY in bench.intake.series
    bench.declared = UNWANTED
    now += 61
    bench.newcomers.look()
    assert KEY not in bench.intake.series


def test_another_unit_opens_another_series_and_back(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.take(20.0, 0)
    bench.newcomers.look()
    bench.take(70.0, 60, unit="°F")
    assert KEY not in bench.intake.series
    bench.take(71.0, 120, unit="°F")
    bench.newcomers.look()
    assert bench.catalogue.series[KEY].unit == "°F"
    bench.take(22.0, 180)
    bench.newcomers.look()
    assert bench.catalogue.series[KEY].unit == "°C"
    assert bench.told() == ["20.0", "70.0", "71.0", "22.0"]
    assert "was in '°C' and is in '°F' now" in caplog.text


def test_of_several_units_that_wait_the_last_counts(bench: Bench) -> None:
    bench.take(20.0, 0)
    bench.take(70.0, 60, unit="°F")
    bench.take(71.0, 120, unit="°F")
    bench.take(22.0, 180)
    bench.newcomers.look()
    assert bench.told() == ["20.0", "22.0"]


def test_a_value_that_comes_while_its_series_opens_is_not_lost(bench: Bench) -> None:
    """The intake looks, finds no series, and is overtaken by the other thread."""
    bench.take(1, 0)
    late = body(2, T + 60)
    bench.newcomers.look()
    bench.newcomers.offer(KEY, late, json.loads(late))
    assert bench.told() == ["1", "2"]


def test_a_fault_that_comes_while_its_series_opens_is_no_gap_to_guess(bench: Bench) -> None:
    bench.take(1, 0)
    bench.take(None, 60, quality="fault")
    bench.take("text", 120)
    bench.take(2, 180)
    bench.newcomers.look()
    assert bench.told() == ["1", "U", "U", "2"]


@pytest.mark.parametrize(
    "more", [{"value": "text"}, {"value": None}, {"value": [1]}, {"quality": "stale"}, {"quality": "fault"}]
)
def test_no_series_begins_without_a_good_number(bench: Bench, more: dict[str, Any]) -> None:
    bench.intake.take(KEY, body(more.pop("value", 5), T, **more))
    bench.newcomers.look()
    assert bench.opened == []


def test_a_clock_that_is_not_set_begins_no_series(bench: Bench) -> None:
    bench.take(1, -T + 1000)
    bench.newcomers.look()
    assert bench.opened == [] and bench.intake.counts.late == 1


@pytest.mark.parametrize("key", ["a/../b/c", "../../etc/passwd", "a", "a/b/c/" + "x" * 500, ""])
def test_an_impossible_key_is_refused_and_told_once(
    bench: Bench, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    for number in range(3):
        bench.take(number, number, key=key)
    bench.newcomers.look()
    assert bench.opened == [] and bench.intake.counts.refused == 1
    assert caplog.text.count("gets no history") == 1


def test_an_endless_unit_is_refused(bench: Bench) -> None:
    bench.take(1, 0, unit="x" * 100)
    bench.newcomers.look()
    assert bench.opened == [] and bench.intake.counts.refused == 1


def test_the_number_of_series_is_bounded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(tmp_path, max_series=2)
    for name in "abc":
        bench.take(1, 0, key=f"pi/fake/{name}/x")
    bench.newcomers.look()
    assert sorted(bench.intake.series) == ["pi/fake/a/x", "pi/fake/b/x"]
    assert "there are 2 (setting max_series)" in caplog.text


def test_too_many_units_of_one_value(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(9):
        bench.take(number, 60 * number, unit=f"unit{number}")
        bench.newcomers.look()
    assert len(bench.catalogue.files) == 8 and "too many units" in caplog.text


def test_what_waits_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING_MAX", 5)
    bench.declared = None
    for number in range(8):
        bench.take(number, 60 * number)
    bench.newcomers.look()
    assert bench.intake.counts.dropped == 3
    bench.declared = UNDECLARED
    bench.newcomers.look()
    assert bench.told() == ["0", "1", "2", "3", "4"]


def test_what_is_remembered_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IGNORED_MAX", 3)
    for number in range(10):
        bench.take(1, 0, key=f"a/../{number}/c")
    assert len(bench.newcomers._ignored) <= 3 and len(bench.newcomers._said) <= 3


def test_without_rrdcached_it_waits_in_silence(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.can_open = False
    bench.take(1, 0)
    bench.newcomers.look()
    assert bench.opened == [] and caplog.text == ""
    bench.can_open = True
    bench.newcomers.look()
    assert bench.told() == ["1"]


@pytest.mark.parametrize("error", [RrdError("no space"), ConnectionError("there is no rrdcached")])
def test_an_rrd_that_can_not_be_made_is_tried_again(
    bench: Bench, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    bench.refuse = error
    bench.take(1, 0)
    bench.newcomers.look()
    bench.take(2, 60)
    bench.newcomers.look()
    bench.refuse = None
    bench.newcomers.look()
    assert bench.told() == ["1", "2"]
    assert caplog.text.count("gets no history yet") == 1


def test_a_catalogue_that_can_not_be_written_is_tried_again(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.take(1, 0)
    right, bench.catalogue.path = bench.catalogue.path, Path("/proc/none/series.json")
    bench.newcomers.look()
    assert bench.opened == [] and "can't write" in caplog.text
    bench.catalogue.path = right
    bench.newcomers.look()
    assert bench.told() == ["1"]


def test_it_stops_when_the_server_does(bench: Bench) -> None:
    bench.take(1, 0)
    bench.going = False
    bench.newcomers.look()
    assert bench.opened == []
    answers = iter([True, False])
    bench.newcomers._progress = lambda: next(answers)
    bench.newcomers.look()
    assert bench.opened == []
