# SPDX-License-Identifier: GPL-3.0-or-later
"""Offer a service: the Majordomo worker (RFC 7)."""

from __future__ import annotations

import time
from collections.abc import Sequence

import zmq

from raspy.common import MDP, frames
from raspy.common.address import BrokerAddress
from raspy.common.connection import ConnectionWatch
from raspy.common.stop import StopEvent
from raspy.common.zhelpers import set_id

# A connection that breaks sooner than this after it was made is made again only then, in milliseconds:
# something else than a broker may listen there.
LOST_AGAIN = 500


class MajorDomoWorker:
    """Registers one service with a broker, takes requests, sends replies.

    Not thread safe, but for ``shutdown``. It registers again by itself when the broker was
    restarted or went silent.

    Args:
        broker: where the broker is, a URL, or an address with the keys to another machine's.
        service: the service's full name, such as ``pi.core.cron``.
        credit: how many requests the broker may send before it has the reply to the first. 1, the
            default, is plain MDP/0.1.
        ctx: a ZeroMQ context to share; a context of its own if left out.
        stopping: an event that ends ``recv``; one of its own if left out.

    Attributes:
        heartbeat: how often to say that we live, in milliseconds.
        reconnect: pause before it registers again with a broker that refused it, in milliseconds.
        timeout: how long ``recv`` sleeps at most before it looks at heartbeats, in milliseconds.
        HEARTBEAT_LIVENESS: so many silent heartbeats and the broker counts as gone.
    """

    HEARTBEAT_LIVENESS = 5
    heartbeat = 3500
    reconnect = 3500
    timeout = 2500
    verbose = False

    def __init__(
        self,
        broker: str | BrokerAddress,
        service: str | bytes,
        *,
        credit: int = 1,
        ctx: zmq.Context[zmq.Socket[bytes]] | None = None,
        stopping: StopEvent | None = None,
    ) -> None:
        self._address = BrokerAddress.parse(broker)
        self.broker = self._address.mdp
        self.service = MDP.to_frame(service)
        self._name = self.service.decode(errors="replace")
        self.credit = credit
        self.status = True
        self.expect_reply = False
        self.reply_to: bytes | None = None
        self.liveness = 0
        self.heartbeat_at = 0.0
        self._heard_at = 0.0
        self._registered_at = 0.0
        self._register_at: float | None = None
        self._own_ctx = ctx is None
        self.ctx: zmq.Context[zmq.Socket[bytes]] = zmq.Context() if ctx is None else ctx
        self._own_stop = stopping is None
        self._stopping = StopEvent() if stopping is None else stopping
        self.worker: zmq.Socket[bytes] | None = None
        self._watch: ConnectionWatch | None = None
        self.reconnect_to_broker()

    def reconnect_to_broker(self) -> None:
        """Connect to the broker with a new socket, and register the service."""
        self._disconnect()
        worker = self.ctx.socket(zmq.DEALER)
        worker.linger = 0
        worker.rcvhwm = max(1000, 2 * self.credit)
        set_id(worker, self._name[:100])
        self._watch = ConnectionWatch(worker)
        self._address.connect(worker, "mdp")
        self.worker = worker
        # Plain MDP/0.1 unless there is credit to tell: nobody else's broker sees the extra frame then.
        extra = [str(self.credit).encode()] if self.credit > 1 else []
        self.send_to_broker(MDP.W_READY, self.service, extra)
        self._heard()
        self._registered_at = time.monotonic()
        self._register_at = None
        self.heartbeat_at = self._registered_at + self.heartbeat / 1000

    def _heard(self) -> None:
        self.liveness = self.HEARTBEAT_LIVENESS
        self._heard_at = time.monotonic()

    def send_to_broker(
        self, command: bytes, option: bytes | None = None, msg: list[bytes] | None = None
    ) -> None:
        """Send one command.

        Args:
            command: ``MDP.W_READY`` and so on.
            option: the frame after the command, if it has one.
            msg: the frames after that.
        """
        message = [b"", MDP.W_WORKER, command, *([] if option is None else [option]), *(msg or [])]
        if self.verbose:
            MDP.logger.debug("send %r", message)
        assert self.worker is not None
        try:
            frames.send(self.worker, message, frames.DONTWAIT)
        except zmq.Again:
            # Only when the broker has been away for a thousand messages: it has forgotten us anyway.
            MDP.logger.warning("%s: the broker takes nothing; a message was dropped", self._name)

    def receive(self, timeout_s: float) -> tuple[bytes, list[bytes]] | None:
        """Wait for one request, answering heartbeats meanwhile.

        With ``credit`` above 1 it may be called again before the reply to the first request; the
        replies must go out in the order of the requests.

        Args:
            timeout_s: how long at most, in seconds; 0 takes only what is there.

        Returns:
            The reply address for ``reply`` and the frames of the request; None when there was none in
            time or ``shutdown`` was called.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            if self.worker is None:
                return None
            try:
                message = frames.recv(self.worker, frames.DONTWAIT)
            except zmq.Again:
                pass
            else:
                request = self._take(message)
                if request is not None:
                    return request
                continue
            self._keep_alive()
            left_s = deadline - time.monotonic()
            if left_s <= 0 or self._stopping.is_set():
                return None
            self._sleep(left_s)

    def _sleep(self, left_s: float) -> None:
        """Until a message, a lost connection, a stop, or the next heartbeat is due."""
        assert self.worker is not None and self._watch is not None
        due_at = self.heartbeat_at if self._register_at is None else self._register_at
        timeout_ms = min(left_s * 1000, self.timeout, (due_at - time.monotonic()) * 1000)
        ready = zmq.zmq_poll(
            [
                (self.worker, zmq.POLLIN),
                (self._watch.socket, zmq.POLLIN),
                (self._stopping.fileno(), zmq.POLLIN),
            ],
            max(1, int(timeout_ms)),
        )
        if any(item is self._watch.socket for item, _ in ready) and self._watch.lost():
            # ZeroMQ connects again by itself; the broker that it finds does not know us. READY waits in
            # the socket until then.
            MDP.logger.info("%s: the broker has gone; registering again", self._name)
            self._register_after(LOST_AGAIN)

    def _keep_alive(self) -> None:
        now = time.monotonic()
        if self._register_at is not None:
            if now >= self._register_at:
                self.reconnect_to_broker()
            return
        self.liveness = self.HEARTBEAT_LIVENESS - int((now - self._heard_at) * 1000 / self.heartbeat)
        if self.liveness <= 0:
            MDP.logger.warning("%s: the broker is silent; connecting again", self._name)
            self.reconnect_to_broker()
        elif now >= self.heartbeat_at:
            self.send_to_broker(MDP.W_HEARTBEAT)
            self.heartbeat_at = now + self.heartbeat / 1000

    def _take(self, message: list[bytes]) -> tuple[bytes, list[bytes]] | None:
        """The request in a message from the broker; anything else is dealt with here."""
        self._heard()
        if self.verbose:
            MDP.logger.debug("received %r", message)
        if len(message) < 3 or message[0] != b"" or message[1] != MDP.W_WORKER:
            MDP.logger.warning("%s: dropped a message that is not MDP/0.1", self._name)
        elif message[2] == MDP.W_REQUEST and len(message) >= 5 and message[4] == b"":
            return message[3], message[5:]
        elif message[2] == MDP.W_DISCONNECT:
            # It does not know us, most likely because it is new; or it does not want us. What it sent
            # before that goes with the old socket: it has answered those requests itself.
            self._register_after(self.reconnect)
        elif message[2] != MDP.W_HEARTBEAT:
            MDP.logger.warning("%s: dropped an unknown command %r", self._name, message[2][:8])
        return None

    def _register_after(self, pause: float) -> None:
        """Register again, but not before *pause* milliseconds have passed since the last time."""
        register_at = self._registered_at + pause / 1000
        if time.monotonic() >= register_at:
            self.reconnect_to_broker()
        elif self._register_at is None:
            self._register_at = register_at
            MDP.logger.warning("%s: refused or cut off; registering again in %g s", self._name, pause / 1000)

    def reply(self, address: bytes, msg: Sequence[str | bytes]) -> None:
        """Send the reply to a request.

        Args:
            address: what ``receive`` gave with the request.
            msg: the frames, the status last (first for ``titanic.`` services); text is sent as UTF-8.
        """
        self.send_to_broker(MDP.W_REPLY, address, [b"", *map(MDP.to_frame, msg)])

    def recv(self, reply: Sequence[str | bytes] | None = None) -> list[bytes] | None:
        """Send the reply to the last request, if there was one, and wait for the next.

        Args:
            reply: the frames of the reply; None before the first request.

        Returns:
            The frames of the request; None after ``shutdown``.
        """
        if reply is not None and self.reply_to is not None:
            self.reply(self.reply_to, reply)
        self.expect_reply = True
        while not self._stopping.is_set():
            request = self.receive(self.timeout / 1000)
            if request is not None:
                self.reply_to, msg = request
                return msg
        self.reply_to = None
        return None

    def shutdown(self) -> None:
        """End ``recv`` and ``receive``, from any thread."""
        self._stopping.set()

    def _disconnect(self) -> None:
        if self.worker is not None and self._watch is not None:
            self._watch.close()
            self.worker.close()
        self.worker = self._watch = None

    def destroy(self) -> None:
        """Say good-bye to the broker and close; again is no error."""
        if self.worker is not None:
            self.worker.linger = 200
            self.send_to_broker(MDP.W_DISCONNECT)
        self._disconnect()
        if self._own_stop:
            self._stopping.close()
        if self._own_ctx and not self.ctx.closed:
            self.ctx.term()
