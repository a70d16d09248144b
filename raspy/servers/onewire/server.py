# SPDX-License-Identifier: GPL-3.0-or-later
"""The 1-wire server: thermometers that are configured, and those that are found."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from raspy.common import daemon
from raspy.common.config import Option
from raspy.common.device_server import DeviceServer
from raspy.common.devices.device import BaseDevice
from raspy.common.devices.fault import DeviceFault
from raspy.common.devices.field import Field, show
from raspy.common.devices.sensor import SensorTemperature
from raspy.common.MDP import ClientError
from raspy.servers.onewire.bus import W1Tree
from raspy.servers.onewire.reader import BusReader
from raspy.servers.onewire.sensor import (
    FAMILIES,
    MAX31850,
    SENSOR_ID,
    Judge,
    Measurement,
    SensorFault,
    family_of,
)

DEVICES_DIR = "/sys/bus/w1/devices"
LOOK_S = 0.5  # how often the search thread shows that it lives


class Readers:
    """What measures together, by bus.

    Args:
        tree: the kernel's tree.
        log: the server's logger.
    """

    def __init__(self, tree: W1Tree, log: logging.Logger) -> None:
        self.tree = tree
        self._log = log
        self._readers: dict[str, BusReader] = {}

    def of(self, sensor_id: str) -> BusReader:
        """The reader of the bus that a sensor hangs on now: it may have been plugged in elsewhere."""
        bus = self.tree.bus_of(sensor_id)
        return self._readers.setdefault(bus, BusReader(self.tree, bus, self._log))


class Thermometer(SensorTemperature):
    """A 1-wire thermometer. DS18B20, DS18S20, DS1822, DS1825, DS28EA00, MAX31850.

    Wiring (docs/onewire.md): GND and 3.3 V to the Raspberry Pi's, data to GPIO 4, a 4.7 kΩ resistor
    between data and 3.3 V. Example::

        {"oid": "sensor.temperature", "name": "tank", "poll": 10,
         "config": {"sensor": "28-0000055f1b2a", "maximum": 40}}
    """

    server = "onewire"
    info = "a 1-wire thermometer"
    plausible = (MAX31850.low_c, MAX31850.high_c)  # each chip's own range is looked at in sensor.py
    fields = (
        Field("sensor", "String", info="its id, such as 28-0000055f1b2a", required=True),
        Field("resolution", "Int", None, "bits: 9 (0.5 °C, 0.1 s) to 12 (0.06 °C, 0.75 s); null: as it is",
              minimum=9, maximum=12, nullable=True),
    )  # fmt: skip
    readers: Readers

    @classmethod
    def check_config(cls, config: dict[str, Any]) -> None:
        super().check_config(config)
        sensor = config["sensor"]
        if not SENSOR_ID.fullmatch(sensor):
            raise ClientError(
                f"config.sensor: {show(sensor)} is no thermometer's id: it is one of {', '.join(FAMILIES)},"
                " a '-', and 12 digits of 0 to 9 and a to f"
            )
        family = family_of(sensor)
        if config["resolution"] is not None and not family.resolutions:
            raise ClientError(f"config.resolution: a {family.chip} has only one; leave it out")

    def configured(self) -> None:
        super().configured()
        self._judge = Judge()
        self._refused = False

    def read(self) -> float:
        """Measure; see sensor.py for what is not a temperature."""
        sensor = self.config["sensor"]
        try:
            measurement = self.readers.of(sensor).read(sensor)
            celsius = self._judge.accept(measurement, time.monotonic())
        except SensorFault as fault:
            raise DeviceFault(str(fault)) from None
        self._keep_resolution(measurement)
        return celsius

    def _keep_resolution(self, measurement: Measurement) -> None:
        """Set the resolution that is configured, which the sensor forgets with its power; complain once."""
        wished, found = self.config["resolution"], measurement.resolution
        if self._refused or wished is None or found is None or wished == found:
            return
        sensor = self.config["sensor"]
        try:
            self.readers.tree.set_resolution(sensor, wished)
        except OSError as error:
            self._refused = True
            logging.getLogger("raspy.onewire").warning(
                "%s: %s bits were refused, it stays at %s: %s (docs/onewire.md says how to allow it)",
                self.name, wished, found, error.strerror, extra={"RASPY_DEVICE": self.name},
            )  # fmt: skip


class OneWire(DeviceServer):
    """The OneWire server: thermometers on the kernel's 1-wire buses.

    A sensor that nobody configured appears by itself, named after its id. Who gives it a name
    (``add tank {"oid": "sensor.temperature", "config": {"sensor": "28-..."}}``) takes it over.

    Args: those of ``Server``, and
        devices_dir: the kernel's folder of 1-wire devices.
    """

    SERVICE = "onewire"
    SETTINGS = (
        Option("search_s", float, 5.0, "how often new sensors are looked for, seconds", 0.1, 3600),
        Option("poll_s", float, 10.0, "how often sensors without a name are read, seconds", 0.1, 86400),
        Option("timeout_s", float, 10.0, "how long a sensor may take; parasite power: 1 for each", 3, 120),
    )
    DEVICES = (Thermometer,)

    def __init__(
        self, hostname: str = "localhost", service: str = "onewire", *args: Any,
        devices_dir: str | Path = DEVICES_DIR, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(hostname, service, *args, **kwargs)
        self.tree = W1Tree(devices_dir)
        self.readers = Readers(self.tree, self.log)
        self._problem: str | None = None

    def prepare(self, device: BaseDevice) -> None:
        """Give a thermometer the buses; the device of a plug-in brings its own."""
        super().prepare(device)
        if isinstance(device, Thermometer):
            device.readers = self.readers
            device.timeout_s = self.settings.timeout_s

    def setup(self) -> None:
        """Look what is there, and whether anything is missing."""
        super().setup()
        self._search()

    def worker_search(self) -> None:
        """Look for sensors that were plugged in, again and again."""
        searched_s = time.monotonic()
        while not self.stopping.wait(LOOK_S):
            self.alive()
            if time.monotonic() - searched_s >= self.settings.search_s:
                searched_s = time.monotonic()
                self._search()

    def _search(self) -> None:
        problem = self.tree.setup_problem()
        if problem != self._problem:
            self.log.log(logging.WARNING if problem else logging.INFO, problem or "1-wire is set up")
            self._problem = problem
        names = self._names()
        for sensor_id in self.tree.sensors():
            if sensor_id not in names:
                self.log.info("found %s, a %s", sensor_id, family_of(sensor_id).chip)
                self.attach({
                    "oid": Thermometer.oid, "name": sensor_id, "poll": self.settings.poll_s,
                    "config": {"sensor": sensor_id},
                })  # fmt: skip
        for sensor_id, named in self._names().items():
            if len(named) > 1:
                self.detach(sensor_id)  # it has a name of its own now

    def _names(self) -> dict[str, list[str]]:
        """The names of the devices by their sensor's id."""
        names: dict[str, list[str]] = {}
        for name, entry in self.engine.table.entries.items():
            names.setdefault(entry.device.config["sensor"], []).append(name)
        return names

    def configured(self) -> None:
        """A sensor that has a name of its own is no longer there under its id, one that lost it is again."""
        super().configured()
        self._search()

    def status_line(self) -> str:
        """What is missing for sensors to be read, else how they are."""
        return self._problem or super().status_line()


def main() -> int:
    """Run the server; returns the exit status."""
    return daemon.run(OneWire)
