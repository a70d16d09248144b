# SPDX-License-Identifier: GPL-3.0-or-later
"""What servers keep by name, on one machine or on several."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from raspy.common.mdwrkapi import MajorDomoWorker
from raspy.ctl.connection import Bus, resolve
from raspy.ctl.errors import NotFound, WrongUse
from raspy.ctl.keepers import CRON, SYNC, Place, shown
from tests.conftest import RunningBroker, wait_for
from tests.support.ctl import Ctl

JOBS = {"pi": ["morning", "pump"], "house": ["morning"]}


class Cores:
    """The services of core on two machines, with jobs of the test's own."""

    def __init__(self, url: str) -> None:
        self._workers: list[MajorDomoWorker] = []
        self._threads: list[threading.Thread] = []
        for host in JOBS:
            for suffix in ("mmi", "cron"):
                worker = MajorDomoWorker(url, f"{host}.core.{suffix}")
                thread = threading.Thread(target=self._serve, args=(worker, host))
                thread.start()
                self._workers.append(worker)
                self._threads.append(thread)

    def _serve(self, worker: MajorDomoWorker, host: str) -> None:
        reply = None
        while (request := worker.recv(reply)) is not None:
            if request[0] == b"list_keys":
                reply = [*(name.encode() for name in JOBS[host]), b"200"]
            elif request[0] == b"list":
                reply = [json.dumps({name: {"cron": "* * * * *"} for name in JOBS[host]}).encode(), b"200"]
            else:
                reply = [host.encode(), b"200"]

    def close(self) -> None:
        for worker, thread in zip(self._workers, self._threads, strict=True):
            worker.shutdown()
            thread.join(20)
            worker.destroy()


@pytest.fixture
def cores(broker: RunningBroker) -> Iterator[Cores]:
    found = Cores(broker.url)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def bus(broker: RunningBroker, cores: Cores) -> Iterator[Bus]:
    opened = Bus(resolve(broker.url, None), 20)

    def all_there() -> bool:
        opened._services = None
        return sum(".core." in name for name in opened.services()) == 4

    try:
        wait_for(all_there, 30, "both cores")
        yield opened
    finally:
        opened.close()


def test_on_two_machines(bus: Bus, broker: RunningBroker, ctl: Ctl) -> None:
    assert CRON.hosts(bus) == ["house", "pi"]
    assert CRON.find(bus, "pump") == Place("pi", "pump")
    assert CRON.find(bus, "house/morning") == Place("house", "morning")
    with pytest.raises(WrongUse, match="can mean several: house/morning, pi/morning"):
        CRON.find(bus, "morning")
    with pytest.raises(NotFound, match="did you mean pump"):
        CRON.find(bus, "pomp")
    assert CRON.room(bus, "pi/new") == Place("pi", "new")
    with pytest.raises(WrongUse, match="write house/new or pi/new"):
        CRON.room(bus, "new")
    with pytest.raises(NotFound, match="no machine on this bus has the server sync"):
        SYNC.hosts(bus)
    # The table then says whose each is.
    assert [row[0] for row in ctl("--broker", broker.url, "cron").rows()] == [
        "house/morning", "pi/morning", "pi/pump",
    ]  # fmt: skip
    many = ctl("--broker", broker.url, "scenario", "export")
    assert many.status != 0


def test_what_is_shown_of_a_path() -> None:
    assert shown("pi/x", {"pi/x": 1, "pi/y": 2}) == "x"
    assert shown("pi/x", {"pi/x": 1, "house/x": 2}) == "pi/x"
    assert shown("pi/a/b", {"pi/a/b": 1}) == "a/b"
