# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to other servers that nobody here waits for: sent now, answered to a function later.

A Majordomo client (RFC 7) with many requests under way at once, each on a socket of its own, as the
protocol has no request number. A server that hangs takes one socket until its time is over, and holds
up nobody else's request.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import zmq

from raspy.common import MDP, frames
from raspy.common.address import BrokerAddress
from raspy.common.MDP import to_frame
from raspy.common.zhelpers import set_id

# Requests under way at once; the others wait for a socket.
UNDER_WAY = 16
# Requests that may wait; more are refused at once.
WAITING = 200
ANSWER_S = 5.0

# done(result frames, "") or done([], why not)
Done = Callable[[list[bytes], str], None]


class _Request(NamedTuple):
    service: bytes
    frames: list[bytes]
    done: Done
    timeout_s: float


class _UnderWay(NamedTuple):
    request: _Request
    deadline: float


class Courier:
    """Sends requests; its sockets are polled by core's loop.

    Args:
        broker: where the broker is.
        ctx: a ZeroMQ context to share.
        wake: called when ``ask`` has put something in the queue.
    """

    def __init__(
        self, broker: BrokerAddress, ctx: zmq.Context[zmq.Socket[bytes]], wake: Callable[[], None]
    ) -> None:
        self._endpoint = broker.mdp
        self._ctx = ctx
        self._wake = wake
        self._lock = threading.Lock()
        self._waiting: deque[_Request] = deque()
        self._idle: list[zmq.Socket[bytes]] = []
        self._under_way: dict[zmq.Socket[bytes], _UnderWay] = {}

    def ask(
        self, service: str, request: Sequence[str | bytes], done: Done, timeout_s: float = ANSWER_S
    ) -> None:
        """Send a request; from any thread.

        Args:
            service: the service's full name.
            request: the frames of its body.
            done: called with the result frames or with why there are none, in the loop's thread
                (in the caller's when the queue is full).
            timeout_s: how long to wait for the answer, from when it was sent.
        """
        entry = _Request(service.encode(), [to_frame(one) for one in request], done, timeout_s)
        with self._lock:
            room = len(self._waiting) < WAITING
            if room:
                self._waiting.append(entry)
        if room:
            self._wake()
        else:
            done([], f"{WAITING} requests wait already, this one to {service} is not sent")

    # Called by the loop.

    def sockets(self) -> list[zmq.Socket[bytes]]:
        """The sockets on which answers may come."""
        return list(self._under_way)

    def pump(self, now: float) -> None:
        """Send what waits, and give up what is late."""
        for socket, (request, deadline) in list(self._under_way.items()):
            if now >= deadline:
                # What may still come for it must not be taken for the next request's answer.
                del self._under_way[socket]
                socket.close()
                name = request.service.decode()
                request.done([], f"no answer from {name} within {request.timeout_s:g} s")
        while len(self._under_way) < UNDER_WAY:
            with self._lock:
                if not self._waiting:
                    return
                request = self._waiting.popleft()
            socket = self._idle.pop() if self._idle else self._connect()
            frames.send(socket, [b"", MDP.C_CLIENT, request.service, *request.frames])
            self._under_way[socket] = _UnderWay(request, now + request.timeout_s)

    def receive(self, socket: zmq.Socket[bytes]) -> None:
        """Take the answer on a socket."""
        message = frames.recv(socket, frames.DONTWAIT)
        request = self._under_way[socket].request
        if len(message) < 4 or message[:3] != [b"", MDP.C_CLIENT, request.service]:
            MDP.logger.warning("a reply that is not %s's was dropped", request.service.decode())
            return
        del self._under_way[socket]
        self._idle.append(socket)
        try:
            request.done(MDP.split_reply(request.service, message[3:]), "")
        except MDP.GenericError as error:
            request.done([], str(error))

    def due_at(self) -> float | None:
        """When ``pump`` has something to give up, monotonic; None for nothing."""
        return min((deadline for _, deadline in self._under_way.values()), default=None)

    def close(self) -> None:
        """Close all sockets; what is under way is forgotten."""
        for socket in (*self._idle, *self._under_way):
            socket.close()
        self._idle.clear()
        self._under_way.clear()

    def _connect(self) -> zmq.Socket[bytes]:
        socket = self._ctx.socket(zmq.DEALER)
        socket.linger = 0
        set_id(socket, "core")
        socket.connect(self._endpoint)
        return socket
