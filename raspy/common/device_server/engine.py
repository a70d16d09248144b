# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine of a device server: polls devices in due time, drives actuators, keeps the guards' promises.

One thread turns it (`run`); commands come from others. A device that is slow or hangs delays no other:
see work.py. A value is stale by the clock: when the device has not given one for three polls.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import os
import select
import threading
from collections.abc import Callable, Iterable
from typing import Any

from raspy.common.device_server.entry import QUEUE_MAX, Entry, Operation, Ticket
from raspy.common.device_server.guard import Drive, Guard
from raspy.common.device_server.ledger import Ledger, boottime, last_words, restore
from raspy.common.device_server.outcome import Outcome
from raspy.common.device_server.reporter import Reporter
from raspy.common.device_server.table import Table
from raspy.common.device_server.work import Work
from raspy.common.devices.actuator import ActuatorDevice
from raspy.common.devices.device import BaseDevice
from raspy.common.devices.fault import DeviceFault
from raspy.common.MDP import GenericError, NotFoundError, ServerError
from raspy.common.stop import StopEvent

TURN_S = 0.5
"""The longest turn: how often at least the engine looks at devices that take long."""

LEDGER_S = 1.0
"""How often the engine asks whether the ledger is to be written."""

SLOTS = 20
"""Polls of the same interval are put into so many slots of it, and those of one slot done in one turn."""

SLOT_MAX_S = 0.5

WAIT_MAX_S = 12.0
"""The longest that a request waits for a device: no longer than its server may be silent on the bus."""

STOP_S = 3.0
"""How long the safe states may take when the server stops."""

_JOIN_S = 1.0


def _not_watched() -> None:
    """For callers that no watchdog watches."""


