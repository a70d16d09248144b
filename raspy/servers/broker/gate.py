# SPDX-License-Identifier: GPL-3.0-or-later
"""The way in over the network: CURVE on the broker's TCP sockets, and who is let through.

libzmq does the cryptography and asks here, by ZAP, whether a key may come in. One socket carries both, unix
peers without a key and those on TCP with one: the options of a ZeroMQ socket hold for what is bound after
they are set.

What strangers can do is bounded: a handshake takes ``HANDSHAKE_S`` at most, ``MAX_PENDING`` of them may go on
at a time, and the log gets a line a second.

Sources: RFC 26 (CurveZMQ), RFC 27 (ZAP), zmq_setsockopt(3), zmq_socket_monitor(3).
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket as stdlib_socket
import stat
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import zmq
from zmq.utils import z85

from raspy.common import frames
from raspy.common.curve import Pair
from raspy.common.offences import Offences
from raspy.common.stop import StopEvent
from raspy.servers.broker.keyring import Client, Keyring

ZAP = "inproc://zeromq.zap.01"
# How long a peer may take to show who it is, in seconds.
HANDSHAKE_S = 10
# Peers that may be about to show who they are.
MAX_PENDING = 64
# What one message may have besides its body, in bytes: strangers are not given the room that our own have.
FRAMING_BYTES = 4096
TICK_S = 1.0

_VERSION = b"1.0"
_EVENT = struct.Struct("=Hi")
_ACCEPTED = int(zmq.EVENT_ACCEPTED)
_FAILED = int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
# The property of a message that libzmq takes from the answer by ZAP.
_USER: Any = "User-Id"
# All that we have to say about strangers goes through one bottleneck.
_STRANGERS = b"over TCP"


class Gate:
    """Lets in those that the keyring knows.

    Args:
        ctx: the context of the broker's sockets; ZAP is for a whole context.
        pair: the broker's own keys.
        keyring: who may come in.
        offences: where those are noted who may not.
        log: where the rest is said.
    """

    def __init__(
        self,
        ctx: zmq.Context[zmq.Socket[bytes]],
        pair: Pair,
        keyring: Keyring,
        offences: Offences,
        log: logging.Logger,
    ) -> None:
        self.keyring = keyring
        self._log = log
        self._pair = pair
        self._offences = offences
        self._ports: set[int] = set()
        self._accepted: deque[tuple[float, int]] = deque()
        self._watched: dict[zmq.Socket[bytes], zmq.Socket[bytes]] = {}
        keyring.look()
        self._zap = ctx.socket(zmq.REP)
        self._zap.linger = 0
        self._zap.bind(ZAP)

    def guard(self, socket: zmq.Socket[bytes], part: str, max_message_bytes: int) -> None:
        """From here on, whatever is bound to *socket* lets in only who has a key.

        Args:
            socket: one of the broker's.
            part: which one.
            max_message_bytes: how much its peers may send in one message.
        """
        socket.curve_server = True
        socket.curve_secretkey = self._pair.secret.encode()
        socket.zap_domain = part.encode()
        # Without it libzmq lets everybody in when nobody answers for ZAP.
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        socket.handshake_ivl = HANDSHAKE_S * 1000
        socket.maxmsgsize = max_message_bytes + FRAMING_BYTES
        socket.ipv6 = True
        monitor = socket.get_monitor_socket(_ACCEPTED | _FAILED)
        self._watched[monitor] = socket

    def at(self, port: int) -> None:
        """Note a port where peers come in."""
        self._ports.add(port)

    def senders(self, socket: zmq.Socket[bytes]) -> Senders:
        """What receives from a guarded socket and tells who sent it."""
        return Senders(socket, self.keyring)

    def run(self, stopping: StopEvent, alive: Callable[[], None]) -> None:
        """Answer until *stopping* is set; a thread of the broker.

        Args:
            stopping: ends it.
            alive: called at least every ``TICK_S``.
        """
        items = [(one, zmq.POLLIN) for one in (self._zap, *self._watched, stopping.fileno())]
        tick_at = 0.0
        while not stopping.is_set():
            alive()
            for ready, _ in zmq.zmq_poll(items, int(TICK_S * 1000)):
                if ready is self._zap:
                    self._answer()
                elif isinstance(ready, zmq.Socket):
                    self._hear(ready)
            now = time.monotonic()
            if now >= tick_at:
                tick_at = now + TICK_S
                self._look()

    def _look(self) -> None:
        if self.keyring.look():
            cut = self._cut([(0.0, int(name)) for name in os.listdir("/proc/self/fd")])
            text = "a key was taken away or changed: %d connections cut; who may still come in comes back"
            self._log.info(text, cut)

    def _answer(self) -> None:
        """Answer one question of libzmq's: [version][id][domain][address][identity][mechanism][key]."""
        question = frames.recv(self._zap)
        self._look()
        client, why = None, "it does not show a key"
        if len(question) == 7 and question[5] == b"CURVE":
            key = z85.encode(question[6]).decode()  # type: ignore[no-untyped-call]
            client = self.keyring.find(key)
            why = f"its key {key} is not in {self.keyring.folder}"
        if client is not None and question[2] == b"collector" and not client.serve:
            name, client = client.name, None
            why = f"{name} may not publish values (serve=HOST in {name}.pub would allow it)"
        if client is not None:
            verdict = [b"200", b"", client.name.encode()]
        else:
            verdict = [b"400", b"not authorized", b""]
            address = (
                question[3].decode(errors="replace").removeprefix("::ffff:") if len(question) > 3 else "?"
            )
            self._offences.note(_STRANGERS, f"{address} was refused: {why}")
        frames.send(self._zap, [_VERSION, question[1] if len(question) > 1 else b"", *verdict, b""])

    def _hear(self, monitor: zmq.Socket[bytes]) -> None:
        """Take what libzmq tells of connections."""
        with contextlib.suppress(zmq.Again):
            while True:
                first, endpoint = frames.recv(monitor, frames.DONTWAIT)[:2]
                if not endpoint.startswith(b"tcp://"):
                    continue
                event, value = _EVENT.unpack(first)
                if event == _ACCEPTED:
                    self._accept(value)
                else:
                    port = endpoint.decode().rpartition(":")[2]
                    why = f"somebody at port {port} was refused: no CURVE, or not with the key of this broker"
                    self._offences.note(_STRANGERS, why)

    def _accept(self, descriptor: int) -> None:
        """Count those who came within ``HANDSHAKE_S``; too many at a time are shown the door."""
        now = time.monotonic()
        while self._accepted and self._accepted[0][0] <= now - HANDSHAKE_S:
            self._accepted.popleft()
        self._accepted.append((now, descriptor))
        if len(self._accepted) <= MAX_PENDING:
            return
        here = {one: since for since, one in self._accepted if self._is_remote(one)}
        self._accepted = deque((since, one) for one, since in here.items())
        if len(self._accepted) > MAX_PENDING:
            cut = self._cut(self._accepted)
            self._accepted.clear()
            self._offences.note(_STRANGERS, f"{cut} connections cut: too many within {HANDSHAKE_S} s")

    def _cut(self, connections: Iterable[tuple[float, int]]) -> int:
        """Break those of these connections that came in over TCP; return how many."""
        return sum(self._is_remote(descriptor, cut=True) for _, descriptor in connections)

    def _is_remote(self, descriptor: int, cut: bool = False) -> bool:
        """Whether a descriptor is a connection to one of our ports; it may be anything, or closed by now."""
        try:
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                return False
            # A copy: the number can't become another connection's between the look and the cut.
            with stdlib_socket.socket(fileno=os.dup(descriptor)) as one:
                inet = one.family in (stdlib_socket.AF_INET, stdlib_socket.AF_INET6)
                if not inet or one.getsockname()[1] not in self._ports or not one.getpeername():
                    return False
                if cut:
                    one.shutdown(stdlib_socket.SHUT_RDWR)
                return True
        except OSError:
            # It was closed meanwhile, or nobody is connected to it: a socket that listens.
            return False

    def close(self) -> None:
        """Let nobody in any more; before the guarded sockets are closed."""
        for monitor, socket in self._watched.items():
            socket.disable_monitor()
            monitor.close(linger=0)
        self._watched.clear()
        self._zap.close()


