# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the sensors of one bus together.

A DS18B20 takes 0.75 s to measure. Sensors that are asked for within :data:`GATHER_S` of each other
measure at the same time: by one command to the whole bus where the kernel offers it and we may
write it (``therm_bulk_read``), else because each is read in a thread of its own, and the kernel lets go
of the bus while a sensor with a supply wire converts. Ten sensors take one second, not ten.

Any read may hang: a wedged bus (a short, a lost chip, a kernel bug) leaves its reader in an
uninterruptible sleep. No time limit can end that, so nothing here tries to. The device server's engine calls
:meth:`BusReader.read` in a thread that it gives up when the sensor's time is over, one for each sensor;
those who measure together with a hanging one are waited for at most :data:`FETCH_S`.
"""

from __future__ import annotations

import logging
import threading

from raspy.servers.onewire.bus import W1Tree
from raspy.servers.onewire.sensor import Measurement, SensorFault

#: How long the first one asked for waits for others to measure together with it.
GATHER_S = 0.05
#: How long a measurement may take to be fetched before the next one begins all the same.
FETCH_S = 1.0


class _Group:
    """Those who are asked for at the same time.

    Attributes:
        converted: set when they may be read.
        together: they have measured by one command.
    """

    __slots__ = ("converted", "together")

    def __init__(self) -> None:
        self.converted = threading.Event()
        self.together = False


class BusReader:
    """What measures together on one bus; called by one thread for each sensor.

    Args:
        tree: where the sensors' files are.
        bus: the bus, such as ``w1_bus_master1``.
        log: where a refused command is reported, once.
    """

    def __init__(self, tree: W1Tree, bus: str, log: logging.Logger) -> None:
        self._tree = tree
        self._bus = bus
        self._log = log
        self._changed = threading.Condition()
        self._gathering: list[str] = []
        self._group = _Group()
        self._fetching: set[str] = set()
        # Who has a measurement of a bulk conversion that was not fetched: it would answer with that
        # at its next reading, however much later that is.
        self._unfetched: set[str] = set()
        self._refused = False

    def read(self, sensor_id: str) -> Measurement:
        """Take a reading; with whom it is taken together is found out here.

        Args:
            sensor_id: the sensor, of this bus.

        Raises:
            SensorFault: there is no temperature to be had.
        """
        if self._refused or not self._tree.can_convert_all(self._bus):
            return self._tree.read(sensor_id)
        together = self._join(sensor_id)
        try:
            if not together and sensor_id in self._unfetched:
                self._throw_away(sensor_id)
            return self._tree.read(sensor_id)
        finally:
            with self._changed:
                self._unfetched.discard(sensor_id)
                self._fetching.discard(sensor_id)
                self._changed.notify_all()

    def _throw_away(self, sensor_id: str) -> None:
        try:
            self._tree.read(sensor_id)
        except SensorFault:
            pass

    def _join(self, sensor_id: str) -> bool:
        """Return when the sensor has measured together with others (True), or is to be read alone."""
        with self._changed:
            leads = not self._gathering
            self._gathering.append(sensor_id)
            group = self._group
        if leads:
            self._lead(group)
        else:
            group.converted.wait()
        return group.together

    def _lead(self, group: _Group) -> None:
        """The first one asked: gather, let all measure, let the others go on."""
        try:
            with self._changed:
                self._changed.wait_for(lambda: not self._fetching, FETCH_S)
            # not on the condition: nobody is to cut this short
            group.converted.wait(GATHER_S)
            with self._changed:
                members, self._gathering = self._gathering, []
                self._fetching = set(members)
                self._group = _Group()
            group.together = len(members) > 1 and self._convert_all()
        finally:
            group.converted.set()

    def _convert_all(self) -> bool:
        on_bus = [one for one in self._tree.sensors() if self._tree.bus_of(one) == self._bus]
        try:
            self._tree.convert_all(self._bus)
        except OSError as error:
            self._refused = True
            self._log.warning("%s: no measuring together (%s), sensors are read singly", self._bus, error)
            return False
        with self._changed:
            self._unfetched.update(on_bus)
        return True
