# SPDX-License-Identifier: GPL-3.0-or-later
"""Core's loop: one thread in which time passes, scenarios are listened to, and answers come in."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import zmq

from raspy.common.stop import StopEvent
from raspy.servers.core.runner.courier import Courier
from raspy.servers.core.runner.requests import Requests
from raspy.servers.core.runner.run import Run
from raspy.servers.core.scenarios.manager import ScenarioManager
from raspy.servers.core.scenarios.scenario import Scenario

# The loop looks around at least so often: for the watchdog, and for a clock that was set.
ROUND_S = 1.0
# A scenario that sends too much is listened to again after so long.
PATIENCE_S = 0.05


class Alarm:
    """Wakes the loop from another thread; an eventfd(2) that is read, so that it can ring again."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def ring(self) -> None:
        """Wake the loop; ringing a closed alarm does nothing."""
        if self._fd >= 0:
            os.eventfd_write(self._fd, 1)

    def heard(self) -> None:
        """The loop is awake."""
        try:
            os.eventfd_read(self._fd)
        except BlockingIOError:
            return

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._fd

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Loop:
    """Polls everything that has a descriptor.

    Args:
        alarm: wakes it.
        manager: the scenarios.
        requests: carries out what they ask.
        courier: the requests under way.
        every_round: called every time around; returns when it wants to be called again, in seconds.
        stopping: wakes it for good.
    """

    def __init__(
        self,
        alarm: Alarm,
        manager: ScenarioManager,
        requests: Requests,
        courier: Courier,
        every_round: Callable[[], float],
        stopping: StopEvent,
    ) -> None:
        self._alarm = alarm
        self._manager = manager
        self._requests = requests
        self._courier = courier
        self._every_round = every_round
        self._stopping = stopping

    def turn(self) -> None:
        """Once around: do what is due, then wait for the next thing to happen and see to it."""
        wait_s = min(ROUND_S, self._every_round())
        now = time.monotonic()
        self._courier.pump(now)
        self._manager.tick(now)
        for at in (self._manager.due_at(), self._courier.due_at()):
            if at is not None:
                wait_s = min(wait_s, at - now)
        talkers: dict[int, tuple[Scenario, Run]] = {}
        items: list[tuple[object, int]] = [(self._alarm.fileno(), zmq.POLLIN)]
        if not self._stopping.is_set():
            items.append((self._stopping.fileno(), zmq.POLLIN))
        items += [(socket, zmq.POLLIN) for socket in self._courier.sockets()]
        for scenario, run in self._manager.runs():
            if run.fileno() < 0:
                continue
            wanted = zmq.POLLIN if run.may_speak(now) else 0
            if not wanted:
                wait_s = min(wait_s, PATIENCE_S)
            if run.wants_room:
                wanted |= zmq.POLLOUT
            if wanted:
                talkers[run.fileno()] = (scenario, run)
                items.append((run.fileno(), int(wanted)))
        ready: list[tuple[Any, int]] = zmq.zmq_poll(items, max(0, int(wait_s * 1000 + 0.999)))
        for source, events in ready:
            if isinstance(source, zmq.Socket):
                self._courier.receive(source)
            elif source == self._alarm.fileno():
                self._alarm.heard()
            elif source in talkers:
                self._talk(*talkers[source], events)

    def _talk(self, scenario: Scenario, run: Run, events: int) -> None:
        with self._manager.lock:
            if events & zmq.POLLOUT:
                run.flush()
            if events & ~zmq.POLLOUT:
                for message in run.read():
                    self._requests.take(scenario, run, message)
