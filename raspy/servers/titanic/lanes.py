# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections on which many services are asked at once, one request each."""

from collections.abc import Callable, Set

import zmq

from raspy.common import MDP, frames
from raspy.common.address import BrokerAddress
from raspy.common.connection import ConnectionWatch
from raspy.common.zhelpers import set_id

# Lanes of their own for services that still owe an earlier reply on the common one.
MAX_OWN_LANES = 16

AwaitedOn = Callable[[bytes, "Lane"], bool]


class Lane:
    """One socket that speaks the client side of MDP/0.1 without waiting for replies.

    A reply names only the service that it comes from, so a service has at most one unanswered
    request on a lane: the next one could be given the late reply to the one before.

    Arguments:
        ctx: the ZeroMQ context.
        broker: where the broker is.
        name: who asks, for the journal.

    Attributes:
        unanswered: by service, the ``seq`` of the request that it has not answered.
    """

    def __init__(self, ctx: zmq.Context[zmq.Socket[bytes]], broker: BrokerAddress, name: str) -> None:
        self.unanswered: dict[bytes, int] = {}
        self.socket = ctx.socket(zmq.DEALER)
        self.socket.linger = 0
        set_id(self.socket, name)
        self.watch = ConnectionWatch(self.socket)
        self.socket.connect(broker.mdp)

    def send(self, service: bytes, seq: int, body: list[bytes]) -> None:
        """Send a request to a service that owes no reply here.

        Raises:
            zmq.Again: the socket is full: the broker has been away for a thousand requests.
        """
        frames.send(self.socket, [b"", MDP.C_CLIENT, service, *body], frames.DONTWAIT)
        self.unanswered[service] = seq

    def receive(self) -> tuple[bytes, int, list[bytes]] | None:
        """Take the next reply that is there: its service, the ``seq`` it answers, its frames."""
        while True:
            try:
                message = frames.recv(self.socket, frames.DONTWAIT)
            except zmq.Again:
                return None
            if len(message) < 4 or message[:2] != [b"", MDP.C_CLIENT]:
                continue
            seq = self.unanswered.pop(message[2], None)
            if seq is not None:
                return message[2], seq, message[3:]

    def lost(self, ready: Set[object]) -> bool:
        """Whether the connection broke; *ready* are the sockets that have something."""
        return self.watch.socket in ready and self.watch.lost()

    def close(self) -> None:
        """Close it; replies that are still to come are lost."""
        self.watch.close()
        self.socket.close()


class Lanes:
    """The common lane, and own ones for services that owe a reply on it.

    Arguments:
        open_lane: makes a lane to the broker.
        awaited: whether a service's reply on a lane is still waited for, and not only possible.
    """

    def __init__(self, open_lane: Callable[[], Lane], awaited: AwaitedOn) -> None:
        self._open_lane = open_lane
        self._awaited = awaited
        self._common = open_lane()
        self._own: dict[bytes, Lane] = {}

    def all(self) -> list[Lane]:
        """Every lane."""
        return [self._common, *self._own.values()]

    def choose(self, service: bytes) -> Lane | None:
        """A lane on which *service* owes no reply; None when there is none at the moment."""
        common = self._common
        if service in common.unanswered and not any(self._awaited(key, common) for key in common.unanswered):
            common = self._renew_common()
        if service not in common.unanswered:
            return common
        own = self._own.get(service)
        if own is not None and service not in own.unanswered:
            return own
        if own is None and len(self._own) >= MAX_OWN_LANES:
            resting = next((key for key, lane in self._own.items() if not self._awaited(key, lane)), None)
            if resting is None:
                return None
            self.drop(resting)
        self.drop(service)
        own = self._own[service] = self._open_lane()
        return own

    def drop(self, service: bytes) -> None:
        """Close the service's own lane, if it has one; replies on it are lost."""
        lane = self._own.pop(service, None)
        if lane is not None:
            lane.close()

    def broken(self, ready: Set[object]) -> list[tuple[bytes, Lane]]:
        """Replace lanes whose connection broke.

        Arguments:
            ready: the sockets that have something.

        Returns:
            The services whose replies are lost, each with its lane.
        """
        lost: list[tuple[bytes, Lane]] = []
        common = self._common
        if common.lost(ready) and common.unanswered:
            self._renew_common()
            lost += [(key, common) for key in common.unanswered]
        for key, lane in list(self._own.items()):
            if lane.lost(ready):
                self.drop(key)
                lost.append((key, lane))
        return lost

    def _renew_common(self) -> Lane:
        self._common.close()
        self._common = self._open_lane()
        return self._common

    def close(self) -> None:
        """Close them all."""
        for lane in self.all():
            lane.close()
        self._own.clear()
