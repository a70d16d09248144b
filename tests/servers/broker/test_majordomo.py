# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests through the broker, between clients and workers that were written from RFC 7 and RFC 8 alone."""

import json
import sys
from pathlib import Path

import pytest
import zmq

from raspy.servers.broker import Broker
from tests.conftest import Processes, wait_for
from tests.servers.broker.conftest import SharedBroker
from tests.support.peers import HEARTBEAT, REPLY, REQUEST, WORKER, Peers, Worker

# Now, and not within the first test, to which it would look like a process left behind.
pytestmark = pytest.mark.usefixtures("shared")

WAY = pytest.mark.parametrize("way", ["peers", "remote"])
"""Through the unix sockets, and through the TCP listener of the same broker."""


def quiet(peers: Peers) -> dict[str, int]:
    """Wait until the broker has forgotten all peers of earlier tests; its figures then."""

    def figures() -> dict[str, int] | None:
        now = peers.figures()
        gone = not any(now[f"broker.{name}"] for name in ("services", "workers", "waiting", "waiting_bytes"))
        return now if gone else None

    return wait_for(figures, what="a quiet broker")


def reason(reply: list[bytes], status: bytes) -> str:
    assert len(reply) == 2, reply
    assert reply[1] == status, reply
    return reply[0].decode()


@WAY
def test_request_and_reply(request: pytest.FixtureRequest, way: str) -> None:
    peers: Peers = request.getfixturevalue(way)
    worker = peers.registered(b"echo")
    client = peers.client()
    for number in range(3):
        client.send(b"echo", b"one", b"", b"%d" % number)
        sender, body = worker.take()
        assert body == [b"one", b"", b"%d" % number]
        worker.reply(sender, *reversed(body))
        assert client.receive() == (b"echo", [b"%d" % number, b"", b"one"])


def test_from_tcp_to_unix_and_back(peers: Peers, remote: Peers) -> None:
    worker = peers.registered(b"here")
    far = remote.registered(b"there")
    for one, two in ((worker, remote.client()), (far, peers.client())):
        name = b"here" if one is worker else b"there"
        two.send(name, b"x")
        sender, body = one.take()
        one.reply(sender, *body)
        assert two.receive() == (name, [b"x"])


def test_a_req_socket_as_client(peers: Peers) -> None:
    """The client of RFC 7 may be a REQ, which sends the empty frame by itself."""
    worker = peers.registered(b"echo")
    req = peers.socket(zmq.REQ, peers.at.mdp)
    req.send_multipart([b"MDPC01", b"echo", b"x"])
    worker.reply(worker.take()[0], b"y")
    assert req.recv_multipart() == [b"MDPC01", b"echo", b"y"]


def test_requests_go_round_and_wait_in_order(peers: Peers) -> None:
    first, second = peers.registered(b"round"), peers.registered(b"round")
    client = peers.client()
    for number in range(4):
        client.send(b"round", b"%d" % number)
    clients = [worker.take() for worker in (first, second)]
    assert [body for _, body in clients] == [[b"0"], [b"1"]]
    second.reply(clients[1][0], b"done 1")
    assert second.take()[1] == [b"2"]
    first.reply(clients[0][0], b"done 0")
    assert first.take()[1] == [b"3"]
    assert [client.receive()[1] for _ in range(2)] == [[b"done 1"], [b"done 0"]]


def test_a_request_waits_for_its_worker(peers: Peers) -> None:
    client = peers.client()
    client.send(b"late", b"x")
    worker = peers.worker(b"late")
    sender, body = worker.take()
    worker.reply(sender, *body)
    assert client.receive() == (b"late", [b"x"])


# What other implementations do.


def test_a_reply_without_the_empty_frame_is_completed(peers: Peers) -> None:
    worker = peers.registered(b"short")
    client = peers.client()
    for body in ([b"a"], [b"a", b"b"], [b"a", b"", b"b"]):
        client.send(b"short", b"x")
        sender, _ = worker.take()
        worker.send(REPLY, sender, *body)
        assert client.receive() == (b"short", body)


def test_a_reply_without_a_body_still_has_one_frame(peers: Peers) -> None:
    worker = peers.registered(b"mute")
    client = peers.client()
    for more in ([], [b""]):
        client.send(b"mute", b"x")
        worker.send(REPLY, worker.take()[0], *more)
        assert client.receive() == (b"mute", [b""])


@pytest.mark.parametrize("identity", [b"\x00", b"\x00abc", b"\x00\x80\x00\x41\xa7", b"x" * 255, b"\xff\xfe"])
def test_any_identity(peers: Peers, identity: bytes) -> None:
    worker = peers.registered(b"any", identity=identity + b"w" if len(identity) < 255 else b"")
    client = peers.client(identity)
    client.send(b"any", b"x")
    sender, _ = worker.take()
    assert sender == identity
    worker.reply(sender, b"y")
    assert client.receive() == (b"any", [b"y"])


