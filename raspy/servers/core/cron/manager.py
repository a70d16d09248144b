# SPDX-License-Identifier: GPL-3.0-or-later
"""The manager of cron jobs: what is due, what was missed, what a clock that was set means for them.

The rules, for docs/cron.md:

* A run that is at most ``GRACE_S`` late (a restart, a busy machine) simply happens.
* A later one was missed. Each miss is an event; then the job's ``missed`` says: forget it, or run once.
* The clock was set forward: as if core had been off for so long. Set back by up to ``REPEAT``: what has run
  in that stretch does not run again. Set back further: the old time was wrong, everything is planned anew.
* An interval is a duration: setting the clock does not shorten or lengthen it.
* ``trusted`` jobs that are due wait until the clock is trusted; then the above holds for them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from raspy.common import MDP
from raspy.servers.core import names
from raspy.servers.core.clock.wall import WallClock
from raspy.servers.core.cron.aps import MemoryJobStore
from raspy.servers.core.cron.handled import HandledFile
from raspy.servers.core.cron.job import KINDS, RUN, Cron
from raspy.servers.core.cron.triggers import Place

SECTION = "cron"
JOBS_MAX = 500
# Later than this a run counts as missed, in seconds.
GRACE_S = 60.0
REPEAT = timedelta(hours=3)
# Of the runs that were missed in one go so many are reported one by one; then how many more there were.
MISSES_TOLD = 10
# Counting the misses of a long absence stops here.
MISSES_COUNTED = 1000
NEXT_MAX = 100
MOST_WAIT_S = 60.0
# What was handled is written down at most so often, to spare the SD card, in seconds.
WRITE_S = 10.0

Work = list[Callable[[], None]]
# fire(job, due, late_s): carry the job out. tell(job, event, message, more): publish what happened to it.
Fire = Callable[[Cron, "datetime | None", float], None]
Tell = Callable[[Cron, str, str, dict[str, Any]], None]


class Saves(Protocol):
    """What of ``raspy.common.store.Store`` the managers need."""

    def load(self, section: str) -> dict[str, Any]:
        """The values of a section."""

    def save(self, section: str, values: Mapping[str, Any]) -> None:
        """Store values; None deletes."""


class CronManager:
    """The manager of cron jobs. Thread safe.

    Args:
        place: where their times are read.
        clock: what time it is.
        fire: called for every run, without the lock held.
        tell: called for everything that should not go unseen, without the lock held.
        handled_file: remembers over a restart up to when each job was handled; None: only while core runs.
    """

    def __init__(
        self, place: Place, clock: WallClock, fire: Fire, tell: Tell, handled_file: Path | None = None
    ) -> None:
        self.jobs: dict[str, Cron] = {}
        self.trusted = False
        self.log = logging.getLogger("raspy.core.cron")
        self._place = place
        self._clock = clock
        self._fire = fire
        self._tell = tell
        self._handled = HandledFile(handled_file)
        self._store = MemoryJobStore()
        self._lock = threading.RLock()
        self._dirty = False
        self._written_at = clock.monotonic() - WRITE_S

    # What is kept.

    def load(self, store: Saves) -> None:
        """Take the jobs from titanic's store; those that can't be used are logged and left out."""
        handled = self._handled.read()
        now = self._clock.now()
        with self._lock:
            for name, definition in sorted(store.load(SECTION).items()):
                try:
                    if not isinstance(definition, dict):
                        raise MDP.ClientError("its definition is no JSON object")
                    known = self.jobs.get(name)
                    if known is not None and known.definition == definition:
                        continue
                    self._put(name, definition, handled.get(name), now)
                except MDP.ClientError as error:
                    self.log.error("the stored cron job %s can't be used and is left out: %s", name, error)

    def add(self, store: Saves, name: str, definition: dict[str, Any]) -> Cron:
        """Add a job and store it.

        Raises:
            ClientError: the name is taken, the definition is wrong, or it would never fire.
            ServerError: it could not be stored; then nothing changed.
        """
        with self._lock:
            if name in self.jobs:
                raise MDP.ClientError(f"there is a cron job {name} already: update or remove it")
            if len(self.jobs) >= JOBS_MAX:
                raise MDP.ClientError(f"there are {JOBS_MAX} cron jobs already, no more fit")
        return self._replace(store, name, definition)

    def update(self, store: Saves, name: str, definition: dict[str, Any]) -> Cron:
        """Change a job: its old definition with the keys of the new one; a key that is null goes away.

        Raises:
            NotFoundError, ClientError, ServerError: as above; then nothing changed.
        """
        merged = dict(self.get(name).definition)
        if any(
            definition.get(kind) is not None for kind in KINDS
        ):  # another time takes the place of the old one
            for key in (*KINDS, "offset_s"):
                merged.pop(key, None)
        merged.update(definition)
        return self._replace(store, name, {key: value for key, value in merged.items() if value is not None})

    def _replace(self, store: Saves, name: str, definition: dict[str, Any]) -> Cron:
        now = self._clock.now()
        job = self._checked(name, definition, now)
        store.save(SECTION, {name: job.definition})
        with self._lock:
            return self._put(name, job.definition, None, now)

    def _checked(self, name: str, definition: dict[str, Any], now: datetime) -> Cron:
        job = Cron(name, definition, self._place, now)
        if job.active and job.after(now) is None:
            what = job.definition[job.kind]
            raise MDP.ClientError(f"{job.kind} {what} never fires: there is no such time from now on")
        return job

    def remove(self, store: Saves, name: str) -> None:
        """Remove a job.

        Raises:
            NotFoundError, ServerError: as above.
        """
        self.get(name)
        store.save(SECTION, {name: None})
        with self._lock:
            if self.jobs.pop(name, None) is not None:
                self._store.remove_job(name)
            self._dirty = True

    # What people ask.

    def get(self, name: str) -> Cron:
        """The job of that name.

        Raises:
            NotFoundError: there is none.
        """
        job = self.jobs.get(name)
        if job is None:
            raise MDP.NotFoundError(f"there is no cron job {name!r}")
        return job

    def list_keys(self) -> list[str]:
        """The names of all jobs."""
        with self._lock:
            return sorted(self.jobs)

    def list(self, count: int = 0) -> dict[str, dict[str, Any]]:
        """All jobs with their definitions and states, and the next *count* ``runs`` of each."""
        with self._lock:
            return {
                name: {
                    **job.to_json(),
                    "state": self.state(job),
                    **({"runs": _runs_from(job, job.next_run, count)} if count else {}),
                }
                for name, job in sorted(self.jobs.items())
            }

    def state(self, job: Cron) -> str:
        """``inactive``, ``waiting`` for a trusted clock, ``over`` (no run will come), or ``planned``."""
        if not job.active:
            return "inactive"
        if job.next_run is None:
            return "over"
        if job.definition["trusted"] and not self.trusted:
            return "waiting"
        return "planned"

    def waiting(self) -> int:
        """How many active jobs wait for a trusted clock."""
        with self._lock:
            return sum(self.state(job) == "waiting" for job in self.jobs.values())

    def next(self, name: str, count: int = 1) -> Sequence[float]:
        """The next runs of a job, seconds since the epoch; fewer than *count* when there are no more.

        Raises:
            NotFoundError, ClientError: no such job, or *count* is not 1 to ``NEXT_MAX``.
        """
        names.number(count, "the number of runs", 1, NEXT_MAX)
        with self._lock:
            job = self.get(name)
            return _runs_from(job, job.next_run, count)

    def preview(self, definition: dict[str, Any], count: int) -> dict[str, Any]:
        """A job that is not kept: its ``definition`` completed, its next ``runs``, the place's ``timezone``.

        Raises:
            ClientError: the definition is wrong, it would never fire, or *count* is not 1 to ``NEXT_MAX``.
        """
        names.number(count, "the number of runs", 1, NEXT_MAX)
        now = self._clock.now()
        job = self._checked("preview", definition, now)
        runs = _runs_from(job, job.after(now), count)
        return {"definition": job.definition, "runs": runs, "timezone": str(self._place.zone)}

    def fire(self, name: str) -> None:
        """Carry out a job now, by hand; its plan stays as it is.

        Raises:
            NotFoundError: there is none.
        """
        job = self.get(name)
        job.fired += 1
        job.last = self._clock.time()
        self._fire(job, None, 0.0)

    # As time goes by.

    def wait_s(self) -> float:
        """How long until ``process`` has something to do, in seconds; at most a minute."""
        with self._lock:
            due = self._store.get_next_run_time()
        if due is None:
            return MOST_WAIT_S
        wait_s = float((due - self._clock.now()).total_seconds())
        # What is due and was not processed waits for a trusted clock.
        return min(MOST_WAIT_S, wait_s) if wait_s > 0 else 0.0 if self.trusted else 1.0

    def process(self) -> None:
        """Carry out what is due; called by core's loop."""
        now = self._clock.now()
        work: Work = []
        with self._lock:
            for aps_job in self._store.get_due_jobs(now):
                job = self.jobs[aps_job.id]
                if self.state(job) != "waiting":
                    work += self._due(job, now)
        for call in work:
            call()
        self._write_handled()

    def clock_set(self, seconds: float) -> None:
        """The wall clock was set by so many seconds (negative: back): plan accordingly."""
        now = self._clock.now()
        shift = timedelta(seconds=seconds)
        with self._lock:
            for job in self.jobs.values():
                if job.kind == "interval_s":
                    if job.handled is not None:
                        job.handled += shift
                    if job.next_run is not None:
                        next_run = job.next_run + shift
                        job.rebase(next_run - timedelta(seconds=job.definition["interval_s"]))
                        self._plan(job, next_run)
                elif seconds < 0 and job.active:
                    if job.handled is not None and job.handled - now > REPEAT:
                        job.handled = now
                    self._plan(job, job.after(max(now, job.handled or now)))
            self._dirty = True

    # The inside.

    def _put(self, name: str, definition: dict[str, Any], handled: datetime | None, now: datetime) -> Cron:
        """Make the job known, and plan its next run: after a restart that is the first missed one."""
        if handled is not None and handled - now > REPEAT:
            handled = None  # noted down while the clock was wrong
        base = handled or now
        job = Cron(name, definition, self._place, base)
        job.handled = base
        old = self.jobs.get(name)
        if old is not None:
            self._store.remove_job(name)
            job.fired, job.missed, job.last = old.fired, old.missed, old.last
        self.jobs[name] = job
        job.aps_job.next_run_time = job.after(base) if job.active else None
        self._store.add_job(job.aps_job)
        self._dirty = True
        return job

    def _plan(self, job: Cron, moment: datetime | None) -> None:
        job.aps_job.next_run_time = moment
        self._store.update_job(job.aps_job)

    def _due(self, job: Cron, now: datetime) -> Work:
        """Plan the run after *now*; return what is to be done about those up to it, to be called unlocked."""
        runs, more = self._runs(job, now)
        last = runs[-1]
        late_s = (now - last).total_seconds()
        on_time = late_s <= GRACE_S
        missed = runs[:-1] if on_time else runs
        count = len(missed) + more
        job.missed += count
        job.handled = now if job.kind != "interval_s" else last
        run = on_time or (job.definition["missed"] == RUN)
        if job.kind == "interval_s" and run and not on_time:
            job.handled = now
            job.rebase(now)
        self._plan(job, job.after(now))
        self._dirty = True
        work: Work = []
        if count:
            work.append(lambda: self._tell_missed(job, missed[-MISSES_TOLD:], count, run and not on_time))
        if run:
            job.fired += 1
            job.last = now.timestamp()
            work.append(lambda: self._fire(job, last, late_s))
        return work

    def _runs(self, job: Cron, now: datetime) -> tuple[Sequence[datetime], int]:
        """The runs up to *now*, oldest first, and how many more were passed over while counting."""
        assert job.next_run is not None
        runs = [job.next_run]
        more = 0
        while (moment := job.after(runs[-1])) is not None and moment <= now:
            runs.append(moment)
            if len(runs) > 2 * MISSES_TOLD:
                del runs[0]
                more += 1
            if more >= MISSES_COUNTED:
                # A week of a job that runs every second: what was last due before now is enough.
                recent = job.after(now - timedelta(seconds=GRACE_S))
                if recent is not None and recent <= now:
                    runs.append(recent)
                break
        return runs, more

    def _tell_missed(self, job: Cron, told: Sequence[datetime], count: int, runs: bool) -> None:
        then = "; it runs now, once" if runs else "; it is skipped"
        for moment in told:
            self._tell(
                job,
                "missed",
                f"cron job {job.name} was due at {moment.astimezone(self._place.zone):%F %T %Z}"
                f" and core could not run it{then}",
                {"due": moment.timestamp()},
            )
        if count > len(told):
            least = "at least " if count >= MISSES_COUNTED else ""
            self._tell(
                job,
                "missed",
                f"cron job {job.name} missed {least}{count - len(told)} more runs before",
                {"count": count - len(told)},
            )

    def _write_handled(self, now: bool = False) -> None:
        if not self._dirty or not (now or self._clock.monotonic() - self._written_at >= WRITE_S):
            return
        self._dirty = False
        self._written_at = self._clock.monotonic()
        with self._lock:
            values = {name: job.handled or self._clock.now() for name, job in self.jobs.items() if job.active}
        self._handled.write(values)

    def close(self) -> None:
        """Write down what was handled, up to now: what comes after is missed."""
        now = self._clock.now()
        with self._lock:
            for job in self.jobs.values():
                if job.active and job.kind != "interval_s" and (job.next_run is None or job.next_run > now):
                    job.handled = now
            self._dirty = True
        self._write_handled(now=True)


def _runs_from(job: Cron, moment: datetime | None, count: int) -> list[float]:
    """The run at *moment* and those that follow, seconds since the epoch; *count* at most."""
    runs: list[float] = []
    while moment is not None and len(runs) < count:
        runs.append(moment.timestamp())
        moment = job.after(moment)
    return runs
