# SPDX-License-Identifier: GPL-3.0-or-later
"""The dashboard's application beside a real broker, titanic, core and simulated devices; and its visitors."""

from __future__ import annotations

import json
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from raspy.common.mdwrkapi import MajorDomoWorker
from raspyweb.app import create_app
from raspyweb.app.auth import EXTENSION as ACCOUNTS
from raspyweb.app.bus import EXTENSION as BUS
from raspyweb.config import TestingConfig
from tests.servers.core.stack import CoreStack
from tests.support.broker import HOSTNAME
from tests.support.waiting import wait_for

ROLES = ("viewer", "operator", "admin")
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

    def __init__(self, app: Flask, role: str) -> None:
        self.client = app.test_client()
        with self.client.session_transaction() as session:
            session["id"] = app.extensions[ACCOUNTS].open_session(f"the-{role}")
            session["seen"] = time.time()
            session["csrf"] = TOKEN

    def get(self, path: str, **query: Any) -> TestResponse:
        """Fetch a page."""
        return self.client.get(path, query_string=query)

    def post(self, path: str, fields: dict[str, Any] | None = None, *, csrf: bool = True) -> TestResponse:
        """Send a form."""
        return self.client.post(path, data={**(fields or {}), **({"csrf_token": TOKEN} if csrf else {})})


@contextmanager
def application(folder: Path, broker: str) -> Iterator[Flask]:
    """An application with a user of each role, not yet following the values."""

    class Config(TestingConfig):
        BROKER = broker
        HOSTNAME = HOSTNAME
        DATA_DIR = folder

    app = create_app(Config)
    try:
        for role in ROLES:
            app.extensions[ACCOUNTS].add(f"the-{role}", role, "a password of the tests")
        yield app
    finally:
        app.extensions[BUS].close()


class House:
    """A stack with the dashboard's application, which follows its values."""

    def __init__(self, stack: CoreStack, app: Flask) -> None:
        self.stack = stack
        self.app = app
        self.visitors = {role: Visitor(app, role) for role in ROLES}

    @property
    def viewer(self) -> Visitor:
        """Who may only look."""
        return self.visitors["viewer"]

    @property
    def operator(self) -> Visitor:
        """Who may steer."""
        return self.visitors["operator"]

    @property
    def admin(self) -> Visitor:
        """Who may change everything."""
        return self.visitors["admin"]


class Sleeper:
    """A server that sleeps: systemd listens on its control socket, and the broker knows that it can be woken.

    Args:
        house: where.
        name: of the server.
    """

    def __init__(self, house: House, name: str) -> None:
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
            with application(Path(home) / "web", stack.broker.url) as app:
                bus = app.extensions[BUS]
                follower = threading.Thread(target=bus.follow, args=(lambda: None,))
                follower.start()
                try:
                    wait_for(lambda: bus.values.present, 40, "the dashboard's mirror")
                    # Its connection stays for the next request; a test would take it for one left open.
                    bus.call("mmi.discovery", ".*")
                    yield House(stack, app)
                finally:
                    bus.shutdown()
                    follower.join()
        finally:
            stack.close()
