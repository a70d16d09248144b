# SPDX-License-Identifier: GPL-3.0-or-later
"""The class Logger, as a program may use it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import raspy.servers.logger
from raspy.common import systemd
from raspy.common.config import ConfigError, Settings
from raspy.servers.logger import Logger
from raspy.servers.logger.samples.intake import Intake
from tests.support.broker import HOSTNAME, RunningBroker
from tests.support.waiting import wait_for


def made(broker: RunningBroker, folder: Path, **settings: Any) -> Logger:
    chosen = Settings.defaults(Logger.SETTINGS, **{"rrdcached": "direct", "listen": "off", **settings})
    return Logger(HOSTNAME, broker=broker.url, data_dir=folder, settings=chosen)


@contextmanager
def running(logger: Logger) -> Iterator[Logger]:
    """The logger runs in a thread while the block does."""
    thread = threading.Thread(target=logger.run)
    thread.start()
    try:
        yield logger
    finally:
        logger.shutdown()
        thread.join(20)
        assert not thread.is_alive()


def test_the_names_of_the_manual() -> None:
    for name in raspy.servers.logger.__all__:
        assert getattr(raspy.servers.logger, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = raspy.servers.logger.Nothing


def test_the_arguments_of_the_manual(tmp_path: Path) -> None:
    logger = Logger("pi", "logger", "127.0.0.1", 5514, str(tmp_path / "state"))
    assert logger.get_instance_id() == "pi.logger" and logger.data_dir == tmp_path / "state"
    assert str(logger.broker) == "tcp://127.0.0.1:5514"
    logger.destroy()
    assert not (tmp_path / "state").exists()
    other = Logger()
    assert other.data_dir == Path.cwd() / ".raspy"
    other.destroy()


def test_it_shows_its_graphs_on_the_socket_that_systemd_passed(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        monkeypatch.setattr(systemd, "passed_sockets", lambda: {"http": listener.fileno()})
        address = listener.getsockname()
        with running(made(broker, broker.folder / "logger")), socket.create_connection(address, 20) as peer:
            peer.sendall(b"GET /log HTTP/1.1\r\n\r\n")
            assert peer.recv(100).startswith(b"HTTP/1.1 200 OK")


def test_values_that_nobody_polls_and_nights(broker: RunningBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The threads' less frequent work."""
    from raspy.servers.logger import server

    monkeypatch.setattr(server, "HOLD_EVERY_S", 0.0)
    monkeypatch.setattr(server, "LOOK_S", 0.01)
    held = threading.Event()
    logger = made(
        broker, broker.folder / "logger", latitude=48.85, longitude=2.35, timezone="Europe/Atlantis"
    )
    monkeypatch.setattr(Intake, "hold", lambda self: held.set())
    with running(logger):
        wait_for(held.is_set, what="held values to be told again")
        wait_for(lambda: "Europe/Atlantis" in logger.nights.error, what="the nights")
        assert logger.graphes == {}


def test_without_http(broker: RunningBroker) -> None:
    logger = made(broker, broker.folder / "logger")
    with running(logger):
        wait_for(lambda: hasattr(logger, "gallery"), what="the end of setup")
        assert logger.status_line().startswith("0 values logged")


def test_the_status_line_tells_of_a_full_disk(broker: RunningBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    logger = made(broker, broker.folder / "logger")
    logger.setup()
    logger.writer.paused = "No space left on device"
    assert logger.status_line().endswith("; the disk refuses: No space left on device")
    logger.writer.paused = ""
    assert "No space" in logger.status_line(), "it changes every ten seconds only"
    logger.destroy()


@pytest.mark.parametrize("settings", [{"rrdcached": "x"}, {"listen": "x"}])
def test_a_wrong_setting(broker: RunningBroker, settings: dict[str, str]) -> None:
    logger = made(broker, broker.folder / "logger", **settings)
    with pytest.raises(ConfigError, match=r"^\[logger\] "):
        logger.setup()
    logger.destroy()


def test_a_burst_is_progress(broker: RunningBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the intake goes on without a pause, the watchdog sees that it lives."""
    logger = made(broker, broker.folder / "logger")
    logger.setup()
    beats: list[float] = []
    monkeypatch.setattr(logger, "alive", lambda: beats.append(time.monotonic()))
    for number in range(3000):
        logger._take(f"/device/a/b/c/{number % 10}", b"no json")
    assert len(beats) == 3 and logger.intake.counts.refused == 3000
    logger.destroy()
