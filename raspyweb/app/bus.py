# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages' link to the bus: requests, and a live mirror of the key/value map."""

from __future__ import annotations

import json
import queue
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import zmq
from flask import current_app

from raspy.common import MDP
from raspy.common.address import BrokerAddress
from raspy.common.mdcliapi import MajorDomoClient
from raspyweb.app.values import Values

TIMEOUT_S = 5.0
AWAY_S = 1.0
"""How long a request waits while the mirror says that the broker is away, in seconds."""

KINDS_S = 60.0
"""How long the kinds of devices of a server are taken to be the same, in seconds."""

EXTENSION = "raspy.bus"

_SERVICE = re.compile(r"(?P<host>[^.]+)\.(?P<server>[^.]+)\.(?P<suffix>[^.]+)")


class BusAway(Exception):
    """Nobody answered: the broker is away, or the service does not answer."""


class Refused(Exception):
    """A service said no.

    Args:
        status: its status, such as 404.
        why: its sentence for a person.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class Bus:
    """The link of one application. Thread safe.

    Args:
        broker: where the broker is.
        hostname: this machine's name on the bus.

    Attributes:
        patience: how many times longer than usual to wait for answers, on a machine that is very busy.
    """

    patience = 1.0

    def __init__(self, broker: str | BrokerAddress, hostname: str) -> None:
        self.broker = BrokerAddress.parse(broker)
        self.hostname = hostname
        self.ctx: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.values = Values(self.broker, hostname, self.ctx)
        self._idle: queue.SimpleQueue[MajorDomoClient] = queue.SimpleQueue()
        self._kinds: dict[str, tuple[float, dict[str, Any]]] = {}

    def call(
        self, service: str, action: str | bytes, *arguments: str | bytes, timeout_s: float = TIMEOUT_S
    ) -> list[bytes]:
        """Send a request and wait for its reply.

        Args:
            service: its full name, such as ``pi.core.cron``.
            action: what is asked of it.
            arguments: the further frames; text as UTF-8.
            timeout_s: how long to wait, in seconds.

        Returns:
            The frames of the reply, without the status.

        Raises:
            BusAway: there was no answer in time.
            Refused: the service said no.
        """
        reply = self.send(service, [action, *arguments], timeout_s=timeout_s)
        try:
            return MDP.split_reply(service, reply)
        except MDP.GenericError as error:
            raise Refused(int(error.status), str(error)) from error

    def send(self, service: str, frames: list[str | bytes], *, timeout_s: float = TIMEOUT_S) -> list[bytes]:
        """Send any request; all frames of its reply, the status among them.

        Raises:
            BusAway: there was no answer in time.
        """
        wait_s = timeout_s * self.patience if self.values.present else min(timeout_s, AWAY_S)
        with self._client(wait_s) as client:
            reply = client.send(service, frames)
        if reply is None:
            raise BusAway(f"no answer from {service} within {wait_s:g} s")
        return reply

    def json(
        self, service: str, action: str | bytes, *arguments: str | bytes, timeout_s: float = TIMEOUT_S
    ) -> Any:
        """The same for a service that answers with one frame of JSON.

        Raises:
            BusAway: there was no answer in time.
            Refused: the service said no, or the answer is not JSON.
        """
        frames = self.call(service, action, *arguments, timeout_s=timeout_s)
        try:
            return json.loads(frames[0])
        except (IndexError, ValueError, RecursionError):
            raise Refused(500, f"{service} answered {_shown(action)} with what is not JSON") from None

    def services(self) -> list[str]:
        """The full names of all services, also of those that a request would start."""
        return sorted(frame.decode(errors="replace") for frame in self.call("mmi.discovery", ".*"))

    def awake(self) -> set[str]:
        """The full names of the services that have a worker: a request starts no daemon."""
        workers = self.json("mmi.workers", b"")
        return {str(name) for name, count in workers.items() if count}

    def hosts(self) -> list[str]:
        """The machines that have services on the bus."""
        found = (_SERVICE.fullmatch(name) for name in self.services())
        return sorted({match["host"] for match in found if match})

    def server(self, name: str) -> str:
        """``HOST.NAME`` of a server of this machine, or of the first other that has it.

        Args:
            name: such as ``core``.
        """
        own = MDP.routing_key(self.hostname, name)
        matches = [match for match in map(_SERVICE.fullmatch, self.services()) if match]
        found = sorted({f"{m['host']}.{m['server']}" for m in matches if m["server"] == name})
        return own if own in found or not found else found[0]

    def kinds(self, service: str) -> dict[str, Any]:
        """The kinds of devices of a server, by oid, as its ``templates`` says; asked for now and then.

        Args:
            service: ``HOST.SERVER.devices``.
        """
        asked_at, kinds = self._kinds.get(service, (0.0, {}))
        if not asked_at or time.monotonic() - asked_at > KINDS_S:
            kinds = self.json(service, "templates")
            self._kinds[service] = (time.monotonic(), kinds)
        return kinds

    def follow(self, alive: Callable[[], None]) -> None:
        """Keep the mirror up to date until ``shutdown``; call it in a thread of its own.

        Args:
            alive: called as it makes progress.
        """
        self.values.run(alive)

    def shutdown(self) -> None:
        """End ``follow``, from any thread."""
        self.values.shutdown()

    def close(self) -> None:
        """Give everything back, after ``follow`` has returned."""
        self.values.close()
        while True:
            try:
                self._idle.get_nowait().destroy()
            except queue.Empty:
                break
        self.ctx.destroy(linger=0)

    @contextmanager
    def _client(self, wait_s: float) -> Iterator[MajorDomoClient]:
        """A client that no other thread uses meanwhile."""
        try:
            client = self._idle.get_nowait()
        except queue.Empty:
            client = MajorDomoClient(self.broker, name="web", ctx=self.ctx)
        client.timeout = max(1, int(wait_s * 1000 / client.retries))
        try:
            yield client
        finally:
            self._idle.put(client)


def _shown(action: str | bytes) -> str:
    return repr(action if isinstance(action, str) else action.decode(errors="replace"))


def bus() -> Bus:
    """The link of the current application."""
    return cast(Bus, current_app.extensions[EXTENSION])
