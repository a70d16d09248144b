# SPDX-License-Identifier: GPL-3.0-or-later
"""The Majordomo client against a played broker, which sees every frame, and against a real one."""

import socket
import time
from collections.abc import Iterator

import pytest
import zmq

from raspy.common import mdcliapi
from raspy.common.mdcliapi import MajorDomoClient
from raspy.common.MDP import (
    ClientError,
    NotFoundError,
    NotImplementedActionError,
    ServerError,
)
from raspy.common.titanic_client import TitanicClient
from tests.conftest import wait_for
from tests.support.asking import Asking
from tests.support.broker import RunningBroker
from tests.support.peers import CLIENT, Peers
from tests.support.played import Frames, PlayedBroker, playing


@pytest.fixture
def url(run_dir: object) -> str:
    return f"ipc://{run_dir}"


@pytest.fixture
def played(url: str) -> Iterator[PlayedBroker]:
    with playing(url) as played:
        yield played


@pytest.fixture
def client(played: PlayedBroker, url: str) -> Iterator[MajorDomoClient]:
    with MajorDomoClient(url, name="tester") as client:
        yield client


@pytest.mark.parametrize(
    ("service", "request_", "sent"),
    [
        ("pi.core.cron", "list", [b"pi.core.cron", b"list"]),
        (b"\xff", b"\x00", [b"\xff", b"\x00"]),
        ("s", ["set", b"\x01", "°"], [b"s", b"set", b"\x01", "°".encode()]),
        ("s", ("a", ""), [b"s", b"a", b""]),
        ("s", [], [b"s", b""]),
        ("s", "", [b"s", b""]),
    ],
)
def test_the_frames_on_the_wire(
    played: PlayedBroker,
    client: MajorDomoClient,
    service: str | bytes,
    request_: mdcliapi.Request,
    sent: Frames,
) -> None:
    asking = Asking(lambda: client.send(service, request_))
    request = played.receive()
    assert request[1:] == [b"", CLIENT, *sent]
    assert request[0].startswith(b"tester-"), "it is named in the broker's log"
    played.reply(request, b"one", b"", b"200")
    assert asking.done() == [b"one", b"", b"200"]


def test_a_slow_answer_is_waited_for_and_the_request_not_repeated(
    played: PlayedBroker, client: MajorDomoClient
) -> None:
    """Longer than one `timeout`: a service must not do the same work twice."""
    client.timeout, client.retries = 100, 60
    asking = Asking(lambda: client.send("slow", "x"))
    request = played.receive()
    assert played.silent(700)
    played.reply(request, b"200")
    assert asking.done() == [b"200"]
    assert played.silent(50)


def test_nothing_within_the_time(played: PlayedBroker, client: MajorDomoClient) -> None:
    client.timeout, client.retries = 60, 5
    started = time.monotonic()
    assert client.send("deaf", "x") is None
    assert time.monotonic() - started >= 0.3
    first = played.receive()
    assert played.silent(50)
    # Its late answer is not taken for that to the next request.
    client.timeout = 1000
    asking = Asking(lambda: client.send("deaf", "y"))
    second = played.receive()
    played.reply(first, b"late")
    played.reply(second, b"right")
    assert asking.done() == [b"right"]


def test_no_broker_at_all(url: str) -> None:
    with MajorDomoClient(url) as client:
        client.timeout, client.retries = 40, 5
        started = time.monotonic()
        assert client.send("x", "y") is None
        assert time.monotonic() - started >= 0.2
        with pytest.raises(
            ServerError, match=r"no answer from x within 0\.2 s: is the broker at ipc://.* running"
        ):
            client.call("x", "y")


def test_the_request_goes_out_again_when_the_connection_broke(
    played: PlayedBroker, client: MajorDomoClient
) -> None:
    asking = Asking(lambda: client.send("again", ["x", "y"]))
    first = played.receive()
    played.restart()
    second = played.receive()
    assert second[1:] == first[1:]
    assert second[0] != first[0], "a new socket: nothing of the old one can arrive on it"
    played.reply(second, b"200")
    assert asking.done() == [b"200"]


def test_a_patient_client_is_back_soon(played: PlayedBroker, client: MajorDomoClient) -> None:
    """However long it waits for an answer, it does not wait so long to ask again."""
    client.timeout, client.retries = 300_000, 2
    asking = Asking(lambda: client.send("again", "x"))
    played.receive()
    played.restart()
    played.reply(played.receive(), b"200")
    assert asking.done() == [b"200"]


def test_it_is_not_sent_for_ever(played: PlayedBroker, client: MajorDomoClient) -> None:
    client.timeout, client.retries = 50, 3
    asking = Asking(lambda: client.send("again", "x"))
    for _ in range(3):
        played.receive()
        played.restart()
    assert asking.done() is None
    assert played.silent(200)


def test_something_else_listens_there() -> None:
    """It hangs up at once; the client must not call again as fast as it can."""
    calls = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        with MajorDomoClient(f"tcp://127.0.0.1:{server.getsockname()[1]}") as client:
            client.timeout, client.retries = 100, 5
            asking = Asking(lambda: client.send("x", "y"))
            while asking.running:
                try:
                    peer, _ = server.accept()
                except TimeoutError:
                    continue
                calls.append(peer)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 4)
                peer.close()
            assert asking.done() is None
    assert len(calls) < 25


