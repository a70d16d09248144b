# SPDX-License-Identifier: GPL-3.0-or-later
"""The control socket: the same requests without a broker, on systemd's socket or one of its own."""

import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raspy.common.mdcliapi import MajorDomoClient
from raspy.common.server import Server
from tests.conftest import wait_for
from tests.support import activated
from tests.support.asking import Asking
from tests.support.broker import RunningBroker
from tests.support.peers import WAIT_MS
from tests.support.processes import Processes

CLIENT = b"MDPC01"


class Bell(Server):
    """A server with nothing but its own services."""

    SERVICE = "bell"


@contextmanager
def serving(folder: Path) -> Iterator[Bell]:
    """A bell whose broker is not there, so that only its control socket answers."""
    bell = Bell("pi", "bell", broker=f"ipc://{folder}")
    thread = threading.Thread(target=bell.run)
    thread.start()
    try:
        wait_for((folder / "bell.sock").exists)
        yield bell
    finally:
        bell.shutdown()
        thread.join(10)
        assert not thread.is_alive()


class Peer:
    """A bare client of the control socket."""

    def __init__(self, folder: Path):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger, self.socket.rcvtimeo = 0, WAIT_MS
        self.socket.connect(f"ipc://{folder}/bell.sock")

    def ask(self, service: bytes, *body: bytes) -> list[bytes]:
        self.socket.send_multipart([b"", CLIENT, service, *body])
        reply = self.socket.recv_multipart()
        assert reply[:3] == [b"", CLIENT, service[:255]]
        return reply[3:]

    def close(self) -> None:
        self.context.destroy(linger=0)


@pytest.fixture
def bell(run_dir: Path) -> Iterator[Bell]:
    with serving(run_dir) as bell:
        yield bell


@pytest.fixture
def peer(bell: Bell, run_dir: Path) -> Iterator[Peer]:
    peer = Peer(run_dir)
    yield peer
    peer.close()


def test_its_services_without_a_broker(peer: Peer) -> None:
    assert peer.ask(b"pi.bell.mmi", b"status") == [b"running", b"200"]
    assert peer.ask(b"pi.bell.statistics", b"get", b"x")[-1] == b"404"
    # Without the machine's name, which nobody can be asked for while the broker is away.
    assert peer.ask(b"bell.mmi", b"status") == [b"running", b"200"]
    assert peer.ask(b"pi.bell.nothing", b"x") == [b"pi.bell has no service 'nothing'", b"404"]
    text, status = peer.ask(b"pi.lamp.mmi", b"status")
    assert (text, status) == (b"this is the control socket of pi.bell; it serves nothing else", b"404")


def test_a_service_that_is_still_on_its_way_is_waited_for(run_dir: Path) -> None:
    """A request on the control socket may be what started the server; it must not meet a 404."""
    may_serve = threading.Event()

    class LateBell(Bell):
        def worker_late(self) -> None:
            may_serve.wait(20)
            self.serve("late", {"ring": lambda: "ding"})

        def worker_never(self) -> None:
            """A thread that serves nothing."""

    bell = LateBell("pi", "bell", broker=f"ipc://{run_dir}")
    thread = threading.Thread(target=bell.run)
    thread.start()
    try:
        wait_for((run_dir / "bell.sock").exists)
        with MajorDomoClient(f"ipc://{run_dir}/bell.sock") as client:
            client.retries = 40
            asking = Asking(lambda: client.call("pi.bell.late", "ring"))
            wait_for(lambda: bell.offers("mmi"))
            assert asking.running
            may_serve.set()
            assert asking.done() == [b"ding"]
            assert client.send("pi.bell.control", "x") == [b"pi.bell has no service 'control'", b"404"]
            asking = Asking(lambda: client.send("pi.bell.never", "x"))
            bell.shutdown()
            asking.done()
    finally:
        may_serve.set()
        bell.shutdown()
        thread.join(10)
    assert not thread.is_alive()


def test_its_mode_is_for_its_group(bell: Bell, run_dir: Path) -> None:
    mode = (run_dir / "bell.sock").stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o660


