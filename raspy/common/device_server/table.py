# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices of one server by name, and who depends on whom."""

from __future__ import annotations

from collections.abc import Callable

from raspy.common.device_server.entry import FAULT, GOOD, Entry
from raspy.common.device_server.guard import Guard, State
from raspy.common.devices.interlock import NEVER_WITH
from raspy.common.MDP import NotFoundError


class Table:
    """The devices of one server.

    Args:
        clock: the engine's clock, in seconds.

    Attributes:
        entries: by the device's name.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.entries: dict[str, Entry] = {}
        self._clock = clock

    def put(self, entry: Entry) -> None:
        """Take a device in."""
        # A new dict each time: whoever goes through the old one in another thread is not disturbed.
        self.entries = {**self.entries, entry.device.name: entry}
        self._connect()

    def drop(self, entry: Entry) -> None:
        """Forget a device."""
        entry.gone = True
        self.entries = {name: other for name, other in self.entries.items() if other is not entry}
        self._connect()

    def find(self, name: str) -> Entry:
        """The entry of a device.

        Raises:
            NotFoundError: there is none of this name.
        """
        entry = self.entries.get(name)
        if entry is None:
            raise NotFoundError(f"there is no device {name!r:.80}; 'list_keys' lists them")
        return entry

    def guards(self) -> dict[str, Guard]:
        """The guards of all actuators."""
        return {name: entry.guard for name, entry in self.entries.items() if entry.guard is not None}

    def guarded(self) -> list[tuple[Entry, Guard]]:
        """All actuators, with their guards."""
        return [(entry, entry.guard) for entry in self.entries.values() if entry.guard is not None]

    def _connect(self) -> None:
        """Find out again who depends on whom."""
        for entry in self.entries.values():
            entry.dependents = []
        rivals: dict[str, set[str]] = {name: set() for name in self.entries}
        for name, entry in self.entries.items():
            for interlock in entry.device.config.get("interlocks", ()) if entry.guard else ():
                other = interlock.get(NEVER_WITH)
                if other is not None:
                    rivals[name].add(other)
                    rivals.setdefault(other, set()).add(name)
                    continue
                other = self.entries.get(interlock["only_while"].partition(".")[0])
                if other is not None:
                    other.dependents.append(entry)
        for name, entry in self.entries.items():
            if entry.guard is not None:
                entry.guard.rivals = tuple(sorted(rivals[name]))

    def look(self, name: str, command: str) -> State:
        """What is known of a device now, for an actuator that depends on it."""
        name, _, part = name.partition(".")
        entry = self.entries.get(name)
        if entry is None:
            return State("missing")
        if entry.guard is not None and not part and command in ("", entry.device.main):
            return entry.guard.state()
        key = command or (entry.device.part(part) if part else entry.device).main
        value = entry.values.get(f"{part}.{key}" if part else key)
        if value is None:
            return State("not read yet")
        if value.quality == GOOD and entry.is_stale(self._clock()):
            return State("stale")
        if value.quality == FAULT:
            return State(f"at fault ({value.error})")
        return State(value.quality, value.value)
