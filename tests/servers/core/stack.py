# SPDX-License-Identifier: GPL-3.0-or-later
"""Core with its broker, titanic and simulated devices as real processes; the test's own client and ear."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

from raspy.common.kvcliapi import KvPublisherClient, KvSubscriberClient
from raspy.common.mdcliapi import MajorDomoClient
from tests.support.broker import HOSTNAME, RunningBroker
from tests.support.processes import Child, Processes
from tests.support.waiting import wait_for

PLACE = ("latitude=48.8566", "longitude=2.3522", "timezone=Europe/Paris")
CORE = f"{HOSTNAME}.core"
KEY = f"/device/{HOSTNAME}/played/tank/temperature"


class CoreStack:
    """A running core.

    Args:
        home: a folder with a short path.
        settings: of core, as ``KEY=VALUE``, besides the place.
        fake: whether the server of simulated devices runs too.
        module: the module that runs core, if not its own.

    Attributes:
        heard: every update of the key/value tree: ``(key, body)``, the body parsed; None for a deleted key.
    """

    def __init__(self, home: Path, *settings: str, fake: bool = False, module: str = "") -> None:
        self.processes = Processes(home)
        self.settings = (*PLACE, *settings)
        self.module = module
        self.heard: list[tuple[str, Any]] = []
        try:
            self._start(fake)
        except BaseException:
            for child in self.processes.children:
                print(f"----- {child.name} printed:\n{child.output}")
            self.processes.close()
            raise

    def _start(self, fake: bool) -> None:
        self.broker = RunningBroker(self.processes)
        self.titanic = self.broker.server("titanic")
        self.fake = self.broker.server("fake") if fake else None
        self.broker.server("core", *self.settings, module=self.module)
        self.core = self.processes.children[-1]
        self.client = MajorDomoClient(self.broker.url)
        self.client.timeout = 2000
        self.publisher = KvPublisherClient(broker=self.broker.url)
        self.subscriber = KvSubscriberClient(
            subtree=("/device/", "/event/", "/scenario/"), broker=self.broker.url, callback=self._hear
        )
        self._ear = threading.Thread(target=self.subscriber.run, daemon=True)
        self._ear.start()
        # Now and not within a test, to which their connections would look like ones left open.
        self.wait_loaded()
        self.publish(KEY, None)
        wait_for(lambda: self.subscriber.synchronised, timeout_s=40, what="the test's ear")

    def start_core(self) -> Child:
        """Start core (again), and wait until it has loaded what titanic keeps."""
        self.core = self.broker.server("core", *self.settings, module=self.module)
        self.wait_loaded()
        return self.core

    def wait_loaded(self) -> None:
        """Wait until core has loaded what titanic keeps."""
        wait_for(lambda: "titanic" not in self.ask("mmi", "status")[0], 60, "core to load")

    def _hear(self, key: str, body: bytes) -> None:
        self.heard.append((key, json.loads(body) if body else None))

    # Asking.

    def ask(self, suffix: str, *request: str | bytes) -> list[str]:
        """A request to core; the result frames. Raises what it refuses."""
        return [frame.decode() for frame in self.client.call(f"{CORE}.{suffix}", *request)]

    def json(self, suffix: str, *request: str | bytes) -> Any:
        """The same, for a reply of one frame of JSON."""
        return json.loads(self.ask(suffix, *request)[0])

    def add(self, name: str, code: str, entries: dict[str, Any] | None = None, **conf: Any) -> Any:
        """Add a scenario."""
        definition = {"code": code, "entries": entries or {}, "conf": conf}
        return self.json("scenarios", "add", name, json.dumps(definition))

    def info(self, name: str) -> dict[str, Any]:
        """A scenario's definition and state."""
        found: dict[str, Any] = self.json("scenario", "info", name)
        return found

    def state(self, name: str) -> str:
        """A scenario's state."""
        return self.ask("scenario", "status", name)[0]

    def said(self, name: str) -> list[str]:
        """The lines of a scenario's log."""
        return [line["text"] for line in self.json("scenario", "log", name, "200")]

    def wait_state(self, name: str, state: str, timeout_s: float = 40) -> dict[str, Any]:
        """Wait until a scenario is in that state; its info."""
        wait_for(lambda: self.state(name) == state, timeout_s, f"{name} to be {state}: {self.info(name)}")
        return self.info(name)

    def wait_said(self, name: str, text: str, count: int = 1, timeout_s: float = 40) -> None:
        """Wait until a scenario has said that so many times."""
        wait_for(lambda: self.said(name).count(text) >= count, timeout_s, f"{name} to say {text!r}")

    def statistic(self, oid: str) -> int:
        """A counter of core's."""
        return int(json.loads(self.client.call(f"{CORE}.statistics", "get", oid)[0])["value"])

    def command(self, device: str, command: str, value: str) -> None:
        """Command a simulated device."""
        self.client.call(f"{HOSTNAME}.fake.devices", "exec", device, command, value)

    def device(self, **definition: Any) -> None:
        """Add a simulated device."""
        self.client.call(f"{HOSTNAME}.fake.devices", "add", json.dumps(definition))

    # The key/value tree.

    def publish(self, key: str, value: Any, quality: str = "good", **more: Any) -> None:
        """Publish a device's value; None deletes it."""
        body = {"value": value, "quality": quality, "time": time.time(), "polled": time.time(), **more}
        tree, _, rest = key.strip("/").partition("/")
        self.publisher.send(
            f"/{tree}/", rest, b"" if value is None and quality == "good" else json.dumps(body)
        )

    def events(self, key: str, kind: str = "") -> list[dict[str, Any]]:
        """The events heard so far below ``/event/``."""
        return [
            body
            for heard, body in list(self.heard)
            if heard == f"/event/{key}" and body is not None and kind in ("", body["event"])
        ]

    def wait_event(self, key: str, kind: str, timeout_s: float = 40) -> dict[str, Any]:
        """Wait for an event; returns the first of the kind."""
        found: dict[str, Any] = wait_for(lambda: self.events(key, kind), timeout_s, f"{kind} of {key}")[0]
        return found

    def values(self, key: str) -> list[Any]:
        """The values heard of a key, one after the other, without repetitions."""
        found: list[Any] = []
        for heard, body in list(self.heard):
            if heard == key and body is not None and (not found or found[-1] != body["value"]):
                found.append(body["value"])
        return found

    def close(self) -> None:
        """End everything.

        Raises:
            AssertionError: a process did not end as it should.
        """
        self.subscriber.shutdown()
        self._ear.join()
        self.subscriber.destroy()
        self.publisher.destroy()
        self.client.destroy()
        wrong = self.processes.close()
        assert not wrong, wrong
