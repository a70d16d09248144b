# SPDX-License-Identifier: GPL-3.0-or-later
"""Titanic and its broker as real processes, and workers for it in threads of the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from raspy.common.mdcliapi import MajorDomoClient
from raspy.common.mdwrkapi import MajorDomoWorker

from .broker import RunningBroker
from .processes import Child, Processes
from .waiting import wait_for

Handler = Callable[[list[bytes]], list[bytes]]

QUICK = ("reply_s=2", "pause_s=0.2")
"""Settings that make titanic try again soon."""


class TitanicStack:
    """A broker and titanic, with a client of the test's thread.

    :param home: a folder with a short path.
    :param settings: of titanic, as `KEY=VALUE`.
    """

    def __init__(self, home: Path, *settings: str):
        self.processes = Processes(home)
        self.settings = settings or QUICK
        self.broker = RunningBroker(self.processes)
        self.url = self.broker.url
        self.titanic = self.start()
        self.client = MajorDomoClient(self.url)
        # Now and not within a test, to which its connection would look like one left open.
        self.ask("mmi.service", "titanic.store")

    def start(self, *settings: str) -> Child:
        """Start titanic (again)."""
        self.titanic = self.broker.server("titanic", *(settings or self.settings))
        return self.titanic

    @property
    def folder(self) -> Path:
        """Titanic's state folder."""
        return self.broker.folder / "titanic"

    def ask(self, service: str, *frames: str | bytes) -> list[bytes]:
        """Send a request and return the reply, which must come."""
        reply = self.client.send(service, frames)
        assert reply is not None, f"no reply from {service}"
        return reply

    def request(self, service: str, *frames: str | bytes) -> bytes:
        """Store a request; its id."""
        status, uuid = self.ask("titanic.request", service, *frames)
        assert status == b"200"
        return uuid

    def reply(self, uuid: bytes, timeout_s: float = 10) -> list[bytes]:
        """Wait for the reply to a request."""

        def ended() -> list[bytes] | None:
            reply = self.ask("titanic.reply", uuid)
            return None if reply == [b"300"] else reply

        return wait_for(ended, timeout_s, "the reply")

    @contextmanager
    def worker(self, service: str, handler: Handler) -> Iterator[None]:
        """A worker that answers `service` with `handler` while the block runs."""
        worker = MajorDomoWorker(self.url, service)

        def serve() -> None:
            reply = None
            while (request := worker.recv(reply)) is not None:
                reply = handler(request)

        thread = threading.Thread(target=serve, name=f"worker of {service}")
        thread.start()
        try:
            wait_for(lambda: self.ask("mmi.service", service)[-1] == b"200", what=f"{service} to register")
            yield
        finally:
            worker.shutdown()
            thread.join()
            worker.destroy()

    def close(self) -> None:
        """End everything.

        :raises AssertionError: when a process did not end as it should.
        """
        self.client.destroy()
        wrong = self.processes.close()
        assert not wrong, wrong


def echo(request: list[bytes]) -> list[bytes]:
    """A handler that sends back what it got."""
    return [*request, b"200"]


def recorder(seen: list[Any]) -> Handler:
    """A handler that remembers what it got."""

    def handle(request: list[bytes]) -> list[bytes]:
        seen.append(request)
        return echo(request)

    return handle
