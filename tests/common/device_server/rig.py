# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine with a thread to turn it, and devices that do what a test tells them; no bus."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

from raspy.common.device_server.engine import Engine
from raspy.common.device_server.entry import Entry
from raspy.common.device_server.ledger import Ledger, boottime
from raspy.common.device_server.reporter import Reporter
from raspy.common.devices.actuator import ActuatorDevice
from raspy.common.devices.device import BaseDevice
from raspy.common.devices.light import LightDimmer
from raspy.common.devices.media import MediaTV
from raspy.common.devices.sensor import SensorTemperature
from raspy.common.devices.switch import SwitchRelay
from raspy.common.stop import StopEvent
from tests.support.waiting import wait_for

LOG = logging.getLogger("raspy.rig")


class Behaviour:
    """What a device of a test does when it is used: raise, block, or answer."""

    def __init__(self) -> None:
        self.raises: Exception | None = None
        self.blocks = threading.Event()
        self.blocks.set()
        self.entered = threading.Event()
        self.threads: set[str] = set()

    def act(self) -> None:
        self.threads.add(threading.current_thread().name)
        self.entered.set()
        assert self.blocks.wait(20), "nobody let it go"
        if self.raises is not None:
            raise self.raises

    def block(self) -> None:
        self.entered.clear()
        self.blocks.clear()


class Thermometer(SensorTemperature):
    """Reads what is put into `raw`."""

    timeout_s = 0.3

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.raw: Any = 25.0
        self.reads = 0
        self.opens = 0
        self.closed = False
        self.on_open = Behaviour()
        self.on_read = Behaviour()
        super().__init__(*args, **kwargs)

    def open(self) -> None:
        self.opens += 1
        self.on_open.act()

    def close(self) -> None:
        self.closed = True

    def read(self) -> Any:
        self.reads += 1
        self.on_read.act()
        return self.raw


class Driven(ActuatorDevice):
    """Keeps what is written; `pin` is what it is."""

    timeout_s = 0.3

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.pin: Any = None
        self.writes: list[Any] = []
        self.on_write = Behaviour()
        self.readable = False
        super().__init__(*args, **kwargs)

    def write(self, command: str, value: Any) -> Any:
        self.on_write.act()
        if command == self.main:
            self.pin = value
        self.writes.append(value)
        return None

    def read(self) -> Any:
        return self.pin if self.readable else super().read()


class Relay(Driven, SwitchRelay):
    """A relay."""

    oid = "switch.relay"


class Dimmer(Driven, LightDimmer):
    """A dimmer."""

    oid = "light.dimmer"


class TV(Driven, MediaTV):
    """A device with parts."""

    oid = "media.tv"


class FastThermometer(Thermometer):
    """One that says that it answers at once."""

    fast = True


class FastRelay(Relay):
    """One that says that it answers at once."""

    fast = True


class Rig:
    """The engine, its thread, and what it published."""

    def __init__(self, folder: Path | None = None, boot: str = "boot") -> None:
        self.published: list[tuple[str, bytes]] = []
        self.now_s = boottime
        reporter = Reporter("pi/rig", lambda key, body: self.published.append((key, body)), LOG, boottime)
        path = folder and folder / "actuators.json"
        self.engine = Engine(reporter, Ledger(path, LOG, boot=boot), LOG, "rig")
        self.stopping = StopEvent()
        self.beats = 0
        self.crashed: BaseException | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Rig:
        self._thread = threading.Thread(target=self._run, name="rig-engine")
        self._thread.start()
        return self

    def _run(self) -> None:
        try:
            self.engine.run(self.stopping, self._beat)
        except RuntimeError as error:
            self.crashed = error

    def _beat(self) -> None:
        self.beats += 1

    def stop(self) -> None:
        """As a server that is told to end."""
        self.stopping.set()
        if self._thread is not None:
            self._thread.join(15)
            assert not self._thread.is_alive()

    def close(self) -> None:
        for entry in self.engine.table.entries.values():
            for name in ("on_read", "on_write", "on_open"):
                if hasattr(entry.device, name):
                    getattr(entry.device, name).blocks.set()
        self.stop()
        self.engine.close()
        self.engine.close()
        self.stopping.close()

    def add(self, device: BaseDevice) -> Entry:
        return self.engine.add(device)

    def bodies(self, name: str) -> list[dict[str, Any]]:
        """All that was published of a value, ``DEVICE/COMMAND``."""
        return [json.loads(body) for key, body in list(self.published) if key == f"pi/rig/{name}" and body]

    def last(self, name: str) -> dict[str, Any]:
        found = self.bodies(name)
        return found[-1] if found else {"quality": "", "value": None}

    def wait_for(self, name: str, **wanted: Any) -> dict[str, Any]:
        """Wait until what was last published of a value is this."""
        wait_for(
            lambda: wanted.items() <= self.last(name).items(),
            5, f"{name} to be {wanted}; it was {self.last(name)}",
        )  # fmt: skip
        return self.last(name)
