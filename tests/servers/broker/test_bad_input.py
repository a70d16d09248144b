# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a peer sends to any of the four sockets: it is counted, and others are served."""

import contextlib
import itertools
import re
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator

import pytest
import zmq
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.conftest import Processes, wait_for
from tests.servers.broker.conftest import SharedBroker
from tests.support.broker import RunningBroker
from tests.support.peers import (
    CLIENT,
    DISCONNECT,
    HEARTBEAT,
    READY,
    REPLY,
    REQUEST,
    WORKER,
    Client,
    Clone,
    Peers,
    Worker,
    put,
)

MIB = 1 << 20
counter = itertools.count()

# The worker of all tests sends no heartbeats.
BROKER = ("heartbeat_s=60",)


class Others:
    """A client, a worker and a subscriber that behave, and must be served all the time."""

    def __init__(self, peers: Peers):
        self.peers = peers
        self.worker: Worker = peers.registered(b"probe")
        self.client: Client = peers.client()
        self.publisher = peers.publisher()
        self.clone: Clone = peers.clone(b"/probe/")
        put(self.publisher, b"/probe/value", b"00000000")
        wait_for(lambda: b"/probe/value" in self.clone.snapshot().map)

    def requests(self) -> None:
        """A request goes through."""
        token = b"%d" % next(counter)
        self.client.send(b"probe", token)
        sender, body = self.worker.take()
        assert body == [token]
        self.worker.reply(sender, token)
        assert self.client.receive() == (b"probe", [token])

    def values(self) -> None:
        """An update goes through, and a snapshot has it."""
        token = b"%08d" % next(counter)
        put(self.publisher, b"/probe/value", token)
        self.clone.follow(b"/probe/value", token)
        assert self.clone.snapshot().map[b"/probe/value"] == token


@pytest.fixture(scope="module")
def others(shared: SharedBroker) -> Iterator[Others]:
    with Peers(shared.url) as peers:
        yield Others(peers)


def offences(peers: Peers, part: str = "broker") -> int:
    return int(peers.figures()[f"{part}.offences"])


# One by one.

LONG = b"x" * 256
DAMAGED = {
    "one empty frame": [b""],
    "one frame": [b"x"],
    "header only": [b"", CLIENT],
    "worker header only": [b"", WORKER],
    "no delimiter": [CLIENT, b"echo", b"x"],
    "something for a delimiter": [b"x", CLIENT, b"echo", b"x"],
    "wrong header": [b"", b"MDPC02", b"echo", b"x"],
    "header in small letters": [b"", b"mdpc01", b"echo", b"x"],
    "empty header": [b"", b"", b"echo", b"x"],
    "no service": [b"", CLIENT, b"", b"x"],
    "no body": [b"", CLIENT, b"echo"],
    "service of bytes": [b"", CLIENT, b"\xff\xfe", b"x"],
    "service with control characters": [b"", CLIENT, b"a\nb", b"x"],
    "long service": [b"", CLIENT, LONG, b"x"],
    "long service of the broker": [b"", CLIENT, b"mmi." + LONG, b"x"],
    "unknown command": [b"", WORKER, b"\x06"],
    "long command": [b"", WORKER, LONG],
    "empty command": [b"", WORKER, b""],
    "request from a worker": [b"", WORKER, REQUEST, b"a", b"", b"x"],
    "ready without a service": [b"", WORKER, READY],
    "ready with an empty service": [b"", WORKER, READY, b""],
    "ready with a service of bytes": [b"", WORKER, READY, b"\xff"],
    "ready with a long service": [b"", WORKER, READY, LONG],
    "ready for mmi": [b"", WORKER, READY, b"mmi.service"],
    "ready for the broker": [b"", WORKER, READY, b"test.broker.mmi"],
    "reply without an address": [b"", WORKER, REPLY],
    "reply from a stranger": [b"", WORKER, REPLY, b"a", b"", b"x"],
}


