# SPDX-License-Identifier: GPL-3.0-or-later
"""Titanic's loop: take what has come, commit it together, answer, deliver; and keep house."""

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import zmq

from raspy.common import MDP
from raspy.common.stop import StopEvent
from raspy.servers.titanic.commit import Job, commit
from raspy.servers.titanic.database import Database, StorageError
from raspy.servers.titanic.delivery import MAX_OUTCOMES, Delivery, Outcome
from raspy.servers.titanic.desk import Desk
from raspy.servers.titanic.figures import Figures
from raspy.servers.titanic.requests import Requests
from raspy.servers.titanic.schema import DONE, FAILED, WAITING
from raspy.servers.titanic.workers import Ready, Worker

log = logging.getLogger(__name__)

# Of each worker, so many requests go into one group, whatever else is waiting.
GROUP_REQUESTS = 128
# How long the outcome of a delivery may wait for company before it is committed.
LINGER_S = 0.01
# After a commit that failed, the pause before the outcomes in it are tried again.
DISK_PAUSE_S = 1.0
# How often the loop turns though nothing happens: heartbeats, figures, the watchdog.
IDLE_S = 1.0
# Old requests are looked for this often, or twice within the shortest time that they are kept.
HOUSEKEEPING_S = 60.0
# How many pages one round of housekeeping gives back to the disk, and how many it leaves for new rows.
SHRINK_PAGES = 512
SPARE_PAGES = 64
# Ages go on over a restart from the clock that was saved last.
SAVE_CLOCK_S = 600.0

_IN = int(zmq.POLLIN)

Handler = Callable[[list[bytes]], Job]


class Keeping(NamedTuple):
    """How long requests and replies are kept, in seconds: `Requests.sweep` has the details."""

    max_age_s: float
    keep_s: float


