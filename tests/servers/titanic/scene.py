# SPDX-License-Identifier: GPL-3.0-or-later
"""Delivery against a broker that the test plays itself, by a clock that the test moves."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import zmq

from raspy.common import MDP
from raspy.common.address import BrokerAddress
from raspy.servers.titanic.delivery import Delivery, Outcome, Policy
from raspy.servers.titanic.requests import Requests
from tests.conftest import wait_for

POLICY = Policy(tries=3, reply_s=10.0, pause_s=0.9)
SILENCE_S = 0.05
"""How long nothing may come where nothing should."""


class Asked(NamedTuple):
    """A request as the broker sees it."""

    client: bytes
    service: str
    body: list[bytes]


class PlayedBroker:
    """A ROUTER in the broker's place, which does what the test tells it."""

    def __init__(self, ctx: zmq.Context, address: BrokerAddress) -> None:
        self._ctx = ctx
        self.address = address
        self.socket = self._bind()

    def _bind(self) -> zmq.Socket:
        socket = self._ctx.socket(zmq.ROUTER)
        socket.linger = 0
        socket.bind(self.address.mdp)
        return socket

    def restart(self) -> None:
        """Die with all connections, and come back without a memory."""
        self.socket.close()
        self.socket = self._bind()

    def take(self) -> Asked | None:
        """The next request that is there."""
        if not self.socket.poll(0):
            return None
        client, empty, header, service, *body = self.socket.recv_multipart()
        assert (empty, header) == (b"", MDP.C_CLIENT)
        return Asked(client, service.decode(), body)

    def reply(self, asked: Asked, *frames: bytes) -> None:
        self.socket.send_multipart([asked.client, b"", MDP.C_CLIENT, asked.service.encode(), *frames])


class Scene:
    """The delivery under test with its database, its broker and its clock."""

    def __init__(self, ctx: zmq.Context, run_dir: Path, requests: Requests) -> None:
        self.ctx = ctx
        self.requests = requests
        self.broker = PlayedBroker(ctx, BrokerAddress.parse(f"ipc://{run_dir}"))
        self.now = 1000.0
        self.number = 0
        self.delivery = self.start()

    def start(self, policy: Policy = POLICY) -> Delivery:
        self.delivery = Delivery(self.ctx, self.broker.address, self.requests, policy, lambda: self.now)
        return self.delivery

    def add(self, service: str, *body: bytes) -> int:
        """Store a request, as the front desk does; its seq."""
        self.number += 1
        self.requests.add_as(self.number.to_bytes(16, "big"), service, body)
        self.delivery.wake(service)
        return self.number

    def turn(self) -> None:
        polled = zmq.zmq_poll([(socket, zmq.POLLIN) for socket in self.delivery.sockets()], 0)
        self.delivery.collect({socket for socket, _ in polled})
        self.delivery.dispatch()

    def until(self, predicate: Callable[[], object], what: str) -> object:
        def turned() -> object:
            self.turn()
            return predicate()

        return wait_for(turned, what=what)

    def asked(self, service: str) -> Asked:
        """The next request that reaches the broker, which must be for *service*."""
        asked = self.until(self.broker.take, f"a request for {service}")
        assert asked.service == service, f"a request for {asked.service}, not for {service}"
        return asked

    def silence(self) -> None:
        """Nothing reaches the broker."""
        deadline = time.monotonic() + SILENCE_S
        while time.monotonic() < deadline:
            self.turn()
            asked = self.broker.take()
            assert asked is None, f"unexpected request for {asked.service}"

    def present(self, service: str, status: bytes = MDP.T_OK) -> None:
        """The question whether *service* is there comes, and is answered."""
        asked = self.asked("mmi.service")
        assert asked.body == [service.encode()]
        self.broker.reply(asked, status)

    def outcome(self) -> Outcome:
        """The next outcome, taken out and stored as the server does."""
        self.until(lambda: self.delivery.outcomes, "an outcome")
        outcome = self.delivery.outcomes.popleft()
        if outcome.state is None:
            self.requests.tried(outcome.seq, outcome.tries)
        else:
            self.requests.finish(outcome.seq, outcome.state, outcome.reply)
        return outcome

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.turn()


def hang(scene: Scene, service: str, body: bytes = b"1") -> Asked:
    """One try without a reply in time, and the pause after it."""
    scene.present(service)
    asked = scene.asked(service)
    assert asked.body == [body]
    scene.pass_time(10.1)
    assert scene.outcome().state is None
    scene.pass_time(1.1)
    return asked
