# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated tank of water that heaters warm and the room cools. Pure: times are given.

Newton's law of cooling with a heat source: ``C dT/dt = P - k (T - room)``, with
C = 4186 J/(kg K) times the mass of the water. Between two changes of P that is solved exactly, so it
does not matter how often the tank is looked at.
"""

from __future__ import annotations

import math
import threading

HEAT_CAPACITY_J = 4186.0
"""Of a litre of water, for each degree."""


class Tank:
    """One tank.

    Args:
        volume_l: the water in it, in litres.
        room_c: the temperature around it, in °C.
        loss_w: what it loses for each degree that it is warmer than the room, in watts.
        speed: how many simulated seconds pass in one.
        start_c: its temperature at the beginning, in °C.
        now_s: when that is, on any clock that does not go back.
    """

    def __init__(
        self, volume_l: float, room_c: float, loss_w: float, speed: float, start_c: float, now_s: float
    ) -> None:
        self._capacity_j = HEAT_CAPACITY_J * volume_l
        self._room_c = room_c
        self._loss_w = loss_w
        self._speed = speed
        self._celsius = start_c
        self._at_s = now_s
        self._power_w: dict[str, float] = {}

    def heat(self, heater: str, power_w: float, now_s: float) -> None:
        """A heater gives so many watts from now on."""
        self.celsius(now_s)
        self._power_w[heater] = power_w

    def celsius(self, now_s: float) -> float:
        """The temperature of the water, in °C."""
        seconds = max(0.0, now_s - self._at_s) * self._speed
        self._at_s = now_s
        # Where it would end up, and how much of the way there it has gone.
        final_c = self._room_c + sum(self._power_w.values()) / self._loss_w
        left = math.exp(-seconds * self._loss_w / self._capacity_j)
        self._celsius = final_c + (self._celsius - final_c) * left
        return self._celsius


class Tanks:
    """The tanks of one server by name, and what heats them."""

    def __init__(self) -> None:
        self._tanks: dict[str, Tank] = {}
        self._power_w: dict[str, dict[str, float]] = {}
        self._lock = threading.Lock()

    def put(self, name: str, tank: Tank, now_s: float) -> None:
        """A tank is there; what heats it already goes on."""
        with self._lock:
            self._tanks[name] = tank
            for heater, power_w in self._power_w.get(name, {}).items():
                tank.heat(heater, power_w, now_s)

    def drop(self, name: str) -> None:
        """A tank is gone."""
        with self._lock:
            self._tanks.pop(name, None)

    def heat(self, name: str, heater: str, power_w: float, now_s: float) -> None:
        """A heater gives so many watts to a tank, which need not be there."""
        with self._lock:
            self._power_w.setdefault(name, {})[heater] = power_w
            if name in self._tanks:
                self._tanks[name].heat(heater, power_w, now_s)

    def celsius(self, name: str, now_s: float) -> float:
        """The temperature of a tank that is there, in °C."""
        with self._lock:
            return self._tanks[name].celsius(now_s)
