# SPDX-License-Identifier: GPL-3.0-or-later
"""Peers of the broker written from the protocols alone (RFC 7, the Clone pattern), on bare pyzmq.

Nothing of the library under test is used, so a mistake that broker and library share is seen. Every
wait is bounded: what does not come raises ``zmq.Again``.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import zmq

WAIT_MS = 20_000
CLIENT, WORKER = b"MDPC01", b"MDPW01"
READY, REQUEST, REPLY, HEARTBEAT, DISCONNECT = (bytes([number]) for number in range(1, 6))

UNIX = ("mdp.sock", "snapshot.sock", "publisher.sock", "collector.sock")


class Endpoints:
    """The four endpoints of a broker, from its URL."""

    def __init__(self, url: str):
        if url.startswith("ipc://"):
            found = [f"{url}/{name}" for name in UNIX]
        else:
            host, _, port = url.rpartition(":")
            found = [f"{host}:{int(port) + offset}" for offset in range(4)]
        self.mdp, self.snapshot, self.publisher, self.collector = found


class Peers:
    """Any number of peers of one broker, closed together: ``with Peers(url) as peers``.

    :param options: attributes that all their sockets get (``curve_serverkey=b"..."``).
    """

    def __init__(self, url: str, **options: int | bytes):
        self.at = Endpoints(url)
        self.context = zmq.Context()
        # A socket that nobody holds would be closed by the garbage collector, at whatever time.
        self.sockets: list[zmq.Socket[bytes]] = []
        self.options = options

    def __enter__(self) -> Peers:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close all sockets, dropping what they still have to send."""
        self.context.destroy(linger=0)

    def socket(self, kind: int, endpoint: str, identity: bytes = b"", **options: int) -> zmq.Socket[bytes]:
        """A connected socket; `options` are names of its attributes (``rcvhwm=1``), and `self.options`."""
        socket = self.context.socket(kind)
        self.sockets.append(socket)
        socket.linger = 0
        socket.rcvtimeo = socket.sndtimeo = WAIT_MS
        if identity:
            socket.setsockopt(zmq.IDENTITY, identity)
        for name, value in {**self.options, **options}.items():
            setattr(socket, name, value)
        socket.connect(endpoint)
        return socket

    def client(self, identity: bytes = b"") -> Client:
        """A client of the request broker."""
        return Client(self.socket(zmq.DEALER, self.at.mdp, identity))

    def worker(self, service: bytes, *more: bytes, identity: bytes = b"") -> Worker:
        """A worker that has sent READY for `service`, with `more` frames after it."""
        worker = Worker(self.socket(zmq.DEALER, self.at.mdp, identity))
        worker.send(READY, service, *more)
        return worker

    def registered(self, service: bytes, *more: bytes, identity: bytes = b"") -> Worker:
        """The same, and the broker has taken it in."""
        worker = self.worker(service, *more, identity=identity)
        worker.sync()
        return worker

    def count(self, service: bytes) -> int:
        """How many workers the broker has for `service`."""
        with self.asking() as client:
            reply = client.ask(b"mmi.workers", service)
        return int(reply[0]) if reply[-1] == b"200" else 0

    def ask(self, service: bytes, *body: bytes) -> list[bytes]:
        """One request of a client that is gone afterwards."""
        with self.asking() as client:
            return client.ask(service, *body)

    @contextmanager
    def asking(self) -> Iterator[Client]:
        """A client for a while."""
        client = self.client()
        try:
            yield client
        finally:
            client.close()

    def figures(self, host: bytes = b"test") -> dict[str, Any]:
        """The broker's statistics by oid."""
        reply = self.ask(host + b".broker.statistics", b"all")
        assert reply[-1] == b"200", reply
        return {oid: one["value"] for oid, one in json.loads(reply[0]).items()}

    def publisher(self) -> zmq.Socket[bytes]:
        """A socket for `put()`."""
        return self.socket(zmq.PUSH, self.at.collector)

    def clone(self, subtree: bytes = b"/device/", **options: int) -> Clone:
        """A client of the Clone pattern."""
        return Clone(self, subtree, **options)


