# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine itself: processor, load, memory, disk, uptime, and on a Raspberry Pi its power supply.

Nothing needs to be wired or configured: a new installation shows live values at once, under
``/device/HOST/host/``::

    cpu/usage %     cpu/temperature °C    load/1min load/5min load/15min    memory/used %
    memory/available MB    memory/swap %  disk/used %    disk/free MB    system/uptime s    system/throttled

What a machine has not got (a virtual one no thermometer, a PC no ``throttled``) is left out.
MB are 1 000 000 bytes.

It is also the model of a device server: a class for each kind of device, that says what it reads, and one
for the server. Paths are passed in, so that the tests read the files of other machines.

Sources: proc(5), Linux ``Documentation/driver-api/thermal/sysfs-api.rst``, psutil; for ``throttled`` the
Raspberry Pi documentation of ``vcgencmd get_throttled``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import psutil

from raspy.common import daemon
from raspy.common.config import Option
from raspy.common.device_server import DeviceFault, DeviceServer
from raspy.common.devices.command import Command
from raspy.common.devices.device import BaseDevice
from raspy.common.devices.sensor import SensorDevice, number

MB = 1_000_000
USAGE_LEAST_S = 0.5  # a processor's usage over less than this says nothing
CPU_ZONES = ("cpu", "soc", "pkg")  # a thermal zone with one of these in its type is the processor's
CPU_CHIPS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")  # hwmon drivers of processors
THROTTLED_BITS = ("under-voltage", "frequency capped", "throttled", "hot")  # bits 0 to 3 now, 16 to 19 before


class HostDevice(SensorDevice):
    """What the devices of this server have in common.

    Attributes:
        proc, sys: where /proc and /sys are; the server sets them.
        disk: the file system that is looked at.
    """

    server = "host"
    fast = True
    proc = Path("/proc")
    sys = Path("/sys")
    disk = Path("/")


