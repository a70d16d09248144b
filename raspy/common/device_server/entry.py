# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine knows of one device: its values, and what is being done with it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from raspy.common.device_server.guard import Drive, Guard
from raspy.common.devices.device import BaseDevice
from raspy.common.MDP import GenericError

GOOD = "good"
STALE = "stale"
FAULT = "fault"

POLLS = 3
"""A value older than so many polls is stale."""

QUEUE_MAX = 8
"""How many things may wait to be done with one device."""


class Value:
    """One value of a device, as it was last published.

    Attributes:
        quality: `GOOD`, `STALE` or `FAULT`.
        value: the value; None with a fault.
        error: why it is at fault.
        time: since when it is what it is, in seconds since the epoch.
        polled: when the device was last asked, in seconds since the epoch.
    """

    __slots__ = ("error", "polled", "quality", "time", "value")

    def __init__(self, quality: str, value: Any, error: str, time: float, polled: float) -> None:
        self.quality = quality
        self.value = value
        self.error = error
        self.time = time
        self.polled = polled


class Ticket:
    """Waits for what becomes of an operation."""

    def __init__(self) -> None:
        self._done = threading.Event()
        self._result: Any = None
        self._error: GenericError | None = None

    def succeed(self, result: Any) -> None:
        """It was done; the first word counts."""
        if not self._done.is_set():
            self._result = result
            self._done.set()

    def fail(self, error: GenericError) -> None:
        """It was not done; the first word counts."""
        if not self._done.is_set():
            self._error = error
            self._done.set()

    def wait(self, timeout_s: float, alive: Callable[[], None]) -> Any:
        """The result.

        Args:
            timeout_s: how long to wait.
            alive: called every second, for the watchdog: the wait has an end.

        Raises:
            GenericError: what went wrong.
            TimeoutError: nothing is known yet.
        """
        deadline = time.monotonic() + timeout_s
        while not self._done.wait(min(1.0, max(0.0, deadline - time.monotonic()))):
            alive()
            if time.monotonic() >= deadline:
                raise TimeoutError
        if self._error is not None:
            raise self._error
        return self._result


class Operation:
    """Something to be done with a device. One that is neither of the two is a poll.

    Args:
        drive: drive its main command.
        call: do something else; returns what the ticket gets.
        ticket: who waits for it.
    """

    __slots__ = ("call", "drive", "ticket")

    def __init__(
        self,
        drive: Drive | None = None,
        call: Callable[[], Any] | None = None,
        ticket: Ticket | None = None,
    ) -> None:
        self.drive = drive
        self.call = call
        self.ticket = ticket

    def fail(self, error: GenericError) -> None:
        """Tell who waits that it was not done."""
        if self.ticket is not None:
            self.ticket.fail(error)


class Entry:
    """One device of the engine.

    One thing at a time is done with a device; what else there is waits in its queue.

    Args:
        device: the device.
        guard: its guard, if it is an actuator.

    Attributes:
        values: its values by command, as last published.
        measured: the commands whose values come from polls; the others' are what was sent last.
        dependents: the names of the actuators with an interlock on it.
        polled_s: when it last gave a good value, on the engine's clock; None: never.
        due_s: when it is polled next.
        gone: it was removed; what is still under way with it is without effect.
        busy: something is being done with it, or is about to be.
        running: what is being done.
        started_s: since when, on the engine's clock.
        hung: what is being done takes longer than it may.
        opened: `device.open` was successful.
        missing: the last thing that was logged about it is this fault; empty when it was well.
        logged_s: when that was.
        unlogged: faults since then that were not logged.
    """

    __slots__ = (
        "busy", "dependents", "device", "due_s", "gone", "guard", "hung", "logged_s", "measured", "missing",
        "opened", "polled_s", "queue", "running", "started_s", "unlogged", "values",
    )  # fmt: skip

    def __init__(self, device: BaseDevice, guard: Guard | None) -> None:
        self.device = device
        self.guard = guard
        self.values: dict[str, Value] = {}
        self.measured: set[str] = {device.main} if device.main else set()
        self.dependents: list[Entry] = []
        self.queue: deque[Operation] = deque()
        self.polled_s: float | None = None
        self.due_s = 0.0
        self.gone = False
        self.busy = False
        self.running: Operation | None = None
        self.started_s = 0.0
        self.hung = False
        self.opened = False
        self.missing = ""
        self.logged_s = 0.0
        self.unlogged = 0

    def is_stale(self, now_s: float) -> bool:
        """Whether its last good value is older than three polls."""
        poll = self.device.poll
        return poll > 0 and self.polled_s is not None and now_s - self.polled_s > POLLS * poll
