# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that a peer can make grow has an end that is configured, counted and explained."""

import pytest
import zmq

from tests.conftest import wait_for
from tests.support.peers import DISCONNECT, READY, Peers, Worker, put

# Idle workers of a test send no heartbeats.
BROKER = ("heartbeat_s=60",)
pytestmark = pytest.mark.usefixtures("shared")


def refused(peers: Peers) -> int:
    return int(peers.figures()["broker.refused"])


def test_requests_for_one_service(peers: Peers) -> None:
    before = refused(peers)
    client = peers.client()
    for number in range(8):
        client.send(b"crowd", b"%d" % number)
    replies = [client.receive()[1] for _ in range(3)]
    assert replies == [[b"not answered: 5 requests wait for it already (max_requests)", b"500"]] * 3
    assert refused(peers) == before + 3
    worker = peers.worker(b"crowd", b"10")
    for number in range(5):
        sender, body = worker.take()
        assert body == [b"%d" % number]
        worker.reply(sender, b"done")


def test_bytes_of_all_that_waits(peers: Peers) -> None:
    """Frames and requests count what they take in memory, so empty ones are no way around the limit."""
    client = peers.client()
    for number in range(6):
        client.send(b"heavy.%d" % number, bytes(14_000))
    text, status = client.receive()[1]
    assert text.endswith(b"bytes of requests wait already (max_waiting_bytes)")
    assert status == b"500"
    assert [client.receive()[1][-1] for _ in range(5)] == [b"500"] + [b"404"] * 4
    wait_for(lambda: peers.figures()["broker.waiting_bytes"] == 0)
    for number in range(6):
        client.send(b"many.%d" % number, *[b""] * 240)
    assert sorted(client.receive()[1][-1] for _ in range(6)) == [b"404"] * 4 + [b"500"] * 2


def test_bytes_of_one_message(peers: Peers) -> None:
    before = refused(peers)
    worker = peers.registered(b"size")
    client = peers.client()
    client.send(b"size", bytes(16_000))
    worker.reply(worker.take()[0], b"fits")
    assert client.receive()[1] == [b"fits"]
    for body in ([bytes(16_384)], [bytes(9_000)] * 2, [b""] * 300):
        text = b"the request is larger than 16384 bytes"
        assert client.ask(b"size", *body) == [text, b"400"]
    assert refused(peers) == before + 3


def test_workers(peers: Peers) -> None:
    workers: list[Worker] = []
    while not (late := peers.registered(b"staff")).early:
        workers.append(late)
    late.dismissed()
    # Some may be there that an earlier test left.
    assert 15 <= len(workers) <= 20
    assert peers.count(b"staff") == len(workers)
    workers[0].send(DISCONNECT)
    workers[0].sync()
    late.send(READY, b"staff")
    late.sync()
    assert not late.early
    assert peers.count(b"staff") == len(workers)
    for worker in (*workers, late):
        worker.send(DISCONNECT)
        worker.sync()


def test_services_of_workers_that_come_and_go(peers: Peers) -> None:
    """A worker may register under ever new names, but the broker does not keep them all."""
    worker = peers.registered(b"name")
    seen = []
    for number in range(300):
        worker.send(DISCONNECT)
        worker.send(READY, b"name.%d" % number)
        if number % 50 == 0:
            worker.sync()
            seen.append(peers.figures()["broker.services"])
    worker.sync()
    assert max(seen) <= 60
    wait_for(lambda: peers.figures()["broker.services"] <= 5)


def test_keys_and_bytes_of_the_tree(peers: Peers) -> None:
    publisher, clone = peers.publisher(), peers.clone(b"/limit/")
    for number in range(60):
        put(publisher, b"/limit/%03d" % number, b"x")
    wait_for(lambda: peers.figures()["keyvalue.offences"] >= 10)
    assert len(clone.snapshot().map) == 50
    put(publisher, b"/limit/000", b"changed")
    assert clone.follow(b"/limit/000", b"changed")
    put(publisher, b"/limit/000", b"")
    put(publisher, b"/limit/new", b"there is room again")
    assert clone.follow(b"/limit/new")
    for number in range(1, 50):
        put(publisher, b"/limit/%03d" % number, bytes(4000))
    put(publisher, b"/limit/new", b"last")
    clone.follow(b"/limit/new", b"last")
    held = sum(len(key) + len(body) for key, body in clone.snapshot().map.items())
    assert 50_000 < held <= 65_536
    wait_for(lambda: peers.figures()["keyvalue.bytes"] == held)
    assert peers.figures()["keyvalue.keys"] == 50


def test_all_limits_are_in_the_configuration_and_all_refusals_in_the_statistics(peers: Peers) -> None:
    figures = peers.figures()
    for name in (
        "refused",
        "expired",
        "lost",
        "gone",
        "offences",
        "waiting",
        "waiting_bytes",
        "services",
        "workers",
    ):
        assert f"broker.{name}" in figures
    for name in ("keys", "bytes", "offences", "overflows"):
        assert f"keyvalue.{name}" in figures


def test_a_client_that_does_not_read_is_no_trouble_to_others(peers: Peers) -> None:
    deaf = peers.socket(zmq.DEALER, peers.at.mdp, rcvhwm=1)
    for _ in range(3000):
        deaf.send_multipart([b"", b"MDPC01", b"mmi.discovery", b".*"])
    assert peers.ask(b"mmi.service", b"x") == [b"404"]