class Cpu(HostDevice):
    """The processor."""

    oid = "sensor.cpu"
    info = "the processor"
    main = "usage"
    commands = {
        "usage": Command(**number("how busy it is", "%"), minimum=0, maximum=100),
        "temperature": Command(**number("its temperature", "°C"), minimum=-55, maximum=150),
    }

    def open(self) -> None:
        self._thermometer = find_thermometer(self.sys)
        self._since_s = time.monotonic()
        psutil.cpu_percent()  # usage is counted from one call to the next

    def read(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if time.monotonic() - self._since_s >= USAGE_LEAST_S:
            self._since_s = time.monotonic()
            values["usage"] = psutil.cpu_percent()
        if self._thermometer is not None:
            try:
                values["temperature"] = round(int(self._thermometer.read_text()) / 1000, 1)
            except (OSError, ValueError) as error:
                values["temperature"] = DeviceFault(f"{self._thermometer} can't be read: {error}")
        return values


class Load(HostDevice):
    """How many tasks ran or wanted to, on average."""

    oid = "sensor.load"
    info = "the load: how many tasks run or wait to"
    main = "1min"
    commands = {
        "1min": Command(**number("over one minute")),
        "5min": Command(**number("over five minutes")),
        "15min": Command(**number("over a quarter of an hour")),
    }

    def read(self) -> dict[str, float]:
        words = (self.proc / "loadavg").read_text().split()
        return {name: float(word) for name, word in zip(("1min", "5min", "15min"), words, strict=False)}


class Memory(HostDevice):
    """The memory."""

    oid = "sensor.memory"
    info = "the memory"
    main = "used"
    commands = {
        "used": Command(**number("how much of it is in use", "%"), minimum=0, maximum=100),
        "available": Command(**number("how much a new program could have", "MB"), minimum=0),
        "swap": Command(**number("how much of the swap space is in use", "%"), minimum=0, maximum=100),
    }

    def read(self) -> dict[str, float]:
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        values = {"used": memory.percent, "available": round(memory.available / MB, 1)}
        if swap.total:
            values["swap"] = swap.percent
        return values


class Disk(HostDevice):
    """The file system that RasPy keeps its data on."""

    oid = "sensor.disk"
    info = "the disk or SD card"
    main = "used"
    poll = 60.0
    fast = False  # a disk may take its time, and a network share for ever
    commands = {
        "used": Command(**number("how much of it is in use", "%"), minimum=0, maximum=100),
        "free": Command(**number("how much is free", "MB"), minimum=0),
    }

    def read(self) -> dict[str, float]:
        usage = psutil.disk_usage(str(self.disk))
        return {"used": usage.percent, "free": round(usage.free / MB, 1)}


class System(HostDevice):
    """How long the machine runs, and on a Raspberry Pi whether its power supply and cooling suffice."""

    oid = "sensor.system"
    info = "the machine"
    main = "uptime"
    commands = {
        "uptime": Command(**number("how long it runs", "s"), minimum=0),
        "throttled": Command(type="String", info="what slows it down, now or since its start", readonly=True),
    }

    def open(self) -> None:
        found = (self.sys / "devices" / "platform").glob("*/*firmware*/get_throttled")
        self._throttled = next(found, None)

    def read(self) -> dict[str, Any]:
        values: dict[str, Any] = {"uptime": int(float((self.proc / "uptime").read_text().split()[0]))}
        if self._throttled is not None:
            values["throttled"] = throttled_words(int(self._throttled.read_text(), 16))
        return values


def find_thermometer(sys: Path) -> Path | None:
    """The file with the processor's temperature in millidegrees; None when it has no thermometer."""
    for zone in sorted((sys / "class" / "thermal").glob("thermal_zone*/type")):
        if any(word in zone.read_text() for word in CPU_ZONES):
            return zone.with_name("temp")
    for chip in sorted((sys / "class" / "hwmon").glob("hwmon*/name")):
        if chip.read_text().strip() in CPU_CHIPS:
            return chip.with_name("temp1_input")
    return None


def throttled_words(bits: int) -> str:
    """What the bits of ``get_throttled`` mean, such as ``under-voltage now; throttled before``."""
    now = [word for place, word in enumerate(THROTTLED_BITS) if bits >> place & 1]
    before = [word for place, word in enumerate(THROTTLED_BITS) if bits >> place + 16 & 1 and word not in now]
    parts = [f"{', '.join(words)} {when}" for words, when in ((now, "now"), (before, "before")) if words]
    return "; ".join(parts) or "no"


class Host(DeviceServer):
    """The machine's own sensors.

    Args: those of ``Server``, and where /proc and /sys are.
    """

    SERVICE = "host"
    SETTINGS = (
        Option("poll_s", float, 5.0, "how often it is read, seconds; the disk once a minute", 0.1, 3600),
        Option("disk", Path, None, "a folder on the file system to look at; RasPy's own data if left out"),
    )
    DEVICES = (Cpu, Load, Memory, Disk, System)

    def __init__(
        self, hostname: str = "localhost", service: str = "host", *args: Any,
        proc: str | Path = "/proc", sys: str | Path = "/sys", **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(hostname, service, *args, **kwargs)
        self.proc, self.sys = Path(proc), Path(sys)
        psutil.PROCFS_PATH = str(proc)

    def prepare(self, device: BaseDevice) -> None:
        if isinstance(device, HostDevice):  # and not that of a plug-in
            device.proc, device.sys = self.proc, self.sys
            device.disk = self.settings.disk or self.data_dir or Path("/")

    def default_devices(self) -> list[dict[str, Any]]:
        return [
            {"oid": kind.oid, "name": kind.oid.removeprefix("sensor."), "poll": self._poll_s(kind)}
            for kind in self.DEVICES
        ]

    def _poll_s(self, kind: type[BaseDevice]) -> float:
        poll_s: float = self.settings.poll_s
        return max(poll_s, kind.poll) if kind is Disk else poll_s


def main() -> int:
    """Run the server; returns the exit status."""
    return daemon.run(Host)


if __name__ == "__main__":
    sys.exit(main())
