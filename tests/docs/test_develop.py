# SPDX-License-Identifier: GPL-3.0-or-later
"""The chapters "A new device" and "A new server" are run as they stand, by real daemons on a real broker."""

from __future__ import annotations

import importlib.util
import json
import os
import threading
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raspy.common.mdcliapi import MajorDomoClient
from tests.conftest import Child, Processes, RunningBroker, wait_for
from tests.docs import pages
from tests.support.processes import COVERAGE_SITE, ROOT

# Daemons start one after the other, and each command of a page is a process.
pytestmark = pytest.mark.timeout(300)

LONGEST = 60
"""Lines that a worked example may have."""


@pytest.fixture
def client(broker: RunningBroker) -> Iterator[MajorDomoClient]:
    client = MajorDomoClient(broker.url)
    client.timeout = 20_000
    yield client
    client.destroy()


def start(
    broker: RunningBroker, module: str, name: str, *arguments: object, path: Path | None = None
) -> Child:
    """A daemon on the host ``pi``, as the pages call it."""
    return broker.processes.start_ready(
        module, "--config", broker.config, "--broker", broker.url, "--hostname", "pi",
        "--data-dir", broker.folder / name, *arguments,
        env={"PYTHONPATH": f"{COVERAGE_SITE}:{ROOT}:{path}"} if path else None,
    )  # fmt: skip


def serves(client: MajorDomoClient, service: str) -> None:
    wait_for(lambda: client.send("mmi.service", service) == [b"200"], what=f"{service} to be served")


def device(client: MajorDomoClient, service: str, name: str) -> Any:
    return json.loads(client.call(service, "get", name)[0])


def example(page: str, folder: Path) -> Path:
    """The files of a page, installed in a folder."""
    for file in pages.write_files(pages.read(page), folder):
        assert len(file.read_text().splitlines()) < LONGEST, f"{page}: {file.name} is too long"
        (file.parent / "__init__.py").touch()
    pages.install(folder)
    return folder


def test_a_new_device(broker: RunningBroker, client: MajorDomoClient, processes: Processes) -> None:
    page = pages.read("new-device.md")
    folder = example("new-device.md", broker.folder / "package")
    sensor = broker.folder / "humidity1_input"
    sensor.write_text("48250\n")
    start(broker, "raspy.servers.titanic", "titanic")
    start(broker, "raspy.servers.host", "host", path=folder)
    service = "pi.host.devices"
    serves(client, service)

    add, update, ask = pages.blocks(page, "sh")[0].splitlines()
    path = json.dumps(str(sensor))
    pages.raspyctl(
        add.replace('"poll": 2', f'"poll": 0.1, "config": {{"path": {path}}}'), broker.url, broker.folder
    )
    wait_for(lambda: device(client, service, "cellar")["values"], what="the sensor to be read")
    value = device(client, service, "cellar")["values"]["humidity"]
    assert (value["value"], value["unit"], value["quality"]) == (48.2, "%", "good")
    pages.raspyctl(update, broker.url, broker.folder)
    assert "48.2" in pages.raspyctl(ask, broker.url, broker.folder)

    def error() -> str:
        return str(device(client, service, "cellar")["values"]["humidity"].get("error", ""))

    sensor.write_text("97000\n")
    wait_for(lambda: "implausible 97%" in error(), what="97 % to be a fault")
    sensor.write_text("\n")
    wait_for(lambda: "which is no number" in error(), what="the driver's own fault")
    sensor.unlink()
    wait_for(lambda: "No such file" in error(), what="the missing file to be a fault")


def test_the_test_of_the_new_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = example("new-device.md", tmp_path / "package")
    monkeypatch.syspath_prepend(str(folder))
    spec = importlib.util.spec_from_file_location("test_device", folder / "test_device.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.test_it_reads_percent(tmp_path)


class PlayedBoard:
    """The other end of the serial line: knows which relays are on."""

    def __init__(self) -> None:
        self._end, self._far = os.openpty()
        tty.setraw(self._far)
        self.port = os.ttyname(self._far)
        self.relays: dict[str, str] = {}
        self.answer = b"ok\n"
        self._thread = threading.Thread(target=self._play)
        self._thread.start()

    def _play(self) -> None:
        line = b""
        while True:
            line += os.read(self._end, 1)
            if line == b"end\n":
                return
            if not line.endswith(b"\n"):
                continue
            words = line.decode().split()
            if words == ["version"]:
                os.write(self._end, b"board 2.1\n")
            else:
                if self.answer == b"ok\n":
                    self.relays[words[0]] = words[1]
                os.write(self._end, self.answer)
            line = b""

    def close(self) -> None:
        os.write(self._far, b"end\n")
        self._thread.join(20)
        os.close(self._far)
        os.close(self._end)


@pytest.fixture
def board() -> Iterator[PlayedBoard]:
    played = PlayedBoard()
    yield played
    played.close()


def test_a_new_server(board: PlayedBoard, broker: RunningBroker, client: MajorDomoClient) -> None:
    page = pages.read("new-server.md")
    folder = example("new-server.md", broker.folder / "package")
    broker.config.write_text("[board]\nport = /dev/nowhere\n")
    start(broker, "raspy.servers.titanic", "titanic", path=folder)
    port = ("--set", f"port={board.port}")
    server = start(broker, "raspy_board.server", "board", *port, path=folder)
    service = "pi.board.devices"
    serves(client, service)
    serves(client, "pi.board.board")

    version, add, switch = pages.blocks(page, "sh")[0].splitlines()
    assert "board 2.1" in pages.raspyctl(version, broker.url, broker.folder)
    pages.raspyctl(add, broker.url, broker.folder)
    wait_for(lambda: board.relays.get("3") == "0", what="the new relay to be made safe")
    pages.raspyctl(switch, broker.url, broker.folder)
    assert board.relays["3"] == "1"
    assert device(client, service, "heater")["state"]["hold_s"] == 60
    board.answer = b"fuse\n"
    status, reason = client.send(service, ["exec", "heater", "state", "false"])[::-1]
    assert status == b"500" and b"the board answered 'fuse'" in reason
    board.answer = b"ok\n"
    wait_for(lambda: board.relays["3"] == "0", what="the relay to be switched off after all")
    client.call(service, "exec", "heater", "state", "true")
    assert server.stop() == 0
    assert board.relays["3"] == "0", "safe at the end of the server"


def test_the_unit_of_the_new_server_starts_what_the_page_has(tmp_path: Path) -> None:
    page = pages.read("new-server.md")
    example("new-server.md", tmp_path)
    unit, socket = pages.blocks(page, "ini")
    module = "raspy_board.server"
    assert f"ExecStart=/usr/bin/python3 -m {module}\n" in unit
    assert f"raspy.common.device_server.safe {module}:Board\n" in unit
    assert "FileDescriptorName=control" in socket and "/run/raspy/board.sock" in socket
    # All else that the units of our own servers have, in the same words.
    ours = (ROOT / "systemd" / "raspy-fake.socket").read_text().replace("fake", "board")
    lines = {
        line for line in ours.splitlines() if "=" in line and not line.startswith(("Description", "Service"))
    }
    assert lines <= set(socket.splitlines())
