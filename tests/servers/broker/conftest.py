# SPDX-License-Identifier: GPL-3.0-or-later
"""One broker for all tests of a module, and peers of it that know nothing of RasPy."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import tcp_base
from tests.support.broker import RunningBroker
from tests.support.peers import Peers
from tests.support.processes import Processes

QUICK = ("heartbeat_s=0.8", "request_age_s=1", "answer_age_s=6")
"""What is to be waited for comes soon."""

SMALL = ("max_services=40", "max_workers=20", "max_requests=5", "max_waiting_bytes=65536",
         "max_message_bytes=16384", "max_keys=50", "max_map_bytes=65536", "max_value_bytes=4096",
         "subscriber_queue=1000")  # fmt: skip
"""Limits that a test reaches."""


class SharedBroker(RunningBroker):
    """A broker with small limits, on unix sockets and on loopback TCP."""

    def __init__(self, processes: Processes, *settings: str):
        self.tcp = f"tcp://127.0.0.1:{tcp_base()}"
        super().__init__(processes, *QUICK, *SMALL, f"listen={self.tcp}", *settings)


@pytest.fixture(scope="module")
def shared(request: pytest.FixtureRequest) -> Iterator[SharedBroker]:
    """A broker that survives whatever the tests of a module do to it; its BROKER names further settings."""
    with tempfile.TemporaryDirectory(prefix="raspy-", dir="/tmp") as home:
        processes = Processes(Path(home))
        broker = SharedBroker(processes, *getattr(request.module, "BROKER", ()))
        yield broker
        assert broker.child.stop() == 0
        assert processes.close() == []


@pytest.fixture
def peers(shared: SharedBroker) -> Iterator[Peers]:
    """Peers of the shared broker, on its unix sockets."""
    with Peers(shared.url) as peers:
        yield peers


@pytest.fixture
def remote(shared: SharedBroker) -> Iterator[Peers]:
    """Peers of the shared broker, through TCP."""
    with Peers(shared.tcp) as peers:
        yield peers
