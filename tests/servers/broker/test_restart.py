# SPDX-License-Identifier: GPL-3.0-or-later
"""The key/value tree outlives the broker, also one that is killed at work or whose disk is full."""

import sys
from pathlib import Path

import pytest
import zmq

from tests.conftest import Child, Processes, wait_for
from tests.support.broker import RunningBroker
from tests.support.notify import NotifyReceiver
from tests.support.peers import Clone, Peers, put

PUBLISHER = """
import struct, sys, time, zmq
socket = zmq.Context().socket(zmq.PUSH)
socket.connect(sys.argv[1])
number = 0
while True:
    number += 1
    key = b"/load/%s/%d" % (sys.argv[2].encode(), number % 50)
    socket.send_multipart([key, struct.pack("!q", 0), b"" if number % 7 == 0 else b"%d" % number])
    if number == 100:
        print("at work", flush=True)
    # Not as fast as it can: the updates that nobody saw before the end must not touch every key.
    time.sleep(0.001)
"""


def load(broker: RunningBroker, publishers: int = 2) -> list[Child]:
    """Publishers that never stop; they end with the test at the latest."""
    children = [
        broker.processes.start_command(
            f"publisher {name}", [sys.executable, "-c", PUBLISHER, broker.address.collector, str(name)]
        )
        for name in range(publishers)
    ]
    for child in children:
        child.wait_output("at work")
    return children


def test_killed_under_load(broker: RunningBroker) -> None:
    """Whatever a subscriber has seen is there after a restart, and no number is given twice."""
    for _ in range(2):
        publishers = load(broker)
        with Peers(broker.url) as peers:
            clone = peers.clone(b"/load/", rcvhwm=0).settled().snapshot()
            for _ in range(300):
                clone.follow()
            broker.kill()
            for publisher in publishers:
                publisher.kill()
            seen = drain(clone)
        broker.start()
        with Peers(broker.url) as peers:
            again = peers.clone(b"/load/").snapshot()
            assert again.sequence >= seen.sequence
            kept = {key for key, number in snapshot_sequences(peers).items() if number <= seen.sequence}
            assert len(kept) > 20
            assert {key: again.map[key] for key in kept} == {key: seen.map[key] for key in kept}
            # What is not there any more was deleted by one of the updates that nobody saw.
            assert len(set(seen.map) - set(again.map)) <= again.sequence - seen.sequence
            follower = peers.clone(b"/load/").settled().snapshot()
            publishers = load(broker)
            last = again.sequence
            for _ in range(200):
                follower.follow()
                assert follower.sequence == last + 1
                last = follower.sequence
        for publisher in publishers:
            publisher.kill()


def drain(clone: Clone) -> Clone:
    """Take what has arrived of a broker that is dead."""
    clone.updates.rcvtimeo = 300
    with pytest.raises(zmq.Again):
        while True:
            clone.follow()
    return clone


def snapshot_sequences(peers: Peers) -> dict[bytes, int]:
    """The sequence of each key."""
    asker = peers.socket(zmq.DEALER, peers.at.snapshot)
    asker.send_multipart([b"ICANHAZ?", b"/load/"])
    found = {}
    while (message := asker.recv_multipart())[0] != b"KTHXBAI":
        found[message[0]] = int.from_bytes(message[1], "big")
    return found


def test_the_same_map_and_the_next_number(broker: RunningBroker) -> None:
    """Without publishers in between, it is the very same."""
    with Peers(broker.url) as peers:
        publisher, clone = peers.publisher(), peers.clone(b"/").settled()
        for number in range(300):
            put(publisher, b"/map/%d" % (number % 40), b"" if number % 11 == 0 else b"%d" % number)
        for _ in range(300):
            clone.follow()
        broker.kill()
    broker.start()
    with Peers(broker.url) as peers:
        again = peers.clone(b"/").settled().snapshot()
        assert (again.map, again.sequence) == (clone.map, clone.sequence)
        put(peers.publisher(), b"/map/new", b"x")
        again.follow(b"/map/new")
        assert again.sequence == clone.sequence + 1
    assert broker.child.stop() == 0
    broker.start()
    with Peers(broker.url) as peers:
        assert peers.clone(b"/").snapshot().map == again.map


@pytest.mark.parametrize("keep", [0, 100])
def test_it_starts_with_a_file_that_was_cut(broker: RunningBroker, keep: int) -> None:
    with Peers(broker.url) as peers:
        publisher, clone = peers.publisher(), peers.clone(b"/").settled()
        for number in range(20):
            put(publisher, b"/map/%d" % number, b"x")
            clone.follow()
        broker.kill()
    path = broker.folder / "keyvalue.map"
    path.write_bytes(path.read_bytes()[:keep])
    broker.start()
    with Peers(broker.url) as peers:
        again = peers.clone(b"/").snapshot()
        assert again.map == {b"/map/%d" % number: b"x" for number in range(len(again.map))}
        assert len(again.map) < 20


def test_a_disk_that_is_full(processes: Processes, run_dir: Path) -> None:
    """Said once; requests and values go on; what was kept before is still there after a restart."""
    url = f"ipc://{run_dir}"
    notify = NotifyReceiver(run_dir / "notify.disk")
    # The log is a file too, and its lines fit into the 64 KiB that a file may have here.
    command = ["bash", "-c", 'ulimit -f 64; exec "$@"', "bash", sys.executable, "-m", "raspy.servers.broker"]
    command += ["--broker", url, "--hostname", "test", "--data-dir", str(run_dir / "broker")]
    broker = processes.start_command("broker", command, notify=notify).wait_ready()
    with Peers(url) as peers:
        publisher, clone = peers.publisher(), peers.clone(b"/").settled()
        for number in range(40):
            put(publisher, b"/full/%d" % number, bytes(4000) + b"%d" % number)
            clone.follow()
        broker.wait_output("can't be written")
        worker = peers.registered(b"echo")
        client = peers.client()
        client.send(b"echo", b"x")
        worker.reply(worker.take()[0], b"y")
        assert client.receive() == (b"echo", [b"y"])
        assert len(peers.clone(b"/").snapshot().map) == 40
        assert broker.output.count("can't be written") == 1
        broker.kill()
    processes.start_ready("raspy.servers.broker", "--broker", url, "--hostname", "test")
    with Peers(url) as peers:
        kept = peers.clone(b"/").snapshot().map
        assert 10 <= len(kept) < 40
        assert kept == {key: clone.map[key] for key in kept}
        assert set(kept) == {b"/full/%d" % number for number in range(len(kept))}


def test_workers_and_clients_of_the_dead_one_are_not_confused(broker: RunningBroker) -> None:
    """A worker that connects again by itself, without knowing of the restart, is told to register."""
    with Peers(broker.url) as peers:
        worker = peers.registered(b"echo")
        client = peers.client()
        broker.kill()
        broker.start()

        def told() -> bool:
            worker.send(b"\x04")
            worker.socket.rcvtimeo = 200
            try:
                worker.dismissed()
            except zmq.Again:
                return False
            return True

        wait_for(told)
        worker.socket.rcvtimeo = 20_000
        worker.send(b"\x01", b"echo")
        client.send(b"echo", b"x")
        worker.reply(worker.take()[0], b"y")
        assert client.receive() == (b"echo", [b"y"])
