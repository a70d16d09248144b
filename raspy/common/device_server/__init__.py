# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of all servers of devices: a driver says how to read and write, all else is here.

A server of devices is two classes in one file, the device and the server that offers it::

    class Barometer(SensorGeneric):
        oid = "sensor.barometer"                   # of its own, or its family's
        server = "barometer"
        fields = (Field("port", "String", "/dev/ttyUSB0", "where it is plugged in"),)

        def open(self):                            # before the first read; again after a fault of it
            self.tty = open_tty(self.config["port"])

        def read(self):                            # the value in the family's first unit
            line = self.tty.readline()
            if not line:
                raise DeviceFault("silent: no line within a second")
            return float(line)

    class BarometerServer(DeviceServer):
        SERVICE = "barometer"
        DEVICES = (Barometer,)

The contract of a driver (a subclass of a family in ``raspy.common.devices``):

``read()``
    returns the main command's value, or a dict by command (a value may be a `DeviceFault`). It raises
    `DeviceFault` with words for a person when there is none (an OSError counts as one), and never
    fills in a number. It may block: it runs in a thread of its own. It is called every ``poll``
    seconds, never twice at a time for one device, and never at the same time as `write`.
``write(command, value)``
    drives it; an actuator's main command and any other that is not read only. It raises as `read` does.
    An actuator that can be asked what it is overrides `read`; else what was written last is published.
``open()``, ``close()``
    take and give back what it needs.
``fast = True``
    if `read` and `write` always return within a millisecond; they then run in the engine's own thread.
``timeout_s``
    how long they may take, 5 s unless set; after that the device is at fault until they return.

The server polls in due time, publishes (see reporter.py), marks what is stale, keeps holds, safe states,
minimum times, longest runs and interlocks (see guard.py), keeps the configuration in titanic, and
serves ``HOST.NAME.devices`` (see server.py). It has hooks for what is not configured but found:
`DeviceServer.default_devices`, `attach`, `detach`, `configured`.

Third parties bring a kind of device for a server that is there by the entry-point group
``raspy.devices`` (the class says in ``server`` for which), and a server by ``raspy.servers``.
"""

from raspy.common.device_server.server import DeviceServer
from raspy.common.devices.fault import DeviceFault

__all__ = ["DeviceFault", "DeviceServer"]
