# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that ends until its next run leaves an alarm with core."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from raspy.common.config import Settings
from raspy.servers.sync import Sync
from raspy.servers.sync.alarm import NAME
from tests.support.broker import HOSTNAME
from tests.support.running import module_stack
from tests.support.titanic import TitanicStack

CRON = f"{HOSTNAME}.core.cron"


@pytest.fixture(scope="module")
def stack() -> Iterator[TitanicStack]:
    """Titanic and a broker for all tests of a module."""
    yield from module_stack()


@pytest.fixture
def server(stack: TitanicStack, tmp_path: Path) -> Iterator[Sync]:
    """A server that is not running, and may end when idle."""
    settings = Settings.defaults(Sync.SETTINGS, idle_exit_s=60)
    made = Sync(HOSTNAME, broker=stack.url, settings=settings, data_dir=tmp_path)
    yield made
    made.destroy()


def test_core_gets_an_alarm_for_the_next_run(stack: TitanicStack, server: Sync) -> None:
    cron: dict[str, dict[str, object]] = {}

    def core(request: list[bytes]) -> list[bytes]:
        action, name = request[0].decode(), request[1].decode()
        if action == "update" and name not in cron:
            return [b"there is no such cron job", b"404"]
        cron[name] = json.loads(request[2])
        return [b"{}", b"200"]

    with stack.worker(CRON, core):
        for due in (time.time() + 3600.5, time.time() + 7200.25):
            assert not server._alarm.covers(due)
            server._alarm.keep(due)
            assert server._alarm.covers(due)
            alarm = cron[NAME]
            assert datetime.fromisoformat(str(alarm["date"])).timestamp() == math.ceil(due)
            assert alarm["request"] == {"service": f"{HOSTNAME}.sync.sync", "frames": ["list_keys"]}
            assert alarm["missed"] == "run"
        cron.clear()
        server._alarm.keep(due)
        assert cron == {}  # it is set, and not set again


def test_without_core_the_server_stays(stack: TitanicStack, server: Sync) -> None:
    def refusing(request: list[bytes]) -> list[bytes]:
        asked.append(request)
        return [b"no room", b"500"]

    asked: list[list[bytes]] = []
    due = time.time() + 3600
    with stack.worker(CRON, refusing):
        for _ in range(3):
            server._alarm.keep(due)
    assert not server._alarm.covers(due)
    assert len(asked) == 1  # and core is not asked again and again


def test_no_alarm_where_none_is_needed(stack: TitanicStack, server: Sync) -> None:
    def never(request: list[bytes]) -> list[bytes]:
        asked.append(request)
        return [b"200"]

    asked: list[list[bytes]] = []
    with stack.worker(CRON, never):
        server._alarm.keep(None)  # no job has a schedule
        server._alarm.keep(time.time() - 1)  # it is due now
        server.settings.idle_exit_s = 0
        server._alarm.keep(time.time() + 3600)  # the server never ends for being idle
    assert asked == []
    assert server._alarm.covers(None)
