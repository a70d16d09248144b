# SPDX-License-Identifier: GPL-3.0-or-later
"""1-wire thermometers (DS18B20 and its family) over the kernel's sysfs.

Why not the w1thermsensor package: Debian has not got it, and it would have had to be rewritten to
serve here. It reads ``w1_slave`` alone, in the caller's thread and with no time limit, so one
wedged bus stops the program; it knows neither ``therm_bulk_read`` nor more than one reason why a
reading is bad (a short to ground and a checksum error are both "not ready"); it takes every exact
85.000 °C for bad, without a look at the sensor's memory or at the readings before; its folder is a
class attribute, so that two trees can't be used side by side; and importing it runs ``modprobe``
and, to set a resolution, a shell.

==============  ==========================================================
sensor.py       what one file says: families, faults, 85 °C
bus.py          the kernel's tree: discovery, files, what is missing
reader.py       measuring together
server.py       the devices, and the search for new ones
==============  ==========================================================
"""

from raspy.servers.onewire.server import OneWire, main

__all__ = ["OneWire", "main"]