@pytest.mark.parametrize("message", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_message_is_counted(peers: Peers, others: Others, message: list[bytes]) -> None:
    before = offences(peers)
    sender = peers.socket(zmq.DEALER, peers.at.mdp)
    sender.send_multipart(message)
    wait_for(lambda: offences(peers) == before + 1)
    others.requests()
    if message[:2] == [b"", CLIENT] and len(message) > 2:
        reply = sender.recv_multipart()
        assert reply[:3] == [b"", CLIENT, message[2][:255]]
        assert reply[-1] == b"400"


def test_ready_twice(peers: Peers, others: Others) -> None:
    """RFC 7: READY mid-session is an error, and the worker is dismissed; with what it was working at."""
    before = offences(peers)
    for second in (b"twice", b"another"):
        worker = peers.registered(b"twice")
        client = peers.client()
        client.send(b"twice", b"x")
        worker.take()
        worker.send(READY, second)
        worker.dismissed()
        assert client.receive()[1][-1] == b"500"
        assert peers.count(b"twice") == peers.count(second) == 0
    assert offences(peers) == before + 2
    others.requests()


@pytest.mark.parametrize("more", [[], [b""], [b"nobody", b"", b"x"]])
def test_a_workers_reply_to_whom_it_has_no_request_from(peers: Peers, more: list[bytes]) -> None:
    before = offences(peers)
    worker = peers.registered(b"wrong")
    worker.send(REPLY, *more)
    wait_for(lambda: offences(peers) == before + 1)
    client = peers.client()
    client.send(b"wrong", b"x")
    sender, _ = worker.take()
    worker.reply(sender, b"right")
    assert client.receive() == (b"wrong", [b"right"])


def test_a_worker_answers_only_what_it_was_asked_and_only_once(peers: Peers) -> None:
    before = offences(peers)
    client = peers.client(b"the-client")
    client.ask(b"mmi.service", b"x")
    stranger = peers.registered(b"stranger")
    stranger.reply(b"the-client", b"forged")
    worker = peers.registered(b"honest")
    client.send(b"honest", b"x")
    sender, _ = worker.take()
    stranger.reply(b"the-client", b"forged")
    worker.reply(sender, b"once")
    worker.reply(sender, b"twice")
    wait_for(lambda: offences(peers) == before + 3)
    assert client.receive() == (b"honest", [b"once"])
    assert client.ask(b"mmi.service", b"honest") == [b"200"]


def test_a_worker_that_disconnects_while_busy(peers: Peers) -> None:
    worker = peers.registered(b"leaving")
    client = peers.client()
    client.send(b"leaving", b"x")
    worker.take()
    worker.send(DISCONNECT)
    assert client.receive()[1][-1] == b"500"


# Anything.

NAMES = [b"echo", b"mmi.service", b"mmi.discovery", b"mmi.workers", b"mmi.", b"test.broker.mmi",
         b"test.broker.",
         b"test.broker.statistics", b"titanic.request", b"test.fake.devices", b"test.mdp.mmi"]  # fmt: skip
FRAMES = st.one_of(
    st.sampled_from([b"", CLIENT, WORKER, READY, REQUEST, REPLY, HEARTBEAT, DISCONNECT, *NAMES]),
    st.sampled_from([b"all", b"get", b"loglevel", b"info", b"(", b".*", b"3", b"\xff\xfe", b"\x00"]),
    st.sampled_from([LONG, b"x" * 20_000]),
    st.binary(max_size=12),
)  # fmt: skip
REST = st.lists(FRAMES, max_size=4)
MESSAGES = st.one_of(
    st.lists(FRAMES, min_size=1, max_size=6),
    st.builds(lambda name, rest: [b"", CLIENT, name, *rest], st.sampled_from(NAMES), REST),
    st.builds(lambda kind, rest: [b"", WORKER, bytes([kind]), *rest], st.integers(0, 6), REST),
)
fuzz = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=100
)


def send_all(sender: zmq.Socket[bytes], messages: list[list[bytes]]) -> None:
    for message in messages:
        sender.send_multipart(message)


@fuzz
@given(
    messages=st.lists(MESSAGES, min_size=1, max_size=5),
    identity=st.sampled_from([b"", b"\x00", b"one", b"two"]),
)
def test_anything_to_the_requests(others: Others, messages: list[list[bytes]], identity: bytes) -> None:
    sender = others.peers.socket(zmq.DEALER, others.peers.at.mdp, identity)
    send_all(sender, messages)
    others.requests()
    sender.close()


