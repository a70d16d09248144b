# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ends of the key/value tree: publish a value, follow a subtree.

Source: the ZeroMQ Guide, chapter 5, the Clone pattern, "Working with Subtrees". Frames: kvsimple.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence

import zmq

from raspy.common import frames
from raspy.common.address import PORT, BrokerAddress
from raspy.common.connection import ConnectionWatch
from raspy.common.kvsimple import ICANHAZ, KTHXBAI, LOST, SEQUENCE, SUBSCRIBED, KVMsg
from raspy.common.MDP import logger
from raspy.common.stop import StopEvent

_Context = zmq.Context[zmq.Socket[bytes]]

# Updates that wait for a broker that is away; more are dropped, the newest first.
PUBLISH_HWM = 10_000
# Updates that wait for a subscriber that is busy, before its broker begins to drop them.
SUBSCRIBE_HWM = 10_000
# Keys of a snapshot that wait to be read.
SNAPSHOT_HWM = 100_000
# How long the broker may be silent within a snapshot before it is asked for again, in seconds.
SNAPSHOT_S = 2.0

_NO_SEQUENCE = SEQUENCE.pack(0)


def join_key(subtree: str, key: str) -> str:
    """``/device/`` and ``pi/host/load`` make ``/device/pi/host/load``, however the slashes stand."""
    return f"/{subtree.strip('/')}/{key.strip('/')}"