@pytest.mark.parametrize("more", [[b"3"], [b"3", b"and", b"more"]])
def test_credit(peers: Peers, more: list[bytes]) -> None:
    worker = peers.registered(b"credit", *more)
    client = peers.client()
    for number in range(5):
        client.send(b"credit", b"%d" % number)
    taken = [worker.take() for _ in range(3)]
    assert [body for _, body in taken] == [[b"0"], [b"1"], [b"2"]]
    worker.socket.rcvtimeo = 100
    with pytest.raises(zmq.Again):
        worker.take()
    worker.socket.rcvtimeo = 20_000
    for number in (3, 4):
        worker.reply(taken.pop(0)[0], b"done")
        taken.append(worker.take())
        assert taken[-1][1] == [b"%d" % number]
    for sender, _ in taken:
        worker.reply(sender, b"done")
    assert [client.receive()[1] for _ in range(5)] == [[b"done"]] * 5


@pytest.mark.parametrize(
    "credit", [b"0", b"1", b"-1", b"", b"many", b"99999999999999999999", b"\xb2", b"1.5"]
)
def test_a_credit_that_is_none_means_one_at_a_time(peers: Peers, credit: bytes) -> None:
    worker = peers.registered(b"credit", credit)
    client = peers.client()
    for number in range(2):
        client.send(b"credit", b"%d" % number)
    sender, _ = worker.take()
    worker.socket.rcvtimeo = 100
    with pytest.raises(zmq.Again):
        worker.take()
    worker.reply(sender, b"done")
    worker.socket.rcvtimeo = 20_000
    assert worker.take()[1] == [b"1"]


# Workers come and go.


def test_a_worker_hears_heartbeats(peers: Peers) -> None:
    worker = peers.registered(b"heart")
    assert worker.socket.recv_multipart() == [b"", WORKER, HEARTBEAT]
    worker.send(HEARTBEAT)
    assert worker.socket.recv_multipart() == [b"", WORKER, HEARTBEAT]


def test_a_heartbeat_from_a_stranger_is_answered_with_disconnect(peers: Peers) -> None:
    stranger = peers.registered(b"heart")
    stranger.send(b"\x05")
    wait_for(lambda: peers.count(b"heart") == 0)
    stranger.send(HEARTBEAT)
    stranger.dismissed()


def test_a_worker_that_signs_off_gets_nothing_more(peers: Peers) -> None:
    worker = peers.registered(b"off")
    worker.send(b"\x05")
    wait_for(lambda: peers.count(b"off") == 0)
    assert "no server offered off within 1 s" in reason(peers.ask(b"off", b"x"), b"404")


def test_silence_ends_idle_workers_and_time_ends_busy_ones(peers: Peers) -> None:
    """A busy one may be silent, since many can't send heartbeats while they work. One that hangs is dismissed
    answer_age_s after it got its request, though it sends heartbeats all the time."""
    busy, silent, alive, hangs = (peers.registered(b"silence") for _ in range(4))
    client, hanging = peers.client(), peers.client()
    client.send(b"silence", b"x")
    sender, _ = busy.take()
    for worker in (silent, alive):
        # They have had a request each, so the fourth is next.
        peer = peers.client()
        peer.send(b"silence", b"x")
        worker.reply(worker.take()[0], b"y")
        peer.receive()
    hanging.send(b"silence", b"x")
    hangs.take()
    silent.socket.rcvtimeo = hanging.socket.rcvtimeo = 300

    def dismissed() -> bool:
        alive.send(HEARTBEAT)
        hangs.send(HEARTBEAT)
        try:
            silent.dismissed()
        except zmq.Again:
            return False
        return True

    wait_for(dismissed)
    assert peers.count(b"silence") == 3
    busy.reply(sender, b"y")
    assert client.receive() == (b"silence", [b"y"])

    def told() -> list[bytes] | None:
        hangs.send(HEARTBEAT)
        try:
            return hanging.receive()[1]
        except zmq.Again:
            return None

    assert "ended first" in reason(wait_for(told), b"500")
    hangs.dismissed()


WORKER_PROGRAM = """
import sys, time, zmq
socket = zmq.Context().socket(zmq.DEALER)
socket.connect(sys.argv[1])
socket.send_multipart([b"", b"MDPW01", b"\\x01", sys.argv[2].encode()])
while True:
    message = socket.recv_multipart()
    if message[2] == b"\\x02":
        print("in work", flush=True)
        time.sleep(60)
"""


