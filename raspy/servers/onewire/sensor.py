# SPDX-License-Identifier: GPL-3.0-or-later
"""What a 1-wire thermometer's sysfs file says, and whether it is a temperature at all.

The kernel driver ``w1_therm`` gives each sensor a folder ``FAMILY-SERIAL``. Its ``w1_slave`` is
two lines, the sensor's nine bytes of memory (the scratchpad), first as they came over the wire,
then as they were kept::

    f4 00 4b 46 7f ff 0c 10 fa : crc=fa YES
    f4 00 4b 46 7f ff 0c 10 fa t=15250

Bytes 0 and 1 are the temperature, byte 4 the configuration, byte 8 the checksum; ``t=`` is
millidegrees Celsius. The newer ``temperature`` (since Linux 5.8) holds those alone.

A number in that file is not yet a measurement. Each way in which it isn't one is a
:class:`SensorFault` with words of its own; nothing is ever filled in.

**85 °C** is what these chips hold after power-on, before their first conversion. A chip that
loses power for a moment, or has too little of it, gives exactly 85.000 with a good checksum;
to a thermostat that is a boiling tank. It is told from a real 85.000 in this order:

1. Byte 6 is ``0c`` in the power-on memory of the DS18B20 family and ``10`` after a true
   conversion to 85.000 (it is 16 less the low four bits of the temperature). So ``0c`` is a
   fault, whatever came before. Linux' own check (``features``, bit 1) uses the same byte. Clones
   that hold ``0c`` for ever lose one real reading when they cross 85.000; that is the safe side.
2. Where that byte says nothing (the DS18S20 counts with it; ``temperature`` alone doesn't show
   it) the neighbours decide: 85.000 is believed only when the same sensor gave a good value
   within :data:`NEIGHBOUR_C` of it at most :data:`NEIGHBOUR_S` ago. The first reading after a
   start has no neighbour, and is a fault.

The same second rule holds for 0.000 read from ``temperature`` alone: a data line shorted to
ground reads as zeros, with a checksum that fits.

Sources: datasheets DS18B20, DS18S20, DS1822, DS1825, DS28EA00, MAX31850 (Analog Devices);
Linux ``Documentation/w1/slaves/w1_therm.rst``, ``Documentation/ABI/testing/sysfs-driver-w1_therm``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: How near, in degrees, and how fresh, in seconds, a good reading must be to vouch for a doubtful one.
NEIGHBOUR_C = 5.0
NEIGHBOUR_S = 120.0

POWER_ON_C = 85.0
POWER_ON_BYTE_6 = 0x0C
NO_POWER_C = 127.937  # 0x07ff sixteenths, cut to millidegrees by the kernel


class Family(NamedTuple):
    """One kind of chip, by the family code its serial number begins with.

    Attributes:
        chip: the name on the chip.
        low_c, high_c: what it can measure, in °C.
        resolutions: the resolutions that can be set, in bits; empty when it has only one.
    """

    chip: str
    low_c: float
    high_c: float
    resolutions: tuple[int, ...]


FAMILIES = {
    "10": Family("DS18S20", -55.0, 125.0, ()),
    "22": Family("DS1822", -55.0, 125.0, (9, 10, 11, 12)),
    "28": Family("DS18B20", -55.0, 125.0, (9, 10, 11, 12)),
    "3b": Family("DS1825", -55.0, 125.0, (9, 10, 11, 12)),
    "42": Family("DS28EA00", -40.0, 85.0, (9, 10, 11, 12)),
}
#: Shares family code 3b with the DS1825; the upper half of its configuration byte is ones.
MAX31850 = Family("MAX31850", -270.0, 1768.0, ())

SENSOR_ID = re.compile(r"(10|22|28|3b|42)-[0-9a-f]{12}")
_W1_SLAVE = re.compile(
    r"((?:[0-9a-f]{2} ){9}): crc=[0-9a-f]{2} (YES|NO)\s+(?:[0-9a-f]{2} ){9}t=(-?[0-9]{1,7})\s*"
)
_TEMPERATURE = re.compile(r"\s*(-?[0-9]{1,7})\s*")


class SensorFault(Exception):
    """A reading that is not a temperature.

    Args:
        kind: one word for statistics and tests, one of those in docs/onewire.md.
        message: what happened, for a person; becomes the ``error`` of the published value.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Measurement(NamedTuple):
    """What one reading holds.

    Attributes:
        celsius: the temperature in °C.
        doubt: the fault this is unless a neighbour vouches for it; None when it needs no witness.
        resolution: bits the sensor measured with, None when the file doesn't show it.
    """

    celsius: float
    doubt: SensorFault | None = None
    resolution: int | None = None


def family_of(sensor_id: str) -> Family:
    """The chip of a sensor id such as ``28-0000055f1b2a``; KeyError when it is no thermometer."""
    return FAMILIES[sensor_id[:2]]


