# SPDX-License-Identifier: GPL-3.0-or-later
"""The logger as a real process on a real broker, with a device server that is the test's own."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from raspy.common.kvcliapi import KvPublisherClient
from raspy.common.mdcliapi import MajorDomoClient
from raspy.common.mdwrkapi import MajorDomoWorker

from .broker import HOSTNAME, RunningBroker
from .leaks import alive
from .processes import Child, Processes
from .waiting import wait_for

SENSOR = {"commands": {"temperature": {"datasource": "GAUGE"}, "count": {"datasource": "COUNTER"}}}


class Devices:
    """The service `devices` of a server whose values the test publishes itself."""

    def __init__(self, url: str, name: str) -> None:
        self.logged: dict[str, bool] = {}
        self._worker = MajorDomoWorker(url, f"{HOSTNAME}.{name}.devices")
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        reply = None
        while (request := self._worker.recv(reply)) is not None:
            reply = [json.dumps(self._answer(request[0])).encode(), b"200"]

    def _answer(self, action: bytes) -> dict[str, Any]:
        if action == b"templates":
            return {"sensor.x": SENSOR}
        return {name: {"oid": "sensor.x", "log": log} for name, log in self.logged.items()}

    def close(self) -> None:
        """End the service."""
        self._worker.shutdown()
        self._thread.join(10)
        self._worker.destroy()


class LoggerStack:
    """A broker and a logger that may be killed and started again.

    :param home: a folder with a short path.
    :param settings: of the logger, as `KEY=VALUE`.
    """

    def __init__(self, home: Path, *settings: str) -> None:
        self.processes = Processes(home)
        self.broker = RunningBroker(self.processes)
        self.http = home / "http.sock"
        self.settings = (f"listen=unix:{self.http}", *settings)
        self.devices = Devices(self.broker.url, "fake")
        self.publisher = KvPublisherClient(broker=self.broker.url)
        self.client = MajorDomoClient(self.broker.url)
        self.client.timeout = 2000
        self.logger = self.start()

    @property
    def folder(self) -> Path:
        """The logger's state folder."""
        return self.broker.folder / "logger"

    def start(self, *settings: str) -> Child:
        """Start the logger (again)."""
        self.logger = self.broker.server("logger", *self.settings, *settings)
        return self.logger

    @property
    def rrdcached(self) -> int:
        """The process id of its rrdcached."""
        file = self.folder / "rrdcached.pid"
        return int(wait_for(lambda: file.exists() and file.read_text().strip(), what="the pid of rrdcached"))

    def kill_rrdcached(self) -> None:
        """SIGKILL it."""
        pid = self.rrdcached
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not alive(pid), what="the end of rrdcached")

    def ask(self, service: str, *frames: str | bytes) -> list[bytes]:
        """A request to a service of the logger; its result frames."""
        return self.client.call(f"{HOSTNAME}.logger.{service}", *frames)

    def json(self, service: str, *frames: str | bytes) -> Any:
        """The same for a result of one JSON frame."""
        (result,) = self.ask(service, *frames)
        return json.loads(result)

    def figure(self, oid: str) -> int:
        """One of the logger's statistics."""
        return int(self.json("statistics", "get", oid)["value"])

    def publish(self, values: Iterable[tuple[str, bytes]]) -> int:
        """Publish values of devices by ``DEVICE/COMMAND``; return how many."""
        count = 0
        for key, body in values:
            assert self.publisher.send("/device/", f"{HOSTNAME}/fake/{key}", body)
            count += 1
        return count

    def taken(self, count: int) -> None:
        """Wait until the logger has taken so many samples since its start."""
        wait_for(lambda: self.figure("samples.samples") >= count, 30, f"{count} samples in the logger")

    def get(self, target: str, *headers: str) -> tuple[int, dict[str, str], bytes]:
        """GET over HTTP: status, headers, body."""
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(30)
            peer.connect(str(self.http))
            peer.sendall("\r\n".join([f"GET {target} HTTP/1.1", "Host: x", *headers, "", ""]).encode())
            received = b""
            while data := peer.recv(65536):
                received += data
        head, _, body = received.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        return int(first.split(" ")[1]), dict(line.lower().split(": ", 1) for line in lines), body

    def close(self) -> None:
        """End everything."""
        self.client.destroy()
        self.publisher.destroy()
        self.devices.close()
        wrong = self.processes.close()
        assert not wrong, wrong