class Loop:
    """All work on the bus and on the disk, in one thread.

    Arguments:
        database: open.
        requests: its requests.
        delivery: sends them out.
        desk: answers.
        keeping: how long.
        figures: to be kept up to date.
        lock: held while the database is in use, so that other threads can use it too.
    """

    def __init__(
        self,
        database: Database,
        requests: Requests,
        delivery: Delivery,
        desk: Desk,
        keeping: Keeping,
        figures: Figures,
        lock: threading.Lock,
    ) -> None:
        self._database = database
        self._requests = requests
        self._delivery = delivery
        self._desk = desk
        self._keeping = keeping
        self._figures = figures
        self._lock = lock
        self._offers: list[tuple[Worker, Handler]] = []
        self._due_at = math.inf  # when the outcomes that wait are to be committed
        self._housekeeping_at = self._figures_at = 0.0
        self._clock_saved_at = -math.inf
        self._resting_until = -math.inf

    def offer(self, worker: Worker, handler: Handler) -> None:
        """Serve what *worker* receives with *handler*."""
        self._offers.append((worker, handler))

    def close(self) -> None:
        """Say good-bye to the broker, and keep titanic's clock."""
        for worker, _ in self._offers:
            worker.destroy()
        self._delivery.close()
        with self._lock:
            self._save_clock()

    def turn(self, stopping: StopEvent) -> None:
        """Wait until there is something to do, and do it.

        Raises:
            sqlite3.DatabaseError: the database is damaged, or can't be read.
        """
        ready = self._wait(stopping)
        now = time.monotonic()
        asked, jobs = self._take(ready, now)
        self._delivery.collect(ready)
        with self._lock:
            self._commit(asked, jobs, now)
            self._delivery.dispatch()
            if now >= self._figures_at:
                self._keep_house(now)

    def _wait(self, stopping: StopEvent) -> Ready:
        """The sockets that have something; none when it is time for something else."""
        wait_s = min(IDLE_S, self._delivery.due_s(), self._due_at - time.monotonic())
        sockets = [socket for worker, _ in self._offers for socket in worker.sockets()]
        sockets += self._delivery.sockets()
        items = [(socket, _IN) for socket in sockets]
        polled = zmq.zmq_poll([*items, (stopping.fileno(), _IN)], max(0, math.ceil(wait_s * 1000)))
        return {item for item, _ in polled}

    def _take(self, ready: Ready, now: float) -> tuple[list[tuple[Worker, bytes]], list[Job]]:
        """All requests that have come: whom to answer, and the jobs; what is refused is answered here."""
        asked: list[tuple[Worker, bytes]] = []
        jobs: list[Job] = []
        for worker, handler in self._offers:
            for address, body in worker.take(ready, now, GROUP_REQUESTS):
                try:
                    jobs.append(handler(body))
                except MDP.GenericError as error:
                    worker.reply(address, [error.status, str(error).encode()])
                else:
                    asked.append((worker, address))
        return asked, jobs

    def _commit(self, asked: list[tuple[Worker, bytes]], jobs: list[Job], now: float) -> None:
        """Commit the jobs, with the outcomes of deliveries when there is a commit anyway, and answer."""
        outcomes = self._outcomes_due(any(job.writes for job in jobs), now)
        group = [*jobs, *map(self._outcome_job, outcomes)]
        if not group:
            return
        replies, trouble = commit(self._database, group)
        for (worker, address), reply in zip(asked, replies, strict=False):
            worker.reply(address, reply)
        self._desk.measure()
        if trouble is not None:
            self._requests.recount()
            unstored = [
                outcome
                for outcome, reply in zip(outcomes, replies[len(jobs) :], strict=True)
                if len(reply) > 1
            ]
            self._delivery.outcomes.extendleft(reversed(unstored))
            self._due_at = self._resting_until = now + DISK_PAUSE_S
        if any(job.writes for job in group):
            self._note_trouble("" if trouble is None else str(trouble))

    def _outcomes_due(self, writing: bool, now: float) -> list[Outcome]:
        """Take the outcomes that go into this commit."""
        waiting = self._delivery.outcomes
        if not waiting or now < self._resting_until:
            return []
        self._due_at = min(self._due_at, now + LINGER_S)
        if not writing and now < self._due_at and len(waiting) < MAX_OUTCOMES:
            return []
        self._due_at = math.inf
        taken = list(waiting)
        waiting.clear()
        return taken

    def _outcome_job(self, outcome: Outcome) -> Job:
        def work() -> list[bytes]:
            if outcome.state is None:
                self._requests.tried(outcome.seq, outcome.tries)
            else:
                self._requests.finish(outcome.seq, outcome.state, outcome.reply)
            return [MDP.T_OK]

        return Job(work, steadfast=True)

    def _note_trouble(self, trouble: str) -> None:
        """Say once that the disk makes trouble, and once that it is over."""
        if trouble and not self._figures.trouble:
            log.error("requests are refused: %s", trouble)
        elif self._figures.trouble and not trouble:
            log.info("the database can be written again")
        self._figures.trouble = trouble

    # Housekeeping.

    def _keep_house(self, now: float) -> None:
        self._figures_at = now + IDLE_S
        try:
            if now >= self._housekeeping_at:
                self._sweep(now)
        except StorageError as error:
            self._requests.recount()
            self._note_trouble(str(error))
        self._count()

    def _sweep(self, now: float) -> None:
        """Let go of what is too old, and give the room back."""
        self._housekeeping_at = now + max(IDLE_S, min(HOUSEKEEPING_S, min(self._keeping) / 2))
        if self._requests.total():
            with self._database.transaction():
                failed, removed = self._requests.sweep(*self._keeping)
                if now - self._clock_saved_at >= SAVE_CLOCK_S:
                    self._clock_saved_at = now
                    self._requests.save_clock()
            if self._requests.sweeping:
                self._housekeeping_at = now + IDLE_S
            if failed or removed:
                log.info(
                    "%d requests failed since nobody answered them in time, %d old replies were removed",
                    failed,
                    removed,
                )
        if self._database.free_pages() > SPARE_PAGES:
            self._database.shrink(SHRINK_PAGES)

    def _count(self) -> None:
        figures, counts = self._figures, self._requests.counts
        figures.waiting.set(counts[WAITING])
        figures.done.set(counts[DONE])
        figures.failed.set(counts[FAILED])
        figures.in_work.set(self._delivery.in_work())
        figures.oldest_s.set(self._requests.oldest_s())
        figures.database_bytes.set(self._database.size_bytes())
        figures.commits.set(self._database.commits)
        figures.stored.set(self._requests.added)
        figures.ended.set(self._requests.finished)

    def _save_clock(self) -> None:
        if self._requests.total():
            try:
                with self._database.transaction():
                    self._requests.save_clock()
            except StorageError as error:
                log.warning(
                    "requests will seem up to %g s younger at the next start: %s", SAVE_CLOCK_S, error
                )
