# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection that breaks is seen, though ZeroMQ mends it in silence."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from raspy.common.connection import ConnectionWatch


class Pair:
    """A watched socket and the one it connects to."""

    def __init__(self, folder: Path):
        self.context = zmq.Context()
        self.endpoint = f"ipc://{folder}/x.sock"
        self.server = self.bound()
        self.client = self.context.socket(zmq.DEALER)
        self.client.linger = 0
        self.watch = ConnectionWatch(self.client)
        self.client.connect(self.endpoint)

    def bound(self) -> zmq.Socket[bytes]:
        server = self.context.socket(zmq.ROUTER)
        server.linger, server.rcvtimeo = 0, 20_000
        server.bind(self.endpoint)
        return server

    def talk(self) -> None:
        self.client.send(b"x")
        assert self.server.recv_multipart()[1] == b"x"


@pytest.fixture
def pair(run_dir: Path) -> Iterator[Pair]:
    pair = Pair(run_dir)
    yield pair
    pair.watch.close()
    pair.context.destroy(linger=0)


def test_nothing_is_lost_while_it_holds(pair: Pair) -> None:
    pair.talk()
    assert not pair.watch.lost()
    assert not pair.watch.socket.poll(50)


def test_a_broken_one_is_told_once_and_seen_by_a_poll(pair: Pair) -> None:
    for _ in range(2):
        pair.talk()
        pair.server.close()
        assert pair.watch.socket.poll(20_000)
        assert pair.watch.lost()
        assert not pair.watch.lost()
        pair.server = pair.bound()


def test_one_that_was_never_made_is_not_lost(run_dir: Path) -> None:
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    watch = ConnectionWatch(socket)
    socket.connect(f"ipc://{run_dir}/nobody.sock")
    assert not watch.socket.poll(250)
    assert not watch.lost()
    watch.close()
    socket.close(linger=0)
    context.term()
