# SPDX-License-Identifier: GPL-3.0-or-later
"""Sensors. Families only: a server's driver adds `read`, which returns the value in the family's first unit.

What a driver reads is looked at here once, for all of them: it must be a finite number, is converted to
the unit that is configured, corrected by ``offset``, and must lie between ``minimum`` and ``maximum``.
What does not is a fault and no number. So is a value that has not moved in the least for ``stuck_s``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from raspy.common.devices.command import Command
from raspy.common.devices.device import BaseDevice
from raspy.common.devices.fault import DeviceFault
from raspy.common.devices.field import Field
from raspy.common.MDP import ClientError

LIMIT = 1e12

CELSIUS = {"°C": (1.0, 0.0), "°F": (1.8, 32.0), "K": (1.0, 273.15)}
PERCENT = {"%": (1.0, 0.0)}
SPEED = {"m/s": (1.0, 0.0), "km/h": (3.6, 0.0), "kn": (3600 / 1852, 0.0), "mph": (3600 / 1609.344, 0.0)}
LENGTH = {"cm": (1.0, 0.0), "mm": (10.0, 0.0), "m": (0.01, 0.0), "in": (1 / 2.54, 0.0)}


class SensorDevice(BaseDevice):
    """The base of all sensors."""

    oid = "sensor"
    info = "a sensor"
    poll = 5.0
    log = True


class NumberSensor(SensorDevice):
    """The base of sensors that give a number.

    Attributes:
        units: the units that may be configured: factor and summand from the first one, which is the
            one that `read` returns.
        plausible: the least and the greatest value that there can be, in the first unit.
        digits: how many decimals are published.
        clock: monotonic seconds.
    """

    units: Mapping[str, tuple[float, float]] = {}
    plausible: tuple[float, float] = (-LIMIT, LIMIT)
    digits = 3
    clock = staticmethod(time.monotonic)
    fields: ClassVar[tuple[Field, ...]] = (
        Field("offset", "Float", 0.0, "added to what it reads, to correct it", minimum=-LIMIT, maximum=LIMIT),
        Field("minimum", "Float", None, "a value below is a fault; null: what the sensor can measure",
              minimum=-LIMIT, maximum=LIMIT, nullable=True),
        Field("maximum", "Float", None, "a value above is a fault; null: what the sensor can measure",
              minimum=-LIMIT, maximum=LIMIT, nullable=True),
        Field("stuck_s", "Float", 0.0, "a value that has not changed at all for so long is a fault; 0: never",
              unit="s", minimum=0, maximum=LIMIT),
    )  # fmt: skip

    # What the sensor last read, and since when it reads that.
    _same: Any = None
    _since_s = 0.0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "units" in vars(cls):
            first = next(iter(cls.units))
            unit = Field("unit", "List", first, "the unit of its values", choices=tuple(cls.units))
            cls.fields = (unit, *vars(cls).get("fields", ()))
        super().__init_subclass__(**kwargs)

    @classmethod
    def _scale(cls, config: Mapping[str, Any]) -> tuple[float, float]:
        return cls.units[config["unit"]]

    @classmethod
    def _limits(cls, config: Mapping[str, Any]) -> tuple[float, float]:
        factor, summand = cls._scale(config)
        low, high = (limit * factor + summand for limit in cls.plausible)
        return (
            low if config.get("minimum") is None else config["minimum"],
            high if config.get("maximum") is None else config["maximum"],
        )

    @classmethod
    def check_config(cls, config: dict[str, Any]) -> None:
        super().check_config(config)
        low, high = cls._limits(config)
        if not low < high:
            raise ClientError(f"config.minimum: {low:g} is not below the maximum, {high:g}")

    def configured(self) -> None:
        super().configured()
        self._factor, self._summand = self._scale(self.config)
        self._summand += self.config["offset"]
        self._low, self._high = self._limits(self.config)
        self._stuck_s = self.config["stuck_s"]
        self._same = None
        self.commands[self.main].unit = self.config["unit"]

    def accept(self, command: Command, value: Any) -> Any:
        """The number that is published; see the module.

        Raises:
            DeviceFault: it is not a number, out of range, or stuck.
        """
        if command.name != self.main:
            return super().accept(command, value)
        # Written so that a NaN, which compares false with everything, is refused.
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= LIMIT:
            raise DeviceFault(f"read {value!r:.40}, which is not a number")
        if self._stuck_s:
            self._check_moving(value)
        number = round(value * self._factor + self._summand, self.digits)
        if not self._low <= number <= self._high:
            raise DeviceFault(
                f"read an implausible {number:g}{command.unit}: not between {self._low:g} and {self._high:g}"
            )
        return number

    def _check_moving(self, value: float) -> None:
        now = self.clock()
        if value != self._same:
            self._same, self._since_s = value, now
        elif now - self._since_s >= self._stuck_s:
            raise DeviceFault(f"stuck: has read exactly {value:g} for {now - self._since_s:.0f} s")

    def cmd_reset(self, value: Any = None) -> None:
        """Forget the values, and since when they are the same."""
        super().cmd_reset(value)
        self._same = None


def number(info: str, unit: str = "") -> dict[str, Any]:
    """The arguments of the `Command` of a number that is read and may be graphed."""
    return {"type": "Float", "info": info, "unit": unit, "readonly": True, "datasource": "GAUGE"}


class SensorTemperature(NumberSensor):
    """A thermometer; `read` returns °C. A driver narrows ``plausible`` to what its chip can measure."""

    oid = "sensor.temperature"
    info = "a thermometer"
    main = "temperature"
    units = CELSIUS
    plausible = (-55.0, 125.0)
    commands = {"temperature": Command(**number("the temperature", "°C"))}


class SensorHumidity(NumberSensor):
    """A hygrometer; `read` returns the relative humidity in %."""

    oid = "sensor.humidity"
    info = "a hygrometer"
    main = "humidity"
    units = PERCENT
    plausible = (0.0, 100.0)
    digits = 1
    commands = {"humidity": Command(**number("the relative humidity", "%"))}


class SensorWind(NumberSensor):
    """An anemometer; `read` returns m/s, or a dict of ``speed`` and ``direction`` in degrees (0 north)."""

    oid = "sensor.wind"
    info = "an anemometer"
    main = "speed"
    units = SPEED
    plausible = (0.0, 120.0)
    digits = 2
    commands = {
        "speed": Command(**number("the speed of the wind", "m/s")),
        "direction": Command(**number("where it comes from", "°"), minimum=0, maximum=360),
    }


class SensorLevel(NumberSensor):
    """A level of water or of anything else; `read` returns cm."""

    oid = "sensor.level"
    info = "a level sensor"
    main = "level"
    units = LENGTH
    plausible = (-10000.0, 10000.0)
    digits = 2
    commands = {"level": Command(**number("the level", "cm"))}


class SensorPH(NumberSensor):
    """A pH probe; `read` returns pH."""

    oid = "sensor.ph"
    info = "a pH probe"
    main = "ph"
    units = {"pH": (1.0, 0.0)}
    plausible = (0.0, 14.0)
    digits = 2
    commands = {"ph": Command(**number("the acidity", "pH"))}


class SensorGeneric(NumberSensor):
    """Any other number, with any unit; `read` returns it as it is."""

    oid = "sensor.generic"
    info = "a sensor of any kind"
    main = "value"
    fields: ClassVar[tuple[Field, ...]] = (Field("unit", "String", "", "the unit of its values"),)
    commands = {"value": Command(**number("the value"))}

    @classmethod
    def _scale(cls, config: Mapping[str, Any]) -> tuple[float, float]:
        return 1.0, 0.0


class SensorMotion(SensorDevice):
    """A motion detector; `read` returns True while something moves."""

    oid = "sensor.motion"
    info = "a motion detector"
    main = "motion"
    poll = 1.0
    commands = {
        "motion": Command(type="Bool", info="whether something moves", readonly=True, datasource="GAUGE"),
    }


class SensorContact(SensorDevice):
    """A contact: a door's, a float switch; `read` returns True while it is closed."""

    oid = "sensor.contact"
    info = "a contact"
    main = "closed"
    poll = 1.0
    commands = {
        "closed": Command(type="Bool", info="whether it is closed", readonly=True, datasource="GAUGE"),
    }
