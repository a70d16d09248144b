# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys for sockets, and a man in the middle; light, for the processes that a test starts."""

from __future__ import annotations

import socket
import threading

import zmq

from raspy.common.curve import Pair


def pair() -> Pair:
    """A new pair of keys."""
    public, secret = (half.decode() for half in zmq.curve_keypair())
    return Pair(public, secret)


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
