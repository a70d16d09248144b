# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of all tests. The rules: real sockets and processes, bounded waits, nothing left behind.

``from tests.conftest import wait_for, alive, tcp_base`` are the helpers that are no fixtures.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from tests.faults.table import pytest_terminal_summary
from tests.support import leaks
from tests.support.broker import RunningBroker
from tests.support.leaks import alive
from tests.support.notify import NotifyReceiver
from tests.support.processes import FOREIGN, Child, Processes
from tests.support.waiting import wait_for

__all__ = ["Child", "NotifyReceiver", "Processes", "RunningBroker", "alive", "pytest_terminal_summary",
           "tcp_base", "wait_for"]  # fmt: skip

BROKER_PORTS = 4
"""mdp, snapshot, publisher and collector stand side by side."""

# How fast an example runs is not what a test is about; and a build says the same twice.
settings.register_profile(
    "raspy",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
    database=None if "CI" in os.environ else DirectoryBasedExampleDatabase(".cache/hypothesis"),
    print_blob=True,
)
settings.load_profile("raspy")

leaks.install()
for name in FOREIGN:
    os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def no_leaks() -> Iterator[None]:
    """Fail a test that leaves a ZeroMQ object, a thread, a process or a socket behind.

    What a fixture of a wider scope (module, session) opens is there before and is not counted.
    """
    before = leaks.Snapshot()
    yield
    found = before.leaks()
    if found:
        pytest.fail("the test left behind:\n  " + "\n  ".join(found), pytrace=False)


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """A new folder with a short path (a unix socket's must stay under 108 bytes), removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix="raspy-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def processes(run_dir: Path) -> Iterator[Processes]:
    """Start Python modules as children: ``processes.start("raspy.servers.fake", "--broker", url)``.

    They end with the test; one that does not end on SIGTERM, or ended with an error that the test has
    not looked at (``child.wait()``, ``child.stop()``), fails it.
    """
    started = Processes(run_dir)
    yield started
    wrong = started.close()
    if wrong:
        pytest.fail("; ".join(wrong), pytrace=False)


@pytest.fixture
def notify(run_dir: Path) -> Iterator[NotifyReceiver]:
    """A receiver of sd_notify messages: pass it to ``processes.start(..., notify=notify)``, then
    ``notify.wait("READY=1")``; or set ``notify.env`` yourself."""
    receiver = NotifyReceiver(run_dir / "notify")
    yield receiver
    receiver.close()


@pytest.fixture
def broker(processes: Processes) -> RunningBroker:
    """A running broker: ``broker.url``, and ``broker.server("fake", "poll_s=0.1")`` for servers beside it."""
    return RunningBroker(processes)


def tcp_base() -> int:
    """A loopback TCP port that is free with the three that follow it, as a broker needs them."""
    while True:
        taken: list[socket.socket] = []
        try:
            for offset in range(BROKER_PORTS):
                probe = socket.socket()
                taken.append(probe)
                probe.bind(("127.0.0.1", taken[0].getsockname()[1] + offset if offset else 0))
            return int(taken[0].getsockname()[1])
        except (OSError, OverflowError):
            continue
        finally:
            for probe in taken:
                probe.close()