class Client:
    """The client of RFC 7."""

    def __init__(self, socket: zmq.Socket[bytes]):
        self.socket = socket

    def send(self, service: bytes, *body: bytes) -> None:
        """Send a request."""
        self.socket.send_multipart([b"", CLIENT, service, *body])

    def receive(self) -> tuple[bytes, list[bytes]]:
        """The next reply: service and body."""
        message = self.socket.recv_multipart()
        assert message[:2] == [b"", CLIENT], message
        assert len(message) >= 4, message
        return message[2], message[3:]

    def ask(self, service: bytes, *body: bytes) -> list[bytes]:
        """Send a request and return the body of its reply."""
        self.send(service, *body)
        name, reply = self.receive()
        assert name == service
        return reply

    def close(self) -> None:
        """Vanish."""
        self.socket.close(linger=0)


class Worker:
    """The worker of RFC 7."""

    def __init__(self, socket: zmq.Socket[bytes]):
        self.socket = socket
        self.early: list[list[bytes]] = []

    def sync(self) -> None:
        """Wait until the broker has dealt with what was sent: ask it something, as a client."""
        self.socket.send_multipart([b"", CLIENT, b"mmi.service", b"sync"])
        while (message := self.socket.recv_multipart())[1] != CLIENT:
            self.early.append(message)

    def send(self, command: bytes, *more: bytes) -> None:
        """Send a command."""
        self.socket.send_multipart([b"", WORKER, command, *more])

    def receive(self) -> tuple[bytes, list[bytes]]:
        """The next command but HEARTBEAT, and what follows it."""
        while True:
            message = self.early.pop(0) if self.early else self.socket.recv_multipart()
            assert message[:2] == [b"", WORKER], message
            if message[2] != HEARTBEAT:
                return message[2], message[3:]

    def take(self) -> tuple[bytes, list[bytes]]:
        """The next request: its client and its body."""
        command, more = self.receive()
        assert command == REQUEST, (command, more)
        assert more[1] == b"", more
        return more[0], more[2:]

    def reply(self, client: bytes, *body: bytes) -> None:
        """Answer a request."""
        self.send(REPLY, client, b"", *body)

    def dismissed(self) -> None:
        """Wait for DISCONNECT."""
        assert self.receive() == (DISCONNECT, [])

    def close(self) -> None:
        """Vanish without a word."""
        self.socket.close(linger=0)


def put(publisher: zmq.Socket[bytes], key: bytes, body: bytes) -> None:
    """Publish an update."""
    publisher.send_multipart([key, struct.pack("!q", 0), body])


class Clone:
    """The client of the Clone pattern: subscribe, ask for the snapshot, follow."""

    def __init__(self, peers: Peers, subtree: bytes, **options: int):
        self.updates = peers.socket(zmq.SUB, peers.at.publisher, **options)
        self.updates.setsockopt(zmq.SUBSCRIBE, subtree)
        self.snapshots = peers.socket(zmq.DEALER, peers.at.snapshot)
        self.subtree = subtree
        self.map: dict[bytes, bytes] = {}
        self.sequence = -1

    def settled(self) -> Clone:
        """Wait until the broker has the subscription (which RasPy's tells who asks), dropping what came."""
        topic = b"SUBSCRIBED " + str(id(self)).encode()
        self.updates.setsockopt(zmq.SUBSCRIBE, topic)
        while self.updates.recv_multipart()[0] != topic:
            pass
        self.updates.setsockopt(zmq.UNSUBSCRIBE, topic)
        return self

    def snapshot(self) -> Clone:
        """Take the snapshot."""
        self.map.clear()
        self.snapshots.send_multipart([b"ICANHAZ?", self.subtree])
        while True:
            key, sequence, body = self.snapshots.recv_multipart()
            assert len(sequence) == 8
            (number,) = struct.unpack("!q", sequence)
            if key == b"KTHXBAI":
                assert body == self.subtree
                self.sequence = number
                return self
            assert key.startswith(self.subtree)
            self.map[key] = body

    def follow(self, key: bytes = b"", body: bytes | None = None) -> tuple[bytes, bytes]:
        """Take updates until the one for `key` (with `body`) came, or one if it is left out; return it."""
        while True:
            message = self.updates.recv_multipart()
            assert len(message) == 3, message
            (number,) = struct.unpack("!q", message[1])
            if number <= self.sequence:
                continue
            self.sequence = number
            if message[2]:
                self.map[message[0]] = message[2]
            else:
                self.map.pop(message[0], None)
            if not key or (key == message[0] and body in (None, message[2])):
                return message[0], message[2]
