# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads for devices that may be slow, or never come back.

No time limit can end a read that hangs in the kernel, so nobody waits for it: the thread is left to
it, and the pool may start another in its place (`lend`). Threads are started as they are needed and end
when there was nothing to do for a while; they are daemon threads, so that one that hangs
does not keep the process from ending.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

THREADS = 16
"""How many devices are read at the same time."""

LENT_MAX = 64
"""How many threads that hang are replaced. With more of them devices wait for each other."""

IDLE_S = 30.0


class Pool:
    """A bounded number of threads that do jobs.

    Args:
        name: for the names of the threads.
        threads: how many jobs are done at the same time.
        idle_s: after so many seconds without work a thread ends.
    """

    def __init__(self, name: str, threads: int = THREADS, idle_s: float = IDLE_S) -> None:
        self._name = name
        self._idle_s = idle_s
        self._allowed = threads
        self._lent = 0
        self._number = 0
        self._idle = 0
        self._closed = False
        self._jobs: deque[Callable[[], None]] = deque()
        self._threads: set[threading.Thread] = set()
        self._changed = threading.Condition()

    @property
    def size(self) -> int:
        """How many threads there are."""
        return len(self._threads)

    def submit(self, job: Callable[[], None]) -> None:
        """Have *job* done; it must not raise. After `close` nothing is done any more."""
        with self._changed:
            if self._closed:
                return
            self._jobs.append(job)
            self._grow()
            self._changed.notify()

    def lend(self) -> None:
        """A job hangs: one more thread is allowed until `take_back`."""
        with self._changed:
            self._lent += 1
            self._grow()

    def take_back(self) -> None:
        """The job that hung came back."""
        with self._changed:
            self._lent -= 1

    def close(self, timeout_s: float) -> int:
        """End the threads. What waits is dropped.

        Args:
            timeout_s: how long to wait for those that are at work.

        Returns:
            How many did not end; the process ends without them.
        """
        with self._changed:
            self._closed = True
            self._jobs.clear()
            self._changed.notify_all()
            threads = list(self._threads)
        deadline = time.monotonic() + timeout_s
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return sum(thread.is_alive() for thread in threads)

    def _room(self) -> int:
        return self._allowed + min(self._lent, LENT_MAX) - len(self._threads)

    def _grow(self) -> None:
        if self._idle < len(self._jobs) and self._room() > 0:
            self._number += 1
            thread = threading.Thread(target=self._work, name=f"{self._name}-{self._number}", daemon=True)
            self._threads.add(thread)
            thread.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                found = self._changed.wait_for(lambda: self._jobs or self._closed, self._idle_s)
                self._idle -= 1
                if not found or self._closed or self._room() < 0:
                    self._threads.discard(threading.current_thread())
                    # Whoever is woken in this one's place finds the job that woke it.
                    self._changed.notify()
                    return
                job = self._jobs.popleft()
            job()