def test_replies_that_are_none_are_dropped(
    played: PlayedBroker, client: MajorDomoClient, caplog: pytest.LogCaptureFixture
) -> None:
    asking = Asking(lambda: client.send("right", "x"))
    request = played.receive()
    sender = request[0]
    for wrong in (
        [sender, b""],
        [sender, b"", CLIENT],
        [sender, b"", CLIENT, b"right"],
        [sender, b"", CLIENT, b"wrong", b"200"],
        [sender, b"", b"MDPW01", b"right", b"200"],
        [sender, b"x", CLIENT, b"right", b"200"],
    ):
        played.socket.send_multipart(wrong)
    played.reply(request, b"200")
    assert asking.done() == [b"200"]
    assert caplog.text.count("a reply that is not right's was dropped") == 6


@pytest.mark.parametrize(
    ("service", "reply", "results"),
    [
        ("s", [b"200"], []),
        ("s", [b"a", b"b", b"200"], [b"a", b"b"]),
        ("s", [b"a", b"300"], [b"a"]),
        ("titanic.reply", [b"200", b"a", b"b"], [b"a", b"b"]),
        ("titanic.reply", [b"300"], []),
    ],
)
def test_call_takes_the_status_off(
    played: PlayedBroker, client: MajorDomoClient, service: str, reply: Frames, results: Frames
) -> None:
    asking = Asking(lambda: client.call(service, "do", b"it"))
    request = played.receive()
    assert request[4:] == [b"do", b"it"]
    played.reply(request, *reply)
    assert asking.done() == results


@pytest.mark.parametrize(
    ("service", "reply", "error", "text"),
    [
        ("s", [b"too hot", b"400"], ClientError, "too hot"),
        ("s", [b"no lamp", b"404"], NotFoundError, "no lamp"),
        ("s", [b"no action", b"501"], NotImplementedActionError, "no action"),
        ("s", [b"burnt", b"500"], ServerError, "burnt"),
        ("s", [b"a", b"why", b"500"], ServerError, "why"),
        ("s", [b"501"], NotImplementedActionError, "no reason given"),
        ("s", [b"\xff", b"500"], ServerError, "\ufffd"),
        ("s", [b"what", b"999"], ServerError, "what"),
        ("s", [b""], ServerError, "no reason given"),
        ("titanic.request", [b"400", b"no such id"], ClientError, "no such id"),
    ],
)
def test_calls_errors(
    played: PlayedBroker,
    client: MajorDomoClient,
    service: str,
    reply: Frames,
    error: type[Exception],
    text: str,
) -> None:
    asking = Asking(lambda: client.call(service, "x"))
    played.reply(played.receive(), *reply)
    with pytest.raises(error) as raised:
        asking.done()
    assert type(raised.value) is error
    assert str(raised.value) == text


@pytest.mark.parametrize("wrong", [[1], ["a", None], ["a", 2.5, "b"], [bytearray(b"x")], ["\ud800"]])
def test_a_frame_that_is_none_is_refused_before_anything_is_sent(
    played: PlayedBroker, client: MajorDomoClient, wrong: list[object]
) -> None:
    """Half a message in the socket would become the head of the next one."""
    with pytest.raises((TypeError, UnicodeEncodeError)):
        client.send("s", wrong)  # type: ignore[arg-type]
    asking = Asking(lambda: client.send("s", "x"))
    request = played.receive()
    assert request[1:] == [b"", CLIENT, b"s", b"x"]
    played.reply(request, b"200")
    assert asking.done() == [b"200"]


def test_verbose_logs_the_frames(
    played: PlayedBroker, client: MajorDomoClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    client.verbose = True
    asking = Asking(lambda: client.send("s", "question"))
    played.reply(played.receive(), b"answer", b"200")
    asking.done()
    assert "b'question'" in caplog.text
    assert "b'answer'" in caplog.text


def test_a_context_that_is_shared_stays_open(played: PlayedBroker, url: str) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    client = MajorDomoClient(url, ctx=context)
    client.destroy()
    client.destroy()
    assert not context.closed
    context.term()


def test_the_manuals_names(played: PlayedBroker, client: MajorDomoClient) -> None:
    assert (client.timeout, client.retries, client.verbose) == (500, 5, False)
    assert client.broker == played.endpoint
    assert client.client is not None
    assert client.poller is not None
    assert mdcliapi.TitanicClient is TitanicClient
    with pytest.raises(AttributeError, match="Nothing"):
        mdcliapi.Nothing  # noqa: B018


# With the real broker.


def test_a_restart_of_the_broker_is_survived(broker: RunningBroker) -> None:
    """The request reaches a worker of the next broker, though the first one died with it."""
    with MajorDomoClient(broker.url) as client:
        client.retries = 40
        with Peers(broker.url) as peers:
            worker = peers.registered(b"work")
            asking = Asking(lambda: client.send("work", "x"))
            worker.take()
            broker.kill()
            broker.start()
            worker = peers.worker(b"work")
            sender, body = worker.take()
            worker.reply(sender, *body, b"200")
            assert asking.done() == [b"x", b"200"]


def test_a_name_that_is_too_long_is_answered(broker: RunningBroker) -> None:
    with MajorDomoClient(broker.url) as client, pytest.raises(ClientError, match="at most 255 bytes"):
        client.call("x" * 1000, "y")


def test_many_one_after_the_other(broker: RunningBroker) -> None:
    with MajorDomoClient(broker.url) as client:
        assert all(client.send("mmi.service", "x") == [b"404"] for _ in range(300))
        wait_for(lambda: client.call("mmi.workers", "") == [b"{}"])
