# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a daemon: start its threads, watch them, tell systemd, stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from raspy.common import systemd
from raspy.common.address import PORT, BrokerAddress
from raspy.common.config import Option, Settings
from raspy.common.mdcliapi import MajorDomoClient
from raspy.common.MDP import routing_key
from raspy.common.stop import StopEvent
from raspy.common.watchdog import Watchdog

# How long a thread may make no progress when systemd does not say (WatchdogSec=), in seconds.
WATCHDOG_LIMIT_S = 10.0
# How often the main thread looks around, in seconds.
TICK_S = 0.5
# How long the threads get to end, in seconds; then the process ends without them.
JOIN_S = 5.0


class ServerFailed(Exception):
    """A thread of the server ended with an error; the cause is the error.

    A server is brittle on purpose: in doubt it ends, and the service manager starts it afresh.
    """


class Executive:
    """The mother class of all daemons.

    A subclass gives ``worker_SUFFIX`` methods; each runs in a thread of its own until
    ``self.stopping`` is set.

    Args:
        hostname: this machine's name on the bus.
        service: the server's name, such as ``core``.
        broker_ip: the broker's host, when it is reached by TCP.
        broker_port: its port for requests; the others follow.
        broker: the broker's URL (``ipc:///run/raspy``); goes before the two above.
        data_dir: the folder for what the server keeps; None for one that keeps nothing.
        settings: the checked configuration; the defaults if left out.
    """

    SERVICE = "executive"
    SETTINGS: tuple[Option, ...] = ()

    def __init__(
        self,
        hostname: str = "localhost",
        service: str = "executive",
        broker_ip: str = "127.0.0.1",
        broker_port: int = PORT,
        *,
        broker: str | BrokerAddress | None = None,
        data_dir: str | Path | None = None,
        settings: Settings | None = None,
    ) -> None:
        super().__init__()
        self.hostname = hostname
        self.service = service
        self.broker = BrokerAddress.choose(broker, broker_ip, broker_port)
        self.data_dir = None if data_dir is None else Path(data_dir)
        self.settings = Settings.defaults(self.SETTINGS) if settings is None else settings
        self.log = logging.getLogger(f"raspy.{service}")
        self.ctx: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.stopping = StopEvent()
        self.started_at = time.time()
        self._started_monotonic = time.monotonic()
        self._wake = StopEvent()
        self._watchdog_s = systemd.watchdog_s()
        self.watchdog = Watchdog(self._watchdog_s or WATCHDOG_LIMIT_S)
        self._threads: list[threading.Thread] = []
        self._failure: BaseException | None = None
        self._destroyed = False

    # What a subclass may add to.

    def setup(self) -> None:
        """Runs before the threads start: open files, load what is kept."""

    def teardown(self) -> None:
        """Runs after the threads ended: close what ``setup`` opened. Must bear being called without it."""

    def status_line(self) -> str:
        """What ``systemctl status`` shows: a line for a person."""
        return "running"

    def tick(self) -> None:
        """Runs in the main thread every ``TICK_S``; must not block."""

    # Life.

    def run(self) -> None:
        """Run until ``shutdown``, or until a thread fails.

        Raises:
            ServerFailed: a thread ended with an error.
        """
        try:
            self.setup()
            for name, method in self._workers():
                self.spawn(name, method)
            if self._wait_ready():
                self.log.debug("ready")
            self._supervise()
        finally:
            systemd.notify(STOPPING="1")
            self.destroy()
        if self._failure is not None:
            raise ServerFailed(f"{self.service}: {self._failure}") from self._failure

    def _workers(self) -> list[tuple[str, Callable[[], None]]]:
        names = [name for name in dir(self) if name.startswith("worker_")]
        return [(name.removeprefix("worker_"), getattr(self, name)) for name in names]

    def ready(self) -> bool:
        """Whether the server can do its work; the service manager is told so once, by ``READY=1``.

        For most servers: the broker answers.
        """
        with MajorDomoClient(self.broker, name=self.service, ctx=self.ctx) as client:
            client.retries = 1
            return client.send("mmi.service", self.get_instance_id()) is not None

    def _wait_ready(self) -> bool:
        warned = False
        while not self._wake.is_set():
            if self.ready():
                systemd.notify(READY="1", STATUS=self.status_line())
                return True
            if not warned:
                warned = True
                self.log.warning("no broker at %s yet; waiting for it", self.broker)
                systemd.notify(STATUS=f"waiting for the broker at {self.broker}")
        return False

    def _supervise(self) -> None:
        """Until ``shutdown``: status, watchdog, and the subclass's ``tick``."""
        said = ""
        fed_at = 0.0
        feed_s = (self._watchdog_s or WATCHDOG_LIMIT_S) / 3
        complained: set[str] = set()
        while not self._wake.wait(TICK_S):
            self.tick()
            status = self.status_line()
            if status != said:
                said = status
                systemd.notify(STATUS=status)
            late = self.watchdog.late()
            for name, seconds in late:
                if name not in complained:
                    complained.add(name)
                    self.log.error("thread %s has made no progress for %.0f s", name, seconds)
            complained &= {name for name, _ in late}
            if not late and time.monotonic() - fed_at >= feed_s:
                fed_at = time.monotonic()
                systemd.notify(WATCHDOG="1")

    def spawn(self, name: str, target: Callable[..., None], *args: Any) -> threading.Thread:
        """Start a thread that the watchdog watches; it must call ``alive`` as it makes progress.

        Args:
            name: what it does, for logs.
            target: its function; if it raises, the whole server ends with ``ServerFailed``.
            args: for *target*.
        """

        def life() -> None:
            self.watchdog.beat()
            try:
                target(*args)
            except (Exception, SystemExit) as error:
                if not self.stopping.is_set():
                    self.log.exception("thread %s failed; the server ends", name)
                    self._failure = error
                    self.shutdown()
            finally:
                self.watchdog.forget()

        thread = threading.Thread(target=life, name=f"{self.service}-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def alive(self) -> None:
        """The calling thread made progress."""
        self.watchdog.beat()

    def shutdown(self) -> None:
        """Shut down, from any thread or a signal handler; ``run`` returns soon after."""
        self._wake.set()

    def destroy(self) -> None:
        """Wait for the threads and destroy the context; again is no error."""
        if self._destroyed:
            return
        self._destroyed = True
        self._wake.set()
        self.stopping.set()
        deadline = time.monotonic() + JOIN_S
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
        hung = [thread.name for thread in self._threads if thread.is_alive()]
        self.teardown()
        if hung:
            # Its sockets are its own: closing them from here could crash libzmq. The process ends anyway.
            self.log.error("ended without these threads, which did not stop: %s", ", ".join(hung))
            return
        self.ctx.destroy(linger=200)
        self.stopping.close()
        self._wake.close()

    def get_instance_id(self) -> str:
        """The server's name on the network, ``HOST.NAME``."""
        return routing_key(self.hostname, self.service)

    def uptime_s(self) -> float:
        """Seconds since the server was made."""
        return time.monotonic() - self._started_monotonic


def __getattr__(name: str) -> Any:
    # ExecutiveProcess needs multiprocessing, a megabyte that no daemon wants.
    if name == "ExecutiveProcess":
        from raspy.common.executive_process import ExecutiveProcess

        return ExecutiveProcess
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
