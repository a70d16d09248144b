# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack with a simulated tank, and a browser in which its owner has logged in; one of each for a module."""

from __future__ import annotations

import json
import math
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from raspy.common.mdcliapi import MajorDomoClient
from raspy.servers.logger.rrd import archives
from raspy.servers.logger.rrd.direct import Direct
from tests.support.broker import HOSTNAME, RunningBroker
from tests.support.processes import Processes
from tests.web import axe
from tests.web.browser import Browser

PASSWORD = "correct horse battery"
HISTORY_S = 6 * 3600
TANK = {"oid": "sensor.temperature.tank", "name": "tank", "poll": 1, "config": {"speed": 60, "start": 22}}
HEATER = {"oid": "switch.relay", "name": "heater", "config": {"heats": "tank", "safe": False}}


class House:
    """The stack.

    :param home: a new folder with a short path.
    """

    def __init__(self, home: Path) -> None:
        self.processes = Processes(home)
        self.broker = RunningBroker(self.processes)
        self._history(home / "logger" / "rrd" / HOSTNAME / "fake" / "tank" / "temperature.rrd")
        for name in ("titanic", "host", "fake", "logger", "core"):
            self.broker.server(name)
        with MajorDomoClient(self.broker.url) as client:
            for device in (TANK, HEATER):
                client.call(f"{HOSTNAME}.fake.devices", "add", json.dumps(device))
            client.call(f"{HOSTNAME}.logger.log", "log", "aquarium", "warning", "the water was changed")
        web = self.broker.server("web", "port=0", module="raspyweb.run")
        found = re.search(r"first visit: (\S+) wants the one-time token (\S+)", web.output)
        assert found, web.output
        self.url, self.token = found.groups()

    @staticmethod
    def _history(path: Path) -> None:
        """What the tank's temperature was before: there is a graph to look at."""
        path.parent.mkdir(parents=True)
        now = int(time.time()) // 60 * 60
        connection = Direct()
        archives.create(connection, path, "GAUGE", now - HISTORY_S)
        moments = range(now - HISTORY_S + 60, now - 60, 60)
        values = [f"{at}:{24 + math.sin(at / 3000):.3f}" for at in moments]
        assert not connection.update([f"{path} {value}".encode() for value in values])
        connection.flush(path)

    def close(self) -> list[str]:
        """End it; what was wrong."""
        return self.processes.close()


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with tempfile.TemporaryDirectory(prefix="raspy-", dir="/tmp") as home:
        one = House(Path(home))
        yield one
        wrong = one.close()
    assert not wrong, "; ".join(wrong)


@pytest.fixture(scope="module")
def visitor(house: House) -> Iterator[Browser]:
    """A browser in which nobody has logged in."""
    browser = Browser(house.url, axe.source())
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def owner(visitor: Browser, house: House) -> Browser:
    """The same after the first visit with the one-time token."""
    visitor.open("/")
    visitor.sees("h1", "First visit")
    visitor.picture("first-visit")
    visitor.fill(token=house.token, name="anna", password=PASSWORD, again=PASSWORD)
    visitor.press("main button.main")
    visitor.sees("h1", "Overview")
    return visitor
