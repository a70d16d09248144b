# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the broker listens: its own sockets, loopback TCP beside them, and what systemd passes."""

import os
import socket
import stat
from pathlib import Path

import pytest

from raspy.common.address import PARTS, BrokerAddress
from raspy.common.config import ConfigError
from raspy.servers.broker.listeners import Listeners, refuse_open_descriptor, refuse_open_tcp
from tests.conftest import Processes, tcp_base, wait_for
from tests.support import activated
from tests.support.peers import Peers, put

BROKER = "raspy.servers.broker"


def works(peers: Peers) -> None:
    """All four sockets do their work."""
    worker = peers.registered(b"echo")
    client = peers.client()
    client.send(b"echo", b"x")
    worker.reply(worker.take()[0], b"y")
    assert client.receive() == (b"echo", [b"y"])
    clone = peers.clone()
    publisher = peers.publisher()
    put(publisher, b"/device/first", b"1")
    wait_for(lambda: clone.snapshot().map.get(b"/device/first") == b"1")
    put(publisher, b"/device/second", b"2")
    clone.follow(b"/device/second", b"2")
    worker.send(b"\x05")
    worker.sync()


def test_unix_and_tcp_on_the_same_sockets(processes: Processes) -> None:
    url, tcp, more = (f"ipc://{processes.home}/run", *(f"tcp://127.0.0.1:{tcp_base()}" for _ in range(2)))
    broker = processes.start_ready(BROKER, "--broker", url, "--set", f"listen={tcp},{more}")
    for one in (url, tcp, more):
        with Peers(one) as peers:
            works(peers)
    run = processes.home / "run"
    assert stat.S_IMODE(run.stat().st_mode) == 0o750
    for part in PARTS:
        assert stat.S_IMODE((run / f"{part}.sock").stat().st_mode) == 0o660
    assert broker.stop() == 0


def test_only_tcp(processes: Processes) -> None:
    url = f"tcp://127.0.0.1:{tcp_base()}"
    broker = processes.start_ready(BROKER, "--broker", url, "--data-dir", processes.home / "kept")
    with Peers(url) as peers:
        works(peers)
    assert broker.stop() == 0


def test_a_second_broker_in_the_same_folder_is_refused(processes: Processes) -> None:
    url = f"ipc://{processes.home}"
    first = processes.start_ready(BROKER, "--broker", url)
    second = processes.start(BROKER, "--broker", url)
    assert second.wait() == 1
    assert f"another broker is running at {url}; stop it, or choose another folder" in second.output
    with Peers(url) as peers:
        works(peers)
    first.kill()
    with Peers(url) as peers:
        processes.start_ready(BROKER, "--broker", url)
        works(peers)


def test_an_address_that_is_taken(processes: Processes) -> None:
    base = tcp_base()
    with socket.create_server(("127.0.0.1", base + 2)):
        broker = processes.start(BROKER, "--broker", f"ipc://{processes.home}", "--set",
                                 f"listen=tcp://127.0.0.1:{base}")  # fmt: skip
        assert broker.wait() == 1
    assert f"can't listen at tcp://127.0.0.1:{base + 2}: Address already in use" in broker.output


def test_a_folder_that_cannot_be_made(processes: Processes) -> None:
    (processes.home / "file").touch()
    broker = processes.start(BROKER, "--broker", f"ipc://{processes.home}/file/run")
    assert broker.wait() == 1
    assert "can't start" in broker.output


@pytest.mark.parametrize(
    "url",
    ["tcp://0.0.0.0:5514", "tcp://192.168.1.5:5514", "tcp://[::]:5514", "tcp://example.org:5514", "tcp://*:5514",
     "tcp://127.0.0.1.example.org:5514", "tcp://10.0.0.127:5514", "tcp://[::ffff:127.0.0.1]:5514"],
)  # fmt: skip
def test_tcp_that_others_reach_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="plain TCP is allowed on loopback only"):
        refuse_open_tcp(BrokerAddress.parse(url))


