# SPDX-License-Identifier: GPL-3.0-or-later
"""The workers of titanic's services, several in one thread."""

import logging
from collections.abc import Sequence, Set

import zmq

from raspy.common import MDP, frames
from raspy.common.mdwrkapi import LOST_AGAIN, MajorDomoWorker

log = logging.getLogger(__name__)

# A worker without requests looks at its heartbeats so often, in seconds.
LOOK_S = 0.5

Ready = Set[object]

_REQUEST = [b"", MDP.W_WORKER, MDP.W_REQUEST]


class Worker(MajorDomoWorker):
    """A worker for a loop that has other things to wait for: poll `sockets`, then `take` what is there.

    Takes what `MajorDomoWorker` takes.
    """

    _looked_at = 0.0

    def reconnect_to_broker(self) -> None:
        """Connect to the broker with a new socket, and register the service."""
        super().reconnect_to_broker()
        assert self.worker is not None
        self._receive = frames.receiver(self.worker)

    def sockets(self) -> list[zmq.Socket[bytes]]:
        """What to poll for input."""
        return [] if self.worker is None or self._watch is None else [self.worker, self._watch.socket]

    def take(self, ready: Ready, now: float, most: int) -> list[tuple[bytes, list[bytes]]]:
        """Take the requests that are there, and see to the connection.

        Arguments:
            ready: the sockets that have something.
            now: monotonic seconds.
            most: how many requests at most.

        Returns:
            Of each request the address for `reply`, and its frames.
        """
        if self._watch is not None and self._watch.socket in ready and self._watch.lost():
            self._register_after(LOST_AGAIN)
        if self.worker not in ready and now < self._looked_at + LOOK_S:
            return []
        self._looked_at = now
        requests: list[tuple[bytes, list[bytes]]] = []
        while len(requests) < most:
            try:
                message = self._receive(frames.DONTWAIT)
            except zmq.Again:
                break
            if len(message) > 5 and message[:3] == _REQUEST and not message[4]:
                requests.append((message[3], message[5:]))
            elif (request := self._take(message)) is not None:
                requests.append(request)
        if requests:
            self._heard()
        self._keep_alive()
        return requests

    def reply(self, address: bytes, msg: Sequence[str | bytes]) -> None:
        """Send the reply to a request; like all of this class, with as little work as it takes."""
        assert self.worker is not None
        message = [b"", MDP.W_WORKER, MDP.W_REPLY, address, b"", *map(MDP.to_frame, msg)]
        try:
            frames.send(self.worker, message, frames.DONTWAIT)
        except zmq.Again:
            log.warning("%s: the broker takes nothing; a reply was dropped", self._name)
