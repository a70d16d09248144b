# SPDX-License-Identifier: GPL-3.0-or-later
"""Who comes in by TCP: those with a key, to do what their key allows; strangers get nothing."""

import logging
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from raspy.common.address import PARTS, BrokerAddress
from raspy.common.config import ConfigError
from raspy.common.connection import DENIED, FAILED
from raspy.common.curve import Pair
from raspy.common.kvcliapi import KvPublisherClient, KvSubscriberClient
from raspy.common.mdcliapi import MajorDomoClient
from raspy.common.MDP import ServerError
from raspy.common.mdwrkapi import MajorDomoWorker
from raspy.common.offences import Offences
from raspy.common.statistics import SNMPCounter
from raspy.common.stop import StopEvent
from raspy.servers.broker import gate as gate_module
from raspy.servers.broker.gate import Gate
from raspy.servers.broker.keyring import Keyring
from raspy.servers.broker.listeners import by_part
from tests.conftest import Processes, tcp_base, wait_for
from tests.support import activated
from tests.support.curved import CurvedBroker, Recorder, curve_options, json_of, pair, receive
from tests.support.peers import Peers, put

QUIET_MS = 300
"""How long nothing may come where nothing must come; only after what would bring it has been answered."""


@pytest.fixture
def curved(processes: Processes) -> CurvedBroker:
    return CurvedBroker(processes)


@pytest.fixture
def desktop(curved: CurvedBroker) -> Pair:
    """A key that was let in."""
    own = pair()
    curved.authorize("desktop", own.public)
    return own


def client(address: BrokerAddress, timeout_ms: int = 20_000) -> MajorDomoClient:
    client = MajorDomoClient(address, name="test")
    client.timeout, client.retries = timeout_ms, 1
    return client


def works(local: Peers, remote: Peers) -> None:
    """A remote peer asks a local worker, takes a snapshot and follows."""
    worker = local.registered(b"test.echo.x")
    asking = remote.client()
    asking.send(b"test.echo.x", b"ping")
    worker.reply(worker.take()[0], b"pong")
    assert asking.receive() == (b"test.echo.x", [b"pong"])
    clone = remote.clone().settled()
    publisher = local.publisher()
    put(publisher, b"/device/test/first", b"1")
    clone.follow(b"/device/test/first", b"1")
    assert clone.snapshot().map[b"/device/test/first"] == b"1"
    worker.close()


def test_a_key_comes_in_beside_local_peers(curved: CurvedBroker, desktop: Pair) -> None:
    with Peers(curved.url) as local, curved.peers(desktop) as remote:
        works(local, remote)
        assert not curved.strangers()
    assert stat.S_IMODE((curved.folder / "broker" / "key").stat().st_mode) == 0o600
    assert curved.public in curved.child.output, "the log says the public key"


def test_the_library_comes_in(curved: CurvedBroker, desktop: Pair) -> None:
    address = curved.address_for(desktop)
    with client(address) as asking:
        assert asking.call("mmi.service", "test.broker.mmi") == []
    told: dict[str, bytes] = {}
    follower = KvSubscriberClient(subtree="/device/", broker=address, callback=told.__setitem__)
    thread = threading.Thread(target=follower.run)
    thread.start()
    try:
        wait_for(lambda: follower.synchronised, 20)
        publisher = KvPublisherClient(broker=curved.url)
        publisher.send("/device/", "test/x", b"1")
        wait_for(lambda: told.get("/device/test/x") == b"1", 20)
        publisher.destroy()
    finally:
        follower.shutdown()
        thread.join(20)
        follower.destroy()


def test_the_same_key_after_a_restart(curved: CurvedBroker, desktop: Pair) -> None:
    before = curved.public
    assert curved.child.stop() == 0
    curved.start()
    assert curved.public == before
    with client(curved.address_for(desktop)) as asking:
        assert asking.call("mmi.service", "test.broker.mmi") == []


# Strangers.