@pytest.mark.parametrize("others", [0, 1])
def test_a_worker_that_is_killed_at_work(
    shared: SharedBroker, peers: Peers, processes: Processes, others: int
) -> None:
    """The client is told, well within the time a worker may take; the service's other workers go on."""
    before = peers.figures()["broker.lost"]
    other = peers.worker(b"killed") if others else None
    command = [sys.executable, "-c", WORKER_PROGRAM, peers.at.mdp, "killed"]
    victim = processes.start_command("a worker", command)
    wait_for(lambda: peers.count(b"killed") == 1 + others)
    clients = [peers.client() for _ in range(1 + others)]
    for client in clients:
        client.send(b"killed", b"x")
    victim.wait_output("in work")
    if other is not None:
        other.reply(other.take()[0], b"fine")
    victim.kill()
    replies = sorted(client.receive()[1] for client in clients)
    assert "the worker of killed ended first" in reason(replies[-1], b"500")
    assert replies[:-1] == [[b"fine"]] * others
    assert peers.figures()["broker.lost"] == before + 1
    assert peers.count(b"killed") == others


def test_requests_meet_the_death_of_a_worker_before_the_broker_does(peers: Peers) -> None:
    """The one that finds out goes to the next worker, or waits for one: answered in any case."""
    client = peers.client()

    def close(worker: Worker) -> None:
        worker.close()
        # Time for the connection to break, which nobody is told; a request before that is lost with it.
        for _ in range(30):
            client.ask(b"mmi.service", b"x")

    def served(worker: Worker, token: bytes) -> bool:
        """Whether the worker got the request; it did not if that went to the one that is gone."""
        poller = zmq.Poller()
        poller.register(worker.socket, zmq.POLLIN)
        poller.register(client.socket, zmq.POLLIN)
        while client.socket not in dict(poller.poll(20_000)):
            message = worker.socket.recv_multipart()
            if message[2] == REQUEST:
                worker.reply(message[3], *message[5:])
        reply = client.receive()[1]
        assert reply == [token] or reply[-1] == b"500"
        return reply == [token]

    def next_worker() -> bool:
        gone, other = peers.registered(b"died"), peers.registered(b"died")
        close(gone)
        client.send(b"died", b"first")
        passed_on = served(other, b"first")
        close(other)
        return passed_on

    def later_worker() -> bool:
        gone = peers.registered(b"died")
        close(gone)
        client.send(b"died", b"second")
        other = peers.worker(b"died")
        waited = served(other, b"second")
        close(other)
        return waited

    wait_for(next_worker)
    wait_for(later_worker)


def test_a_worker_with_credit_dies_with_all_that_it_has(peers: Peers) -> None:
    worker = peers.registered(b"much", b"10")
    clients = [peers.client() for _ in range(4)]
    for client in clients:
        client.send(b"much", b"x")
    for _ in clients:
        worker.take()
    worker.close()
    for client in clients:
        assert "ended first" in reason(client.receive()[1], b"500")


# Clients come and go.


def test_a_client_that_vanishes_leaves_nothing_behind(peers: Peers) -> None:
    before = quiet(peers)
    for number in range(20):
        client = peers.client()
        client.send(b"nobody %d" % number, b"x" * 500)
        client.send(b"mmi.service", b"x")
        client.receive()
        client.close()
    wait_for(lambda: peers.figures()["broker.expired"] == before["broker.expired"] + 20)
    after = quiet(peers)
    assert after["broker.gone"] == before["broker.gone"] + 20


def test_a_client_that_vanishes_while_a_worker_works_for_it(peers: Peers) -> None:
    before = peers.figures()["broker.gone"]
    worker = peers.registered(b"vain")
    other = peers.client()

    def found_out() -> bool:
        """Whether the broker knew that it had gone; a reply just before that goes where it went."""
        client = peers.client()
        client.send(b"vain", b"x")
        sender, _ = worker.take()
        client.close()
        worker.reply(sender, b"y")
        other.send(b"vain", b"z")
        again, body = worker.take()
        assert body == [b"z"]
        worker.reply(again, b"fine")
        assert other.receive() == (b"vain", [b"fine"])
        return peers.figures()["broker.gone"] > before

    wait_for(found_out)


def test_nobody_takes_it_in_time(peers: Peers) -> None:
    worker = peers.registered(b"full")
    first, second = peers.client(), peers.client()
    first.send(b"full", b"x")
    assert worker.take()
    second.send(b"full", b"x")
    assert "no worker of full was free within 1 s" in reason(second.receive()[1], b"500")
    assert "no server offered none within 1 s" in reason(peers.ask(b"none", b"x"), b"404")


