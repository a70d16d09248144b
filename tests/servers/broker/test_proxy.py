# SPDX-License-Identifier: GPL-3.0-or-later
"""The key/value tree, read and written by a client of the Clone pattern that is not this library's."""

import json
import struct
import threading
import time

import pytest
import zmq

from raspy.common.config import Settings
from raspy.servers.broker import Broker, Proxy
from tests.conftest import tcp_base, wait_for
from tests.servers.broker.conftest import SharedBroker
from tests.support.broker import RunningBroker
from tests.support.peers import WAIT_MS, Peers, put

BROKER = ("max_keys=500",)
WAY = pytest.mark.parametrize("way", ["peers", "remote"])
pytestmark = pytest.mark.usefixtures("shared")


@WAY
def test_snapshot_then_updates(request: pytest.FixtureRequest, way: str) -> None:
    peers: Peers = request.getfixturevalue(way)
    publisher = peers.publisher()
    subtree = f"/device/{way}/".encode()
    put(publisher, subtree + b"a", b"1")
    put(publisher, subtree + b"b", b"2")
    put(publisher, b"/event/other", b"3")
    clone = peers.clone(subtree)
    wait_for(lambda: clone.snapshot().map == {subtree + b"a": b"1", subtree + b"b": b"2"})
    put(publisher, subtree + b"a", b"")
    clone.follow(subtree + b"a", b"")
    put(publisher, subtree + b"c", b"\x00\xff")
    clone.follow(subtree + b"c")
    assert clone.map == {subtree + b"b": b"2", subtree + b"c": b"\x00\xff"}
    late = peers.clone(subtree).snapshot()
    assert (late.map, late.sequence) == (clone.map, clone.sequence)


def test_every_update_has_the_next_number(peers: Peers) -> None:
    publisher, clone = peers.publisher(), peers.clone(b"/").settled()
    put(publisher, b"/number/0", b"x")
    clone.follow(b"/number/0")
    first = clone.sequence
    for number in range(200):
        put(publisher, b"/number/%d" % (number % 3), b"%d" % number)
    for number in range(200):
        key, body = clone.follow()
        assert (clone.sequence, key, body) == (
            first + 1 + number,
            b"/number/%d" % (number % 3),
            b"%d" % number,
        )


@pytest.mark.parametrize(
    ("subtree", "found"), [(b"", 3), (b"/", 3), (b"/pre/a", 2), (b"/pre/a/", 1), (b"/none", 0)]
)
def test_a_snapshot_is_of_what_begins_so(peers: Peers, subtree: bytes, found: int) -> None:
    publisher = peers.publisher()
    for key in (b"/pre/a", b"/pre/a/x", b"/pre/b"):
        put(publisher, key, b"x")
    everything = peers.clone(b"/pre")
    wait_for(lambda: len(everything.snapshot().map) == 3)
    keys = [key for key in peers.clone(subtree).snapshot().map if key.startswith(b"/pre")]
    assert len(keys) == found


def test_a_client_learns_when_its_subscriptions_are_in_force(peers: Peers) -> None:
    subscriber = peers.socket(zmq.SUB, peers.at.publisher)
    subscriber.setsockopt(zmq.SUBSCRIBE, b"/mine/")
    subscriber.setsockopt(zmq.SUBSCRIBE, b"SUBSCRIBED token-1")
    topic, sequence, body = subscriber.recv_multipart()
    assert (topic, body) == (b"SUBSCRIBED token-1", b"")
    assert struct.unpack("!q", sequence)[0] == peers.clone(b"/mine/").snapshot().sequence
    put(peers.publisher(), b"/mine/now", b"x")
    assert subscriber.recv_multipart()[0] == b"/mine/now"


def test_nothing_is_missed_between_subscription_and_snapshot(peers: Peers) -> None:
    """Over and over, while updates flow without a pause."""
    publisher = peers.publisher()
    stop = threading.Event()
    sent = [0]

    def flow() -> None:
        while not stop.is_set():
            sent[0] += 1
            put(publisher, b"/flow/%d" % (sent[0] % 20), b"%d" % sent[0])
            time.sleep(0.0002)

    thread = threading.Thread(target=flow)
    thread.start()
    try:
        for number in range(15):
            clone = peers.clone(b"/flow/")
            clone.updates.setsockopt(zmq.SUBSCRIBE, b"SUBSCRIBED %d" % number)
            while clone.updates.recv_multipart()[0] != b"SUBSCRIBED %d" % number:
                pass
            last = max(map(int, clone.snapshot().map.values()), default=0)
            for _ in range(30):
                _, body = clone.follow()
                if body:
                    assert int(body) == last + 1
                    last += 1
    finally:
        stop.set()
        thread.join(10)


