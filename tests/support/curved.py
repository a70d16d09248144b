# SPDX-License-Identifier: GPL-3.0-or-later
"""A broker that lets in remote peers with a key, and such peers."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import zmq

from raspy.common.address import BrokerAddress
from raspy.common.curve import CurveKeys, Pair
from tests.conftest import tcp_base

from .broker import RunningBroker
from .peers import Peers
from .processes import Processes


def pair() -> Pair:
    """A new pair of keys."""
    public, secret = (half.decode() for half in zmq.curve_keypair())
    return Pair(public, secret)


class CurvedBroker(RunningBroker):
    """A broker on unix sockets, and on TCP for those with a key."""

    def __init__(self, processes: Processes, *settings: str, host: str = "127.0.0.1"):
        self.keys = processes.home / "authorized_keys.d"
        self.keys.mkdir()
        self.port = tcp_base()
        self.tcp = f"tcp://{host}:{self.port}"
        super().__init__(
            processes,
            f"listen=tcp://*:{self.port}",
            f"authorized_keys={self.keys}",
            "heartbeat_s=0.8",
            *settings,
        )

    @property
    def public(self) -> str:
        """Its public key, as it says itself."""
        with Peers(self.url) as peers:
            return str(json_of(peers, b"test.broker.mmi", b"info")["public_key"])

    def authorize(self, name: str, key: str, more: str = "") -> Path:
        """Let somebody in."""
        file = self.keys / f"{name}.pub"
        file.write_text(f"# {name}\n{key}{more}\n")
        return file

    def address_for(self, own: Pair, server: str = "") -> BrokerAddress:
        """Its address with the keys to it."""
        return BrokerAddress.parse(self.tcp).secured(CurveKeys(server or self.public, own))

    def peers(self, own: Pair, server: str = "") -> Peers:
        """Peers with a key that come in by TCP."""
        return Peers(self.tcp, **curve_options(own, server or self.public))

    def strangers(self) -> list[str]:
        """The lines that it has logged about those who were not let in."""
        return [line for line in self.child.output.splitlines() if "peer over TCP" in line]


def json_of(peers: Peers, service: bytes, *body: bytes) -> dict[str, object]:
    """The JSON object that a service answers."""
    reply = peers.ask(service, *body)
    assert reply[-1] == b"200", reply
    found = json.loads(reply[0])
    assert isinstance(found, dict)
    return found


def curve_options(own: Pair, server: str) -> dict[str, bytes]:
    """What makes a socket use these keys."""
    return {"curve_serverkey": server.encode(), "curve_publickey": own.public.encode(),
            "curve_secretkey": own.secret.encode()}  # fmt: skip


class Recorder(threading.Thread):
    """A man in the middle: passes one connection on and keeps what the client says."""

    def __init__(self, port: int, host: str = "127.0.0.1"):
        super().__init__()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.said = b""
        self._to = (host, port)

    def run(self) -> None:
        here, _ = self.listening.accept()
        there = socket.create_connection(self._to)
        back = threading.Thread(target=self._pass, args=(there, here, False))
        back.start()
        self._pass(here, there, True)
        back.join()
        here.close()
        there.close()
        self.listening.close()

    def _pass(self, source: socket.socket, sink: socket.socket, keep: bool) -> None:
        try:
            while data := source.recv(65536):
                self.said += data if keep else b""
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            # The other one has closed it.
            pass


def receive(connection: socket.socket, size: int) -> bytes:
    """So many bytes, or those that come until the other side ends it."""
    data = b""
    try:
        while len(data) < size and (more := connection.recv(size - len(data))):
            data += more
    except ConnectionResetError:
        pass
    return data
