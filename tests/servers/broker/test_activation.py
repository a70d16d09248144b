# SPDX-License-Identifier: GPL-3.0-or-later
"""A request for a server that sleeps wakes it through its control socket, and then is served."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from raspy.servers.broker.activation import KNOCK_EVERY_S, Activation
from tests.conftest import wait_for
from tests.support import activated
from tests.support.broker import RunningBroker
from tests.support.peers import Peers


@pytest.fixture
def lamp(run_dir: Path) -> Iterator[socket.socket]:
    """What systemd holds of a sleeping server: its control socket, listening."""
    with listening(run_dir / "lamp.sock") as one:
        yield one


def listening(path: Path, backlog: int = 4) -> socket.socket:
    one = socket.socket(socket.AF_UNIX)
    one.bind(str(path))
    one.listen(backlog)
    one.setblocking(False)
    return one


def knocks(listening: socket.socket) -> int:
    """How many connections came since the last call."""
    count = 0
    while True:
        try:
            listening.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


class Clock:
    """Seconds that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def activation(run_dir: Path, clock: Clock) -> Activation:
    return Activation("pi", str(run_dir), "broker", clock)


def test_knocks_once_for_many_requests(lamp: socket.socket, activation: Activation, clock: Clock) -> None:
    assert all(activation.wake(b"pi.lamp.devices") for _ in range(5))
    assert activation.wake(b"pi.lamp.mmi")
    assert knocks(lamp) == 1
    clock.now += KNOCK_EVERY_S
    assert activation.wake(b"pi.lamp.devices")
    assert knocks(lamp) == 1


def test_a_queue_of_knocks_is_as_good_as_one(run_dir: Path, activation: Activation) -> None:
    with listening(run_dir / "lamp.sock", 0), socket.socket(socket.AF_UNIX) as before:
        before.connect(f"{run_dir}/lamp.sock")
        assert activation.wake(b"pi.lamp.devices")


def test_nobody_listens_any_more(run_dir: Path, activation: Activation) -> None:
    listening(run_dir / "lamp.sock").close()
    assert not activation.wake(b"pi.lamp.devices")
    assert not activation.wake(b"pi.lamp.devices")


@pytest.mark.parametrize(
    "service",
    [b"", b"pi", b"pi.", b"pi..", b"pi.lamp2.x", b"pi2.lamp.x", b"other.lamp.x", b"lamp", b"pi.LAMP.x",
     b"pi.\xff.x",
     b"pi.../lamp.x", b"pi.lamp/../lamp.x", b"pi./lamp.x", b"pi.la\x00mp.x", b"pi." + b"l" * 32 + b".x"],
)  # fmt: skip
def test_what_is_no_server_here(lamp: socket.socket, activation: Activation, service: bytes) -> None:
    assert not activation.possible(service)
    assert not activation.wake(service)
    assert knocks(lamp) == 0


@pytest.mark.parametrize(
    "name", ["mdp", "snapshot", "publisher", "collector", "broker", "scenario", "notify"]
)
def test_sockets_that_are_no_sleeping_servers(run_dir: Path, activation: Activation, name: str) -> None:
    """A connection to scenario.sock would start a scenario."""
    with listening(run_dir / f"{name}.sock") as one:
        assert not activation.possible(f"pi.{name}.mmi".encode())
        assert not activation.wake(f"pi.{name}.mmi".encode())
        assert activation.sleeping() == []
        assert knocks(one) == 0


def test_those_that_can_be_woken_are_listed(
    lamp: socket.socket, activation: Activation, run_dir: Path
) -> None:
    (run_dir / "notes.txt").touch()
    (run_dir / "Kettle.sock").touch()
    (run_dir / "tap.sock").touch()
    assert activation.sleeping() == ["lamp", "tap"]
    assert activation.possible(b"pi.lamp")


def test_without_a_folder_or_when_it_has_gone(run_dir: Path) -> None:
    for folder in ("", f"{run_dir}/gone"):
        none = Activation("pi", folder, "broker")
        assert none.sleeping() == []
        assert not none.possible(b"pi.lamp.mmi")
        assert not none.wake(b"pi.lamp.mmi")


def test_a_path_that_is_too_long_for_a_socket(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    (folder / "lamp.sock").touch()
    assert not Activation("pi", str(folder), "broker").wake(b"pi.lamp.mmi")


def test_the_request_waits_until_the_server_is_up(broker: RunningBroker, lamp: socket.socket) -> None:
    with Peers(broker.url) as peers:
        assert peers.ask(b"mmi.service", b"test.lamp.devices") == [b"200"]
        assert peers.ask(b"mmi.discovery", b".*lamp.*") == [b"test.lamp.mmi", b"test.lamp.statistics", b"200"]
        assert knocks(lamp) == 0
        client = peers.client()
        client.send(b"test.lamp.devices", b"list")
        wait_for(lambda: knocks(lamp) == 1)
        worker = peers.worker(b"test.lamp.devices")
        sender, body = worker.take()
        worker.reply(sender, *body, b"200")
        assert client.receive() == (b"test.lamp.devices", [b"list", b"200"])
        # It goes to sleep again; now it is known which services it has.
        worker.send(b"\x05")
        worker.sync()
        wait_for(lambda: peers.ask(b"mmi.workers", b"test.lamp.devices") == [b"0", b"200"])
        names = [b"test.lamp.devices", b"test.lamp.mmi", b"test.lamp.statistics"]
        assert peers.ask(b"mmi.discovery", b".*lamp.*") == [*names, b"200"]


def test_a_knock_that_was_lost_is_repeated(broker: RunningBroker, lamp: socket.socket) -> None:
    """A server that just ends still holds its socket, and takes the first knock with it."""
    with Peers(broker.url) as peers:
        client = peers.client()
        client.send(b"test.lamp.devices", b"list")
        wait_for(lambda: knocks(lamp) == 1)
        wait_for(lambda: knocks(lamp) == 1, what="another knock, while the request waits")
        worker = peers.worker(b"test.lamp.devices")
        sender, body = worker.take()
        worker.reply(sender, *body, b"200")
        assert client.receive() == (b"test.lamp.devices", [b"list", b"200"])


def test_services_that_it_never_had_are_forgotten(broker: RunningBroker, lamp: socket.socket) -> None:
    broker.child.stop()
    broker._settings = ("request_age_s=0.1", "max_services=20")
    broker.start()
    with Peers(broker.url) as peers:
        for number in range(60):
            peers.client().send(b"test.lamp.x%d" % number, b"x")
        wait_for(lambda: peers.figures()["broker.requests"] >= 60)
        wait_for(lambda: peers.figures()["broker.services"] == 0)
        assert knocks(lamp) == 1


def test_a_real_server_that_is_not_running(broker: RunningBroker) -> None:
    """All of it: request, knock, start by the service manager's socket, register, reply."""
    control = {"control": f"{broker.folder}/fake.sock"}
    arguments = ["--config", broker.config, "--broker", broker.url, "--hostname", "test"]
    arguments += ["--data-dir", broker.folder / "fake"]
    child = activated.start(broker.processes, control, "raspy.servers.fake", *arguments, at_first=True)
    child.wait_output("listening")
    with Peers(broker.url) as peers:
        assert peers.ask(b"mmi.service", b"test.fake.mmi") == [b"200"]
        assert "woken" not in child.output
        reply = peers.ask(b"test.fake.mmi", b"loglevel")
        assert reply == [b"info", b"200"]
        assert "woken" in child.output
        assert child.stop() == 0
        assert (broker.folder / "fake.sock").exists(), "the socket is systemd's, and wakes it again"
