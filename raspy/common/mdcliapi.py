# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a service for something: the Majordomo client (RFC 7), and the titanic one beside it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import zmq

from raspy.common import MDP, frames
from raspy.common.address import BrokerAddress
from raspy.common.connection import DENIED, ConnectionWatch
from raspy.common.MDP import to_frame
from raspy.common.zhelpers import set_id

if TYPE_CHECKING:
    from raspy.common.titanic_client import TitanicClient

# A connection is made so long after one that broke, in seconds; sooner by a client that waits less
# for an answer.
AGAIN_S = 0.5

Request = str | bytes | Sequence[str | bytes]


class MajorDomoClient:
    """One request at a time, with an answer or the news that there is none.

    Not thread safe: every thread has its own.

    A request goes out again only when the connection to the broker broke before the answer
    came, never merely because the answer takes long: so a slow service does not do the same work
    twice.

    Args:
        broker: where the broker is: ``ipc://FOLDER``, ``tcp://HOST:PORT``, or a server's own control
            socket as ``ipc://FOLDER/NAME.sock``. For another machine's, an address with the keys to it
            (``BrokerAddress.secured``).
        name: who asks, for the journal; the process's name if left out.
        ctx: a ZeroMQ context to share; a context of its own if left out.

    Attributes:
        timeout: how long one try waits, in milliseconds.
        retries: how many tries; ``timeout * retries`` is how long ``send`` waits in all.
        verbose: log every frame that is sent and received.
        refusal: when there was no answer because the broker and we do not know each other's keys, why.
    """

    timeout = 500
    retries = 5
    verbose = False

    def __init__(
        self,
        broker: str | BrokerAddress,
        *,
        name: str = "",
        ctx: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        control = isinstance(broker, str) and broker.startswith("ipc://") and broker.endswith(".sock")
        self._address = None if control else BrokerAddress.parse(broker)
        self.broker = str(broker) if self._address is None else self._address.mdp
        self.refusal = ""
        self.name = name
        self._own_ctx = ctx is None
        self.ctx: zmq.Context[zmq.Socket[bytes]] = zmq.Context() if ctx is None else ctx
        self.poller = zmq.Poller()
        self.client: zmq.Socket[bytes] | None = None
        self._watch: ConnectionWatch | None = None
        self._connected_at = 0.0
        self.reconnect_to_broker()

    def reconnect_to_broker(self) -> None:
        """Connect to the broker, with a new socket; an answer to an earlier request can't arrive on it."""
        self._disconnect()
        client = self.ctx.socket(zmq.DEALER)
        client.linger = 0
        set_id(client, self.name)
        self._watch = ConnectionWatch(client)
        if self._address is None:
            client.connect(self.broker)
        else:
            self._address.connect(client, "mdp")
        self.poller.register(client, zmq.POLLIN)
        self.poller.register(self._watch.socket, zmq.POLLIN)
        self.client = client
        self._connected_at = time.monotonic()

    def _disconnect(self) -> None:
        if self.client is None or self._watch is None:
            return
        self.poller.unregister(self.client)
        self.poller.unregister(self._watch.socket)
        self._watch.close()
        self.client.close(linger=0)
        self.client = self._watch = None

    def send(self, service: str | bytes, request: Request) -> list[bytes] | None:
        """Send a request and wait for its reply.

        Args:
            service: the service's full name, such as ``pi.core.cron``.
            request: its body: one frame, or a sequence of frames; text is sent as UTF-8.

        Returns:
            The reply's frames, with the status among them; None when there was no reply within
            ``timeout * retries``.
        """
        name = to_frame(service)
        body = [to_frame(request)] if isinstance(request, (str, bytes)) else [to_frame(f) for f in request]
        message = [b"", MDP.C_CLIENT, name, *(body or [b""])]
        deadline = time.monotonic() + self.timeout * self.retries / 1000
        self.refusal = ""
        tries = 0
        while tries < self.retries:
            tries += 1
            if self.client is None:
                self.reconnect_to_broker()
            assert self.client is not None
            if self.verbose:
                MDP.logger.debug("send %r", message)
            frames.send(self.client, message)
            reply, lost = self._wait(name, deadline)
            if reply is not None:
                return reply
            # Whatever still comes for this request must not be taken for the next one's reply.
            self._disconnect()
            if not lost or self.refusal == DENIED:
                return None
            # A connection that breaks at once was not to a broker, and is not made again at once.
            again_at = self._connected_at + min(self.timeout / 1000, AGAIN_S)
            time.sleep(max(0.0, min(again_at, deadline) - time.monotonic()))
        return None

    def _wait(self, service: bytes, deadline: float) -> tuple[list[bytes] | None, bool]:
        """The reply, or None and whether the connection was lost."""
        assert self.client is not None and self._watch is not None
        while True:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return None, False
            ready = dict(self.poller.poll(max(1, int(left_s * 1000))))
            if self.client in ready:
                message = frames.recv(self.client)
                if self.verbose:
                    MDP.logger.debug("received %r", message)
                if len(message) >= 4 and message[:3] == [b"", MDP.C_CLIENT, service[: MDP.MAX_NAME]]:
                    return message[3:], False
                MDP.logger.warning("a reply that is not %s's was dropped", service.decode(errors="replace"))
            elif self._watch.socket in ready and self._watch.lost():
                self.refusal = self._refusal(self._watch)
                return None, True

    def _refusal(self, watch: ConnectionWatch) -> str:
        return watch.refusal if self._address is not None and self._address.keys is not None else ""

    def call(self, service: str | bytes, *request: str | bytes) -> list[bytes]:
        """Send a request and take its reply apart.

        Args:
            service: the service's full name.
            request: the frames of its body: action and arguments.

        Returns:
            The result frames, without the status.

        Raises:
            ClientError: the service says that the request is wrong (``NotFoundError`` for 404).
            ServerError: the service could not do it, or there was no answer.
        """
        reply = self.send(service, request)
        if reply is None:
            if self.refusal:
                raise MDP.ServerError(f"the broker at {self.broker} does not let us in: {self.refusal}")
            name = to_frame(service).decode(errors="replace")
            raise MDP.ServerError(
                f"no answer from {name} within {self.timeout * self.retries / 1000:g} s:"
                f" is the broker at {self.broker} running?"
            )
        return MDP.split_reply(service, reply)

    def destroy(self) -> None:
        """Close the socket, and the context if it is the client's own; again is no error."""
        self._disconnect()
        if self._own_ctx and not self.ctx.closed:
            self.ctx.term()

    def __enter__(self) -> MajorDomoClient:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.destroy()


def __getattr__(name: str) -> Any:
    # TitanicClient is this module's by its public name; imported only by those who use it.
    if name == "TitanicClient":
        from raspy.common.titanic_client import TitanicClient

        return TitanicClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["MajorDomoClient", "Request", "TitanicClient"]
