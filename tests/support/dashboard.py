# SPDX-License-Identifier: GPL-3.0-or-later
"""The dashboard's application in the test's process, on a real bus, with a browser for each kind of user."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from flask import Flask
from flask.testing import FlaskClient

from raspyweb import passwords
from raspyweb.accounts import Accounts
from raspyweb.app import auth, create_app
from raspyweb.app.bus import EXTENSION, Bus, BusAway

from .broker import HOSTNAME, RunningBroker
from .processes import Processes
from .waiting import wait_for

PASSWORD = "correct horse"
USERS = {"anna": "admin", "olaf": "operator", "vera": "viewer"}
"""Those who may use it, with their roles."""

READY_S = 30


class Dashboard:
    """The application and its link to the bus.

    :param folder: of its state.
    :param url: of the broker.
    :param present: whether to wait for the broker.
    :param settings: of the application, instead of those of `TestingConfig`.
    """

    def __init__(self, folder: Path, url: str, *, present: bool = True, **settings: Any) -> None:
        config = {"TESTING": True, "DATA_DIR": folder, "BROKER": url, "HOSTNAME": HOSTNAME, **settings}
        self.app: Flask = create_app(config)
        self.bus: Bus = self.app.extensions[EXTENSION]
        # A page gives up sooner than a busy machine may need; a test waits for what it wants to see.
        for name in ("send", "call", "json"):
            setattr(self.bus, name, partial(getattr(self.bus, name), timeout_s=READY_S))
        # A service that is there answers, however busy the machine is.
        self.bus.patience = 5.0
        self.accounts: Accounts = self.app.extensions[auth.EXTENSION]
        self._thread = threading.Thread(target=self.bus.follow, args=(lambda: None,), name="mirror")
        self._thread.start()
        # Their passwords are not what these tests are about, and need not be dear to guess.
        with patch.object(passwords, "COST", 16):
            for name, role in USERS.items():
                self.accounts.add(name, role, PASSWORD)
        if present:
            wait_for(lambda: self.bus.values.present, READY_S, "the mirror of the values")
            # Now and not within a test, to which the connection would look like one left open.
            wait_for(self._asked, READY_S, "the broker's answer")

    def _asked(self) -> bool:
        try:
            return bool(self.bus.services())
        except BusAway:
            return False

    def browser(self, user: str = "") -> FlaskClient:
        """A browser in which *user* is logged in; nobody if left out."""
        client = self.app.test_client()
        if user:
            with client.session_transaction() as session:
                session["id"] = self.accounts.open_session(user)
                session["seen"] = time.time()
        return client

    def bearer(self, user: str, scope: str) -> dict[str, str]:
        """The headers of a program with a new token."""
        return {"Authorization": f"Bearer {self.accounts.add_token(user, 'test', scope)}"}

    def close(self) -> None:
        """End it."""
        self.bus.shutdown()
        self._thread.join(30)
        self.bus.close()


def post(client: FlaskClient, url: str, **form: str) -> Any:
    """Send a form as the page would, with its CSRF token, and follow to the page that is shown then."""
    page = client.get("/account/").get_data(as_text=True)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token, "no form on the account page"
    return client.post(url, data={**form, "csrf_token": token[1]}, follow_redirects=True)


@contextmanager
def house(home: Path, *servers: str) -> Iterator[Dashboard]:
    """A dashboard on a bus with these servers, as child processes.

    :param home: a new folder with a short path.
    :param servers: names, in the order of their start.
    """
    processes = Processes(home)
    try:
        broker = RunningBroker(processes)
        for name in servers:
            broker.server(name)
        dashboard = Dashboard(home / "web", broker.url)
        try:
            yield dashboard
        finally:
            dashboard.close()
    finally:
        wrong = processes.close()
    assert not wrong, "; ".join(wrong)
