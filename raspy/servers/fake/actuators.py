# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated actuators, with faults of real ones: ``exec heater fault dead``.

=======  =======================================================================
dead     it does not take any command, and says so
stuck    it takes commands and stays as it is, as a relay whose contacts are welded
slow     it takes longer than it may
=======  =======================================================================

With ``keeps`` its output outlives the server, as that of a GPIO line may when its owner dies: it is a file
in the folder ``pins`` of the server's data, and the next server finds it as it was.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any, ClassVar

from raspy.common.device_server.ledger import boottime
from raspy.common.devices.actuator import ActuatorDevice
from raspy.common.devices.command import Command
from raspy.common.devices.fault import DeviceFault
from raspy.common.devices.field import Field
from raspy.common.devices.light import LightDimmer, LightRGB
from raspy.common.devices.switch import SwitchPump, SwitchRelay, SwitchValve
from raspy.servers.fake.tank import Tanks

NONE = "none"
FAULTS = (NONE, "dead", "stuck", "slow")

SLOW = 2.0
"""A slow actuator takes so many times as long as it may."""


class FakeActuator(ActuatorDevice):
    """The base of simulated actuators: a pin that can be read back.

    Attributes:
        tanks: the tanks of the server; set by it.
        pins: the folder of the outputs that outlive it; set by it.
    """

    server = "fake"
    commands = {
        "fault": Command(
            type="List", choices=FAULTS, info="have a fault that real actuators have", immediate=True
        )
    }
    fields: ClassVar[tuple[Field, ...]] = (
        Field("keeps", "Bool", False, "its output outlives the server, as that of a GPIO line may"),
    )
    tanks: Tanks
    pins: Path | None = None

    @property
    def fast(self) -> bool:  # type: ignore[override]
        """Simulating takes microseconds, unless it is slowness that is simulated."""
        return self._fault != "slow"

    def configured(self) -> None:
        super().configured()
        self._fault = NONE
        self._pin: Any = None
        self._over = threading.Event()
        self.commands["fault"].value = NONE

    def open(self) -> None:
        """Find the pin as it was left."""
        path = self._pin_file()
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._pin = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return
        self.switched(self._pin)

    def _pin_file(self) -> Path | None:
        # A device's name has neither dots nor slashes (field.check_name).
        return self.pins / f"{self.name}.json" if self.config["keeps"] and self.pins is not None else None

    def read(self) -> Any:
        """What the pin is."""
        if self._pin is None:
            return super().read()
        return self._pin

    def write(self, command: str, value: Any) -> None:
        """Set the pin, or have a fault."""
        if command == "fault":
            self._fault = value
            over, self._over = self._over, threading.Event()
            over.set()
            return
        if self._fault == "slow":
            self._over.wait(SLOW * self.timeout_s)
        if self._fault == "dead":
            raise DeviceFault("does not answer")
        if self._fault == "stuck" and self._pin is not None:
            return
        self._pin = value
        path = self._pin_file()
        if path is not None:
            path.write_text(json.dumps(value), encoding="utf-8")
        self.switched(value)

    def switched(self, value: Any) -> None:
        """The pin was set: what follows from it in the simulated world."""

    def close(self) -> None:
        """Nobody waits any more."""
        self._over.set()


class Heater(FakeActuator):
    """The base of those that may heat a simulated tank."""

    fields: ClassVar[tuple[Field, ...]] = (
        Field("heats", "String", "", "the name of a simulated tank that it heats"),
        Field("power_w", "Float", 100.0, "its power when it is full on", unit="W", minimum=0, maximum=1e6),
    )

    def switched(self, value: Any) -> None:
        if self.config["heats"]:
            part = float(value) / (100.0 if not isinstance(value, bool) else 1.0)
            self.tanks.heat(self.config["heats"], self.name, part * self.config["power_w"], boottime())


class FakeRelay(Heater, SwitchRelay):
    """A simulated relay."""

    oid = "switch.relay"
    info = "a simulated relay"


class FakePump(FakeActuator, SwitchPump):
    """A simulated pump."""

    oid = "switch.pump"
    info = "a simulated pump"


class FakeValve(FakeActuator, SwitchValve):
    """A simulated valve."""

    oid = "switch.valve"
    info = "a simulated valve"


class FakeDimmer(Heater, LightDimmer):
    """A simulated dimmer."""

    oid = "light.dimmer"
    info = "a simulated dimmer"


class FakeRGB(FakeActuator, LightRGB):
    """A simulated coloured light."""

    oid = "light.rgb"
    info = "a simulated coloured light"


ACTUATORS = (FakeRelay, FakePump, FakeValve, FakeDimmer, FakeRGB)