def nothing(remote: Peers, local: Peers) -> None:
    """Whatever these peers send, on any of the four sockets, nobody gets, and nothing comes back."""
    worker = local.registered(b"test.stranger.x")
    asking = remote.client()
    asking.send(b"test.stranger.x", b"from a stranger")
    rogue = remote.worker(b"test.rogue.x")
    updates = remote.socket(zmq.SUB, remote.at.publisher)
    updates.setsockopt(zmq.SUBSCRIBE, b"")
    snapshots = remote.socket(zmq.DEALER, remote.at.snapshot)
    snapshots.send_multipart([b"ICANHAZ?", b"/"])
    publisher = remote.publisher()
    publisher.sndtimeo = 0
    try:
        put(publisher, b"/device/stranger", b"1")
    except zmq.Again:
        # Refused already, so there is nobody to send it to.
        pass

    def noted() -> bool:
        if curved_strangers(local):
            return True
        # Who finds out first that they don't speak the same, and hangs up, is not noted: another one, then.
        another = remote.client()
        another.send(b"test.stranger.x", b"from a stranger")
        assert not another.socket.poll(QUIET_MS)
        return False

    wait_for(noted, 20)
    put(local.publisher(), b"/device/friend", b"1")
    assert local.count(b"test.rogue.x") == 0
    clone = local.clone()
    wait_for(lambda: b"/device/friend" in clone.snapshot().map, 20)
    assert b"/device/stranger" not in clone.map
    assert not asking.socket.poll(QUIET_MS)
    for silent in (rogue.socket, updates, snapshots):
        assert not silent.poll(0)
    # The broker and the worker are well, and the worker got nothing.
    friend = local.client()
    friend.send(b"test.stranger.x", b"from a friend")
    who, body = worker.take()
    assert body == [b"from a friend"]
    worker.reply(who, b"thanks")
    assert friend.receive()[1] == [b"thanks"]


def curved_strangers(local: Peers) -> list[int]:
    """A list as long as the number of peers that were not let in."""
    return [0] * int(local.figures()["broker.strangers"])


def test_an_unknown_key_gets_nothing(curved: CurvedBroker) -> None:
    own = pair()
    with Peers(curved.url) as local, curved.peers(own) as remote:
        nothing(remote, local)
    line = curved.strangers()[0]
    assert f"127.0.0.1 was refused: its key {own.public} is not in {curved.keys}" in line


def test_a_plain_peer_gets_nothing(curved: CurvedBroker) -> None:
    with Peers(curved.url) as local, Peers(curved.tcp) as remote:
        nothing(remote, local)
    assert "was refused: no CURVE, or not with the key of this broker" in curved.strangers()[0]


def test_a_wrong_server_key_gets_nothing(curved: CurvedBroker, desktop: Pair) -> None:
    with Peers(curved.url) as local, curved.peers(desktop, pair().public) as remote:
        nothing(remote, local)
    assert "was refused: no CURVE, or not with the key of this broker" in curved.strangers()[0]


def test_a_replayed_handshake_gets_nothing(curved: CurvedBroker, desktop: Pair) -> None:
    recorder = Recorder(curved.port)
    recorder.start()
    with Peers(curved.url) as local:
        worker = local.registered(b"test.pump.x")
        with Peers(f"tcp://127.0.0.1:{recorder.port}", **curve_options(desktop, curved.public)) as remote:
            asking = remote.client()
            asking.send(b"test.pump.x", b"on")
            who, _ = worker.take()
            worker.reply(who, b"200")
            assert asking.receive()[1] == [b"200"]
        recorder.join(20)
        assert not recorder.is_alive()
        # Greeting, HELLO, INITIATE with the proof of the key, and the request.
        assert len(recorder.said) > 64 + 200 + 257
        assert b"pump" not in recorder.said
        with socket.create_connection(("127.0.0.1", curved.port)) as replay:
            replay.settimeout(20)
            # It is told hello, as everybody is (RFC 23, RFC 26: greeting, WELCOME), and then shown the door.
            replay.sendall(recorder.said[:64])
            assert b"CURVE" in receive(replay, 64)
            replay.sendall(recorder.said[64 : 64 + 202])
            assert b"WELCOME" in receive(replay, 170)
            replay.sendall(recorder.said[64 + 202 :])
            assert receive(replay, 1) == b""
        wait_for(lambda: curved.strangers(), 20)
        friend = local.client()
        friend.send(b"test.pump.x", b"off")
        assert worker.take()[1] == [b"off"], "the replayed request has not come"


