# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's 1-wire tree: which sensors are there, and their files.

The kernel searches each bus every ten seconds or so by itself, and keeps under
``/sys/bus/w1/devices`` a link for each bus and each chip it found::

    w1_bus_master1 -> ../../../devices/w1_bus_master1
    28-0000055f1b2a -> ../../../devices/w1_bus_master1/28-0000055f1b2a

Every function here may hang for as long as the kernel likes, since a wedged bus blocks whoever
reads from it; :mod:`raspy.servers.onewire.reader` calls them in threads that may be given up.

Sources: Linux ``Documentation/w1/w1-generic.rst``, ``Documentation/w1/slaves/w1_therm.rst``.
"""

from __future__ import annotations

import os
from pathlib import Path

from raspy.servers.onewire.sensor import SENSOR_ID, Measurement, SensorFault, parse

#: Newest wish first would be ``temperature``; but only ``w1_slave`` shows checksum and memory.
READING_FILES = ("w1_slave", "temperature")
MASTER_PREFIX = "w1_bus_master"
#: Ids that noise on an open data line makes up.
PHANTOM_PREFIX = "00-"
#: The kernel compares the length too: with the line's end it is taken, without it is not.
BULK_TRIGGER = b"trigger\n"
FILE_SIZE = 4096  # bytes; a sysfs file is never longer than a page

SETUP_HINT = (
    "add 'dtoverlay=w1-gpio' to /boot/firmware/config.txt and restart the Raspberry Pi (see docs/onewire.md)"
)


class W1Tree:
    """The folder of 1-wire devices.

    Args:
        devices_dir: ``/sys/bus/w1/devices``, or a copy of one.
    """

    def __init__(self, devices_dir: str | Path) -> None:
        self.devices_dir = Path(devices_dir)

    def _names(self) -> list[str]:
        try:
            return sorted(os.listdir(self.devices_dir))
        except OSError:
            return []

    def sensors(self) -> list[str]:
        """The ids of all thermometers that the kernel sees now, sorted."""
        return [name for name in self._names() if SENSOR_ID.fullmatch(name)]

    def buses(self) -> list[str]:
        """The names of all buses (``w1_bus_master1``, ...), sorted."""
        return [name for name in self._names() if name.startswith(MASTER_PREFIX)]

    def bus_of(self, sensor_id: str) -> str:
        """The bus a sensor hangs on; the empty string when the tree doesn't tell."""
        parent = Path(os.path.realpath(self.devices_dir / sensor_id)).parent.name
        return parent if parent.startswith(MASTER_PREFIX) else ""

    def setup_problem(self) -> str | None:
        """Say what is missing for thermometers to be read, and what to do; None when nothing is."""
        if not self.devices_dir.is_dir():
            return f"1-wire is not set up ({self.devices_dir} is missing): {SETUP_HINT}"
        names = self._names()
        if not any(name.startswith(MASTER_PREFIX) for name in names):
            return f"no 1-wire bus: {SETUP_HINT}"
        sensors = [name for name in names if SENSOR_ID.fullmatch(name)]
        if not sensors:
            if any(name.startswith(PHANTOM_PREFIX) for name in names):
                return (
                    "only noise on the 1-wire bus: the 4.7 kΩ resistor between data and 3.3 V is missing,"
                    " or the sensors are on another pin"
                )
            return "the 1-wire bus is there but no thermometer answers: check the wiring"
        if not any(self._reading_file(name) for name in sensors):
            return (
                "the kernel module w1-therm is not loaded:"
                " run 'modprobe w1-therm' and add it to /etc/modules-load.d/raspy.conf"
            )
        return None

    def _reading_file(self, sensor_id: str) -> str | None:
        folder = self.devices_dir / sensor_id
        return next((name for name in READING_FILES if (folder / name).exists()), None)

    def read(self, sensor_id: str) -> Measurement:
        """Take a reading; the kernel measures now (0.1 to 0.75 s), unless a bulk conversion was done.

        Raises:
            SensorFault: there is no temperature to be had.
        """
        for name in READING_FILES:
            path = self.devices_dir / sensor_id / name
            try:
                text = _read_file(path)
            except FileNotFoundError:
                continue
            except PermissionError:
                raise SensorFault("permission", f"no permission to read {path}") from None
            except OSError as error:
                if not path.parent.exists():
                    break
                raise SensorFault("io", f"reading {path} failed: {error.strerror}") from None
            return parse(sensor_id, text)
        if (self.devices_dir / sensor_id).exists():
            raise SensorFault("driver", "the kernel module w1-therm is not loaded: run 'modprobe w1-therm'")
        raise SensorFault("missing", "not on the bus: unplugged, or a broken wire")

    def can_convert_all(self, bus: str) -> bool:
        """Whether one command can make all sensors of a bus measure at once (since Linux 5.8).

        The file is root's; docs/onewire.md has the udev rule that gives it to the raspy group. The
        kernel makes it for the first bus that has a sensor, and for no other.
        """
        return bool(bus) and os.access(self.devices_dir / bus / "therm_bulk_read", os.W_OK)

    def convert_all(self, bus: str) -> None:
        """Let all sensors of a bus measure at once; returns when they have (up to 0.75 s).

        Until it has been read once, each sensor then answers with this measurement.

        Raises:
            OSError: the kernel refused.
        """
        _write_file(self.devices_dir / bus / "therm_bulk_read", BULK_TRIGGER)

    def set_resolution(self, sensor_id: str, bits: int) -> None:
        """Choose the resolution of a sensor until its next power loss.

        Args:
            sensor_id: the sensor.
            bits: 9 (0.5 °C, 0.1 s) to 12 (0.0625 °C, 0.75 s).

        Raises:
            OSError: the kernel or the sensor refused (clones may only know 12 bits), or no permission.
        """
        folder = self.devices_dir / sensor_id
        name = "resolution" if (folder / "resolution").exists() else "w1_slave"
        _write_file(folder / name, b"%d\n" % bits)


def _read_file(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, FILE_SIZE).decode("ascii", "replace")
    finally:
        os.close(descriptor)


def _write_file(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)