def test_a_value_whose_server_is_gone_turns_stale(peers: Peers) -> None:
    publisher, clone = peers.publisher(), peers.clone(b"/device/gone/").settled()
    body = {"value": 21.5, "unit": "°C", "quality": "good", "poll": 0.3}
    put(publisher, b"/device/gone/x", json.dumps(body).encode())
    clone.follow(b"/device/gone/x")
    _, changed = clone.follow(b"/device/gone/x")
    assert json.loads(changed) == {**body, "quality": "stale"}
    assert clone.snapshot().map[b"/device/gone/x"] == changed


# Slow ones.


def test_a_slow_subscriber_slows_nobody_and_is_told(peers: Peers) -> None:
    before = peers.figures()
    slow = peers.clone(b"/slow/", rcvhwm=1).settled()
    slow.updates.setsockopt(zmq.SUBSCRIBE, b"LOST")
    fast = peers.clone(b"/slow/", rcvhwm=0).settled()
    publisher = peers.publisher()
    body = b"x" * 2000
    sent = 0
    # More than the queue in the broker (subscriber_queue) and all buffers on the way hold.
    for lot in range(30):
        for _ in range(200):
            put(publisher, b"/slow/%d" % (sent % 9), b"%d " % sent + body)
            sent += 1
        for number in range(lot * 200, sent):
            assert fast.follow()[1] == b"%d " % number + body, "the fast one has all of them, in order"
    # Only now does the slow one read: it got a part, and then the news.
    slow_count = 0
    while (message := slow.updates.recv_multipart())[0] != b"LOST":
        slow_count += message[2].endswith(body)
    assert 0 < slow_count < sent
    assert message[2] == b""
    (sequence,) = struct.unpack("!q", message[1])
    assert slow.snapshot().map == peers.clone(b"/slow/").snapshot().map
    assert slow.sequence >= sequence
    assert peers.figures()["keyvalue.overflows"] > before["keyvalue.overflows"]


def test_a_snapshot_that_is_not_read_never_ends_with_a_hole(peers: Peers) -> None:
    """Many are asked for and none is read, until there is no room; each that comes is whole."""
    before = peers.figures()["keyvalue.offences"]
    publisher = peers.publisher()
    for number in range(15):
        put(publisher, b"/whole/%02d" % number, b"x" * 1000)
    clone = peers.clone(b"/whole/")
    wait_for(lambda: len(clone.snapshot().map) == 15)
    deaf = peers.socket(zmq.DEALER, peers.at.snapshot, rcvhwm=1)
    asked = 500
    for _ in range(asked):
        deaf.send_multipart([b"ICANHAZ?", b"/whole/"])
    wait_for(lambda: peers.figures()["keyvalue.offences"] > before)
    deaf.rcvtimeo = 2000
    keys: list[bytes] = []
    ends = 0
    try:
        while True:
            key = deaf.recv_multipart()[0]
            if key != b"KTHXBAI":
                keys.append(key)
                continue
            ends += 1
            # Before its end: all of it, whatever a broken-off one left before that.
            assert keys[-15:] == [b"/whole/%02d" % number for number in range(15)]
            keys = []
    except zmq.Again:
        pass
    assert 0 < ends < asked
    assert len(clone.snapshot().map) == 15


def test_one_who_goes_in_the_middle_of_its_snapshot(peers: Peers) -> None:
    for _ in range(20):
        peers_gone = peers.socket(zmq.DEALER, peers.at.snapshot)
        for _ in range(20):
            peers_gone.send_multipart([b"ICANHAZ?", b"/"])
        peers_gone.close()
    clone = peers.clone(b"/")
    assert clone.snapshot().sequence >= 0


def test_as_large_a_tree_as_is_allowed_is_given_whole(broker: RunningBroker) -> None:
    with Peers(broker.url) as peers:
        publisher = peers.publisher()
        publisher.sndhwm = 0
        many = peers.socket(zmq.PUSH, peers.at.collector, sndhwm=20_000)
        for number in range(10_000):
            put(many, b"/many/%d" % number, b"x")
        clone = peers.clone(b"/many/")
        # A queue as short as any client may have.
        clone.snapshots = peers.socket(zmq.DEALER, peers.at.snapshot, rcvhwm=10)
        wait_for(lambda: len(clone.snapshot().map) == 10_000, 20)


# The proxy by itself, as the manual has it.


def test_a_proxy_without_a_broker(tmp_path: object) -> None:
    port = tcp_base()
    proxy = Proxy(broker_port=port, speed=5.0, settings=Settings.defaults(Broker.SETTINGS))
    proxy.start()
    try:
        with Peers(f"tcp://127.0.0.1:{port}") as peers:
            publisher, clone = peers.publisher(), peers.clone(b"/x/")
            put(publisher, b"/x/y", b"1")
            wait_for(lambda: clone.snapshot().map == {b"/x/y": b"1"})
    finally:
        proxy.shutdown()
        proxy.join(WAIT_MS / 1000)
    assert not proxy.is_alive()


def test_the_shared_broker_is_alive(shared: SharedBroker) -> None:
    assert shared.child.running
