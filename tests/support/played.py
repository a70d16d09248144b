# SPDX-License-Identifier: GPL-3.0-or-later
"""A broker of RFC 7 that a test plays frame by frame; it knows nothing of credit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import zmq

from .peers import CLIENT, WAIT_MS, WORKER

Frames = list[bytes]


class PlayedBroker:
    """A ROUTER that a test answers on: what clients and workers send stays there until it is read."""

    def __init__(self, url: str):
        self.context = zmq.Context()
        self.endpoint = f"{url}/mdp.sock"
        self.open()

    def open(self) -> None:
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.linger, self.socket.rcvtimeo = 0, WAIT_MS
        self.socket.bind(self.endpoint)

    def receive(self) -> Frames:
        """The next message, whoever sent it."""
        return self.socket.recv_multipart()

    def reply(self, request: Frames, *body: bytes) -> None:
        """Answer what `receive` gave."""
        self.socket.send_multipart([request[0], b"", CLIENT, request[3], *body])

    def command(self, *kinds: bytes) -> tuple[bytes, bytes, Frames]:
        """The next command of a worker (of these kinds): who sent it, the command, and what follows it."""
        while True:
            sender, empty, header, command, *more = self.receive()
            assert (empty, header) == (b"", WORKER)
            if not kinds or command in kinds:
                return sender, command, more

    def send(self, worker: bytes, command: bytes, *more: bytes) -> None:
        """Send a command to a worker."""
        self.socket.send_multipart([worker, b"", WORKER, command, *more])

    def silent(self, milliseconds: int = 300) -> bool:
        """Whether nothing comes for so long."""
        return not self.socket.poll(milliseconds)

    def restart(self) -> None:
        self.socket.close()
        self.open()

    def close(self) -> None:
        self.socket.close()
        self.context.term()


@contextmanager
def playing(url: str) -> Iterator[PlayedBroker]:
    """A played broker for a while."""
    played = PlayedBroker(url)
    try:
        yield played
    finally:
        played.close()