UPDATES = st.one_of(
    st.lists(FRAMES, min_size=1, max_size=5),
    st.builds(
        lambda key, sequence, body: [key, sequence, body],
        st.one_of(st.binary(max_size=8).map(lambda key: b"/" + key), st.sampled_from([b"/a", b"/" + LONG])),
        st.one_of(st.binary(min_size=8, max_size=8), st.just(b"\xff" * 8)),
        st.one_of(st.binary(max_size=20), st.just(b"x" * 5000), st.just(b'{"quality": "good", "poll": 0.1}')),
    ),
)  # fmt: skip


@fuzz
@given(messages=st.lists(UPDATES, min_size=1, max_size=5))
@example([[b"/device/s", b"12345678", b'{"quality": "good", "poll": 0.1, "unit": "\\ud800"}']])
def test_anything_to_the_collector(others: Others, messages: list[list[bytes]]) -> None:
    send_all(others.publisher, messages)
    others.values()


ASKING = st.one_of(
    st.lists(
        st.one_of(FRAMES, st.sampled_from([b"ICANHAZ?", b"KTHXBAI", b"/", b"/device/"])),
        min_size=1,
        max_size=4,
    ),
    st.builds(lambda subtree: [b"ICANHAZ?", subtree], st.binary(max_size=300)),
)


@fuzz
@given(messages=st.lists(ASKING, min_size=1, max_size=5))
def test_anything_to_the_snapshots(others: Others, messages: list[list[bytes]]) -> None:
    sender = others.peers.socket(zmq.DEALER, others.peers.at.snapshot)
    send_all(sender, messages)
    others.values()
    sender.close()


SUBSCRIBING = st.one_of(
    st.lists(FRAMES, min_size=1, max_size=3),
    st.builds(
        lambda kind, topic: [kind + topic], st.sampled_from([b"\x00", b"\x01"]), st.binary(max_size=300)
    ),
    st.builds(lambda token: [b"\x01SUBSCRIBED " + token], st.binary(max_size=300)),
)


@fuzz
@given(messages=st.lists(SUBSCRIBING, min_size=1, max_size=5))
@example([[b"\x00not subscribed"], [b"\x01", b"more"], [b"\x01SUBSCRIBED "] * 2])
def test_anything_to_the_publisher(others: Others, messages: list[list[bytes]]) -> None:
    sender = others.peers.socket(zmq.XSUB, others.peers.at.publisher)
    send_all(sender, messages)
    others.values()
    sender.close()


@pytest.mark.parametrize(
    ("part", "kind", "message"),
    [
        ("collector", zmq.PUSH, [b"/device/a", b"1234567", b"x"]),
        ("collector", zmq.PUSH, [b"/device/a", b"x"]),
        ("collector", zmq.PUSH, [b"/device/a", b"12345678", b"x", b""]),
        ("collector", zmq.PUSH, [b"", b"12345678", b"x"]),
        ("collector", zmq.PUSH, [b"device", b"12345678", b"x"]),
        ("collector", zmq.PUSH, [b"/device/\xff", b"12345678", b"x"]),
        ("collector", zmq.PUSH, [b"/device/" + LONG, b"12345678", b"x"]),
        ("collector", zmq.PUSH, [b"/device/big", b"12345678", b"x" * 4097]),
        ("snapshot", zmq.DEALER, [b"ICANHAZ?"]),
        ("snapshot", zmq.DEALER, [b"HUGZ", b"/"]),
        ("snapshot", zmq.DEALER, [b"ICANHAZ?", b"/" * 256]),
        ("snapshot", zmq.DEALER, [b"ICANHAZ?", b"/", b""]),
        ("publisher", zmq.XSUB, [b"hello"]),
        ("publisher", zmq.XSUB, [b"hello", b"world"]),
    ],
)
def test_what_is_no_update_request_or_subscription_is_counted(
    peers: Peers, others: Others, part: str, kind: int, message: list[bytes]
) -> None:
    before = offences(peers, "keyvalue")
    peers.socket(kind, getattr(peers.at, part)).send_multipart(message)
    wait_for(lambda: offences(peers, "keyvalue") > before)
    others.values()


GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
READY_COMMAND = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"
RAW = {
    "nothing": b"",
    "text": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "zeros": bytes(300),
    "ones": b"\xff" * 300,
    "half a greeting": GREETING[:20],
    "a greeting and nothing": GREETING,
    "a greeting and rubbish": GREETING + b"\x08" * 100,
    "another version": GREETING[:10] + b"\x09\x09" + GREETING[12:],
    "another mechanism": GREETING[:12] + b"PLAIN".ljust(20, b"\0") + GREETING[32:],
    "a long command": GREETING + b"\x06" + b"\x7f" * 8 + b"x" * 100,
    "a long frame": GREETING + READY_COMMAND + b"\x02" + struct.pack("!Q", 1 << 40),
    "a negative length": GREETING + READY_COMMAND + b"\x02" + b"\xff" * 8,
    "half a message": GREETING + READY_COMMAND + b"\x01\x05hello",
}


def raw(shared: SharedBroker, part: str, content: bytes) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(f"{shared.folder}/{part}.sock")
    # What it does not like the broker may have hung up on already.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        peer.sendall(content)
    return peer


@pytest.mark.parametrize("part", ["mdp", "snapshot", "publisher", "collector"])
@pytest.mark.parametrize("content", RAW.values(), ids=RAW.keys())
def test_what_is_not_zeromq(shared: SharedBroker, others: Others, part: str, content: bytes) -> None:
    with raw(shared, part, content):
        others.requests()
        others.values()
    others.requests()


@settings(fuzz, max_examples=60)
@given(part=st.sampled_from(["mdp", "snapshot", "publisher", "collector"]), content=st.binary(max_size=120))
def test_any_bytes_after_the_greeting(
    shared: SharedBroker, others: Others, part: str, content: bytes
) -> None:
    with raw(shared, part, GREETING + content), raw(shared, part, GREETING + READY_COMMAND + content):
        others.requests()
        others.values()


# Much of it.


