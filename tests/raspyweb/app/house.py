# SPDX-License-Identifier: GPL-3.0-or-later
"""The dashboard beside a real broker, titanic, core and simulated devices, and those who visit it."""

from __future__ import annotations

import itertools
import json
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from werkzeug.test import TestResponse

from raspy.common.mdwrkapi import MajorDomoWorker
from tests.servers.core.stack import CoreStack
from tests.support.broker import HOSTNAME
from tests.support.dashboard import USERS, Dashboard
from tests.support.waiting import wait_for

TOKEN = "the token of the tests"

SCRIPT = "<script>alert(1)</script>"
HOSTILE = (
    SCRIPT,
    "\"'><img src=x onerror=alert(1)>",
    "\x00\x01\x1b[31m",
    "../../etc/passwd",
    "%2e%2e%2f",
    "{{7*7}}",
    "\u202e\ufffe",
    "x" * 70_000,
)
"""What somebody may write into any field."""


class Visitor:
    """A browser of a user with a role; every change carries the token of its session unless told not to."""

    def __init__(self, dashboard: Dashboard, role: str) -> None:
        self.client = dashboard.browser(next(name for name, own in USERS.items() if own == role))
        with self.client.session_transaction() as session:
            session["csrf"] = TOKEN

    def get(self, path: str, **query: Any) -> TestResponse:
        """Fetch a page."""
        return self.client.get(path, query_string=query)

    def post(self, path: str, fields: dict[str, Any] | None = None, *, csrf: bool = True) -> TestResponse:
        """Send a form."""
        return self.client.post(path, data={**(fields or {}), **({"csrf_token": TOKEN} if csrf else {})})


class House:
    """A stack with the dashboard.

    Attributes:
        viewer, operator, admin: who may look, steer, and change everything.
    """

    def __init__(self, stack: CoreStack, dashboard: Dashboard) -> None:
        self.stack = stack
        self.bus = dashboard.bus
        self.visitors = {role: Visitor(dashboard, role) for role in USERS.values()}
        self.viewer, self.operator = self.visitors["viewer"], self.visitors["operator"]
        self.admin = self.visitors["admin"]


class Sleeper:
    """A server that sleeps: systemd listens on its control socket, and the broker knows that it can be woken.

    Args:
        house: where.
        name: how the server's name begins.
    """

    _numbers = itertools.count()

    def __init__(self, house: House, name: str) -> None:
        # Never twice the same: the broker may still take the last one for awake.
        name = f"{name}{next(self._numbers)}"
        self.name = f"{HOSTNAME}.{name}"
        self._url = house.stack.broker.url
        self._path = house.stack.broker.folder / f"{name}.sock"
        self._socket = socket.socket(socket.AF_UNIX)

    def __enter__(self) -> Sleeper:
        self._socket.bind(str(self._path))
        self._socket.listen()
        return self

    def wake(self, suffix: str, answer: Any) -> None:
        """Start its service *suffix*, which takes one request and answers with this JSON."""
        worker = MajorDomoWorker(self._url, f"{self.name}.{suffix}")
        try:
            address, _request = wait_for(lambda: worker.receive(0.2), 20, "the request that wakes it")
            worker.reply(address, [json.dumps(answer).encode(), b"200"])
        finally:
            worker.destroy()

    def __exit__(self, *exc_info: object) -> None:
        self._socket.close()
        self._path.unlink()


@contextmanager
def running() -> Iterator[House]:
    """A house, until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="raspy-", dir="/tmp") as home:
        stack = CoreStack(Path(home), fake=True)
        try:
            dashboard = Dashboard(Path(home) / "web", stack.broker.url)
            try:
                yield House(stack, dashboard)
            finally:
                dashboard.close()
        finally:
            stack.close()