def test_noise_gets_nothing_and_a_line_a_second(curved: CurvedBroker, desktop: Pair) -> None:
    started = time.monotonic()
    for number in range(60):
        with socket.create_connection(("127.0.0.1", curved.port + number % 4)) as noise:
            noise.sendall([b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 300, os.urandom(200), b""][number % 4])
    own = [pair() for _ in range(10)]
    for one in own:
        with (
            client(curved.address_for(one)) as asking,
            pytest.raises(ServerError, match="does not know our key"),
        ):
            asking.call("mmi.service", "test.broker.mmi")
    with client(curved.address_for(desktop)) as asking:
        assert asking.call("mmi.service", "test.broker.mmi") == []
    assert 1 <= len(curved.strangers()) <= time.monotonic() - started + 1


def test_too_many_at_a_time_are_cut_and_who_is_in_stays(curved: CurvedBroker, desktop: Pair) -> None:
    with Peers(curved.url) as local, curved.peers(desktop) as remote:
        inside = remote.client()
        assert inside.ask(b"mmi.service", b"test.broker.mmi") == [b"200"]
        silent = [
            socket.create_connection(("127.0.0.1", curved.port)) for _ in range(gate_module.MAX_PENDING + 40)
        ]
        try:
            # The oldest of them hear the greeting and then the end.
            silent[0].settimeout(20)
            heard = b"x"
            while heard:
                try:
                    heard = silent[0].recv(4096)
                except ConnectionResetError:
                    heard = b""
            curved.child.wait_output("connections cut: too many within", 20)
        finally:
            for one in silent:
                one.close()
        wait_for(lambda: local.client().ask(b"mmi.service", b"test.broker.mmi") == [b"200"], 20)
        with client(curved.address_for(desktop)) as asking:
            assert asking.call("mmi.service", "test.broker.mmi") == []


# What a key allows.


def test_a_key_alone_neither_serves_nor_publishes(curved: CurvedBroker, desktop: Pair) -> None:
    with Peers(curved.url) as local, curved.peers(desktop) as remote:
        worker = remote.worker(b"test.core.cron")
        worker.dismissed()
        assert local.count(b"test.core.cron") == 0
        put(remote.publisher(), b"/device/test/heater", b"on")
        wait_for(lambda: any("desktop may not publish values" in line for line in curved.strangers()), 20)
        clone = local.clone()
        put(local.publisher(), b"/device/test/pump", b"on")
        wait_for(lambda: b"/device/test/pump" in clone.snapshot().map, 20)
        assert b"/device/test/heater" not in clone.map
        assert "READY for 'test.core.cron' refused: desktop may offer no services" in curved.child.output


def test_a_key_that_serves_a_host_does_that_and_no_more(curved: CurvedBroker) -> None:
    own = pair()
    curved.authorize("garden", own.public, " serve=greenhouse")
    with Peers(curved.url) as local, curved.peers(own) as remote:
        worker = remote.registered(b"greenhouse.fake.devices")
        asking = local.client()
        asking.send(b"greenhouse.fake.devices", b"list_keys")
        worker.reply(worker.take()[0], b"x", b"200")
        assert asking.receive()[1] == [b"x", b"200"]
        for name in (b"test.core.cron", b"greenhousex.fake.devices", b"titanic.store", b"greenhouse"):
            other = remote.worker(name)
            other.dismissed()
        publisher = remote.publisher()
        put(publisher, b"/device/test/heater", b"on")
        put(publisher, b"/scenario/x", b"on")
        put(publisher, b"/event/x", b"{}")
        put(publisher, b"/device/greenhouse/x", b"1")
        clone = local.clone(b"/")
        wait_for(lambda: b"/device/greenhouse/x" in clone.snapshot().map, 20)
        assert b"/event/x" in clone.map
        assert b"/device/test/heater" not in clone.map and b"/scenario/x" not in clone.map
        # A local peer may do as before.
        put(local.publisher(), b"/device/test/heater", b"on")
        wait_for(lambda: b"/device/test/heater" in clone.snapshot().map, 20)
    assert "garden may publish below /device/greenhouse/ and /event/ only" in curved.child.output
    assert "garden may offer services of greenhouse only" in curved.child.output


