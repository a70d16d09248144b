# SPDX-License-Identifier: GPL-3.0-or-later
"""Device types: what there is to measure and to switch, one file a family.

============  ====================================================================
sensor.py     temperature, humidity, wind, level, pH, motion, contact, generic
switch.py     relay, pump, valve
light.py      on/off, dimmer, rgb
media.py      camera, tv (with its volume and its channel)
clock.py      clock, rtc
============  ====================================================================

A family knows units, ranges and commands, but no hardware. A server's driver is a subclass of one,
in the server's own package, that adds `read` or `write`.
"""
