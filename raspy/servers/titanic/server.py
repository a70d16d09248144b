# SPDX-License-Identifier: GPL-3.0-or-later
"""The titanic server: its settings, its services, its life."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from raspy.common import MDP, daemon
from raspy.common.address import PORT
from raspy.common.config import Option
from raspy.common.mdcliapi import MajorDomoClient
from raspy.common.server import Server
from raspy.servers.titanic import checks
from raspy.servers.titanic.database import Database
from raspy.servers.titanic.delivery import Delivery, Policy
from raspy.servers.titanic.desk import Desk
from raspy.servers.titanic.figures import Figures
from raspy.servers.titanic.keyvalue import KeyValueStore
from raspy.servers.titanic.loop import Keeping, Loop
from raspy.servers.titanic.requests import Requests
from raspy.servers.titanic.schema import DONE
from raspy.servers.titanic.workers import Worker

DAY_S = 86400.0
# How many requests the broker may send to each worker before it has the first reply: enough to group, and
# few enough that titanic can hold them all at their largest. Values of the store are large and seldom set.
CREDIT = 64
STORE_CREDIT = 8


class Titanic(Server):
    """Requests that survive anything, and the key/value store of all servers.

    Args: those of ``Server``; *data_dir* is where the database is, the user's state folder if left out.
    """

    SERVICE = "titanic"
    SETTINGS = (
        Option("tries", int, 10, "a request sent so often without a reply has failed", 1, 1000),
        Option("reply_s", float, 30.0, "how long a service has to reply to one try", 0.1, 3600),
        Option("pause_s", float, 60.0, "the longest pause between two tries", 0.1, DAY_S),
        Option("max_age_s", float, 7 * DAY_S, "a request that waited so long has failed", 1, 3660 * DAY_S),
        Option("keep_s", float, 7 * DAY_S, "how long a reply that nobody closes is kept", 1, 3660 * DAY_S),
        Option("max_requests", int, 100_000, "how many requests are kept at a time", 1, 10_000_000),
        Option("max_database_mib", int, 64, "how large the database may grow, in MiB", 1, 65536),
        Option(
            "workers", int, 1, "workers of titanic.request; more than 1 for brokers without credit", 1, 64
        ),
    )

    def __init__(
        self,
        hostname: str = "localhost",
        service: str = "titanic",
        broker_ip: str = "127.0.0.1",
        broker_port: int = PORT,
        data_dir: str | Path | None = None,
        **kwargs: Any,
    ) -> None:
        self._folder = Path(data_dir or daemon.state_folder(service))
        super().__init__(hostname, service, broker_ip, broker_port, data_dir=self._folder, **kwargs)
        self.figures = Figures(self)
        # Held while the database is used: by the loop while it works, else by the control socket's thread.
        self._lock = threading.Lock()
        self._database: Database | None = None
        self._offered = threading.Event()

    # Life.

    def setup(self) -> None:
        """Open the database.

        Raises:
            DatabaseUnusableError: it can't be used; the message says what to do.
        """
        super().setup()
        self._database = Database(self._folder, self.settings.max_database_mib)
        self.requests = Requests(self._database)
        self.store = KeyValueStore(self._database)
        self.register("store", {name: self._store_action(name) for name in ("delete", "get", "list", "set")})

    def ready(self) -> bool:
        """The broker answers, and our services are registered with it."""
        return self._offered.wait(0.5) and super().ready()

    def status_line(self) -> str:
        """What is stored and under way."""
        return self.figures.line()

    def teardown(self) -> None:
        """Close the database."""
        super().teardown()
        if self._database is not None:
            self._database.close()
            self._database = None

    # Services.

    def worker_titanic(self) -> None:
        """Serve all of ``titanic.``, and deliver, in one thread."""
        assert self._database is not None
        settings = self.settings
        policy = Policy(settings.tries, settings.reply_s, settings.pause_s)
        delivery = Delivery(self.ctx, self.broker, self.requests, policy)
        desk = Desk(self.requests, self.store, self._database, delivery, settings.max_requests)
        keeping = Keeping(settings.max_age_s, settings.keep_s)
        loop = Loop(self._database, self.requests, delivery, desk, keeping, self.figures, self._lock)
        try:
            for _ in range(settings.workers):
                loop.offer(self.titanic_request(), desk.request)
            loop.offer(self._worker("titanic.submit"), desk.submit)
            loop.offer(self.titanic_reply(), desk.reply)
            loop.offer(self.titanic_close(), desk.close)
            loop.offer(self.titanic_store(), desk.store)
            self._offered.set()
            while not self.stopping.is_set():
                self.alive()
                loop.turn(self.stopping)
        finally:
            loop.close()

    def titanic_request(self) -> Worker:
        """Create a worker to handle titanic.request: store a request message, and return a UUID for it."""
        return self._worker("titanic.request")

    def titanic_reply(self) -> Worker:
        """Create a worker to handle titanic.reply: fetch a reply, if available, for a given request UUID."""
        return self._worker("titanic.reply")

    def titanic_close(self) -> Worker:
        """Create a worker to handle titanic.close: confirm that a reply has been stored and processed."""
        return self._worker("titanic.close")

    def titanic_store(self) -> Worker:
        """Create a worker to handle store services."""
        return self._worker("titanic.store", STORE_CREDIT)

    def _worker(self, service: str, credit: int = CREDIT) -> Worker:
        return Worker(self.broker, service, credit=credit, ctx=self.ctx, stopping=self.stopping)

    def service_success(self, client: MajorDomoClient, uuid: str | bytes) -> bool:
        """Attempt to process a single request, return True if successful.

        The loop does so for all requests by itself; this is for whoever embeds titanic and wants
        one tried now. May be called from any thread.

        Args:
            client: to ask the service with; the caller's own.
            uuid: the id of the request.

        Returns:
            True when the request has its reply now, or was closed or failed before; False when it
            is still waiting.

        Raises:
            ClientError: *uuid* is no id.
            StorageError: the reply could not be stored.
        """
        assert self._database is not None
        with self._lock:
            found = self.requests.find(checks.request_id(MDP.to_frame(uuid)))
        if found is None:
            return True
        seq, service, body = found
        present = client.send("mmi.service", service)
        if present is None or present[-1] != MDP.T_OK:
            return False
        reply = client.send(service, body)
        if reply is None or MDP.is_unanswered(service, reply):
            return False
        with self._lock, self._database.transaction():
            self.requests.finish(seq, DONE, reply)
        return True

    def _store_action(self, name: str) -> Callable[..., object]:
        """An action of the key/value store, for the control socket: it works while the broker is down."""

        def action(*frames: bytes) -> tuple[bytes, ...]:
            assert self._database is not None
            handler: Callable[[Sequence[bytes]], list[bytes]] = getattr(self.store, name)
            with self._lock, self._database.transaction():
                return tuple(handler(frames))

        return action


def main() -> int:
    """Run titanic until SIGTERM."""
    return daemon.run(Titanic)
