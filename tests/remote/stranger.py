# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody on another machine who may not come in: ``tests.remote.stranger KIND HOST SERVER_KEY KEY_FILE``.

KIND is ``unknown`` (a key that nobody let in), ``plain``, ``wrong`` (a key that was let in, but not the
broker's) or ``replay`` (what somebody who was let in has said before, who asked `test.x.y`). It prints what
it got.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import zmq

from raspy.common.address import PORT
from raspy.common.curve import load
from tests.support.peers import Peers, put
from tests.support.recorder import Recorder, curve_options, pair, receive

ATTEMPT_MS = 1500
"""How long it keeps trying; ZeroMQ does so every 100 ms."""


def attempt(peers: Peers) -> None:
    """Try all four sockets; print each message that comes."""
    client = peers.client()
    client.send(b"test.x.y", b"from a stranger")
    worker = peers.worker(b"test.rogue.x")
    updates = peers.socket(zmq.SUB, peers.at.publisher)
    updates.setsockopt(zmq.SUBSCRIBE, b"")
    snapshots = peers.socket(zmq.DEALER, peers.at.snapshot)
    snapshots.send_multipart([b"ICANHAZ?", b"/"])
    put(peers.publisher(), b"/device/stranger", b"1")
    poller = zmq.Poller()
    for one in (client.socket, worker.socket, updates, snapshots):
        poller.register(one, zmq.POLLIN)
    for ready, _ in poller.poll(ATTEMPT_MS):
        print("got", ready.recv_multipart())


def replay(host: str, options: dict[str, bytes]) -> None:
    """Record somebody who may come in, and say the same again."""
    recorder = Recorder(PORT, host)
    recorder.start()
    with Peers(f"tcp://127.0.0.1:{recorder.port}", **options) as peers:
        print("answered", peers.ask(b"test.x.y", b"from a friend"))
    recorder.join()
    with socket.create_connection((host, PORT)) as again:
        again.sendall(recorder.said[:64])
        assert b"CURVE" in receive(again, 64)
        again.sendall(recorder.said[64 : 64 + 202])
        assert b"WELCOME" in receive(again, 170)
        again.sendall(recorder.said[64 + 202 :])
        if data := receive(again, 1):
            print("got", data)


def main(kind: str, host: str, server: str, key_file: str) -> None:
    """Do what KIND says."""
    own = load(Path(key_file))
    options = {
        "unknown": curve_options(pair(), server), "plain": {}, "wrong": curve_options(own, pair().public),
        "replay": curve_options(own, server),
    }[kind]  # fmt: skip
    if kind == "replay":
        replay(host, options)
    else:
        with Peers(f"tcp://{host}:{PORT}", **options) as peers:
            attempt(peers)
    print("end")


if __name__ == "__main__":
    main(*sys.argv[1:])
