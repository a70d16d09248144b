# SPDX-License-Identifier: GPL-3.0-or-later
"""A house of real processes: broker, titanic, the server of simulated devices, and a controller.

What the heater does is read from the file that stands for its GPIO line, which outlives the server: so nobody
has to be believed, and nobody has to be alive, to know whether it is on.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from raspy.common.mdcliapi import MajorDomoClient
from tests.support.processes import ROOT, Child, Processes
from tests.support.waiting import wait_for

DEVICES = "pi.fake.devices"
HOLD_S = 5.0
POLL_S = 0.5

Note = Callable[[str, str, float, float], None]


class House:
    """The processes, and what one asks of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"ipc://{folder}"
        self.processes = Processes(folder)
        self.broker = self.start("broker")
        self.titanic = self.start("titanic")
        self.fake = self.start("fake")
        self.client = MajorDomoClient(self.url, name="house")
        self.client.timeout = 2000
        self.wait_served()

    def start(self, name: str, **env: str) -> Child:
        """Start a daemon and wait until it is ready."""
        data = self.folder / name
        arguments = ("--broker", self.url, "--data-dir", data, "--hostname", "pi")
        return self.processes.start_ready(f"raspy.servers.{name}", *arguments, env=env)

    def wait_served(self) -> None:
        wait_for(lambda: self.client.send("mmi.service", DEVICES) == [b"200"], what=f"{DEVICES} to be served")

    def close(self) -> None:
        self.client.destroy()
        wrong = self.processes.close()
        assert not wrong, wrong

    def call(self, action: str, *arguments: Any) -> list[bytes]:
        frames = [item if isinstance(item, str) else json.dumps(item) for item in arguments]
        return self.client.call(DEVICES, action, *frames)

    def furnish(self, tank: str = "tank", heater: str = "heater", *, config: dict[str, Any] | None = None,
                relay: dict[str, Any] | None = None, interlock: bool = True) -> None:  # fmt: skip
        """A tank that moves a little, as real ones do, and a heater that may be on only while it is well."""
        limits = [{"only_while": tank, "minimum": 10, "maximum": 28}] if interlock else []
        sensor = {"simulator": "walk", "low": 24, "high": 25, "step": 0.5, **(config or {})}
        self.call("add", {"oid": "sensor.temperature", "name": tank, "poll": POLL_S, "config": sensor})
        driven = {"keeps": True, "interlocks": limits, **(relay or {})}
        self.call("add", {"oid": "switch.relay", "name": heater, "poll": POLL_S, "config": driven})
        wait_for(lambda: json.loads(self.call("get", tank)[0])["values"], what=f"{tank} to be read")

    def control(self, heater: str = "heater", hold_s: float = HOLD_S, renew_s: float = 0.5) -> Child:
        """Start a controller, and wait until it has the heater on."""
        module = "tests.faults.controller"
        command = [sys.executable, "-m", module, self.url, heater, str(hold_s), str(renew_s)]
        env = {"PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}:{ROOT}".lstrip(":")}
        child = self.processes.start_command("controller", command, env=env)
        child.examined = True
        wait_for(lambda: self.is_on(heater), what=f"the controller to have {heater} on")
        return child

    def is_on(self, heater: str = "heater") -> bool:
        """What the GPIO line of a heater is."""
        try:
            return bool(json.loads((self.folder / "fake" / "pins" / f"{heater}.json").read_text()))
        except (FileNotFoundError, ValueError):
            return False

    def seconds_to_off(self, since: float, limit_s: float, heater: str = "heater") -> float:
        """Wait until a heater is off; how long that is after *since* (monotonic)."""
        left_s = since + limit_s + 10 - time.monotonic()
        wait_for(lambda: not self.is_on(heater), left_s, f"{heater} to be off")
        return time.monotonic() - since

    def stays_off(self, heaters: list[str], polls: int = 4) -> None:
        """The heaters are off for a while, though their controllers ask for them."""
        end = time.monotonic() + polls * POLL_S
        while time.monotonic() < end:
            on = [heater for heater in heaters if self.is_on(heater)]
            assert not on, f"went on again: {on}"
            time.sleep(0.02)
