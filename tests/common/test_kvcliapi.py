# SPDX-License-Identifier: GPL-3.0-or-later
"""Publisher and subscriber, with the real broker and with a played Clone server that is not RasPy's."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from raspy.common import kvcliapi
from raspy.common.kvcliapi import KvPublisherClient, KvSubscriberClient, join_key
from raspy.common.kvsimple import KTHXBAI, LOST, SUBSCRIBED, KVMsg
from tests.conftest import wait_for
from tests.support.broker import RunningBroker
from tests.support.peers import Endpoints, Peers, put


class Follower(KvSubscriberClient):
    """A subscriber that notes what its callback was told."""

    def __init__(self, url: str, *subtrees: str, **more: object):
        self.told: list[tuple[str, bytes]] = []
        self.idle = 0
        super().__init__(subtree=subtrees or "/device/", broker=url, callback=self.take,
                         on_idle=self.note_idle, **more)  # type: ignore[arg-type]  # fmt: skip

    def take(self, key: str, body: bytes) -> None:
        self.told.append((key, body))

    def note_idle(self) -> None:
        self.idle += 1


@contextmanager
def following(follower: Follower) -> Iterator[Follower]:
    """Its `run` in a thread, once it is synchronised."""
    with started(follower):
        wait_for(lambda: follower.synchronised)
        yield follower


@contextmanager
def started(follower: Follower) -> Iterator[Follower]:
    thread = threading.Thread(target=follower.run)
    thread.start()
    try:
        yield follower
    finally:
        follower.shutdown()
        thread.join(10)
        assert not thread.is_alive()
        follower.destroy()
        follower.destroy()


@pytest.fixture
def publisher(broker: RunningBroker) -> Iterator[KvPublisherClient]:
    publisher = KvPublisherClient(broker=broker.url)
    yield publisher
    publisher.destroy()


@pytest.mark.parametrize(
    ("subtree", "key"),
    [("/device/", "pi/x"), ("device", "/pi/x"), ("/device", "pi/x/"), ("device/", "/pi/x/")],
)
def test_keys_however_the_slashes_stand(subtree: str, key: str) -> None:
    assert join_key(subtree, key) == "/device/pi/x"


def test_snapshot_updates_deletions(broker: RunningBroker, publisher: KvPublisherClient) -> None:
    assert publisher.send("/device/", "a", b"1")
    assert publisher.send("device", "b", "zwei °")
    publisher.send("/event/", "c", b"3")
    with following(Follower(broker.url)) as follower:
        wait_for(lambda: follower.kvmap == {"/device/a": b"1", "/device/b": "zwei °".encode()})
        publisher.send("/device/", "a", b"2")
        publisher.send("/device/", "b", b"")
        publisher.send("/device/", "never there", b"")
        publisher.send("/device/", "d", b"4")
        wait_for(lambda: "/device/d" in follower.kvmap)
        assert follower.kvmap == {"/device/a": b"2", "/device/d": b"4"}
        assert follower.told[-3:] == [("/device/a", b"2"), ("/device/b", b""), ("/device/d", b"4")]
        assert follower.snapshots == 1
        wait_for(lambda: follower.idle > 1)


def test_several_subtrees_and_one_in_the_other(broker: RunningBroker, publisher: KvPublisherClient) -> None:
    publisher.send("/device/pi/", "x", b"1")
    with following(Follower(broker.url, "/device/", "/device/pi/", "/event/")) as follower:
        wait_for(lambda: follower.kvmap == {"/device/pi/x": b"1"})
        publisher.send("/event/", "e", b"2")
        publisher.send("/scenario/", "s", b"no")
        publisher.send("/device/pi/", "x", b"3")
        publisher.send("/device/", "y", b"4")
        wait_for(lambda: follower.kvmap == {"/device/pi/x": b"3", "/event/e": b"2", "/device/y": b"4"})
        assert [key for key, _ in follower.told] == ["/device/pi/x", "/event/e", "/device/pi/x", "/device/y"]


def test_everything(broker: RunningBroker, publisher: KvPublisherClient) -> None:
    with following(Follower(broker.url, "/")) as follower:
        publisher.send("/device/", "x", b"1")
        publisher.send("/event/", "y", b"2")
        wait_for(lambda: set(follower.kvmap) == {"/device/x", "/event/y"})


def test_fetch_once(broker: RunningBroker, publisher: KvPublisherClient) -> None:
    publisher.send("/device/", "x", b"1")
    follower = Follower(broker.url, "/device/", "/event/")
    wait_for(lambda: follower.fetch() == {"/device/x": b"1"})
    assert follower.kvmap == {}
    broker.kill()
    follower.speed = 20.0
    assert follower.fetch() is None
    follower.destroy()


def test_nothing_is_missed_when_the_broker_is_restarted(broker: RunningBroker) -> None:
    """Each key is published once, while the broker is killed and started again and again."""
    stop = threading.Event()
    count = 0

    def flow() -> None:
        nonlocal count
        with Peers(broker.url) as peers:
            publisher = peers.publisher()
            while not stop.is_set():
                put(publisher, b"/device/%d" % count, b"x")
                count += 1
                time.sleep(0.0005)

    with started(Follower(broker.url)) as follower:
        thread = threading.Thread(target=flow)
        thread.start()
        try:
            for round_ in range(3):
                wait_for(lambda: follower.synchronised and len(follower.kvmap) > 100 * (round_ + 1), 20)  # noqa: B023
                broker.kill()
                # Counted before it is there again: the follower may be faster than the report of its start.
                taken = follower.snapshots
                broker.start()
                wait_for(lambda: follower.snapshots > taken, 20)  # noqa: B023
        finally:
            stop.set()
            thread.join(10)
        with Peers(broker.url) as peers:
            # The last update of all is there when this one is.
            put(peers.publisher(), b"/device/end", b"x")
            wait_for(lambda: "/device/end" in follower.kvmap)
            # Publishers are served in turn, so others may still come after it.
            wait_for(lambda: follower.kvmap == {
                key.decode(): body for key, body in peers.clone().snapshot().map.items()
            })  # fmt: skip
        assert follower.snapshots >= 4


def test_what_was_deleted_meanwhile_is_told(broker: RunningBroker, publisher: KvPublisherClient) -> None:
    publisher.send("/device/", "stays", b"1")
    publisher.send("/device/", "goes", b"2")
    with following(Follower(broker.url)) as follower:
        wait_for(lambda: len(follower.kvmap) == 2)
        told = len(follower.told)
        broker.kill()
        (broker.folder / "keyvalue.map").unlink()
        broker.start()
        wait_for(lambda: follower.kvmap == {}, 20)
        assert sorted(follower.told[told:]) == [("/device/goes", b""), ("/device/stays", b"")]


def test_a_broker_that_begins_again_at_one_is_followed(
    broker: RunningBroker, publisher: KvPublisherClient
) -> None:
    """What an earlier broker had sent, with greater numbers, must not hide what this one sends."""
    with following(Follower(broker.url)) as follower:
        for number in range(500):
            publisher.send("/device/", "x", b"%d" % number)
        wait_for(lambda: follower.kvmap == {"/device/x": b"499"})
        blocked, go_on = threading.Event(), threading.Event()
        take = follower.take

        def slow(key: str, body: bytes) -> None:
            take(key, body)
            if body == b"stop":
                blocked.set()
                go_on.wait(20)

        follower._callback = slow
        publisher.send("/device/", "x", b"stop")
        assert blocked.wait(10)
        for number in range(200):
            publisher.send("/device/", "y", b"old %d" % number)
        with Peers(broker.url) as peers:
            wait_for(lambda: peers.clone().snapshot().map.get(b"/device/y") == b"old 199")
        broker.kill()
        (broker.folder / "keyvalue.map").unlink()
        broker.start()
        go_on.set()
        wait_for(lambda: follower.snapshots >= 2, 20)
        publisher.send("/device/", "z", b"new")
        wait_for(lambda: follower.kvmap == {"/device/z": b"new"}, 20)


def test_one_that_is_too_slow_catches_up_from_a_snapshot(
    broker: RunningBroker, publisher: KvPublisherClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kvcliapi, "SUBSCRIBE_HWM", 10)
    assert broker.child.stop() == 0
    broker._settings = ("subscriber_queue=100",)
    broker.start()
    go_on = threading.Event()
    follower = Follower(broker.url)
    with following(follower):
        take = follower.take

        def slow(key: str, body: bytes) -> None:
            take(key, body)
            go_on.wait(20)

        follower._callback = slow
        body = b"x" * 2000
        for number in range(3000):
            while not publisher.send("/device/", str(number % 7), b"%d " % number + body):
                time.sleep(0.001)
        with Peers(broker.url) as peers:
            wait_for(lambda: peers.figures()["keyvalue.updates"] >= 3000)
            assert peers.figures()["keyvalue.overflows"] >= 1
            go_on.set()
            wait_for(lambda: follower.snapshots >= 2, 20)
            wait_for(lambda: follower.kvmap == {
                key.decode(): value for key, value in peers.clone().snapshot().map.items()
            })  # fmt: skip
    assert len(follower.told) < 3000


# A broker that is away.


def test_it_waits_for_a_broker_and_shows_that_it_lives(run_dir: Path) -> None:
    follower = Follower(f"ipc://{run_dir}", speed=20.0)
    with started(follower):
        wait_for(lambda: follower.idle > 3)
        assert not follower.synchronised


def test_shutdown_ends_it_wherever_it_is(run_dir: Path) -> None:
    for _ in range(3):
        with started(Follower(f"ipc://{run_dir}")):
            pass


def test_a_publisher_never_waits_and_counts_what_it_drops(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kvcliapi, "PUBLISH_HWM", 5)
    publisher = KvPublisherClient(broker=f"ipc://{run_dir}")
    publisher._socket.linger = 0
    assert [publisher.send("/device/", "x", b"1") for _ in range(8)] == [True] * 5 + [False] * 3
    assert publisher.dropped == 3
    publisher.destroy()
    assert not publisher.send("/device/", "x", b"1")
    publisher.destroy()


def test_many_threads_may_publish(broker: RunningBroker, publisher: KvPublisherClient) -> None:
    with following(Follower(broker.url)) as follower:
        threads = [
            threading.Thread(
                target=lambda name=name: [publisher.send("/device/", f"{name}/{n}", b"x") for n in range(100)]
            )
            for name in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        wait_for(lambda: len(follower.kvmap) == 400)


def test_contexts_that_are_shared_stay_open(run_dir: Path) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    KvPublisherClient(broker=f"ipc://{run_dir}", ctx=context).destroy()
    KvSubscriberClient(broker=f"ipc://{run_dir}", ctx=context).destroy()
    assert not context.closed
    context.term()


def test_where_the_broker_is() -> None:
    publisher = KvPublisherClient("pi", "10.0.0.1", 6000)
    subscriber = KvSubscriberClient("pi", "tree", "10.0.0.1", 6000)
    assert publisher.broker.collector == "tcp://10.0.0.1:6003"
    assert subscriber.broker.snapshot == "tcp://10.0.0.1:6001"
    publisher.destroy()
    subscriber.destroy()


# A Clone server of the ZeroMQ Guide, which a test plays.


class PlayedServer:
    """PUB and ROUTER; it does not know who subscribes."""

    def __init__(self, url: str, kind: int = zmq.PUB):
        at = Endpoints(url)
        self.context = zmq.Context()
        self.publisher = self.context.socket(kind)
        self.publisher.bind(at.publisher)
        self.snapshots = self.context.socket(zmq.ROUTER)
        self.snapshots.rcvtimeo = 20_000
        self.snapshots.bind(at.snapshot)

    def publish(self, sequence: int, key: bytes, body: bytes) -> None:
        KVMsg(sequence, key, body).send(self.publisher)

    def asked(self) -> tuple[bytes, bytes]:
        """The next who asks for a snapshot, and its subtree."""
        identity, question, subtree = self.snapshots.recv_multipart()
        assert question == b"ICANHAZ?"
        return identity, subtree

    def part(self, identity: bytes, sequence: int, key: bytes, body: bytes) -> None:
        self.snapshots.send_multipart([identity, key, sequence.to_bytes(8, "big"), body])

    def answer(self, sequence: int, **values: bytes) -> None:
        identity, subtree = self.asked()
        for name, body in values.items():
            self.part(identity, sequence, subtree + name.encode(), body)
        self.part(identity, sequence, KTHXBAI, subtree)

    def close(self) -> None:
        self.context.destroy(linger=0)


@pytest.fixture
def server(run_dir: Path) -> Iterator[PlayedServer]:
    server = PlayedServer(f"ipc://{run_dir}")
    yield server
    server.close()


def test_with_a_server_that_does_not_confirm_subscriptions(server: PlayedServer, run_dir: Path) -> None:
    with started(Follower(f"ipc://{run_dir}", speed=10.0)) as follower:
        server.answer(10, a=b"1", b=b"2")
        wait_for(lambda: follower.synchronised)
        assert follower.kvmap == {"/device/a": b"1", "/device/b": b"2"}
        server.publish(9, b"/device/a", b"older than the snapshot")
        server.publish(10, b"/device/b", b"in the snapshot")
        server.publish(11, b"/device/c", b"3")
        wait_for(lambda: "/device/c" in follower.kvmap)
        assert follower.kvmap == {"/device/a": b"1", "/device/b": b"2", "/device/c": b"3"}


def test_damaged_parts_and_updates_are_dropped(
    server: PlayedServer, run_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with started(Follower(f"ipc://{run_dir}", speed=10.0)) as follower:
        identity, _ = server.asked()
        server.snapshots.send_multipart([identity, b"/device/a", b"short", b"x"])
        server.snapshots.send_multipart([identity, b"x"])
        server.part(identity, 5, b"/device/\xff", b"not text")
        server.part(identity, 5, KTHXBAI, b"/device/")
        wait_for(lambda: follower.synchronised)
        assert follower.kvmap == {"/device/\ufffd": b"not text"}
        server.publisher.send_multipart([b"/device/a", b"x"])
        server.publisher.send_multipart([b"/device/a"])
        server.publish(6, b"/device/b", b"right")
        wait_for(lambda: "/device/b" in follower.kvmap)
    assert "dropped a part of a snapshot" in caplog.text
    assert "dropped an update" in caplog.text


def test_a_long_snapshot_may_take_its_time_and_a_broken_one_is_asked_for_again(
    server: PlayedServer, run_dir: Path
) -> None:
    with started(Follower(f"ipc://{run_dir}", speed=2.5)) as follower:
        identity, _ = server.asked()
        server.part(identity, 3, b"/device/0", b"x")
        again, _ = server.asked()
        assert again != identity, "it came to no end"
        assert follower.kvmap == {}
        for number in range(5):
            time.sleep(0.2)  # in all longer than it waits for one part
            server.part(again, 3, b"/device/%d" % number, b"x")
        server.part(again, 3, KTHXBAI, b"/device/")
        wait_for(lambda: len(follower.kvmap) == 5)


def test_lost_makes_it_take_a_snapshot(server: PlayedServer, run_dir: Path) -> None:
    with started(Follower(f"ipc://{run_dir}", speed=10.0)) as follower:
        server.answer(1, a=b"1")
        wait_for(lambda: follower.synchronised)
        server.publish(1, LOST, b"")
        server.answer(5, a=b"2")
        wait_for(lambda: follower.kvmap == {"/device/a": b"2"})
        assert follower.snapshots == 2


def test_a_broker_that_comes_between_is_asked_again(run_dir: Path) -> None:
    """It answers the snapshot, but only afterwards has our subscription: the first is not to be trusted."""
    server = PlayedServer(f"ipc://{run_dir}", zmq.XPUB)
    try:
        with started(Follower(f"ipc://{run_dir}", speed=4.0)) as follower:
            server.answer(1, a=b"1")
            topic = wait_for(lambda: subscription(server))
            server.publish(1, topic, b"")
            server.answer(2, a=b"2")
            assert follower.kvmap == {} or follower.kvmap == {"/device/a": b"2"}
            wait_for(lambda: follower.kvmap == {"/device/a": b"2"}, 20)
    finally:
        server.close()


def subscription(server: PlayedServer) -> bytes:
    """The topic of the last subscription to a confirmation; the earlier ones were given up."""
    topic = b""
    while server.publisher.poll(50):
        message = server.publisher.recv()
        if message.startswith(b"\x01" + SUBSCRIBED):
            topic = message[1:]
        elif message == b"\x00" + topic:
            topic = b""
    return topic
