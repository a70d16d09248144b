# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated sensors: one for each family of numbers, a tank, and two that are on or off."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path
from typing import Any, ClassVar

from raspy.common.device_server.ledger import boottime
from raspy.common.devices.command import Command
from raspy.common.devices.fault import DeviceFault
from raspy.common.devices.field import Field
from raspy.common.devices.sensor import (
    NumberSensor,
    SensorContact,
    SensorGeneric,
    SensorHumidity,
    SensorLevel,
    SensorMotion,
    SensorPH,
    SensorTemperature,
    SensorWind,
)
from raspy.common.MDP import ClientError
from raspy.servers.fake import simulators
from raspy.servers.fake.faults import FAULTS, NONE, Fault
from raspy.servers.fake.tank import Tank, Tanks

FILE_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}\.csv")

SLOW = 2.0
"""A slow sensor takes so many times as long as it may."""

LIMIT = 1e9


class FakeSensor(NumberSensor):
    """The base of simulated sensors of numbers: the faults.

    Attributes:
        folder: where the files to replay are; set by the server.
        tanks: the tanks of the server; set by it.
    """

    server = "fake"
    fields: ClassVar[tuple[Field, ...]] = (
        Field("drift", "Float", 0.05, "how far it wanders each second with the fault drift",
              minimum=-LIMIT, maximum=LIMIT),
    )  # fmt: skip
    commands = {
        "fault": Command(
            type="List", choices=FAULTS, info="have a fault that real sensors have", immediate=True
        )
    }
    folder: Path | None = None
    tanks: Tanks

    @property
    def fast(self) -> bool:  # type: ignore[override]
        """Simulating takes microseconds, unless it is slowness that is simulated."""
        return self._fault.kind != "slow"

    def configured(self) -> None:
        super().configured()
        self._fault = Fault(self.config["drift"], SLOW * self.timeout_s)
        self.commands["fault"].value = NONE

    def close(self) -> None:
        """Nobody waits any more."""
        self._fault.begin(NONE, boottime())

    def measure(self) -> float:
        """What it would read without a fault, in the family's first unit."""
        raise DeviceFault("simulates nothing")

    def read(self) -> float:
        return self._fault.read(self.measure, boottime())

    def write(self, command: str, value: Any) -> None:
        """Have a fault."""
        self._fault.begin(value, boottime())


class Simulated(FakeSensor):
    """A sensor that follows one of the curves of simulators.py.

    Attributes:
        low, high: between what it moves where nothing else is configured.
    """

    low = 0.0
    high = 100.0
    fields: ClassVar[tuple[Field, ...]] = (
        Field("simulator", "List", "cyclic", "the curve that it follows", choices=simulators.KINDS),
        Field("low", "Float", None, "the least value, in the sensor's own unit; null: what is usual for one",
              minimum=-LIMIT, maximum=LIMIT, nullable=True),
        Field("high", "Float", None, "the greatest value; null: what is usual for one",
              minimum=-LIMIT, maximum=LIMIT, nullable=True),
        Field("cycle_s", "Float", 600.0, "the length of a cycle (cyclic, linear)", unit="s",
              minimum=0.1, maximum=LIMIT),
        Field("step", "Float", 0.1, "how far it goes in a second at most (walk)", minimum=0, maximum=LIMIT),
        Field("noise", "Float", 0.0, "the standard deviation of its noise", minimum=0, maximum=LIMIT),
        Field("file", "String", "", "a CSV file in the folder 'replay' of the server's data (replay)"),
    )  # fmt: skip

    @classmethod
    def check_config(cls, config: dict[str, Any]) -> None:
        super().check_config(config)
        low, high = cls._ends(config)
        if not low < high:
            raise ClientError(f"config.low: {low:g} is not below high, {high:g}")
        if config["simulator"] == "replay" and not FILE_NAME.fullmatch(config["file"]):
            raise ClientError("config.file: must be the name of a .csv file, of letters, digits, '-' and '_'")

    @classmethod
    def _ends(cls, config: dict[str, Any]) -> tuple[float, float]:
        low, high = config["low"], config["high"]
        return (cls.low if low is None else low, cls.high if high is None else high)

    def open(self) -> None:
        """Get the curve ready; a file to replay is read here."""
        config, (low, high) = self.config, self._ends(self.config)
        # The same name gives the same walk, so that a demonstration can be shown twice.
        self._chance = random.Random(self.name)
        kind = config["simulator"]
        if kind == "replay":
            if self.folder is None:
                raise DeviceFault("the server has no data folder to replay files from")
            self._curve = simulators.replay(self.folder / config["file"])
        elif kind == "day":
            self._curve = simulators.day(low, high)
        elif kind == "walk":
            self._curve = simulators.walk(low, high, config["step"], self._chance)
        else:
            self._curve = (simulators.cyclic if kind == "cyclic" else simulators.linear)(
                low, high, config["cycle_s"]
            )

    def measure(self) -> float:
        value = self._curve(time.time())
        noise: float = self.config["noise"]
        return value + self._chance.gauss(0.0, noise) if noise else value


