# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from what a device did: values to publish, lines for the journal, news for its guard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from raspy.common.device_server.entry import FAULT, GOOD, Entry, Operation
from raspy.common.device_server.guard import Drive
from raspy.common.device_server.reporter import Reporter
from raspy.common.devices.actuator import ActuatorDevice
from raspy.common.devices.fault import DeviceFault
from raspy.common.MDP import GenericError


class Outcome:
    """Takes in what devices did.

    Args:
        reporter: publishes and logs.
        clock: seconds that never go back.
        changed: told that something is known of a device that others may depend on.

    Attributes:
        polls: devices read.
        faults: of these, those that gave no value.
    """

    def __init__(
        self, reporter: Reporter, clock: Callable[[], float], changed: Callable[[Entry], None]
    ) -> None:
        self.polls = 0
        self.faults = 0
        self._reporter = reporter
        self._clock = clock
        self._changed = changed

    def finished(self, entry: Entry, operation: Operation, result: Any, error: GenericError | None) -> None:
        """An operation came to its end."""
        if operation.drive is not None:
            self._driven(entry, operation.drive, error)
        elif operation.call is None:
            self._polled(entry, result, error)

    def hung(self, entry: Entry, operation: Operation, fault: DeviceFault) -> None:
        """An operation takes too long; perhaps it will come to its end one day."""
        if entry.guard is not None and operation.drive is not None:
            entry.guard.failed(self._clock(), operation.drive)
        self._at_fault(entry, str(fault))

    def late(self, entry: Entry) -> None:
        """A device is at work: if that takes more than three polls, its values are stale."""
        if entry.is_stale(self._clock()) and any(value.quality == GOOD for value in entry.values.values()):
            self._reporter.stale(entry)
            self._changed(entry)

    def _driven(self, entry: Entry, drive: Drive, error: GenericError | None) -> None:
        guard, main, now_s = entry.guard, entry.device.main, self._clock()
        assert guard is not None
        old = guard.value
        if error is None:
            guard.done(drive, now_s)
            entry.polled_s = now_s
            # The journal first: whoever sees the value finds the line that says why.
            if drive.value != old:
                self._reporter.switched(entry, old, drive, guard.hold_s)
            self._reporter.well(entry)
            self._reporter.good(entry, main, drive.value, changed=drive.value != old)
        else:
            fault = error if isinstance(error, DeviceFault) else DeviceFault(str(error))
            guard.failed(now_s, drive)
            self._reporter.failed(entry, drive, fault)
            self._reporter.fault(entry, main, str(fault))
        self._changed(entry)

    def _polled(self, entry: Entry, values: dict[str, Any] | None, error: GenericError | None) -> None:
        self.polls += 1
        if values is None:
            self._at_fault(entry, str(error))
            return
        fault = ""
        entry.measured.update(values)
        for name, value in values.items():
            if isinstance(value, DeviceFault):
                fault = fault or str(value)
                self._reporter.fault(entry, name, str(value))
            elif entry.guard is not None and name == entry.device.main:
                fault = self._read_back(entry, value) or fault
            else:
                self._reporter.good(entry, name, value)
        if fault:
            self.faults += 1
            self._reporter.ill(entry, fault)
        else:
            entry.polled_s = self._clock()
            if entry.missing:
                self._reporter.well(entry)
        if len(entry.values) > len(entry.measured):
            self._repeat_sent(entry)
        if entry.dependents or entry.guard is not None:
            self._changed(entry)

    def _repeat_sent(self, entry: Entry) -> None:
        """What is not measured is what was sent last; it would turn stale if it were not published again."""
        for name in set(entry.values) - entry.measured:
            self._reporter.good(entry, name, entry.values[name].value, changed=False)

    def _read_back(self, entry: Entry, value: Any) -> str:
        """Compare what an actuator says it is with what it was driven to; return the fault, if it is one."""
        guard, device = entry.guard, entry.device
        assert guard is not None and isinstance(device, ActuatorDevice)
        if device.safe is None:
            # Left to others as well: what it says is what it is.
            if value != guard.value:
                guard.found(value, self._clock())
        elif guard.value is not None and value != guard.value:
            fault = f"is {device.words(value)}, and was switched {device.words(guard.value)}"
            guard.failed(self._clock())
            self._reporter.fault(entry, device.main, fault)
            return fault
        elif guard.value is None:
            # A command failed before this: only one that succeeds says that all is well.
            old = entry.values.get(device.main)
            if old is not None and old.quality == FAULT:
                self._reporter.fault(entry, device.main, old.error)
                return old.error
        self._reporter.good(entry, device.main, value, changed=False)
        return ""

    def _at_fault(self, entry: Entry, fault: str) -> None:
        """All values of a device are at fault. An actuator that was away from its safe state goes there."""
        self.faults += 1
        if entry.guard is not None and entry.guard.settled and entry.guard.away:
            entry.guard.failed(self._clock())
        self._reporter.ill(entry, fault)
        for name in entry.measured:
            self._reporter.fault(entry, name, fault)
        self._repeat_sent(entry)
        self._changed(entry)