def parse(sensor_id: str, text: str) -> Measurement:
    """Read the content of ``w1_slave`` or ``temperature``.

    Args:
        sensor_id: the folder's name, for the family.
        text: the file's content.

    Returns:
        The measurement.

    Raises:
        SensorFault: it holds none; the message says why.
    """
    if not text.strip():
        raise SensorFault(
            "empty", "the sensor did not answer the kernel (empty reading): a loose contact, or no power"
        )
    if match := _W1_SLAVE.fullmatch(text):
        return _parse_scratchpad(sensor_id, bytes.fromhex(match[1]), match[2] == "YES", int(match[3]))
    if match := _TEMPERATURE.fullmatch(text):
        # a 3b may be either chip, and only its memory says which
        family = MAX31850 if sensor_id.startswith("3b-") else family_of(sensor_id)
        celsius = _in_range(family, int(match[1]) / 1000)
        return Measurement(celsius, _doubt_power_on(celsius) or _doubt_short(celsius))
    raise SensorFault("garbled", f"the kernel's answer is not understood: {text[:80]!r}")


def _parse_scratchpad(sensor_id: str, memory: bytes, crc_ok: bool, millidegrees: int) -> Measurement:
    """Judge the nine bytes of a sensor's memory; the kernel's millidegrees go with them."""
    if memory == b"\xff" * 9:
        raise SensorFault("silent", "nothing answers on the data line (all ones): a broken wire or no power")
    if not crc_ok:
        raise SensorFault(
            "crc", "checksum error (CRC): garbled on the wire; check the cable and the pull-up resistor"
        )
    if not any(memory):
        raise SensorFault("short", "the data line is shorted to ground (all zeros)")
    family = family_of(sensor_id)
    configuration = memory[4]
    if sensor_id.startswith("3b-") and configuration & 0xF0 == 0xF0:
        return _parse_thermocouple(memory)
    if family.resolutions:
        resolution = (configuration >> 5 & 3) + 9
    else:
        resolution = 9
        if memory[7] == 0:  # COUNT PER °C, that the kernel divides by: it answers 0 for such memory
            raise SensorFault("garbled", f"the sensor's memory makes no sense: {memory.hex(' ')}")
    celsius = _in_range(family, millidegrees / 1000)
    doubt = _doubt_power_on(celsius)
    if doubt and family.resolutions and memory[6] == POWER_ON_BYTE_6:
        raise doubt
    return Measurement(celsius, doubt, resolution)


def _parse_thermocouple(memory: bytes) -> Measurement:
    """Judge a MAX31850's memory; computed here since older kernels take its fault bits for degrees."""
    if memory[0] & 1:
        for bit, fault in ((1, "is open"), (2, "is shorted to ground"), (4, "is shorted to the supply")):
            if memory[2] & bit:
                raise SensorFault("thermocouple", f"the thermocouple {fault}")
        raise SensorFault("thermocouple", "the thermocouple converter reports a fault")
    celsius = (int.from_bytes(memory[:2], "little", signed=True) >> 2) / 4
    return Measurement(_in_range(MAX31850, celsius), _doubt_power_on(celsius))


def _in_range(family: Family, celsius: float) -> float:
    """Return what the chip can measure, raise on the rest."""
    if celsius == NO_POWER_C:
        raise SensorFault("power", "the sensor has too little power to measure (127.94 °C)")
    if not family.low_c <= celsius <= family.high_c:
        raise SensorFault(
            "range",
            f"{celsius:.3f} °C is outside what a {family.chip} measures"
            f" ({family.low_c:g} to {family.high_c:g} °C)",
        )
    return celsius


def _doubt_power_on(celsius: float) -> SensorFault | None:
    """The fault that exactly 85 °C is, unless something speaks for it."""
    if celsius != POWER_ON_C:
        return None
    return SensorFault(
        "power-on",
        "85.000 °C is the sensor's value before its first measurement: it lost power or had too little",
    )


def _doubt_short(celsius: float) -> SensorFault | None:
    """The fault that exactly 0 °C is where the memory is not shown."""
    if celsius != 0:
        return None
    return SensorFault("short", "0.000 °C out of nowhere: the data line may be shorted to ground")


class Judge:
    """Decide on one sensor's doubtful readings, by its own good ones.

    Not thread safe: one for each sensor, used by whoever reads that sensor.
    """

    def __init__(self) -> None:
        self._good_c = 0.0
        self._good_at_s: float | None = None

    def accept(self, measurement: Measurement, now_s: float) -> float:
        """Return the measurement's °C, or raise the fault that it is.

        Args:
            measurement: from :func:`parse`.
            now_s: monotonic clock.

        Raises:
            SensorFault: it was doubtful and nothing near it vouches for it.
        """
        if measurement.doubt is not None and not self._vouched(measurement.celsius, now_s):
            raise measurement.doubt
        self._good_c, self._good_at_s = measurement.celsius, now_s
        return measurement.celsius

    def _vouched(self, celsius: float, now_s: float) -> bool:
        if self._good_at_s is None or now_s - self._good_at_s > NEIGHBOUR_S:
            return False
        return abs(celsius - self._good_c) <= NEIGHBOUR_C
