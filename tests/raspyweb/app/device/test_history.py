# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of a value, from a real logger."""

import tempfile
import time
from pathlib import Path

import pytest

from raspyweb import passwords
from raspyweb.app.bus import Refused
from raspyweb.app.device import history
from tests.support.broker import HOSTNAME
from tests.support.dashboard import Dashboard
from tests.support.logger import body
from tests.support.logger_stack import LoggerStack
from tests.support.waiting import wait_for

NOW = int(time.time()) // 60 * 60
KEY = f"{HOSTNAME}/fake/tank/temperature"


@pytest.fixture(scope="module")
def dashboard():
    with (
        tempfile.TemporaryDirectory(prefix="raspy-", dir="/tmp") as home,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(passwords, "COST", 16)
        stack = LoggerStack(Path(home), "flush_s=5")
        one = Dashboard(Path(home) / "web", stack.broker.url)
        try:
            stack.devices.logged["tank"] = True
            stack.taken(stack.publish(("tank/temperature", body(n, NOW - 60 * n)) for n in range(100, 0, -1)))
            wait_for(lambda: len(known(one)) > 40, 60, "the history")
            yield one
        finally:
            one.close()
            stack.close()


def known(dashboard):
    try:
        return [one for one in history.spark(dashboard.bus, KEY) if one is not None]
    except Refused:
        return []


def test_the_small_line_of_a_tile(dashboard):
    answer = dashboard.browser("vera").get(f"/ajax/spark?key={KEY}")
    points = answer.get_json()
    assert 40 <= len(points) <= history.SPARK_POINTS and "max-age" in answer.headers["Cache-Control"]
    falling = [point for point in points if point is not None]
    assert falling == sorted(falling, reverse=True) and falling[0] > 90 and falling[-1] < 5


def test_a_range_of_a_graph(dashboard):
    browser = dashboard.browser("vera")
    chart = browser.get(f"/ajax/series?key={KEY}&start={NOW - 3600}&end={NOW}").get_json()
    assert (chart["start"], chart["end"]) == (NOW - 3600, NOW)
    assert chart["series"][0]["unit"] == "°C" and 55 <= len(chart["series"][0]["average"]) <= 60
    assert browser.get(f"/ajax/series?key={KEY}").status_code == 200
    assert browser.get("/ajax/series?key=no/such/one").status_code == 404
    assert browser.get(f"/ajax/series?key={KEY}&start={NOW}&end=5").status_code == 400


def test_means_know_what_is_missing():
    assert history._mean([1.0, None, 2.0]) == 1.5 and history._mean([None]) is None