class FakeTemperature(Simulated, SensorTemperature):
    """A simulated thermometer."""

    oid = "sensor.temperature"
    info = "a simulated thermometer"
    low, high = 20.0, 28.0


class FakeHumidity(Simulated, SensorHumidity):
    """A simulated hygrometer."""

    oid = "sensor.humidity"
    info = "a simulated hygrometer"
    low, high = 40.0, 80.0


class FakeWind(Simulated, SensorWind):
    """A simulated anemometer."""

    oid = "sensor.wind"
    info = "a simulated anemometer"
    low, high = 0.0, 15.0


class FakeLevel(Simulated, SensorLevel):
    """A simulated level sensor."""

    oid = "sensor.level"
    info = "a simulated level sensor"
    low, high = 10.0, 60.0


class FakePH(Simulated, SensorPH):
    """A simulated pH probe."""

    oid = "sensor.ph"
    info = "a simulated pH probe"
    low, high = 6.5, 7.5


class FakeGeneric(Simulated, SensorGeneric):
    """A simulated sensor of any kind."""

    oid = "sensor.generic"
    info = "a simulated sensor of any kind"


class FakeTank(FakeSensor, SensorTemperature):
    """A thermometer in a simulated tank. Relays and dimmers that name it in ``heats`` warm it."""

    oid = "sensor.temperature.tank"
    info = "a thermometer in a simulated tank"
    fields = (
        Field("volume_l", "Float", 100.0, "the water in it", unit="l", minimum=0.01, maximum=1e6),
        Field("room", "Float", 20.0, "the temperature around it", unit="°C", minimum=-50, maximum=80),
        Field("loss_w", "Float", 10.0, "what it loses for each degree above the room", unit="W/°C",
              minimum=0.001, maximum=1e6),
        Field("start", "Float", 24.0, "its temperature when the server starts", unit="°C",
              minimum=0, maximum=100),
        Field("speed", "Float", 60.0, "how many simulated seconds pass in one", minimum=0.01, maximum=1e5),
    )  # fmt: skip

    def open(self) -> None:
        config, now_s = self.config, boottime()
        tank = Tank(
            config["volume_l"], config["room"], config["loss_w"], config["speed"], config["start"], now_s
        )
        self.tanks.put(self.name, tank, now_s)

    def close(self) -> None:
        super().close()
        self.tanks.drop(self.name)

    def measure(self) -> float:
        return self.tanks.celsius(self.name, boottime())


class FakeMotion(SensorMotion):
    """A simulated motion detector: something moves in the second half of each cycle."""

    server = "fake"
    fast = True
    info = "a simulated motion detector"
    fields = (Field("cycle_s", "Float", 60.0, "the length of a cycle", unit="s", minimum=0.1, maximum=LIMIT),)

    def read(self) -> bool:
        cycle_s: float = self.config["cycle_s"]
        return time.time() % cycle_s >= cycle_s / 2


class FakeContact(SensorContact):
    """A simulated contact, which is closed in the second half of each cycle."""

    server = "fake"
    fast = True
    info = "a simulated contact"
    fields = FakeMotion.fields

    def read(self) -> bool:
        cycle_s: float = self.config["cycle_s"]
        return time.time() % cycle_s >= cycle_s / 2


SENSORS = (
    FakeTemperature, FakeHumidity, FakeWind, FakeLevel, FakePH, FakeGeneric, FakeTank, FakeMotion,
    FakeContact,
)  # fmt: skip
