# SPDX-License-Identifier: GPL-3.0-or-later
"""Does things with devices: one at a time with each, and no device waits for another.

Devices that answer at once (``fast``) are used in the thread that wants it; all others in a pool of
threads. What takes longer than the device's ``timeout_s`` counts as hung: whoever waits is told, and its
thread is left to it until it comes back.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from raspy.common.device_server.entry import Entry, Operation
from raspy.common.device_server.pool import Pool
from raspy.common.devices.fault import DeviceFault
from raspy.common.MDP import GenericError, ServerError

Finished = Callable[[Entry, Operation, Any, GenericError | None], None]
Hung = Callable[[Entry, Operation, DeviceFault], None]


class Work:
    """The queues of all devices, and the threads that work them off.

    Args:
        name: for the names of the threads.
        log: the server's logger.
        clock: seconds that never go back.
        lock: guards the entries; held when the two below are called.
        finished: told what came of an operation: its result, or its error.
        hung: told that an operation takes too long.
    """

    def __init__(
        self,
        name: str,
        log: logging.Logger,
        clock: Callable[[], float],
        lock: threading.RLock,
        finished: Finished,
        hung: Hung,
    ) -> None:
        self.log = log
        self._clock = clock
        self._lock = lock
        self._finished = finished
        self._hung = hung
        self._pool = Pool(name)
        self._ready: deque[Entry] = deque()
        self._at_work: set[Entry] = set()

    def enqueue(self, entry: Entry, operation: Operation, first: bool = False) -> None:
        """Queue an operation, with the lock held; `kick` begins with it.

        Args:
            entry: the device.
            operation: what to do.
            first: before all that waits.
        """
        if first:
            entry.queue.appendleft(operation)
        else:
            entry.queue.append(operation)
        if not entry.busy:
            entry.busy = True
            self._ready.append(entry)

    def kick(self) -> None:
        """Begin with what was queued; without the lock."""
        ready = self._ready
        while ready:
            try:
                entry = ready.popleft()
            except IndexError:
                return
            if entry.device.fast:
                self._work(entry, True)
            else:
                self._hand_over(entry)

    def submit(self, job: Callable[[], None]) -> None:
        """Do something that concerns no device where it may take time."""
        self._pool.submit(job)

    def _hand_over(self, entry: Entry) -> None:
        with self._lock:
            entry.started_s = math.inf
            self._at_work.add(entry)
        self._pool.submit(partial(self._work, entry, False))

    def _work(self, entry: Entry, inline: bool) -> None:
        """Do what is queued for a device, one after the other."""
        while True:
            with self._lock:
                if not entry.queue:
                    entry.busy = False
                    self._at_work.discard(entry)
                    return
                if inline and not entry.device.fast:
                    break
                operation = entry.queue.popleft()
                if operation.drive is not None and entry.guard is not None:
                    if not entry.guard.wanted(operation.drive):
                        operation.fail(ServerError(f"{entry.device.name}: overtaken by another command"))
                        continue
                    entry.guard.begun(operation.drive)
                entry.running, entry.started_s = operation, self._clock()
            result, error = self._perform(entry, operation)
            with self._lock:
                entry.running, entry.started_s = None, math.inf
                if entry.guard is not None:
                    entry.guard.ended()
                if entry.hung:
                    entry.hung = False
                    self._pool.take_back()
                if not entry.gone:
                    self._finished(entry, operation, result, error)
            if operation.ticket is not None:
                if error is None:
                    operation.ticket.succeed(result)
                else:
                    operation.ticket.fail(error)
            self.kick()
        # It was fast when it was queued, and is no more.
        self._hand_over(entry)

    def _perform(self, entry: Entry, operation: Operation) -> tuple[Any, GenericError | None]:
        device = entry.device
        try:
            if not entry.opened:
                device.open()
                entry.opened = True
            if operation.drive is not None:
                return device.exec_cmd(device.oid, device.main, operation.drive.value), None
            if operation.call is not None:
                return operation.call(), None
            return device.do_poll(), None
        except GenericError as error:
            return None, error
        except OSError as error:
            return None, DeviceFault(error.strerror or str(error))
        except Exception as error:
            # The boundary to drivers, ours and third parties': a broken one is at fault, the others go on.
            self.log.exception("%s: its driver failed", device.name, extra={"RASPY_DEVICE": device.name})
            return None, DeviceFault(f"its driver failed ({type(error).__name__}), see the journal")

    def look_after(self, late: Callable[[Entry], None]) -> None:
        """Find operations that take too long.

        Args:
            late: called, with the lock held, for each device that is at work and not hung.
        """
        for entry in tuple(self._at_work):
            with self._lock:
                operation, timeout_s = entry.running, entry.device.timeout_s
                if entry.gone or entry.hung:
                    continue
                if operation is not None and self._clock() - entry.started_s > timeout_s:
                    entry.hung = True
                    self._pool.lend()
                    fault = DeviceFault(f"did not answer within {timeout_s:g} s")
                    operation.fail(fault)
                    self._hung(entry, operation, fault)
                else:
                    late(entry)

    def close_device(self, entry: Entry) -> None:
        """Close a device that is at rest. One that hangs is left to itself."""
        with self._lock:
            if not entry.opened or entry.busy:
                return
            entry.opened = False
        try:
            entry.device.close()
        except (GenericError, OSError) as error:
            self.log.warning("%s: could not be closed: %s", entry.device.name, error)

    def close(self, timeout_s: float) -> None:
        """End the threads; what waits is dropped."""
        self._pool.close(timeout_s)