def test_titanic_has_its_status_first(peers: Peers) -> None:
    status, text = peers.ask(b"titanic.request", b"x")
    assert status == b"404"
    assert text.startswith(b"not answered: no server offered titanic.request")


# RFC 8, and what the broker says of itself.


def test_mmi_service(peers: Peers) -> None:
    assert peers.ask(b"mmi.service", b"there") == [b"404"]
    peers.registered(b"there")
    assert peers.ask(b"mmi.service", b"there") == [b"200"]
    assert peers.ask(b"mmi.service", b"test.broker.mmi") == [b"200"]
    assert peers.ask(b"mmi.service", b"test.broker.nothing") == [b"404"]
    assert peers.ask(b"mmi.service", b"\xff") == [b"404"]


def test_mmi_discovery(peers: Peers) -> None:
    for name in (b"found.one", b"found.two", "found.°".encode()):
        peers.registered(name)
    *names, status = peers.ask(b"mmi.discovery", rb"found\..*")
    assert (names, status) == (sorted([b"found.one", b"found.two", "found.°".encode()]), b"200")
    *names, status = peers.ask(b"mmi.discovery", b".*broker.*")
    assert names == [b"test.broker.mmi", b"test.broker.statistics"]
    assert peers.ask(b"mmi.discovery", b"nothing") == [b"200"]
    assert "not a regular expression" in reason(peers.ask(b"mmi.discovery", b"("), b"400")


def test_mmi_workers(peers: Peers) -> None:
    peers.registered(b"two")
    peers.registered(b"two")
    assert peers.ask(b"mmi.workers", b"two") == [b"2", b"200"]
    counts, status = peers.ask(b"mmi.workers", b"")
    assert (json.loads(counts)["two"], status) == (2, b"200")
    assert "no service 'none'" in reason(peers.ask(b"mmi.workers", b"none"), b"404")


@pytest.mark.parametrize("name", [b"mmi.service", b"mmi.discovery", b"mmi.workers"])
def test_mmi_with_too_many_arguments(peers: Peers, name: bytes) -> None:
    assert "takes one argument" in reason(peers.ask(name, b"a", b"b"), b"400")


@pytest.mark.parametrize("name", [b"mmi.", b"mmi.nothing", b"mmi.\xff"])
def test_mmi_that_is_not_there(peers: Peers, name: bytes) -> None:
    assert peers.ask(name, b"x") == [b"501"]


def test_the_brokers_own_services(peers: Peers, shared: SharedBroker) -> None:
    info = json.loads(peers.ask(b"test.broker.mmi", b"info")[0])
    assert info["pid"] == shared.child.pid
    status, code = peers.ask(b"test.broker.mmi", b"status")
    assert code == b"200"
    assert b"services" in status
    assert peers.ask(b"test.broker.mmi", b"loglevel") == [b"info", b"200"]
    assert "has no action 'x'" in reason(peers.ask(b"test.broker.mmi", b"x"), b"501")
    assert "no service 'devices'" in reason(peers.ask(b"test.broker.devices", b"x"), b"404")
    figures = peers.figures()
    assert figures["broker.requests"] > 0
    assert {name.partition(".")[0] for name in figures} == {"broker", "keyvalue", "server"}


def test_the_same_on_its_control_socket(peers: Peers, shared: SharedBroker) -> None:
    socket = peers.socket(zmq.DEALER, f"{shared.url}/broker.sock")
    socket.send_multipart([b"", b"MDPC01", b"test.broker.mmi", b"loglevel"])
    assert socket.recv_multipart() == [b"", b"MDPC01", b"test.broker.mmi", b"info", b"200"]


def test_the_manuals_names(run_dir: Path) -> None:
    broker = Broker(broker=f"ipc://{run_dir}")
    assert broker.INTERNAL_SERVICE_PREFIX == b"mmi."
    assert (broker.HEARTBEAT_INTERVAL, broker.HEARTBEAT_EXPIRY, broker.HEARTBEAT_LIVENESS) == (3500, 17500, 5)
    assert (broker.services, broker.workers, broker.socket) == ({}, {}, None)
    broker.destroy()


def test_at_its_end_workers_are_told_and_nothing_is_left(processes: Processes, run_dir: Path) -> None:
    url = f"ipc://{run_dir}/run"
    broker = processes.start_ready("raspy.servers.broker", "--broker", url, "--data-dir", run_dir)
    with Peers(url) as peers:
        worker = peers.registered(b"end")
        client = peers.client()
        client.send(b"end", b"x")
        assert worker.receive()[0] == REQUEST
        assert broker.stop() == 0
    left = sorted(path.name for path in (run_dir / "run").iterdir())
    assert left == ["broker.lock", "keyvalue.map"]