def test_the_librarys_worker_serves_from_afar(curved: CurvedBroker) -> None:
    own = pair()
    curved.authorize("garden", own.public, " serve=greenhouse")
    address = curved.address_for(own)
    worker = MajorDomoWorker(address, "greenhouse.tank.devices")
    publisher = KvPublisherClient(broker=address)
    try:
        with Peers(curved.url) as local:
            asking = local.client()
            asking.send(b"greenhouse.tank.devices", b"hello")
            request = worker.receive(20)
            assert request is not None and request[1] == [b"hello"]
            worker.reply(request[0], [b"200"])
            assert asking.receive()[1] == [b"200"]
            publisher.send("/device/", "greenhouse/tank/t", b"21")
            clone = local.clone()
            wait_for(lambda: b"/device/greenhouse/tank/t" in clone.snapshot().map, 20)
    finally:
        worker.destroy()
        publisher.destroy()


# Keys come and go while it runs.


def test_revoked_is_cut_off_and_others_come_back(curved: CurvedBroker, desktop: Pair) -> None:
    lost = pair()
    file = curved.authorize("lost", lost.public)
    with Peers(curved.url) as local, curved.peers(lost) as theirs, curved.peers(desktop) as ours:
        inside, staying = theirs.client(), ours.client()
        for one in (inside, staying):
            assert one.ask(b"mmi.service", b"test.broker.mmi") == [b"200"]
        updates = theirs.clone().settled()
        file.unlink()
        curved.child.wait_output("a key was taken away or changed", 20)
        put(local.publisher(), b"/device/after", b"1")
        inside.socket.sndtimeo = 0
        inside.socket.rcvtimeo = QUIET_MS
        with pytest.raises(zmq.Again):
            inside.ask(b"mmi.service", b"test.broker.mmi")
        assert not updates.updates.poll(QUIET_MS)
        # ZeroMQ brings the others back by itself.
        with client(curved.address_for(desktop)) as again:
            assert again.call("mmi.service", "test.broker.mmi") == []
    with client(curved.address_for(lost)) as asking, pytest.raises(ServerError, match=DENIED):
        asking.call("mmi.service", "test.broker.mmi")


def test_who_was_refused_comes_in_without_a_restart_of_anybody(curved: CurvedBroker) -> None:
    """Client, subscriber, publisher and worker find the way by themselves once their key is there."""
    own = pair()
    address = curved.address_for(own)
    stop = StopEvent()
    worker = MajorDomoWorker(address, "garden.x.y", stopping=stop)
    serving = threading.Thread(target=lambda: worker.receive(60))
    serving.start()
    follower = KvSubscriberClient(subtree="/device/", broker=address, speed=4)
    following = threading.Thread(target=follower.run)
    following.start()
    publisher = KvPublisherClient(broker=address)
    try:
        with client(address) as asking, Peers(curved.url) as local:
            assert asking.send("mmi.service", "test.broker.mmi") is None
            assert asking.refusal == DENIED
            publisher.send("/device/", "garden/x", b"1")
            wait_for(lambda: len(curved_strangers(local)) >= 4, 20)
            curved.authorize("garden", own.public, " serve=garden")
            assert asking.call("mmi.service", "test.broker.mmi") == []
            assert asking.refusal == ""
            wait_for(lambda: local.count(b"garden.x.y") == 1, 30)
            wait_for(lambda: follower.synchronised, 30)

            def arrived() -> bool:
                publisher.send("/device/", "garden/x", b"2")
                return follower.kvmap.get("/device/garden/x") == b"2"

            wait_for(arrived, 30)
    finally:
        stop.set()
        follower.shutdown()
        serving.join(20)
        following.join(20)
        worker.destroy()
        follower.destroy()
        publisher.destroy()
        stop.close()


def test_a_wrong_server_key_is_told_to_the_client(curved: CurvedBroker, desktop: Pair) -> None:
    with client(curved.address_for(desktop, pair().public), 1500) as asking:
        with pytest.raises(
            ServerError, match="does not let us in: it has another key than we were told, or none"
        ):
            asking.call("mmi.service", "test.broker.mmi")
        assert asking.refusal == FAILED


