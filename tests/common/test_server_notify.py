# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server tells its service manager. No other server may live in this process meanwhile: the address of
the service manager is in the environment, and so that one would report there too."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import zmq

from raspy.common.mdcliapi import MajorDomoClient
from raspy.common.server import Server
from tests.conftest import NotifyReceiver, wait_for
from tests.support.broker import RunningBroker


class Mill(Server):
    """A server with one handler that hangs until it is let go."""

    SERVICE = "mill"

    def __init__(self, url: str):
        super().__init__("test", "mill", broker=url)
        self.in_work = threading.Event()
        self.may_go_on = threading.Event()

    def worker_grind(self) -> None:
        self.serve("grind", {"slow": self.slow})

    def slow(self) -> None:
        self.in_work.set()
        self.may_go_on.wait(30)


@contextmanager
def running(url: str) -> Iterator[Mill]:
    mill = Mill(url)
    thread = threading.Thread(target=mill.run)
    thread.start()
    try:
        yield mill
    finally:
        mill.may_go_on.set()
        mill.shutdown()
        thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def told(notify: NotifyReceiver, monkeypatch: pytest.MonkeyPatch) -> NotifyReceiver:
    monkeypatch.setenv("NOTIFY_SOCKET", str(notify.path))
    return notify


def test_a_handler_that_hangs_stops_the_watchdog(
    broker: RunningBroker,
    told: NotifyReceiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever asks, and though the other services go on: the service manager is to start it afresh."""
    monkeypatch.setenv("WATCHDOG_USEC", "2500000")
    context = zmq.Context()
    try:
        with running(broker.url) as mill:
            told.wait("READY=1")
            told.wait("WATCHDOG=1")
            asker = context.socket(zmq.DEALER)
            asker.connect(f"ipc://{broker.folder}/mill.sock")
            asker.send_multipart([b"", b"MDPC01", b"test.mill.grind", b"slow"])
            assert mill.in_work.wait(10)
            wait_for(lambda: "thread mill-control has made no progress" in caplog.text)
            told.clear()
            with MajorDomoClient(broker.url) as client:
                assert client.call("test.mill.mmi", "status") == [b"running"]
            # It was fed every 0.8 s before.
            assert not told.receive(2), told.lines
            mill.may_go_on.set()
            told.wait("WATCHDOG=1")
    finally:
        context.destroy(linger=0)
    told.wait("STOPPING=1")


def test_ready_only_once_the_broker_answers(broker: RunningBroker, told: NotifyReceiver) -> None:
    broker.kill()
    with running(broker.url):
        told.wait("STATUS=waiting for the broker at ipc://")
        with MajorDomoClient(f"ipc://{broker.folder}/mill.sock") as client:
            assert client.call("test.mill.mmi", "status") == [b"running"]
        assert "READY=1" not in told.lines
        broker.start()
        told.wait("READY=1")
