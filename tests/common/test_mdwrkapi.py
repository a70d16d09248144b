# SPDX-License-Identifier: GPL-3.0-or-later
"""The Majordomo worker against a played broker, which sees every frame, and against a real one."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from raspy.common.mdwrkapi import MajorDomoWorker
from tests.conftest import wait_for
from tests.support.asking import Asking
from tests.support.broker import RunningBroker
from tests.support.peers import (
    DISCONNECT,
    HEARTBEAT,
    READY,
    REPLY,
    REQUEST,
    WORKER,
    Peers,
)
from tests.support.played import Frames, PlayedBroker, playing


@pytest.fixture
def url(run_dir: Path) -> str:
    return f"ipc://{run_dir}"


@pytest.fixture
def played(url: str) -> Iterator[PlayedBroker]:
    with playing(url) as played:
        yield played


@pytest.fixture
def worker(played: PlayedBroker, url: str) -> Iterator[MajorDomoWorker]:
    worker = MajorDomoWorker(url, "pi.lamp.devices")
    worker.timeout = 100
    yield worker
    worker.destroy()


def test_ready_is_plain_without_credit(played: PlayedBroker, worker: MajorDomoWorker) -> None:
    sender, command, more = played.command()
    assert (command, more) == (READY, [b"pi.lamp.devices"])
    assert sender.startswith(b"pi.lamp.devices-"), "it is named in the broker's log"


def test_recv_with_the_reply_as_in_the_manual(played: PlayedBroker, worker: MajorDomoWorker) -> None:
    sender, _, _ = played.command()
    reply: Frames | None = None
    for number in range(3):
        played.send(sender, REQUEST, b"\x00client", b"", b"do", b"", b"%d" % number)
        request = worker.recv(reply)
        assert request == [b"do", b"", b"%d" % number]
        assert (worker.expect_reply, worker.reply_to) == (True, b"\x00client")
        reply = [b"done", b"%d" % number]
    asking = Asking(lambda: worker.recv(reply))
    for number in range(3):
        assert played.command(REPLY)[2] == [b"\x00client", b"", b"done", b"%d" % number]
    worker.shutdown()
    assert asking.done() is None
    assert worker.reply_to is None


def test_receive_and_reply(played: PlayedBroker, worker: MajorDomoWorker) -> None:
    sender, _, _ = played.command()
    assert worker.receive(0) is None
    played.send(sender, REQUEST, b"c", b"", b"x")
    assert worker.receive(5) == (b"c", [b"x"])
    worker.reply(b"c", ["text °", b"\xff", "200"])
    assert played.command(REPLY)[2] == [b"c", b"", "text °".encode(), b"\xff", b"200"]


def test_a_request_without_a_body(played: PlayedBroker, worker: MajorDomoWorker) -> None:
    sender, _, _ = played.command()
    played.send(sender, REQUEST, b"c", b"")
    assert worker.receive(5) == (b"c", [])


@pytest.mark.parametrize("wrong", [[1], [b"a", None], ["a", "\ud800"]])
def test_a_reply_that_is_none_is_refused_whole(
    played: PlayedBroker, worker: MajorDomoWorker, wrong: list[object]
) -> None:
    with pytest.raises((TypeError, UnicodeEncodeError)):
        worker.reply(b"c", wrong)  # type: ignore[arg-type]
    worker.reply(b"c", [b"right"])
    assert played.command(REPLY)[2] == [b"c", b"", b"right"]


def test_what_is_no_request_is_dropped(
    played: PlayedBroker, worker: MajorDomoWorker, caplog: pytest.LogCaptureFixture
) -> None:
    sender, _, _ = played.command()
    for wrong in (
        [b""],
        [b"", WORKER],
        [b"x", WORKER, REQUEST, b"c", b"", b"x"],
        [b"", b"MDPC01", b"s", b"x"],
    ):
        played.socket.send_multipart([sender, *wrong])
    played.send(sender, b"\x09")
    played.send(sender, REQUEST, b"c")
    played.send(sender, REQUEST, b"c", b"no empty frame", b"x")
    played.send(sender, REQUEST, b"c", b"", b"right")
    assert worker.receive(5) == (b"c", [b"right"])
    assert caplog.text.count("not MDP/0.1") == 4
    assert caplog.text.count("dropped an unknown command") == 3


# Credit.


def test_credit_is_in_ready(played: PlayedBroker, url: str) -> None:
    worker = MajorDomoWorker(url, "many", credit=7)
    try:
        sender, _, more = played.command()
        assert more == [b"many", b"7"]
        for number in range(3):
            played.send(sender, REQUEST, b"c%d" % number, b"", b"x")
        taken = [worker.receive(5) for _ in range(3)]
        assert [address for address, _ in filter(None, taken)] == [b"c0", b"c1", b"c2"]
    finally:
        worker.destroy()


def test_with_a_broker_that_does_not_know_credit(played: PlayedBroker, url: str) -> None:
    """It sends one request at a time; that works as without."""
    worker = MajorDomoWorker(url, "many", credit=7)
    try:
        sender, _, _ = played.command()
        for number in range(3):
            played.send(sender, REQUEST, b"c", b"", b"%d" % number)
            request = worker.receive(5)
            assert request == (b"c", [b"%d" % number])
            worker.reply(b"c", [b"done"])
            assert played.command(REPLY)[0] == sender
    finally:
        worker.destroy()


# Heartbeats, and the end of connections.


def test_it_says_that_it_lives(played: PlayedBroker, worker: MajorDomoWorker) -> None:
    played.command(READY)
    worker.heartbeat = 50
    worker.heartbeat_at = 0
    asking = Asking(lambda: worker.receive(2))
    for _ in range(5):
        sender, _, more = played.command(HEARTBEAT)
        assert more == []
        played.send(sender, HEARTBEAT)
    assert asking.running
    assert asking.done() is None


def test_a_broker_that_is_silent_is_given_up(played: PlayedBroker, worker: MajorDomoWorker) -> None:
    """After HEARTBEAT_LIVENESS heartbeats; it registers on a new connection."""
    first, _, _ = played.command(READY)
    worker.heartbeat = 40
    asking = Asking(lambda: worker.receive(3))
    second, _, more = played.command(READY)
    assert second != first
    assert more == [b"pi.lamp.devices"]
    played.send(second, REQUEST, b"c", b"", b"x")
    assert asking.done() == (b"c", [b"x"])
    assert worker.liveness == worker.HEARTBEAT_LIVENESS


def test_it_registers_again_at_once_when_the_broker_was_restarted(
    played: PlayedBroker, worker: MajorDomoWorker
) -> None:
    first, _, _ = played.command(READY)
    worker._registered_at -= 60  # as if it had been connected for a while
    asking = Asking(lambda: worker.receive(8))
    started = time.monotonic()
    played.restart()
    second, _, _ = played.command(READY)
    assert time.monotonic() - started < worker.heartbeat / 1000, "not only after missed heartbeats"
    assert second != first
    played.send(second, REQUEST, b"c", b"", b"x")
    assert asking.done() == (b"c", [b"x"])


def test_it_registers_again_at_once_when_the_broker_does_not_know_it(
    played: PlayedBroker, worker: MajorDomoWorker
) -> None:
    first, _, _ = played.command(READY)
    worker._registered_at -= 60
    played.send(first, REQUEST, b"old", b"", b"x")
    played.send(first, DISCONNECT)
    assert worker.receive(5) == (b"old", [b"x"])
    asking = Asking(lambda: worker.receive(5))
    second, _, _ = played.command(READY)
    assert second != first
    played.send(second, REQUEST, b"new", b"", b"y")
    assert asking.done() == (b"new", [b"y"])


def test_a_worker_that_is_refused_does_not_ask_as_fast_as_it_can(
    played: PlayedBroker, worker: MajorDomoWorker, caplog: pytest.LogCaptureFixture
) -> None:
    worker.reconnect = 200
    asking = Asking(lambda: worker.receive(1))
    asked = 0
    while asking.running:
        if played.socket.poll(50):
            sender, command, _ = played.command()
            if command == READY:
                asked += 1
                played.send(sender, DISCONNECT)
                played.send(sender, DISCONNECT)
    assert asking.done() is None
    assert 2 <= asked <= 7
    assert "refused or cut off; registering again in 0.2 s" in caplog.text


def test_something_else_listens_there() -> None:
    calls: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        worker = MajorDomoWorker(f"tcp://127.0.0.1:{server.getsockname()[1]}", "x")
        asking = Asking(lambda: worker.receive(1))
        while asking.running:
            try:
                peer, _ = server.accept()
            except TimeoutError:
                continue
            calls.append(peer)
            peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 4)
            peer.close()
        asking.done()
        worker.destroy()
    assert len(calls) < 30


def test_messages_that_a_broker_never_takes_are_dropped_in_the_end(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    worker = MajorDomoWorker(url, "nobody")
    try:
        for _ in range(1100):
            worker.send_to_broker(HEARTBEAT)
        assert "the broker takes nothing; a message was dropped" in caplog.text
    finally:
        worker.destroy()


# The end.


def test_destroy_says_good_bye(played: PlayedBroker, url: str) -> None:
    worker = MajorDomoWorker(url, "bye")
    played.command(READY)
    worker.destroy()
    assert played.command()[1] == DISCONNECT
    worker.destroy()
    assert worker.receive(1) is None


def test_shutdown_ends_a_wait_at_once(worker: MajorDomoWorker) -> None:
    worker.timeout = 60_000
    worker.heartbeat = 60_000
    asking = Asking(worker.recv)
    assert asking.running
    worker.shutdown()
    assert asking.done() is None


def test_a_context_that_is_shared_stays_open(played: PlayedBroker, url: str) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    MajorDomoWorker(url, "x", ctx=context).destroy()
    assert not context.closed
    context.term()


def test_verbose_logs_the_frames(
    played: PlayedBroker, worker: MajorDomoWorker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    worker.verbose = True
    sender, _, _ = played.command()
    played.send(sender, REQUEST, b"c", b"", b"question")
    worker.receive(5)
    worker.reply(b"c", [b"answer"])
    assert "b'question'" in caplog.text
    assert "b'answer'" in caplog.text


def test_the_manuals_names(worker: MajorDomoWorker) -> None:
    assert (worker.HEARTBEAT_LIVENESS, worker.heartbeat, worker.reconnect) == (5, 3500, 3500)
    assert (MajorDomoWorker.timeout, worker.verbose, worker.status) == (2500, False, True)
    assert worker.service == b"pi.lamp.devices"
    assert worker.broker.endswith("/mdp.sock")
    assert worker.worker is not None
    assert (worker.expect_reply, worker.reply_to) == (False, None)


# With the real broker.


@pytest.mark.parametrize("credit", [1, 5])
def test_with_a_broker_that_is_restarted(broker: RunningBroker, credit: int) -> None:
    worker = MajorDomoWorker(broker.url, "echo", credit=credit)
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            request = worker.receive(0.2)
            if request is not None:
                worker.reply(request[0], [*request[1], b"200"])

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        for _ in range(2):
            with Peers(broker.url) as peers:
                wait_for(lambda peers=peers: peers.count(b"echo") == 1)
                assert peers.ask(b"echo", b"x") == [b"x", b"200"]
            broker.kill()
            broker.start()
        with Peers(broker.url) as peers:
            wait_for(lambda: peers.count(b"echo") == 1)
            clients = [peers.client() for _ in range(20)]
            for number, client in enumerate(clients):
                client.send(b"echo", b"%d" % number)
            for number, client in enumerate(clients):
                assert client.receive() == (b"echo", [b"%d" % number, b"200"])
    finally:
        stop.set()
        thread.join(10)
        worker.destroy()


def test_a_name_that_the_broker_refuses(broker: RunningBroker) -> None:
    """Each READY is an offence; it stays at a few."""
    worker = MajorDomoWorker(broker.url, b"\xff")
    try:
        worker.reconnect = 300
        assert worker.receive(1) is None
        with Peers(broker.url) as peers:
            assert 2 <= peers.figures()["broker.offences"] <= 6
    finally:
        worker.destroy()