# How it is set up.


def test_sockets_from_systemd(processes: Processes) -> None:
    """Unix sockets and those of raspy-broker-tcp.socket, whose four have one name."""
    own, base, home = pair(), tcp_base(), processes.home
    keys = home / "keys"
    keys.mkdir()
    (keys / "desktop.pub").write_text(own.public)
    sockets = {name: f"{home}/{name}.sock" for name in PARTS}
    sockets |= {f"tcp {offset}": f"127.0.0.1:{base + offset}" for offset in (2, 0, 3, 1)}
    url = f"ipc://{home}"
    broker = activated.start(
        processes, sockets, "raspy.servers.broker", "--broker", url, "--data-dir", home / "state",
        "--hostname", "test", "--set", f"authorized_keys={keys}",
    ).wait_ready()  # fmt: skip
    with Peers(url) as local:
        info = json_of(local, b"test.broker.mmi", b"info")
        assert info["remote"] == [f"tcp://*:{base}"]
        assert info["authorized_keys"] == str(keys)
        with Peers(f"tcp://127.0.0.1:{base}", **curve_options(own, str(info["public_key"]))) as remote:
            works(local, remote)
        with Peers(f"tcp://127.0.0.1:{base}") as remote:
            nothing(remote, local)
    assert broker.stop() == 0


def test_sockets_from_systemd_that_are_not_four_in_a_row(run_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.socket(socket.AF_UNIX) as unix:
        with pytest.raises(ConfigError, match="must name four TCP ports in a row, 5514 to 5517"):
            by_part([one.fileno()])
        with pytest.raises(ConfigError, match="must name four TCP ports"):
            by_part([one.fileno(), unix.fileno()])
    assert by_part([]) == []


def test_without_a_key_of_its_own_there_is_no_way_in(processes: Processes) -> None:
    home = processes.home
    (home / "state").mkdir()
    (home / "state" / "key").write_text("nonsense")
    (home / "state" / "key").chmod(0o600)
    arguments = ["--broker", f"ipc://{home}/run", "--data-dir", home / "state"]
    broker = processes.start("raspy.servers.broker", *arguments, "--set", f"listen=tcp://*:{tcp_base()}")
    assert broker.wait() == 78
    assert f"[broker] listen: {home}/state/key: holds no keys" in broker.output
    # Those on this machine have their broker all the same.
    broker = processes.start_ready("raspy.servers.broker", *arguments)
    assert "without it there is no way in by TCP" in broker.output
    assert broker.stop() == 0


@pytest.fixture
def gate(run_dir: Path) -> Iterator[Gate]:
    (run_dir / "keys").mkdir()
    log = logging.getLogger("raspy.gate")
    context = zmq.Context()
    keyring = Keyring(run_dir / "keys", log)
    made = Gate(context, pair(), keyring, Offences(log, SNMPCounter("x")), log)
    yield made
    made.close()
    context.term()


@pytest.mark.parametrize(
    "question",
    [[b""], [b"1.0", b"1"], [b"1.0", b"1", b"mdp", b"1.2.3.4", b"", b"NULL"],
     [b"1.0", b"1", b"mdp", b"1.2.3.4", b"", b"PLAIN", b"admin", b"admin"],
     [b"1.0", b"1", b"mdp", b"1.2.3.4", b"", b"CURVE", b"x" * 32]],
)  # fmt: skip
def test_who_shows_no_key_is_refused(
    gate: Gate, question: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """What libzmq asks for other mechanisms; and what it never would."""
    stop = StopEvent()
    thread = threading.Thread(target=gate.run, args=(stop, lambda: None))
    asking = gate._zap.context.socket(zmq.REQ)
    asking.connect(gate_module.ZAP)
    thread.start()
    try:
        asking.send_multipart(question)
        assert asking.poll(20_000)
        version, sequence, status, *_ = asking.recv_multipart()
        assert (version, status) == (b"1.0", b"400")
        assert sequence == (question[1] if len(question) > 1 else b"")
    finally:
        stop.set()
        thread.join(20)
        asking.close(linger=0)
        stop.close()
    assert "was refused" in caplog.text