class KvPublisherClient:
    """Sends updates to the broker; never waits for it. Thread safe.

    Args:
        hostname: this machine's name on the bus.
        broker_ip: the broker's host, when it is reached by TCP.
        broker_port: its port for requests; that of the updates follows from it.
        broker: the broker's URL, or an address with the keys to another machine's; goes before the two above.
        ctx: a ZeroMQ context to share; a context of its own if left out.

    Attributes:
        dropped: updates that found no room because the broker is away, or does not take them from us.
    """

    def __init__(
        self,
        hostname: str = "localhost",
        broker_ip: str = "127.0.0.1",
        broker_port: int = PORT,
        *,
        broker: str | BrokerAddress | None = None,
        ctx: _Context | None = None,
    ) -> None:
        self.hostname = hostname
        self.broker = BrokerAddress.choose(broker, broker_ip, broker_port)
        self.dropped = 0
        self._lock = threading.Lock()
        self._own_ctx = ctx is None
        self.ctx: _Context = zmq.Context() if ctx is None else ctx
        self._watch: ConnectionWatch | None = None
        self._connect()

    def _connect(self) -> None:
        self._socket = self.ctx.socket(zmq.PUSH)
        self._socket.linger = 500
        self._socket.sndhwm = PUBLISH_HWM
        if self.broker.keys is not None:
            self._watch = ConnectionWatch(self._socket)
        self.broker.connect(self._socket, "collector")

    def _close(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        self._socket.close()

    def send(self, subtree: str = "subtree", key: str = "key", body: str | bytes = "body") -> bool:
        """Send the update.

        Args:
            subtree: the tree, such as ``/device/``.
            key: the rest of the key.
            body: the value, text as UTF-8; empty deletes the key.

        Returns:
            Whether there was room for it; False counts in ``dropped``.
        """
        value = body.encode() if isinstance(body, str) else body
        message = [join_key(subtree, key).encode(), _NO_SEQUENCE, value]
        with self._lock:
            if self._socket.closed:
                return False
            if self._watch is not None and self._watch.lost() and self._watch.denied:
                # This socket will not try again; our key may be let in by now.
                self._close()
                self._connect()
            try:
                frames.send(self._socket, message, frames.DONTWAIT)
            except zmq.Again:
                self.dropped += 1
                return False
        return True

    def destroy(self) -> None:
        """Destroy object; what was sent gets half a second to leave. Again is no error."""
        with self._lock:
            if not self._socket.closed:
                self._close()
        if self._own_ctx and not self.ctx.closed:
            self.ctx.term()


class _Subtree:
    """One followed subtree, and the number up to which it is known."""

    __slots__ = ("prefix", "sequence")

    def __init__(self, prefix: bytes) -> None:
        self.prefix = prefix
        self.sequence = -1


class KvSubscriberClient:
    """Keeps a copy of one or more subtrees, and tells of every change.

    It takes a snapshot at the start and then follows the updates. It takes a fresh one by itself when the
    connection was lost, and when the broker says that it had to drop updates for some subscriber.

    Args:
        hostname: this machine's name on the bus.
        subtree: the subtree to follow, such as ``/device/``, or several.
        broker_ip: the broker's host, when it is reached by TCP.
        broker_port: its port for requests; the others follow from it.
        speed: how much faster than usual to give up waiting (2.0: half the time-outs).
        broker: the broker's URL, or an address with the keys to another machine's; goes before ip and port.
        callback: called as ``callback(key, body)`` for every value that is new or changed, and with an
            empty body for one that was deleted, in the thread of ``run``.
        ctx: a ZeroMQ context to share; a context of its own if left out.
        on_idle: called at least every second and after each burst of updates, in the thread of ``run``.
        queue: updates that may wait here while the subscriber is busy; ``SUBSCRIBE_HWM`` if left out.

    Attributes:
        kvmap: body by key, as of now. Only the thread of ``run`` writes it.
        synchronised: whether a snapshot was taken from the broker that is there now.
        snapshots: how many were taken.
    """

    def __init__(
        self,
        hostname: str = "localhost",
        subtree: str | Sequence[str] = "subtree",
        broker_ip: str = "127.0.0.1",
        broker_port: int = PORT,
        speed: float = 1.0,
        *,
        broker: str | BrokerAddress | None = None,
        callback: Callable[[str, bytes], None] | None = None,
        on_idle: Callable[[], None] | None = None,
        ctx: _Context | None = None,
        queue: int | None = None,
    ) -> None:
        self.hostname = hostname
        self.broker = BrokerAddress.choose(broker, broker_ip, broker_port)
        self.speed = speed
        self.kvmap: dict[str, bytes] = {}
        self.synchronised = False
        self.snapshots = 0
        self._callback = callback
        self._on_idle = on_idle
        names = [subtree] if isinstance(subtree, str) else list(subtree)
        self._subtrees = [_Subtree(f"/{name.strip('/')}/".replace("//", "/").encode()) for name in names]
        self._own_ctx = ctx is None
        self.ctx: _Context = zmq.Context() if ctx is None else ctx
        self._stopping = StopEvent()
        self._queue = SUBSCRIBE_HWM if queue is None else queue
        self._subscribe()

    def _subscribe(self) -> None:
        self._updates = self.ctx.socket(zmq.SUB)
        self._updates.linger = 0
        self._updates.rcvhwm = self._queue
        self._watch = ConnectionWatch(self._updates)
        for topic in (*(one.prefix for one in self._subtrees), LOST):
            self._updates.setsockopt(zmq.SUBSCRIBE, topic)
        self.broker.connect(self._updates, "publisher")

    def run(self) -> None:
        """Run the poller: follow the subtrees until ``shutdown``."""
        while not self._stopping.is_set():
            if not self.synchronised:
                self.synchronised = self._take_snapshots()
            else:
                self._drain()
            self._idle()
            if not self.synchronised:
                continue
            ready = self._sleep(1000)
            if self._watch.socket in ready and self._watch.lost():
                logger.info("key/value: the broker at %s has gone; a fresh snapshot follows", self.broker)
                self.synchronised = False

    def _idle(self) -> None:
        if self._on_idle is not None:
            self._on_idle()

    def _sleep(self, timeout_ms: int, *more: zmq.Socket[bytes]) -> list[object]:
        items = [
            (self._updates, zmq.POLLIN),
            (self._watch.socket, zmq.POLLIN),
            (self._stopping.fileno(), zmq.POLLIN),
        ]
        if more:
            # While a snapshot is awaited the updates wait in their queue.
            items = [*((socket, zmq.POLLIN) for socket in more), items[-1]]
        return [item for item, _ in zmq.zmq_poll(items, timeout_ms)]

    def _drain(self) -> None:
        """Take all updates that are there."""
        while not self._stopping.is_set():
            try:
                message = frames.recv(self._updates, frames.DONTWAIT)
            except zmq.Again:
                break
            try:
                update = KVMsg.from_frames(message)
            except ValueError as error:
                logger.warning("key/value: dropped an update: %s", error)
                continue
            if update.key == LOST:
                logger.warning("key/value: the broker dropped updates; a fresh snapshot follows")
                self.synchronised = False
            else:
                self._apply(update)

    def _apply(self, update: KVMsg) -> None:
        key = update.key or b""
        for one in self._subtrees:
            if key.startswith(one.prefix):
                if update.sequence <= one.sequence:
                    return
                one.sequence = update.sequence
        self._change(key.decode(errors="replace"), update.body or b"")

    def _change(self, key: str, body: bytes) -> None:
        if body:
            self.kvmap[key] = body
        elif self.kvmap.pop(key, None) is None:
            return
        if self._callback is not None:
            self._callback(key, body)

    def _take_snapshots(self) -> bool:
        """Bring every subtree up to date; False when that is to be tried again."""
        self._watch.lost()
        if self._watch.denied:
            # This socket will not try again; our key may be let in by now.
            self._watch.close()
            self._updates.close()
            self._subscribe()
        settled = self._settle()
        fresh: dict[str, bytes] = {}
        for one in self._subtrees:
            sequence = self._fetch(one.prefix, fresh)
            if sequence is None:
                return False
            one.sequence = sequence
        if not settled and (self._settle() or self._watch.denied):
            # The broker came only just now, or let us in: updates after the snapshot may have been missed.
            return False
        self.snapshots += 1
        for key in [key for key in self.kvmap if key not in fresh]:
            self._change(key, b"")
        for key, body in fresh.items():
            if self.kvmap.get(key) != body:
                self._change(key, body)
        return True

    def _settle(self) -> bool:
        """Wait until the broker has our subscriptions, and drop what came before: the snapshot will have it.

        An update published between a snapshot and a subscription that comes too late would be missed; and
        what a broker sent that is gone now may have numbers that its successor gives to other updates.

        Returns:
            Whether it said so in time; a broker that does not know of this never does.
        """
        topic = SUBSCRIBED + secrets.token_hex(8).encode()
        self._updates.setsockopt(zmq.SUBSCRIBE, topic)
        deadline = time.monotonic() + SNAPSHOT_S / self.speed
        try:
            while not self._stopping.is_set() and (left_s := deadline - time.monotonic()) > 0:
                try:
                    message = frames.recv(self._updates, frames.DONTWAIT)
                except zmq.Again:
                    if self._watch.socket in self._sleep(int(1000 * min(1.0, left_s)) + 1):
                        self._watch.lost()
                    self._idle()
                    continue
                if message[0] == topic:
                    return True
            return False
        finally:
            self._updates.setsockopt(zmq.UNSUBSCRIBE, topic)

    def _fetch(self, prefix: bytes, into: dict[str, bytes]) -> int | None:
        """The sequence up to which *into* now has everything below *prefix*; None without an answer."""
        socket = self.ctx.socket(zmq.DEALER)
        socket.linger = 0
        socket.rcvhwm = SNAPSHOT_HWM
        try:
            self.broker.connect(socket, "snapshot")
            frames.send(socket, [ICANHAZ, prefix])
            deadline = time.monotonic() + SNAPSHOT_S / self.speed
            while not self._stopping.is_set():
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return None
                if socket not in self._sleep(int(1000 * min(1.0, left_s)) + 1, socket):
                    self._idle()
                    continue
                deadline = time.monotonic() + SNAPSHOT_S / self.speed
                try:
                    update = KVMsg.from_frames(frames.recv(socket))
                except ValueError as error:
                    logger.warning("key/value: dropped a part of a snapshot: %s", error)
                    continue
                if update.key == KTHXBAI:
                    return update.sequence
                into[(update.key or b"").decode(errors="replace")] = update.body or b""
            return None
        finally:
            socket.close()

    def fetch(self) -> dict[str, bytes] | None:
        """The values below the subtrees once, without following them; None when the broker is away."""
        values: dict[str, bytes] = {}
        for one in self._subtrees:
            if self._fetch(one.prefix, values) is None:
                return None
        return values

    def shutdown(self) -> None:
        """End ``run``, from any thread."""
        self._stopping.set()

    def destroy(self) -> None:
        """Destroy object, after ``run`` has returned; again is no error."""
        if self._updates.closed:
            return
        self._stopping.set()
        self._watch.close()
        self._updates.close()
        self._stopping.close()
        if self._own_ctx and not self.ctx.closed:
            self.ctx.term()