def test_a_body_of_64_mib(processes: Processes) -> None:
    """One byte above the limit is refused with a reason; far above it, the connection is cut."""
    broker = RunningBroker(processes)
    with Peers(broker.url) as peers:
        worker = peers.registered(b"big")
        client = peers.client()
        client.send(b"big", bytes(3 * MIB), bytes(MIB // 2))
        sender, body = worker.take()
        assert [len(frame) for frame in body] == [3 * MIB, MIB // 2]
        worker.reply(sender, *body)
        assert [len(frame) for frame in client.receive()[1]] == [3 * MIB, MIB // 2]
        for size in (4 * MIB, 64 * MIB):
            text, status = client.ask(b"big", bytes(size))
            assert (text, status) == (b"the request is larger than 4194304 bytes", b"400")
        text, status = client.ask(b"big", *[b""] * (4 * MIB // 64))
        assert status == b"400"
        before = peers.figures()["broker.requests"]
        lost = client.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        client.send(b"big", bytes(64 * MIB + 1))
        assert lost.poll(20_000)
        client.socket.disable_monitor()
        lost.close()
        # It connects again by itself, and is served again.
        wait_for(lambda: peers.figures()["broker.requests"] > before)
        publisher = peers.publisher()
        put(publisher, b"/device/big", bytes(16 * 65536 + 1))
        put(peers.publisher(), b"/device/small", b"x")
        clone = peers.clone()
        wait_for(lambda: clone.snapshot().map == {b"/device/small": b"x"})


def test_ten_thousand_services(peers: Peers, others: Others, shared: SharedBroker) -> None:
    """The table has an end; each request is answered all the same, and workers still find a place."""
    before = peers.figures()
    begin = time.monotonic()
    client = peers.client()
    client.socket.sndhwm = client.socket.rcvhwm = 0
    many = peers.socket(zmq.DEALER, peers.at.mdp, rcvhwm=20_000, sndhwm=20_000)
    for number in range(10_000):
        many.send_multipart([b"", CLIENT, b"service.%d" % number, b"x"])
    others.requests()
    worker = peers.registered(b"late.but.real")
    client.send(b"late.but.real", b"x")
    sender, _ = worker.take()
    worker.reply(sender, b"served")
    assert client.receive() == (b"late.but.real", [b"served"])
    replies = [many.recv_multipart() for _ in range(10_000)]
    assert {reply[2] for reply in replies} == {b"service.%d" % number for number in range(10_000)}
    kinds = {reply[4]: re.sub(r"\d+", "N", reply[3].decode()) for reply in replies}
    assert kinds[b"400"].startswith("there are N services already (max_services)")
    assert kinds[b"404"].startswith("not answered: no server offered service.N within N s")
    waited = sum(reply[4] == b"404" for reply in replies)
    # Those that waited in vain for request_age_s, a second here, made room for others.
    assert 0 < waited <= 40 * (1 + time.monotonic() - begin)
    after = peers.figures()
    assert after["broker.expired"] - before["broker.expired"] == waited
    assert after["broker.refused"] - before["broker.refused"] == 10_000 - waited
    # This worker, and that of the probe, which the first look may have come before.
    wait_for(lambda: peers.figures()["broker.services"] <= before["broker.services"] + 2)


def test_many_connections(shared: SharedBroker, others: Others) -> None:
    """Also of peers that never say anything, and of those that come and go."""
    idle = [raw(shared, "mdp", b"") for _ in range(100)]
    for _ in range(200):
        raw(shared, "collector", GREETING).close()
    others.requests()
    others.values()
    for peer in idle:
        peer.close()
    others.requests()


def test_no_descriptors_left_does_not_end_the_broker(processes: Processes) -> None:
    """Its soft limit, as systemd sets it, is raised to the hard one."""
    url = f"ipc://{processes.home}"
    command = ["bash", "-c", 'ulimit -Sn 64; exec "$@"', "bash", *broker_command(processes, url)]
    broker = processes.start_command("broker", command)
    with Peers(url) as peers:
        wait_for(lambda: (processes.home / "broker.sock").exists(), 20)
        connections = []
        for _ in range(200):
            connections.append(socket.socket(socket.AF_UNIX))
            wait_for(lambda: connected(connections[-1], f"{processes.home}/mdp.sock"))
        assert peers.ask(b"mmi.service", b"x") == [b"404"]
        for one in connections:
            one.close()
    assert broker.stop() == 0


def connected(peer: socket.socket, path: str) -> bool:
    try:
        peer.connect(path)
    except BlockingIOError:
        return False
    return True


def broker_command(processes: Processes, url: str) -> list[str]:
    return [sys.executable, "-m", "raspy.servers.broker", "--broker", url, "--data-dir", str(processes.home)]


# What is said about it.


def lines(shared: SharedBroker, text: str) -> list[str]:
    return [line for line in shared.child.output.splitlines() if text in line]


def flood(sender: zmq.Socket[bytes], message: list[bytes], until: Callable[[], bool]) -> float:
    """Send it again and again; how long it took, in seconds."""
    started = time.monotonic()
    while not until():
        for _ in range(50):
            sender.send_multipart(message)
    return time.monotonic() - started


def test_one_line_a_second_for_each_peer(shared: SharedBroker, peers: Peers) -> None:
    first, second = (peers.socket(zmq.DEALER, peers.at.mdp, name) for name in (b"flooder-1", b"flooder-2"))
    before = offences(peers)
    second.send_multipart([b"", b"rubbish", b"x", b"y"])
    took_s = flood(first, [b"", b"rubbish", b"x", b"y"], lambda: len(lines(shared, "peer flooder-1")) >= 3)
    assert 2 <= len(lines(shared, "peer flooder-1")) <= took_s + 2
    wait_for(lambda: len(lines(shared, "peer flooder-2")) == 1)
    assert re.search(r"peer flooder-1: .* \(and \d+ more since its last line\)", shared.child.output)
    assert offences(peers) - before > 100


def test_a_collector_has_no_names_so_its_lines_are_counted_together(
    shared: SharedBroker, peers: Peers
) -> None:
    publisher = peers.publisher()
    started = time.monotonic()
    before = offences(peers, "keyvalue")
    for number in range(500):
        put(publisher, b"no slash %d" % number, b"x")
    wait_for(lambda: offences(peers, "keyvalue") >= before + 500)
    assert len(lines(shared, "refused the update of b'no slash")) <= time.monotonic() - started + 2