class Senders:
    """Receives from a socket, and knows who sent the last message.

    Args:
        socket: a ROUTER or a PULL.
        keyring: who may come in.
    """

    def __init__(self, socket: zmq.Socket[bytes], keyring: Keyring) -> None:
        self._socket = socket
        self._keyring = keyring
        # The frame with the sender's routing id is made here, and knows nothing of where the message is from.
        self._routed = socket.type == zmq.ROUTER
        self._frame: zmq.Frame | None = None

    def __call__(self, flags: int = 0) -> list[bytes]:
        """Receive one message, like ``frames.recv``."""
        socket = self._socket
        message = []
        if self._routed:
            message.append(socket.recv(flags))
            flags = 0
        frame = socket.recv(flags, copy=False)
        self._frame = frame
        message.append(frame.bytes)
        return message + frames.recv(socket) if frame.more else message

    def remote(self) -> str:
        """The name of the client that the last message is from; empty for a local peer."""
        try:
            return str(self._frame.get(_USER)) if self._frame is not None else ""
        except zmq.ZMQError:
            return ""

    def refuses(self, service: bytes) -> str:
        """Why the sender of the last message may not offer a service; empty when it may."""
        name = self.remote()
        if not name:
            return ""
        serve = self._serve(name)
        if not serve:
            return f"{name} may offer no services (serve=HOST in {name}.pub would allow it)"
        if service.startswith(f"{serve}.".encode()):
            return ""
        return f"{name} may offer services of {serve} only"

    def refuses_key(self, key: bytes) -> str:
        """Why the sender of the last message may not publish this key; empty when it may."""
        name = self.remote()
        if not name:
            return ""
        serve = self._serve(name)
        if not serve:
            return f"{name} may publish nothing any more"
        if key.startswith((f"/device/{serve}/".encode(), b"/event/")):
            return ""
        return f"{name} may publish below /device/{serve}/ and /event/ only"

    def _serve(self, name: str) -> str:
        client: Client | None = self._keyring.named(name)
        return "" if client is None else client.serve
