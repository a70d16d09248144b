# SPDX-License-Identifier: GPL-3.0-or-later
"""raspyctl cron, against a real core."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from raspy.ctl.verbs.cron import does, when
from tests.support.ctl import Ctl, CtlStack


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[CtlStack]:
    started = CtlStack(home, "titanic", "core")
    yield started
    started.close()


@pytest.fixture
def ready(ctl: Ctl, stack: CtlStack) -> Ctl:
    return ctl.use(stack.url)


def test_the_life_of_a_job(ready: Ctl) -> None:
    assert ready("cron").out == "There are no cron jobs.\n"
    added = ready(
        "cron", "add", "morning", "cron=30 7 * * *", "command.key=/device/pi/fake/lamp/state",
        "command.value=on", "command.hold=600",
    )  # fmt: skip
    assert added.status == 0 and added.out.startswith("morning is added. It runs next at ")
    (row,) = ready("cron", "list").rows()
    assert row[:4] == ["morning", "30 7 * * *", "pi/fake/lamp/state = on for 10 min", "planned"]
    job = ready("cron", "--json").json()["test/morning"]
    assert job["command"] == {"key": "/device/pi/fake/lamp/state", "value": True, "hold": 600.0}
    changed = ready("cron", "update", "morning", '{"active": false}')
    assert (changed.status, changed.out) == (0, "morning is changed. No run of it is planned.\n")
    assert ready("cron", "next", "morning").out == "morning will not run.\n"
    assert ready("cron", "remove", "test/morning", "--json").json() == "test/morning"
    assert ready("cron", "--json").json() == {}


def test_next_and_fire(ready: Ctl) -> None:
    assert ready("cron", "add", "often", '{"interval_s": 3600, "info": "x"}').status == 0
    times = ready("cron", "next", "often", "3", "--json").json()
    assert len(times) == 3 and times[2] - times[0] == pytest.approx(7200)
    assert len(ready("cron", "next", "often").out.splitlines()) == 5
    assert ready("cron", "fire", "often").out == "often is fired.\n"
    assert ready("cron", "--json").json()["test/often"]["fired"] == 1
    assert ready("cron", "next", "often", "0").status == 2
    assert ready("cron", "remove", "often").status == 0


def test_what_is_wrong(ready: Ctl) -> None:
    assert ready("cron", "add", "x", "cron=0 0 30 2 *").status == 1
    assert ready("cron", "add", "x").status == 2
    assert ready("cron", "add", "x", "{not json").status == 2
    assert ready("cron", "add", "elsewhere/x", "interval_s=60").err.startswith(
        "raspyctl: there is no machine 'elsewhere'"
    )
    assert ready("cron", "fire", "nothing").status == 3


def test_no_core(ctl: Ctl, home: Path, processes: object) -> None:
    from tests.support.broker import RunningBroker

    lonely = RunningBroker(processes)  # type: ignore[arg-type]
    result = ctl.use(lonely.url)("cron")
    assert result.status == 3 and "no machine on this bus has the server core" in result.err


def test_in_words() -> None:
    assert when({"sun": "sunset", "offset_s": -1800}) == "sunset - 30 min"
    assert when({"sun": "dawn", "offset_s": 0}) == "dawn"
    assert when({"sun": "dawn", "offset_s": 60}) == "dawn + 1 min"
    assert when({"date": "2026-12-24T16:00"}) == "at 2026-12-24T16:00"
    assert when({"interval_s": 300.0}) == "every 5 min"
    request = {"service": "pi.sync.sync", "frames": ["run", "backup"]}
    assert does({"scenario": "feed", "request": request}) == "scenario feed, pi.sync.sync run backup"
