# SPDX-License-Identifier: GPL-3.0-or-later
"""A broker and titanic as children, and a server of devices in a thread of the test."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from raspy.common.device_server import DeviceServer
from raspy.common.devices.device import Command
from raspy.common.executive import ServerFailed
from raspy.common.mdcliapi import MajorDomoClient
from tests.support.processes import Child, Processes
from tests.support.waiting import wait_for

from .rig import TV, Dimmer, Relay, Thermometer

SERVICE = "pi.rig.devices"


class Cured(Thermometer):
    """One that can be told to come back."""

    oid = "sensor.temperature.cured"
    commands = {"cure": Command(type="String", immediate=True)}

    def write(self, command: str, value: Any) -> None:
        self.on_read.blocks.set()


class RigServer(DeviceServer):
    """A server of the test's devices."""

    SERVICE = "rig"
    DEVICES = (Thermometer, Relay, Dimmer, TV, Cured)
    changes = 0

    def configured(self) -> None:
        super().configured()
        self.changes += 1


class Bus:
    """The bus of one or more tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"ipc://{folder}"
        self.processes = Processes(folder)
        self.broker = self.processes.start_ready("raspy.servers.broker", "--broker", self.url)
        self.client = MajorDomoClient(self.url, name="tester")
        self.client.timeout = 2000
        self._servers: list[tuple[DeviceServer, threading.Thread]] = []

    def titanic(self) -> Child:
        """Start titanic; wait until its store answers."""
        child = self.processes.start_ready(
            "raspy.servers.titanic", "--broker", self.url, "--data-dir", self.folder / "titanic"
        )
        wait_for(lambda: self.client.send("mmi.service", "titanic.store") == [b"200"], what="the store")
        return child

    def serve(self, kind: type[DeviceServer] = RigServer, data: str = "rig", **how: Any) -> DeviceServer:
        """Start a server in a thread; wait until its devices are served."""
        folder = self.folder / data
        server = kind(hostname="pi", service=kind.SERVICE, broker=self.url, data_dir=folder, **how)
        thread = threading.Thread(target=_run, args=(server,), name=f"run-{kind.SERVICE}")
        thread.start()
        self._servers.append((server, thread))
        name = f"pi.{kind.SERVICE}.devices"
        wait_for(lambda: self.client.send("mmi.service", name) == [b"200"], what=f"{name} to be served")
        return server

    def stop(self, server: DeviceServer) -> None:
        """End a server, and wait for it."""
        for running, thread in list(self._servers):
            if running is server:
                server.shutdown()
                thread.join(15)
                assert not thread.is_alive(), "the server does not end"
                self._servers.remove((running, thread))

    def close(self) -> None:
        for server, _ in list(self._servers):
            self.stop(server)
        self.client.destroy()
        wrong = self.processes.close()
        assert not wrong, wrong

    def call(self, action: str, *arguments: Any, service: str = SERVICE) -> list[bytes]:
        """Ask, with what is no text as JSON; the results, or the error that its status means."""
        frames = [item if isinstance(item, (str, bytes)) else json.dumps(item) for item in arguments]
        return self.client.call(service, action, *frames)

    def json(self, action: str, *arguments: Any, service: str = SERVICE) -> Any:
        """Ask for one JSON frame."""
        (frame,) = self.call(action, *arguments, service=service)
        return json.loads(frame)


def _run(server: DeviceServer) -> None:
    try:
        server.run()
    except ServerFailed as error:
        server.log.error("the server of a test failed: %s", error)
