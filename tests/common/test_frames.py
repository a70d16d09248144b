# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages in and out of a socket: every way to receive gives the frames that were sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from threading import Timer

import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raspy.common import frames

Context = zmq.Context[zmq.Socket[bytes]]

SIZES = st.sampled_from((0, 1, 5, 29, 33, 34, 255, 256, 9000, 70_000))
"""About the limits where libzmq treats a frame in another way."""

ONE = st.lists(SIZES.map(lambda size: b"x" * size), min_size=1, max_size=9)
MESSAGES = st.lists(ONE, min_size=1, max_size=5)

WAYS: dict[str, Callable[[zmq.Socket[bytes]], frames.Receiver]] = {
    "recv": lambda socket: partial(frames.recv, socket),
    "receiver": frames.receiver,
    "asking": lambda socket: partial(frames._recv_asking, socket),
    "knowing": lambda socket: partial(frames._recv_knowing, socket),
    "asking receiver": lambda socket: frames._asking_receiver(socket, range(0)),
}


@pytest.fixture
def context() -> Iterator[Context]:
    context: Context = zmq.Context()
    yield context
    context.destroy(linger=0)


def pair(context: Context, left: int, right: int) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
    sockets = context.socket(left), context.socket(right)
    for socket in sockets:
        socket.linger = 0
        socket.rcvtimeo = socket.sndtimeo = 2000
        socket.sndhwm = socket.rcvhwm = 0
    port = sockets[1].bind_to_random_port("tcp://127.0.0.1")
    sockets[0].connect(f"tcp://127.0.0.1:{port}")
    return sockets


@pytest.mark.parametrize("way", WAYS)
@given(messages=MESSAGES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_sent_is_received(context: Context, way: str, messages: list[list[bytes]]) -> None:
    sender, receiver = pair(context, zmq.PUSH, zmq.PULL)
    with sender, receiver:
        receive = WAYS[way](receiver)
        for message in messages:
            frames.send(sender, message)
        assert [receive() for _ in messages] == messages


@pytest.mark.parametrize("way", WAYS)
def test_nothing_there(context: Context, way: str) -> None:
    sender, receiver = pair(context, zmq.PUSH, zmq.PULL)
    with sender, receiver:
        receive = WAYS[way](receiver)
        with pytest.raises(zmq.Again):
            receive(frames.DONTWAIT)
        receiver.rcvtimeo = 1
        with pytest.raises(zmq.Again):
            receive()


def asking_receiver(socket: zmq.Socket[bytes], first: int) -> frames.Receiver:
    return frames._asking_receiver(socket, range(first - 1))


@pytest.mark.parametrize("make", [frames.receiver, asking_receiver])
@given(messages=MESSAGES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_router_gives_the_sender_first(
    context: Context, make: Callable[..., frames.Receiver], messages: list[list[bytes]]
) -> None:
    peer, router = pair(context, zmq.DEALER, zmq.ROUTER)
    with peer, router:
        receive = make(router, 2)
        for message in messages:
            frames.send(peer, message)
        received = [receive() for _ in messages]
        assert [message[1:] for message in received] == messages
        assert len({message[0] for message in received}) == 1


def test_send_to_a_peer_that_does_not_read(context: Context) -> None:
    with context.socket(zmq.PUSH) as alone, pytest.raises(zmq.Again):
        frames.send(alone, [b"a", b"b"], frames.DONTWAIT)


def test_send_to_a_peer_that_is_not_there(context: Context) -> None:
    with context.socket(zmq.ROUTER) as router:
        router.router_mandatory = 1
        with pytest.raises(zmq.ZMQError) as caught:
            frames.send(router, [b"nobody", b"", b"text"])
        assert caught.value.errno == zmq.EHOSTUNREACH


Talk = tuple[zmq.Socket[bytes], Callable[[], list[bytes] | None]]


@pytest.fixture
def talk(context: Context) -> Iterator[Talk]:
    """A DEALER, and what listens to it on a ROUTER for at most 50 ms."""
    peer, router = pair(context, zmq.DEALER, zmq.ROUTER)
    with peer, router:
        router.rcvtimeo = 50
        yield peer, frames.listener(router, 2)


def test_a_listener_gives_up_after_the_sockets_time(talk: Talk) -> None:
    _, listen = talk
    assert listen() is None
    assert listen() is None


def test_a_listener_hears_what_is_there_and_what_comes(talk: Talk) -> None:
    peer, listen = talk
    for number in range(300):
        frames.send(peer, [b"", b"%d" % number])
        message = None
        while message is None:
            message = listen()
        assert message[1:] == [b"", b"%d" % number]


@pytest.mark.parametrize("processors", [1, 2])
def test_a_listener_in_a_conversation_looks_out(
    monkeypatch: pytest.MonkeyPatch, context: Context, processors: int
) -> None:
    """With a patience of seconds every wait is short, so from the third on it looks out before it sleeps."""
    looks: list[int] = []
    monkeypatch.setattr(frames, "SPIN_S", 5.0)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(processors)))
    monkeypatch.setattr("os.sched_yield", lambda: looks.append(1))
    peer, router = pair(context, zmq.DEALER, zmq.ROUTER)
    with peer, router:
        listen = frames.listener(router, 2)
        for number in range(4):
            timer = Timer(0.02, frames.send, (peer, [b"%d" % number]))
            timer.start()
            message = listen()
            timer.join()
            assert message is not None and message[1:] == [b"%d" % number]
            assert bool(looks) == (processors > 1 and number >= 2)
        looks.clear()
        router.rcvtimeo = 50
        monkeypatch.setattr(frames, "SPIN_S", 0.01)
        assert listen() is None
        assert bool(looks) == (processors > 1)
        looks.clear()
        assert listen() is None
        assert not looks
