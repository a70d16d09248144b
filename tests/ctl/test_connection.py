# SPDX-License-Identifier: GPL-3.0-or-later
"""Which broker is meant, and how it is said that it is away."""

from __future__ import annotations

import os
import signal
import socket
import stat
import time
from pathlib import Path

import pytest

from raspy.common import config
from raspy.ctl import connection
from raspy.ctl.connection import START_SERVICE, START_STACK, Bus, resolve
from raspy.ctl.errors import CtlError, NoBroker, NotFound, WrongUse
from tests.conftest import Processes, RunningBroker
from tests.support.asking import Asking
from tests.support.ctl import Ctl
from tests.support.peers import Peers


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch, run_dir: Path) -> Path:
    """A machine with nothing on it: no configuration, no environment, a home of its own."""
    monkeypatch.delenv("RASPY_BROKER", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(run_dir / "state"))
    monkeypatch.setattr(config, "DEFAULT_FILE", run_dir / "etc" / "raspy.conf")
    return run_dir


def install(places: Path) -> Path:
    """Make RasPy installed there; the folder of its sockets."""
    (places / "etc").mkdir()
    (places / "etc" / "raspy.conf").write_text(f"[raspy]\nbroker = ipc://{places}/system\n")
    (places / "system").mkdir()
    return places / "system"


def test_what_is_said_goes_first(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RASPY_BROKER", "tcp://house:6000")
    assert resolve(None, None).address.url == "tcp://house:6000"
    assert resolve("tcp://127.0.0.1", None).address.url == "tcp://127.0.0.1:5514"
    with pytest.raises(WrongUse, match="two ways"):
        resolve("tcp://house", "pi")
    with pytest.raises(WrongUse, match="write ipc://"):
        resolve("house", None)


def test_without_a_word_it_is_the_stack_of_this_user(places: Path) -> None:
    target = resolve(None, None)
    assert target.address.url == f"ipc://{places}/state/raspy/run"
    assert target.start == START_STACK


def test_or_the_installed_one(places: Path) -> None:
    system = install(places)
    target = resolve(None, None)
    assert (target.address.folder, target.start) == (str(system), START_SERVICE)
    # A stack that runs goes before a service that does not.
    own = places / "state" / "raspy" / "run"
    own.mkdir(parents=True)
    (own / "mdp.sock").touch()
    assert resolve(None, None).address.folder == str(own)
    (system / "mdp.sock").touch()
    assert resolve(None, None).address.folder == str(system)


def test_a_configuration_that_is_wrong_is_no_obstacle(places: Path) -> None:
    install(places)
    (places / "etc" / "raspy.conf").write_text("[raspy\n")
    assert connection.installed_broker() == "ipc:///run/raspy"


@pytest.mark.parametrize(
    ("url", "start"),
    [
        ("ipc:///tmp/x/run", "python3 -m raspy --state /tmp/x"),
        ("ipc:///srv/raspy", "systemctl start raspy.target"),
        ("tcp://house:5514", "systemctl start raspy.target there"),
    ],
)
def test_how_it_is_started(places: Path, url: str, start: str) -> None:
    assert resolve(url, None).start == start


def test_nobody_there_is_one_sentence(ctl: Ctl, run_dir: Path) -> None:
    began = time.monotonic()
    result = ctl("--broker", f"ipc://{run_dir}/run", "get", "x")
    assert (result.status, result.out) == (4, "")
    assert result.err == (
        f"raspyctl: the broker at ipc://{run_dir}/run is away;"
        f" start it with: python3 -m raspy --state {run_dir}\n"
    )
    assert time.monotonic() - began < 20


def test_a_socket_that_nobody_listens_on(ctl: Ctl, run_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(run_dir / "mdp.sock"))
    assert ctl("--broker", f"ipc://{run_dir}", "get", "x").status == 4


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use every socket")
def test_a_socket_that_we_may_not_use(ctl: Ctl, run_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX) as closed:
        closed.bind(str(run_dir / "mdp.sock"))
        closed.listen()
        os.chmod(run_dir / "mdp.sock", stat.S_IRUSR)
        result = ctl("--broker", f"ipc://{run_dir}", "get", "x")
    assert result.status == 4 and "join its group" in result.err


def test_what_is_wrong_with_a_connection_in_words() -> None:
    target = resolve("tcp://house.invalid:5514", None)
    unknown = connection._why_away(target, socket.gaierror(socket.EAI_NONAME, "x"))
    assert unknown == "there is no machine called 'house.invalid' in this network"
    forbidden = connection._why_away(target, PermissionError(13, "Permission denied"))
    assert "sudo adduser $USER raspy" in forbidden


def test_a_broker_that_hangs(ctl: Ctl, processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ALIVE_S", 0.3)
    broker = RunningBroker(processes)
    broker.child.signal(signal.SIGSTOP)
    try:
        result = ctl("--broker", broker.url, "--timeout", "0.3", "services")
        values = ctl("--broker", broker.url, "--timeout", "0.3", "get", "x")
    finally:
        broker.child.signal(signal.SIGCONT)
    assert result.status == values.status == 4
    assert "does not answer" in result.err and "does not send its values" in values.err


def test_requests_and_their_failures(broker: RunningBroker) -> None:
    bus = Bus(resolve(broker.url, None), 20)
    try:
        assert bus.services() == ["test.broker.mmi", "test.broker.statistics"]
        assert bus.servers() == ["test.broker"] and bus.asleep() == set()
        assert bus.names("test.broker.statistics", "list_keys")
        with pytest.raises(NotFound, match="nothing"):
            bus.call("test.broker.statistics", "get", "nothing")
        with pytest.raises(CtlError, match="has no action"):
            bus.call("test.broker.mmi", "fly")
        with pytest.raises(CtlError, match="not JSON"):
            bus.json("test.broker.mmi", "status")
        assert bus.values() == {}
    finally:
        bus.close()
        bus.close()


def test_a_service_that_does_not_answer_is_no_dead_broker(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ALIVE_S", 30)
    with Peers(broker.url) as peers:
        worker = peers.registered(b"slow")
        bus = Bus(resolve(broker.url, None), 0.5)
        try:
            with pytest.raises(CtlError, match=r"slow has not answered within 0\.5 s") as caught:
                bus.call("slow", "x")
            assert not isinstance(caught.value, NoBroker)
            worker.take()
            # A late reply is not taken for that of the next request.
            asking = Asking(lambda: Bus.request(bus, "mmi.service", "slow"))
            assert asking.done() == [b"200"]
        finally:
            bus.close()


def test_a_broker_that_goes_during_a_request(broker: RunningBroker) -> None:
    bus = Bus(resolve(broker.url, None), 1)
    try:
        broker.kill()
        with pytest.raises(NoBroker, match="is away"):
            bus.call("mmi.discovery", ".*")
    finally:
        bus.close()