def test_a_name_that_is_too_long_does_not_come_back_whole(peer: Peer) -> None:
    assert peer.ask(b"x" * 100_000, b"x")[-1] == b"404"
    assert peer.ask(b"pi.bell." + b"x" * 100_000, b"x")[-1] == b"404"


DAMAGED = [[b""], [b"", CLIENT], [b"", CLIENT, b"pi.bell.mmi"], [b"x", CLIENT, b"pi.bell.mmi", b"status"],
           [b"", b"MDPW01", b"\x01", b"x"]]  # fmt: skip


def test_what_is_not_mdp_is_counted_and_logged_once_a_second(
    bell: Bell, peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    before = bell.statistics["server.offences"].value
    for _ in range(100):
        for message in DAMAGED:
            peer.socket.send_multipart(message)
    assert peer.ask(b"pi.bell.mmi", b"status")[-1] == b"200"
    assert bell.statistics["server.offences"].value == before + 100 * len(DAMAGED)
    assert 1 <= caplog.text.count("control socket: dropped a message that is not MDP/0.1") <= 3


FRAMES = st.one_of(
    st.sampled_from(
        [b"", CLIENT, b"pi.bell.mmi", b"pi.bell.statistics", b"pi.bell.", b"get", b"all", b"loglevel"]
    ),
    st.binary(max_size=10),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.lists(FRAMES, min_size=1, max_size=6), min_size=1, max_size=4))
def test_any_frames(peer: Peer, messages: list[list[bytes]]) -> None:
    for message in messages:
        peer.socket.send_multipart(message)
    peer.socket.send_multipart([b"", CLIENT, b"pi.bell.mmi", b"info"])
    # Others of the messages may have been requests, and were answered before.
    while not (reply := peer.socket.recv_multipart())[3].startswith(b'{"name": "pi.bell"'):
        pass
    assert reply[-1] == b"200"
    while peer.socket.poll(0):
        peer.socket.recv_multipart()


def test_one_that_asks_and_goes(bell: Bell, run_dir: Path, peer: Peer) -> None:
    for _ in range(20):
        gone = Peer(run_dir)
        gone.socket.send_multipart([b"", CLIENT, b"pi.bell.mmi", b"info"])
        gone.close()
    for _ in range(5):
        with socket.socket(socket.AF_UNIX) as knock:
            knock.connect(f"{run_dir}/bell.sock")
    assert peer.ask(b"pi.bell.mmi", b"status")[-1] == b"200"


def test_its_file_goes_with_it(run_dir: Path) -> None:
    with serving(run_dir):
        assert (run_dir / "bell.sock").exists()
    assert not (run_dir / "bell.sock").exists()


def test_the_socket_that_systemd_passed(processes: Processes, run_dir: Path) -> None:
    """It answers while there is no broker, and the socket's file stays, for the next start."""
    path = run_dir / "broker.sock"
    sockets = {name: f"{run_dir}/{name}.sock" for name in ("mdp", "snapshot", "publisher", "collector")}
    url = f"ipc://{run_dir}"
    before = None
    for _ in range(2):
        for leftover in run_dir.glob("*.sock"):
            leftover.unlink()
        child = activated.start(
            processes,
            sockets | {"control": str(path)},
            "raspy.servers.broker",
            "--broker",
            url,
            "--hostname",
            "pi",
        ).wait_ready()
        assert path.stat().st_ino != before
        before = path.stat().st_ino
        with MajorDomoClient(f"ipc://{path}") as client:
            assert client.call("pi.broker.mmi", "loglevel") == [b"info"]
        assert child.stop() == 0
        assert path.stat().st_ino == before


def test_a_server_of_a_remote_broker_uses_the_socket_that_was_passed(broker: RunningBroker) -> None:
    """It has no folder of unix sockets, but systemd's descriptor is enough."""
    path = broker.folder / "far.sock"
    child = activated.start(
        broker.processes, {"control": str(path)}, "raspy.servers.fake", "--config", broker.config, "--broker",
        "tcp://127.0.0.1:1", "--hostname", "pi", "--data-dir", broker.folder / "far",
    )  # fmt: skip
    with MajorDomoClient(f"ipc://{path}") as client:
        client.retries = 40
        assert client.call("pi.fake.mmi", "loglevel") == [b"info"]
    assert child.stop() == 0
