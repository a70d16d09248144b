# SPDX-License-Identifier: GPL-3.0-or-later
"""The key/value proxy: updates in, numbered, kept, and out to every subscriber (Clone pattern).

Three sockets: PULL takes updates in, XPUB (a PUB that is told of subscriptions) spreads them, ROUTER gives
snapshots of a subtree. Frames: see ``raspy.common.kvsimple``. Trees: /event/, /scenario/, /device/.

Source: the ZeroMQ Guide, chapter 5, "Working with Subtrees".
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import zmq

from raspy.common import frames
from raspy.common.address import PORT, BrokerAddress
from raspy.common.config import Settings
from raspy.common.kvsimple import ICANHAZ, KTHXBAI, LOST, SEQUENCE, SUBSCRIBED, KVMsg
from raspy.common.offences import Offences
from raspy.common.statistics import SNMP, SNMPCounter, Statistics
from raspy.common.stop import StopEvent
from raspy.servers.broker.keyvalue import MAX_KEY, KvMap, Refused, Update
from raspy.servers.broker.listeners import Listeners
from raspy.servers.broker.stale import StaleSweep

# Updates that are kept and published together; none waits for others to come.
BATCH = 256
# Batches taken in a row before snapshots and the clock get their turn.
BATCHES = 16
# Updates that wait to be taken in, for each publisher.
COLLECTOR_HWM = 20_000
TICK_MS = 1000
# Least time between two LOST, in seconds: each makes all subscribers take a snapshot.
TELL_EVERY_S = 10.0
FILE = "keyvalue.map"

_DONTWAIT = frames.DONTWAIT


class Route:
    """Where a snapshot goes.

    Args:
        socket: the ROUTER to send on.
        identity: the asker's routing id.
        subtree: what it asked for: keys that begin so.
    """

    __slots__ = ("identity", "socket", "subtree")

    def __init__(self, socket: zmq.Socket[bytes], identity: bytes, subtree: bytes) -> None:
        self.socket = socket
        self.identity = identity
        self.subtree = subtree


class Proxy(threading.Thread):
    """The publisher.

    Inside a broker its ``run`` is one of the broker's threads; by itself it is a thread to ``start``.

    Args:
        hostname: this machine's name on the bus.
        service: the name of the broker that it belongs to.
        broker_ip: the address to listen at, for TCP; loopback only.
        broker_port: the broker's port for requests; the three of the proxy follow.
        speed: how much faster than usual its clock ticks.
        broker: where it listens, a URL; goes before ip and port.
        settings: the broker's settings.
        listeners: what binds the sockets; its own if left out.
        ctx: a ZeroMQ context to share; its own if left out.
        statistics: where its figures are kept, the broker; its own if left out.
        data_dir: where the map is kept when there is no folder of unix sockets.
    """

    def __init__(
        self,
        hostname: str = "localhost",
        service: str = "broker",
        broker_ip: str = "127.0.0.1",
        broker_port: int = PORT,
        speed: float = 1.0,
        *,
        broker: str | BrokerAddress | None = None,
        settings: Settings,
        listeners: Listeners | None = None,
        ctx: zmq.Context[zmq.Socket[bytes]] | None = None,
        statistics: Statistics | None = None,
        data_dir: Path | None = None,
    ) -> None:
        super().__init__(name=f"{service}-key/value", daemon=True)
        self.hostname = hostname
        self.service = service
        self.speed = speed
        self.broker = BrokerAddress.choose(broker, broker_ip, broker_port)
        self.settings = settings
        self.log = logging.getLogger(f"raspy.{service}")
        self._listeners = Listeners(self.broker) if listeners is None else listeners
        self._own_listeners = listeners is None
        self._own_ctx = ctx is None
        self.ctx: zmq.Context[zmq.Socket[bytes]] = zmq.Context() if ctx is None else ctx
        self.stopping = StopEvent()
        folder = Path(self.broker.folder) if self.broker.is_local else data_dir
        self.kvmap = KvMap(folder and folder / FILE, settings.max_keys, settings.max_map_bytes, self.log)
        self._stale = StaleSweep()
        self._alive: Callable[[], None] = getattr(statistics, "alive", lambda: None)
        keep = (Statistics() if statistics is None else statistics).add_statistic
        self._n_updates = keep(SNMPCounter("keyvalue.updates", "updates published"))
        self._n_snapshots = keep(SNMPCounter("keyvalue.snapshots", "snapshots given"))
        self._n_keys = keep(SNMP("keyvalue.keys", "keys in the tree"))
        self._n_bytes = keep(SNMP("keyvalue.bytes", "bytes of keys and values"))
        self._n_overflows = keep(SNMPCounter("keyvalue.overflows", "times a subscriber's queue ran full"))
        self._refuses: Callable[[bytes], str] | None = None
        self._lossy = False
        self._tell_at = 0.0
        self.offences = Offences(
            self.log, keep(SNMPCounter("keyvalue.offences", "updates and requests refused"))
        )

    def open(self) -> None:
        """Bind the three sockets and bring the map back.

        Raises:
            OSError: an address is taken or can't be had.
        """
        if self._own_listeners:
            self._listeners.open()
        self._snapshot = self.ctx.socket(zmq.ROUTER)
        self._publisher = self.ctx.socket(zmq.XPUB)
        self._collector = self.ctx.socket(zmq.PULL)
        self.kvmap.open()
        # A whole snapshot must find room, or it could never be given.
        self._snapshot.sndhwm = max(self.settings.max_keys, len(self.kvmap)) + 1000
        self._snapshot.router_mandatory = 1
        self._publisher.sndhwm = self.settings.subscriber_queue
        self._publisher.setsockopt(zmq.XPUB_NODROP, 1)
        self._collector.rcvhwm = COLLECTOR_HWM
        for socket, part, limit in (
            (self._snapshot, "snapshot", MAX_KEY),
            (self._publisher, "publisher", MAX_KEY),
            (self._collector, "collector", self.settings.max_value_bytes),
        ):
            self._listeners.bind(socket, part, limit)
        if self._listeners.gate is None:
            self._receive = frames.receiver(self._collector)
        else:
            self._receive = senders = self._listeners.gate.senders(self._collector)
            self._refuses = senders.refuses_key

    def run(self) -> None:
        """Run the proxy until ``shutdown``."""
        if self._own_listeners:
            self.open()
        tick_s = TICK_MS / 1000 / self.speed
        tick_at = 0.0
        items = [
            (self._collector, zmq.POLLIN),
            (self._publisher, zmq.POLLIN),
            (self._snapshot, zmq.POLLIN),
            (self.stopping.fileno(), zmq.POLLIN),
        ]
        while not self.stopping.is_set():
            ready = [item for item, _ in zmq.zmq_poll(items, int(tick_s * 1000))]
            if self._collector in ready:
                for _ in range(BATCHES):
                    if self._collect() < BATCH:
                        break
            if self._publisher in ready:
                self._greet()
            if self._snapshot in ready:
                self._give_snapshot()
            now = time.monotonic()
            if now >= tick_at:
                tick_at = now + tick_s
                self._tick()
        if self._own_listeners:
            self.close()

    def _tick(self) -> None:
        self._alive()
        stale = self._stale.sweep(self.kvmap.values)
        self.publish([(key, self.kvmap.put(key, body), body) for key, body in stale])
        if self._lossy and time.monotonic() >= self._tell_at:
            self._tell_lost()
        self._n_keys.set(len(self.kvmap))
        self._n_bytes.set(self.kvmap.size)

    def _collect(self) -> int:
        """Take the updates that are there, keep them, publish them; return how many there were."""
        receive, again = self._receive, zmq.Again
        take, limit = self.kvmap.take, self.settings.max_value_bytes
        batch: list[Update] = []
        refuses = self._refuses
        taken = 0
        while taken < BATCH:
            try:
                message = receive(_DONTWAIT)
            except again:
                break
            taken += 1
            if len(message) != 3 or len(message[1]) != SEQUENCE.size:
                self.offences.note(b"", f"dropped {len(message)} frames that are not an update")
                continue
            key, _, body = message
            try:
                if refuses is not None and (reason := refuses(key)):
                    raise Refused(reason)
                if len(body) > limit:
                    raise Refused(f"it has more than {limit} bytes (max_value_bytes)")
                batch.append((key, take(key, body), body))
            except Refused as refusal:
                self.offences.note(b"", f"refused the update of {key[:64]!r}: {refusal}")
        self.publish(batch)
        return taken

    def publish(self, batch: list[Update]) -> None:
        """Keep numbered updates, then send them to the subscribers."""
        if not batch:
            return
        self.kvmap.keep(batch)
        send, publisher, pack = frames.send_frame, self._publisher, SEQUENCE.pack
        more = frames.SNDMORE
        first = more | _DONTWAIT
        for key, sequence, body in batch:
            try:
                send(publisher, key, first)
            except zmq.Again:
                self._let_drop()
                send(publisher, key, first)
            # The rest of a message always finds the room that its first frame had.
            send(publisher, pack(sequence), more)
            send(publisher, body)
        self._n_updates.value += len(batch)

    def _let_drop(self) -> None:
        """The queue of some subscriber is full: from now on it loses updates; nobody waits for it."""
        self._publisher.setsockopt(zmq.XPUB_NODROP, 0)
        self._lossy = True
        self._n_overflows.value += 1

    def _tell_lost(self) -> None:
        """Tell the subscribers that updates were lost, once there is room for that in every queue."""
        self._publisher.setsockopt(zmq.XPUB_NODROP, 1)
        try:
            self._send_notice(LOST)
        except zmq.Again:
            self._publisher.setsockopt(zmq.XPUB_NODROP, 0)
        else:
            self._lossy = False
            self._tell_at = time.monotonic() + TELL_EVERY_S

    def _send_notice(self, topic: bytes) -> None:
        frames.send(self._publisher, (topic, SEQUENCE.pack(self.kvmap.sequence), b""), _DONTWAIT)

    def _greet(self) -> None:
        """Answer those who want to know that their subscriptions are in force."""
        for _ in range(BATCH):
            try:
                message = frames.recv(self._publisher, _DONTWAIT)
            except zmq.Again:
                return
            kind, topic = message[0][:1], message[0][1:]
            if len(message) > 1 or kind not in (b"\x00", b"\x01"):
                self.offences.note(b"", "dropped a message to the publisher that is no subscription")
            elif kind == b"\x01" and topic.startswith(SUBSCRIBED) and len(topic) <= MAX_KEY:
                try:
                    self._send_notice(topic)
                except zmq.Again:
                    # Its queue is full; it will ask again.
                    continue

    def _give_snapshot(self) -> None:
        message = frames.recv(self._snapshot)
        if len(message) != 3 or message[1] != ICANHAZ or len(message[2]) > MAX_KEY:
            self.offences.note(message[0], "dropped a request for a snapshot that is not [ICANHAZ?][subtree]")
            return
        route = Route(self._snapshot, message[0], message[2])
        try:
            for key, (sequence, body) in self.kvmap.values.items():
                if key.startswith(route.subtree):
                    self.send_single(key, KVMsg(sequence, key, body), route)
            self.send_single(KTHXBAI, KVMsg(self.kvmap.sequence, KTHXBAI, route.subtree), route)
        except zmq.Again:
            # With a hole it must have no end.
            self.offences.note(route.identity, "does not read its snapshots")
        except zmq.ZMQError:
            self.log.debug("a peer has gone before it had its snapshot")
        else:
            self._n_snapshots.value += 1

    def send_single(self, key: bytes, kvmsg: KVMsg, route: Route) -> None:
        """Send one state snapshot key-value pair to a socket.

        Raises:
            zmq.Again: the asker does not read.
            zmq.ZMQError: it has gone.
        """
        message = [route.identity, key, SEQUENCE.pack(kvmsg.sequence), kvmsg.body or b""]
        frames.send(route.socket, message, _DONTWAIT)

    def shutdown(self) -> None:
        """Shutdown the proxy, from any thread or a signal handler."""
        self.stopping.set()

    def close(self) -> None:
        """Close sockets and file, after ``run`` has returned."""
        for name in ("_snapshot", "_publisher", "_collector"):
            socket = getattr(self, name, None)
            if socket is not None:
                socket.close()
        self.kvmap.close()
        self.stopping.close()
        if self._own_listeners:
            self._listeners.close()
        if self._own_ctx and not self.ctx.closed:
            self.ctx.term()