class Engine:
    """Polls and drives devices.

    Args:
        reporter: publishes and logs.
        ledger: keeps what a restart must not forget.
        log: the server's logger.
        name: for the names of threads.
        clock: seconds that never go back.

    Attributes:
        table: the devices.
        late: polls that were skipped because the one before was still under way, or nobody had time.
        lapses: how often an actuator was switched because of a hold, a condition or its longest run.
    """

    def __init__(
        self,
        reporter: Reporter,
        ledger: Ledger,
        log: logging.Logger,
        name: str = "devices",
        clock: Callable[[], float] = boottime,
    ) -> None:
        self.table = Table(clock)
        self.late = 0
        self.lapses = 0
        self.outcome = Outcome(reporter, clock, self._changed)
        self._reporter = reporter
        self._ledger = ledger
        self._log = log
        self._clock = clock
        # Entries, guards and the heap are touched with this lock held; devices are used without it.
        self._lock = threading.RLock()
        self._work = Work(name, log, clock, self._lock, self.outcome.finished, self.outcome.hung)
        self._kept = ledger.load()
        self._heap: list[tuple[float, int, Entry]] = []
        self._count = itertools.count()
        self._guards_s = 0.0
        self._ledger_s = 0.0
        self._closing = False
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    # -- devices -----------------------------------------------------------------------------------

    def add(self, device: BaseDevice) -> Entry:
        """Take a device in. It is read at once; an actuator is put in its safe state first.

        Args:
            device: the device, configured, with a name that no other has.
        """
        now_s = self._clock()
        guard, why = None, "the server takes charge of it"
        if isinstance(device, ActuatorDevice):
            guard = Guard(device, self.table.look, now_s)
            kept = self._kept.pop(device.name, {})
            restore(guard, kept, now_s)
            why = "; ".join(text for text in (why, last_words(kept)) if text)
        entry = Entry(device, guard)
        with self._lock:
            self.table.put(entry)
            if guard is not None:
                self._drive(entry, guard.safe_now("start", why))
            self._schedule(entry)
        self._work.kick()
        return entry

    def remove(self, entry: Entry, *, alive: Callable[[], None] = _not_watched) -> None:
        """Give a device up: an actuator is put in its safe state, the values are deleted."""
        guard, ticket = entry.guard, Ticket()
        if guard is not None:
            with self._lock:
                driven = self._drive(entry, guard.safe_now("stop", "the device is removed"), ticket)
            self._work.kick()
            if driven:
                self._wait_safe([(entry, ticket)], alive)
        with self._lock:
            if guard is not None:
                # If it comes back with another configuration, its minimum times go on.
                self._kept[entry.device.name] = {
                    "since": guard.since_s, "value": guard.value, "tripped": guard.tripped, "certain": True,
                }  # fmt: skip
            self.table.drop(entry)
            self._reporter.forget(entry)
        self._work.close_device(entry)

    def retime(self, entry: Entry) -> None:
        """The poll interval of a device was changed."""
        with self._lock:
            self._schedule(entry)

    # -- commands ----------------------------------------------------------------------------------

    def command(
        self,
        entry: Entry,
        value: Any,
        *,
        hold_s: float | None = None,
        who: str = "",
        why: str = "",
        alive: Callable[[], None] = _not_watched,
    ) -> None:
        """Send the main command of an actuator, and wait until the device has taken it.

        Args:
            entry: the actuator.
            value: the value, checked.
            hold_s: the hold, in seconds; None: none.
            who: who asks.
            why: the reason given.
            alive: called while it waits.

        Raises:
            ClientError: the device may not have this value now.
            ServerError: it did not take it (`DeviceFault`), or the server stops.
        """
        guard, ticket = entry.guard, Ticket()
        assert guard is not None
        with self._lock:
            self._check_open(entry)
            if entry.hung and value != guard.device.safe:
                raise DeviceFault(f"{entry.device.name}: still does not answer")
            drive = guard.command(value, hold_s, self._clock(), who, why)
            self._guards_s = 0.0
            write_down = drive is not None and guard.remembers and guard.device.is_on(value)
        if write_down:
            # A crash between this and the next time it is written must not shorten a minimum time.
            self._ledger.save(self.table.guards())
        with self._lock:
            driven = self._drive(entry, drive, ticket)
        self._work.kick()
        self._wake_up()
        if driven:
            if entry.hung:
                raise DeviceFault(f"{entry.device.name}: still does not answer; told as soon as it does")
            self._wait(entry, ticket, alive)

    def poll(self, entry: Entry, *, alive: Callable[[], None] = _not_watched) -> None:
        """Read a device now, and wait for it.

        Raises:
            DeviceFault: it gives no value.
        """
        self._do(entry, None, alive)

    def call(
        self, entry: Entry, function: Callable[[], Any], *, alive: Callable[[], None] = _not_watched
    ) -> Any:
        """Do something else with a device, when nothing else is done with it, and wait for it.

        Args:
            entry: the device.
            function: what to do; it is called where it may block.
            alive: called while it waits.

        Returns:
            What *function* returned.

        Raises:
            GenericError: what *function* raised; anything else it raises is a DeviceFault.
        """
        return self._do(entry, function, alive)

    def sent(self, entry: Entry, name: str, value: Any, who: str, why: str) -> None:
        """A command that is no actuator's main one was sent with `call`: log it, and publish its value."""
        with self._lock:
            self._reporter.sent(entry, name, value, who, why)
            if name == "reset" and entry.guard is not None:
                entry.guard.reset()
            if value is not None and not entry.gone:
                self._reporter.good(entry, name, value)

    def _do(self, entry: Entry, function: Callable[[], Any] | None, alive: Callable[[], None]) -> Any:
        ticket = Ticket()
        with self._lock:
            self._check_open(entry)
            if entry.hung:
                raise DeviceFault(f"{entry.device.name}: still does not answer")
            self._work.enqueue(entry, Operation(call=function, ticket=ticket))
        self._work.kick()
        return self._wait(entry, ticket, alive)

    def _check_open(self, entry: Entry) -> None:
        if self._closing:
            raise ServerError("the server is stopping")
        if entry.gone:
            raise NotFoundError(f"{entry.device.name} was removed")
        if len(entry.queue) >= QUEUE_MAX:
            raise ServerError(f"{entry.device.name} is busy; try again later")

    def _wait(self, entry: Entry, ticket: Ticket, alive: Callable[[], None]) -> Any:
        # That a device hangs is noticed within one turn; one thing before this may have to end first.
        limit_s = min(2 * (entry.device.timeout_s + TURN_S), WAIT_MAX_S)
        name = entry.device.name
        try:
            return ticket.wait(limit_s, alive)
        except DeviceFault as fault:
            raise DeviceFault(f"{name}: {fault}") from None
        except TimeoutError:
            raise DeviceFault(f"{name}: has not answered within {limit_s:g} s") from None

    # -- guards ------------------------------------------------------------------------------------

    def _drive(self, entry: Entry, drive: Drive | None, ticket: Ticket | None = None) -> bool:
        """Queue a drive, before all else; False when there is nothing to drive."""
        self._guards_s = 0.0
        if drive is None:
            return False
        self._work.enqueue(entry, Operation(drive=drive, ticket=ticket), first=True)
        return True

    def _changed(self, entry: Entry) -> None:
        """Something is known of a device: see to the actuators that depend on it."""
        if entry.guard is not None:
            self._guards_s = 0.0
        for other in entry.dependents:
            if other.guard is not None and other.guard.away:
                self._see_to(other, other.guard)

    def _see_to(self, entry: Entry, guard: Guard) -> None:
        drive = guard.due(self._clock())
        if drive is not None:
            self.lapses += drive.event in ("hold", "interlock", "max_run")
            self._drive(entry, drive)

    def _see_to_all(self) -> None:
        guarded = self.table.guarded()
        for entry, guard in guarded:
            self._see_to(entry, guard)
        self._guards_s = min((guard.next_s() for _, guard in guarded), default=math.inf)

    # -- turning -----------------------------------------------------------------------------------

    def run(self, stopping: StopEvent, alive: Callable[[], None]) -> None:
        """Turn until *stopping* is set; then, whatever happened, put everything in its safe state.

        Args:
            stopping: ends it.
            alive: called with every turn.
        """
        poll = select.poll()
        poll.register(stopping.fileno(), select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        try:
            while not stopping.is_set():
                alive()
                wait_s = self.turn()
                for descriptor, _ in poll.poll(max(0, math.ceil(wait_s * 1000))):
                    if descriptor == self._wake:
                        os.eventfd_read(self._wake)
        finally:
            self.stop(alive)

    def turn(self) -> float:
        """Do what is due.

        Returns:
            How long nothing will be, in seconds.
        """
        self._work.look_after(self.outcome.late)
        heap = self._heap
        with self._lock:
            now_s = self._clock()
            if now_s >= self._guards_s:
                self._see_to_all()
            while heap and heap[0][0] <= now_s:
                due_s, _, entry = heapq.heappop(heap)
                self._poll_due(entry, due_s, now_s)
        self._work.kick()
        if now_s >= self._ledger_s:
            self._ledger_s = now_s + LEDGER_S
            if self._ledger.due(self.table.guards()):
                self._work.submit(self._write_ledger)
        next_s = min(self._guards_s, heap[0][0] if heap else math.inf)
        return min(TURN_S, next_s - self._clock())

    def _poll_due(self, entry: Entry, due_s: float, now_s: float) -> None:
        poll_s = entry.device.poll
        if entry.gone or poll_s <= 0 or due_s != entry.due_s:
            return
        slot_s = min(poll_s / SLOTS, SLOT_MAX_S)
        entry.due_s = math.ceil((due_s + poll_s) / slot_s - 0.001) * slot_s
        if entry.due_s <= now_s:
            # Behind by more than one: those that were missed are not made up for.
            self.late += 1
            entry.due_s = math.ceil((now_s + poll_s) / slot_s) * slot_s
        heapq.heappush(self._heap, (entry.due_s, next(self._count), entry))
        if entry.busy:
            self.late += 1
        else:
            self._work.enqueue(entry, Operation())

    def _schedule(self, entry: Entry) -> None:
        if entry.device.poll > 0:
            entry.due_s = self._clock()
            heapq.heappush(self._heap, (entry.due_s, next(self._count), entry))
            self._wake_up()

    def _write_ledger(self) -> None:
        self._ledger.save(self.table.guards())

    def _wake_up(self) -> None:
        os.eventfd_write(self._wake, 1)

    # -- the end -----------------------------------------------------------------------------------

    def stop(self, alive: Callable[[], None] = _not_watched) -> None:
        """Put every actuator in its safe state, mark the values as stale, close the devices."""
        waiting: list[tuple[Entry, Ticket]] = []
        with self._lock:
            self._closing = True
            entries = list(self.table.entries.values())
            for entry, guard in self.table.guarded():
                ticket = Ticket()
                if self._drive(entry, guard.safe_now("stop", "the server stops"), ticket):
                    waiting.append((entry, ticket))
        self._work.kick()
        self._wait_safe(waiting, alive)
        with self._lock:
            for entry in entries:
                entry.gone = True
                self._reporter.stale(entry)
        self._write_ledger()
        for entry in entries:
            self._work.close_device(entry)
        self._work.close(_JOIN_S)

    def close(self) -> None:
        """Give back what is left, when no thread turns the engine any more; again is no error."""
        if self._wake >= 0:
            os.close(self._wake)
            self._wake = -1

    def _wait_safe(self, waiting: Iterable[tuple[Entry, Ticket]], alive: Callable[[], None]) -> None:
        deadline_s = self._clock() + STOP_S
        for entry, ticket in waiting:
            try:
                ticket.wait(max(0.0, deadline_s - self._clock()), alive)
            except (GenericError, TimeoutError) as error:
                why = "it does not answer" if isinstance(error, TimeoutError) else str(error)
                self._log.error(
                    "%s: its safe state could not be set: %s. Look at the device itself",
                    entry.device.name, why, extra={"RASPY_DEVICE": entry.device.name},
                )  # fmt: skip
