# SPDX-License-Identifier: GPL-3.0-or-later
"""The runs that are wanted: which may go now, one for each remote, and when a failed one goes again.

A *run* is one execution of a job, with all its tries. It is in one of three states: ``queued`` (may go
when its remote is free), ``waiting`` (between two tries) and ``running``. When it has ended it is in the
history and no longer here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from raspy.servers.sync.job import Job
from raspy.servers.sync.transfer import Progress

PAUSE_MAX_S = 3600


class Run:
    """One wanted run of a job.

    Attributes:
        job: as it was when the run was asked for.
        asked_by: who wanted it: ``schedule``, ``restart``, or the asker's name.
        state: ``queued``, ``waiting`` or ``running``.
        tries: how many tries have begun.
        began: seconds since the epoch, of the first try; 0 before it.
        not_before_s: monotonic; a waiting run's next try.
        ends_s: monotonic; when its time limit is up.
        cancelled: why it is to be stopped; empty: it is not.
        progress: of the try that is running.
    """

    __slots__ = (
        "asked_by", "began", "cancelled", "ends_s", "job", "not_before_s", "progress", "state", "tries",
    )  # fmt: skip

    def __init__(self, job: Job, asked_by: str) -> None:
        self.job = job
        self.asked_by = asked_by
        self.state = "queued"
        self.tries = 0
        self.began = 0.0
        self.not_before_s = 0.0
        self.ends_s = 0.0
        self.cancelled = ""
        self.progress = Progress(0, 0, 0, 0)

    def pause_s(self) -> float:
        """How long to wait before the next try: twice as long each time."""
        return float(min(PAUSE_MAX_S, self.job.pause_s * 2 ** (self.tries - 1)))

    def describe(self) -> dict[str, Any]:
        """For JSON."""
        described: dict[str, Any] = {"state": self.state, "asked_by": self.asked_by, "tries": self.tries}
        if self.state == "waiting":
            described["next_try_s"] = round(max(0.0, self.not_before_s - time.monotonic()), 1)
        if self.began:
            described.update(started=round(self.began, 3), **self.progress._asdict())
        return described


class Runs:
    """All wanted runs; thread safe.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._runs: dict[str, Run] = {}
        self._lanes: set[str] = set()

    def __len__(self) -> int:
        return len(self._runs)

    def get(self, name: str) -> Run | None:
        """The run of a job; None if there is none."""
        return self._runs.get(name)

    def all(self) -> list[Run]:
        """All runs, in the order they were asked for."""
        with self._changed:
            return list(self._runs.values())

    def add(self, job: Job, asked_by: str) -> Run:
        """Want a run; of a job that has one, that one is returned, and a waiting one goes at once."""
        with self._changed:
            run = self._runs.get(job.name)
            if run is None:
                run = self._runs[job.name] = Run(job, asked_by)
            elif run.state == "waiting":
                run.not_before_s = 0.0
            self._changed.notify_all()
            return run

    def cancel(self, name: str, why: str) -> Run | None:
        """Stop a run.

        Returns:
            The run, if it has tries behind it and is not running: it is gone from here, and the caller
            closes it. One that is running ends by itself, soon.
        """
        with self._changed:
            run = self._runs.get(name)
            if run is None:
                return None
            run.cancelled = why
            if run.state == "running":
                return None
            del self._runs[name]
            return run if run.tries else None

    def take(self, wait_s: float) -> Run | None:
        """Begin a try of a run that may go.

        Args:
            wait_s: how long to wait for one.

        Returns:
            The run, now ``running``, its remote taken until `release`; None if none may go.
        """
        with self._changed:
            run = self._next()
            if run is None:
                self._changed.wait(wait_s)
                run = self._next()
            if run is None:
                return None
            self._lanes.add(run.job.there.lane)
            run.state = "running"
            run.tries += 1
            run.progress = Progress(0, 0, 0, 0)
            return run

    def release(self, run: Run, again: bool) -> None:
        """The try of a run has ended.

        Args:
            run: the run.
            again: there will be another one, after its pause; else the run is over.
        """
        with self._changed:
            self._lanes.discard(run.job.there.lane)
            if again:
                run.state = "waiting"
                run.not_before_s = self._clock() + run.pause_s()
            else:
                del self._runs[run.job.name]
            self._changed.notify_all()

    def _next(self) -> Run | None:
        now = self._clock()
        for run in self._runs.values():
            free = run.job.remote is not None and run.job.remote.lane not in self._lanes
            if free and (run.state == "queued" or (run.state == "waiting" and run.not_before_s <= now)):
                return run
        return None