@pytest.mark.parametrize(
    "url", ["ipc:///run/raspy", "tcp://127.0.0.1:1", "tcp://127.9.9.9", "tcp://localhost", "tcp://[::1]"]
)
def test_loopback_is_not(url: str) -> None:
    refuse_open_tcp(BrokerAddress.parse(url))


@pytest.mark.parametrize(
    "setting", ["broker=tcp://0.0.0.0:5514", "listen=udp://x", "listen=tcp://127.0.0.1:99999"]
)
def test_a_wrong_address_in_the_configuration(processes: Processes, setting: str) -> None:
    broker = processes.start(BROKER, "--set", setting)
    assert broker.wait() == 78
    assert len(broker.output.splitlines()) == 1
    assert "tcp://" in broker.output


def passed(home: Path, *others: str) -> dict[str, str]:
    return {name: f"{home}/{name}.sock" for name in (*PARTS, *others)}


def test_sockets_from_systemd(processes: Processes) -> None:
    """Passed ones are used, not made again; they and their files outlive the broker, with who waits there."""
    sockets = passed(processes.home) | {"control": f"{processes.home}/broker.sock"}
    inodes = lambda: {name: os.stat(path).st_ino for name, path in sockets.items()}  # noqa: E731
    url = f"ipc://{processes.home}"
    broker = activated.start(processes, sockets, BROKER, "--broker", url)
    broker.wait_output("listening")
    before = inodes()
    with Peers(url) as peers:
        # Connected before the broker is ready, as with systemd at boot.
        works(peers)
        broker.wait_ready()
        control = peers.socket(5, f"{url}/broker.sock")
        control.send_multipart(
            [b"", b"MDPC01", f"{socket.gethostname().partition('.')[0]}.broker.mmi".encode(), b"status"]
        )
        assert control.recv_multipart()[-1] == b"200"
    assert broker.stop() == 0
    assert inodes() == before
    assert not (processes.home / "broker.lock").exists(), "systemd sees to it that there is one"


def test_tcp_sockets_from_systemd(processes: Processes) -> None:
    base = tcp_base()
    sockets = {name: f"127.0.0.1:{base + number}" for number, name in enumerate(PARTS)}
    url = f"tcp://127.0.0.1:{base}"
    broker = activated.start(
        processes, sockets, BROKER, "--broker", url, "--data-dir", processes.home
    ).wait_ready()
    with Peers(url) as peers:
        works(peers)
    assert broker.stop() == 0


def test_unix_sockets_from_systemd_and_tcp_of_its_own(processes: Processes) -> None:
    tcp = f"tcp://127.0.0.1:{tcp_base()}"
    url = f"ipc://{processes.home}"
    broker = activated.start(
        processes, passed(processes.home), BROKER, "--broker", url, "--set", f"listen={tcp}"
    ).wait_ready()
    for one in (url, tcp):
        with Peers(one) as peers:
            works(peers)
    assert broker.stop() == 0


def test_an_open_socket_from_systemd_is_refused(processes: Processes) -> None:
    url = f"ipc://{processes.home}"
    sockets = passed(processes.home) | {"mdp": f"0.0.0.0:{tcp_base()}"}
    broker = activated.start(processes, sockets, BROKER, "--broker", url)
    assert broker.wait() == 78
    assert "the socket 'mdp' that systemd passed listens at 0.0.0.0" in broker.output


def test_descriptors_of_every_kind(run_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unix, socket.create_server(("127.0.0.1", 0)) as loopback:
        unix.bind(str(run_dir / "x"))
        refuse_open_descriptor("mdp", unix.fileno())
        refuse_open_descriptor("mdp", loopback.fileno())
        assert loopback.getsockname()[0] == "127.0.0.1", "it is still open"
    with socket.create_server(("::", 0), family=socket.AF_INET6) as everywhere, pytest.raises(ConfigError):
        refuse_open_descriptor("mdp", everywhere.fileno())


def test_close_without_open(run_dir: Path) -> None:
    listeners = Listeners(BrokerAddress.parse(f"ipc://{run_dir}"))
    listeners.close()
    listeners.close()
