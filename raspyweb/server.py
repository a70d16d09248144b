# SPDX-License-Identifier: GPL-3.0-or-later
"""The web server: the dashboard as a daemon like the others.

It needs no broker to be ready: a page that finds the broker away says so. systemd's socket starts it at the
first visit, and it may end when nobody has looked for long (``idle_exit_s``).
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import stat
import time
from pathlib import Path
from typing import Any

from raspy.common import systemd
from raspy.common.config import ConfigError, Option
from raspy.common.server import Server
from raspy.common.statistics import SNMP, SNMPCounter
from raspyweb.accounts import AccountError
from raspyweb.app import create_app
from raspyweb.app.auth import accounts
from raspyweb.app.bus import EXTENSION, Bus
from raspyweb.config import ProductionConfig
from raspyweb.messages import FIRST_VISIT
from raspyweb.serving import Http

DESCRIPTOR = "http"
"""The name of the listening sockets that systemd passes (FileDescriptorName=)."""

PORT = 5520

PRESENT_S = 2.0
"""How long the start waits for the broker's values, in seconds."""


class Web(Server):
    """The dashboard: see and steer everything from a browser.

    Args: those of `Server`.
    """

    SERVICE = "web"
    SETTINGS = (
        Option("listen", str, "127.0.0.1", "the address to listen on, where systemd passes no socket"),
        Option("port", int, PORT, "the port there; 0 for any that is free", 0, 65535),
        Option("threads", int, 4, "pages that are made at the same time", 1, 32),
        Option("session_idle_s", float, 7 * 86400, "a session unused for so long ends, in seconds", 60),
    )

    def __init__(self, hostname: str = "localhost", service: str = "web", *args: Any, **kwargs: Any) -> None:
        super().__init__(hostname, service, *args, **kwargs)
        self._http: Http | None = None
        self._bus: Bus | None = None
        self.url = ""
        self._n_pages = self.add_statistic(SNMPCounter("web.requests", "HTTP requests"))
        self._n_streams = self.add_statistic(SNMP("web.streams", "browser windows that follow live values"))

    def setup(self) -> None:
        """Make the application, and listen."""
        super().setup()
        # A page that waits for a thread for a moment is nothing to tell.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        folder = self.data_dir or Path(".raspy/web")
        folder.mkdir(parents=True, exist_ok=True)
        app = create_app(self._config(folder))
        self._bus = app.extensions[EXTENSION]
        self._http = Http(app, self._listen(), self.settings.threads)
        with app.app_context():
            try:
                token = accounts().first_visit_token()
            except AccountError as error:
                raise ConfigError(str(error)) from error
        if token is not None:
            extra = {"MESSAGE_ID": FIRST_VISIT}
            self.log.warning("first visit: %s wants the one-time token %s", self.url, token, extra=extra)

    def _config(self, folder: Path) -> type[ProductionConfig]:
        class Given(ProductionConfig):
            BROKER = str(self.broker)
            HOSTNAME = self.hostname
            DATA_DIR = folder.absolute()
            IDLE_LIMIT_S = self.settings.session_idle_s

        return Given

    def _listen(self) -> list[socket.socket]:
        passed = passed_http_sockets()
        if passed:
            self.url = f"http://{self.hostname}:{passed[0].getsockname()[1]}/"
            return passed
        host, port = self.settings.listen, self.settings.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listening = _create_server(host, port, family)
        except (OSError, UnicodeError) as error:
            raise OSError(
                f"can't listen on {host} port {port}: {error}; set [web] listen and port"
            ) from error
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{listening.getsockname()[1]}/"
        return [listening]

    def ready(self) -> bool:
        """It listens. The broker is waited for shortly; the pages say so when it is away."""
        deadline = time.monotonic() + PRESENT_S
        while self._bus is not None and not self._bus.values.present and time.monotonic() < deadline:
            if self.stopping.wait(0.05):
                break
        return True

    def worker_http(self) -> None:
        """Serve the pages."""
        assert self._http is not None
        self._http.run(self.stopping, self.alive)

    def worker_streams(self) -> None:
        """Send what is live."""
        assert self._http is not None
        self._http.timed.streaming.run(self.stopping, self.alive)

    def worker_values(self) -> None:
        """Follow the key/value map."""
        assert self._bus is not None
        self._bus.follow(self.alive)

    def busy(self) -> bool:
        """Whether a browser follows values, or asked for something since the last look."""
        http = self._http
        if http is None:
            return True
        timed = http.timed
        asked = timed.requests != self._n_pages.value
        self._n_pages.value = timed.requests
        self._n_streams.value = len(timed.streaming)
        return asked or len(timed.streaming) > 0 or timed.longest_s() > 0

    def shutdown(self) -> None:
        """Shut down; the mirror sleeps in a poll of its own and is woken."""
        super().shutdown()
        if self._bus is not None:
            self._bus.shutdown()

    def teardown(self) -> None:
        """Hang up on everybody."""
        super().teardown()
        if self._http is not None:
            self._http.close()
        if self._bus is not None:
            self._bus.shutdown()
            self._bus.close()

    def status_line(self) -> str:
        """What ``systemctl status`` shows."""
        windows = self._n_streams.value
        following = f", {windows} window{'s' if windows != 1 else ''} following" if windows else ""
        away = "" if self._bus is None or self._bus.values.present else "; the broker is away"
        return f"{self.url} is the dashboard{following}{away}"


def _create_server(host: str, port: int, family: socket.AddressFamily) -> socket.socket:
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or port != PORT:
            raise
        # Nobody chose the usual one: a second stack on this machine takes what is free, and says so.
        return socket.create_server((host, 0), family=family, backlog=128)


def passed_http_sockets() -> list[socket.socket]:
    """The listening TCP sockets that systemd passed, each with a descriptor of our own."""
    found = []
    for name, descriptor in systemd.passed_sockets().items():
        if name.startswith(DESCRIPTOR) and stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            found.append(socket.socket(fileno=os.dup(descriptor)))
    return found
